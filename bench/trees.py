"""The state trees of the bench.

A round of runs creates its files in a directory of its own: deleting files first makes ext4 slow at creating new ones.
"""

from __future__ import annotations

import os
from pathlib import Path

ROUNDS = 5
FILES = 1000
SMALL_FILES = 2000
CHUNKS = 10_000
INCLUDES = 300
COMMANDS = 200
BIG_FILE_BYTES = 200 * 2**20
KINDS = ("ctl", "salt")

MAP = """\
{%- set settings = {'packages': ['a', 'b', 'c'], 'port': 80, 'os': grains['id']} -%}
{%- macro name_of(part, number) -%}{{ part }}-{{ settings.port + number }}{%- endmacro -%}
"""
PART = """\
{%- from 'includes/map.jinja' import settings, name_of with context %}
include:
  - includes.common
{%- for package in settings.packages %}
{{ name_of(package, NUMBER) }}:
  test.nop:
    - require:
      - test: common
{%- endfor %}
"""


def write(tree: Path, outputs: Path) -> None:
    """Write everything into `tree`; runs create their files below `outputs`."""
    tree.mkdir()
    outputs.mkdir()
    sources = small_sources(tree)
    (tree / "files").mkdir()
    for number, source in enumerate(sources):
        source.write_text(f"file {number}\n" * 20)
    for kind in KINDS:
        for turn in range(ROUNDS):
            _write_run(tree, outputs, kind, turn)
    for turn in range(ROUNDS):
        _write_small_files(tree / f"small-{turn}", turn)
    _write_chain(tree)
    _write_chunks(tree)
    _write_commands(tree)
    _write_includes(tree / "includes")
    with (tree / "big").open("wb") as big:
        for _ in range(BIG_FILE_BYTES // 2**20):
            big.write(os.urandom(2**20))


def small_sources(tree: Path) -> list[Path]:
    """Return the files that the managed files come from."""
    return [tree / "files" / f"{number}.txt" for number in range(10)]


def output(outputs: Path, what: str, kind: str, turn: int) -> Path:
    """Return the directory that one run writes to."""
    return outputs / f"{what}-{kind}-{turn}"


def _write_run(tree: Path, outputs: Path, kind: str, turn: int) -> None:
    target = output(outputs, "managed", kind, turn)
    target.mkdir()
    lines = (f"{target}/{n}:\n  file.managed:\n    - source: salt://files/{n % 10}.txt\n" for n in range(FILES))
    (tree / f"managed-{kind}-{turn}.sls").write_text("".join(lines))
    target = output(outputs, "recurse", kind, turn)
    (tree / f"recurse-{kind}-{turn}.sls").write_text(f"{target}:\n  file.recurse:\n    - source: salt://small-{turn}\n")


def _write_small_files(directory: Path, turn: int) -> None:
    """Write files in directories of a hundred; no two are the same, in any round."""
    for number in range(SMALL_FILES):
        path = directory / f"d{number // 100}" / f"f{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"file {number} of round {turn}\n" * 20)


def _write_chain(tree: Path) -> None:
    lines = ["link0:\n  test.nop\n"]
    lines += (f"link{n}:\n  test.nop:\n    - require:\n      - test: link{n - 1}\n" for n in range(1, FILES))
    (tree / "chain.sls").write_text("".join(lines))


def _write_chunks(tree: Path) -> None:
    """Write chunks of which each of a hundred neighbours requires the first."""
    lines = [f"chunk{n}:\n  test.nop:\n    - name: number {n}\n" for n in range(CHUNKS)]
    for n in range(CHUNKS):
        if n % 100:
            lines[n] += f"    - require:\n      - test: chunk{n - n % 100}\n"
    (tree / "chunks.sls").write_text("".join(lines))


def _write_commands(tree: Path) -> None:
    lines = (f"command{n}:\n  cmd.run:\n    - name: 'true'\n" for n in range(COMMANDS))
    (tree / "commands.sls").write_text("".join(lines))


def _write_includes(directory: Path) -> None:
    directory.mkdir()
    (directory / "map.jinja").write_text(MAP)
    (directory / "common.sls").write_text("common:\n  test.nop\n")
    for number in range(INCLUDES):
        (directory / f"part{number}.sls").write_text(PART.replace("NUMBER", str(number)))
    names = "".join(f"  - includes.part{number}\n" for number in range(INCLUDES))
    (directory / "init.sls").write_text(f"include:\n{names}")
