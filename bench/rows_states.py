"""Rows about state runs, each through the master. A round writes to a directory of its own: see `trees`."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import jinja2
import trees
import yaml
from floors import median_seconds
from stage import Call, Pair, Stage, in_turn
from table import Line

# What Salt takes half a minute for is repeated less often.
SALT_ROUNDS = 3
SALT_SLOW_ROUNDS = 2


def managed(stage: Stage) -> Iterator[Line]:
    """Many file.managed."""
    sources = trees.small_sources(stage.tree)
    first, again = _rounds(stage, "managed", SALT_ROUNDS)
    floor = stage.floors.write_files(sources, trees.FILES)
    yield Line("1,000 file.managed, first", "s", *first, floor, 0.9)
    floor = stage.floors.hash_files(sources, trees.FILES)
    yield Line("1,000 file.managed, unchanged", "s", *again, floor, 0.4)


def recurse(stage: Stage) -> Iterator[Line]:
    """A directory of small files, none of which the minion has seen."""
    sources = sorted(path for path in (stage.tree / "small-0").rglob("*") if path.is_file())
    first, again = _rounds(stage, "recurse", SALT_SLOW_ROUNDS)
    floor = stage.floors.write_files(sources, trees.SMALL_FILES)
    yield Line("file.recurse of 2,000 files, first", "s", *first, floor, 1.5)
    floor = stage.floors.hash_files(sources, trees.SMALL_FILES)
    yield Line("file.recurse of 2,000 files, unchanged", "s", *again, floor, 0.4)


def _rounds(stage: Stage, name: str, salt_rounds: int) -> tuple[Pair, Pair]:
    """Time each round's first and second run, both fleets in turn; the first round warms up."""
    times: dict[tuple[str, str], list[float]] = {}

    def measure(kind: str, call: Call | None) -> None:
        for when in ("first", "again") if call else ():
            assert call is not None
            times.setdefault((kind, when), []).append(call())

    for turn in range(trees.ROUNDS):
        ctl, salt = stage.states(name, turn)
        measure("ctl", ctl)
        measure("salt", salt if turn < salt_rounds else None)

    def pair(when: str) -> Pair:
        salt = times.get(("salt", when))
        return median(times["ctl", when][1:]), median(salt[1:]) if salt else None

    return pair("first"), pair("again")


def chain(stage: Stage) -> Iterator[Line]:
    """States of which each requires the one before."""
    figures = in_turn(*stage.states("chain"), 5, SALT_ROUNDS)
    floor = stage.floors.python + stage.floors.job + _parse(stage, "chain")
    yield Line("1,000 states chained by require", "s", *figures, floor, 0.3)


def commands(stage: Stage) -> Iterator[Line]:
    """Commands that do nothing."""
    figures = in_turn(*stage.states("commands"), 5, SALT_ROUNDS)
    floor = stage.floors.python + stage.floors.job + trees.COMMANDS * stage.floors.shell
    yield Line("200 cmd.run of true", "s", *figures, floor, 0.5)


def compiled(stage: Stage) -> Iterator[Line]:
    """The compiler alone: nothing is run."""
    words = ("m0", "state.show_low_sls", "chunks", "--out=quiet")
    salt = stage.salt_run(*words, "--timeout=600")
    figures = in_turn(stage.ctl_run(*words), salt, 3, SALT_SLOW_ROUNDS)
    yield Line("10,000 chunks compiled", "s", *figures, _parse(stage, "chunks"), None, "floor: its YAML is parsed")


def includes(stage: Stage) -> Iterator[Line]:
    """A formula in many parts, each with an import and an include of its own."""
    figures = in_turn(*stage.states("includes"), 5, SALT_ROUNDS)
    floor = stage.floors.python + stage.floors.job + _render_includes(stage)
    note = "floor: Jinja and YAML alone"
    yield Line("300 SLS included, each with a Jinja import", "s", *figures, floor, None, note)


def _parse(stage: Stage, name: str) -> float:
    text = (stage.tree / f"{name}.sls").read_text()
    return median_seconds(lambda: yaml.load(text, yaml.CSafeLoader), 3)


def _render_includes(stage: Stage) -> float:
    def once() -> None:
        environment = jinja2.Environment(loader=jinja2.FileSystemLoader(stage.tree))
        for number in range(trees.INCLUDES):
            template = environment.get_template(f"includes/part{number}.sls")
            yaml.load(template.render(grains={"id": "m0"}), yaml.CSafeLoader)

    return median_seconds(once, 3)
