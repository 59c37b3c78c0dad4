"""Apply patches to files and directories, with the system's patch(1)."""

from __future__ import annotations

import os
import shlex
import tempfile
from pathlib import Path
from typing import Any

from ..common import process
from ..common.errors import CommandExecutionError
from ..common.state.plan import Changes, Plan, Step, change, same
from ._content import Trust, content_of_bytes
from ._managed import Wanted, check_name, plan_file
from ._planning import Missing, planning
from ._recipe import Recipe

__virtualname__ = "file"

_QUIET = ("--force", "--no-backup-if-mismatch")
_TIMEOUT_S = 120.0


@planning
def patch(
    name: str,
    source: str | list[Any] | None = None,
    source_hash: str = "",
    source_hash_name: str | None = None,
    skip_verify: bool = False,
    template: str | None = None,
    context: dict[str, Any] | None = None,
    defaults: dict[str, Any] | None = None,
    options: str = "",
    reject_file: str | None = None,
    strip: int | str | None = None,
    saltenv: str | None = None,
) -> Plan:
    """Make sure that a patch is applied to a file, or to the files below a directory.

    source, source_hash, template, context, defaults
        Where the patch comes from, as in `file.managed`.
    strip
        How many leading parts of the paths in the patch are left out; needed where `name` is a directory.
    options
        Further options of patch(1).
    reject_file
        Accepted for trees that have it: a patch that does not fit fails before anything is changed.

    SLS example:

        /opt/app/app.py:
          file.patch:
            - source: salt://app.patch
    """
    path = check_name(name)
    if not os.path.exists(path):
        raise Missing(f"{path} is not there")
    if source is None:
        raise CommandExecutionError("source says where the patch comes from")
    directory = os.path.isdir(path)
    if directory and strip is None:
        raise CommandExecutionError("strip must say how many parts of the paths to leave out, as name is a directory")
    content = Recipe(
        source=f"{source}?saltenv={saltenv}" if saltenv and isinstance(source, str) else source,
        source_hash=source_hash,
        trust=Trust(hash_name=source_hash_name, skip_verify=skip_verify),
        template=template,
        context=context,
        defaults=defaults,
    ).content(path, {})
    assert content is not None
    given = [*shlex.split(options), *([f"--strip={strip}"] if strip is not None else [])]
    where = [f"--directory={path}"] if directory else [path]
    text = content.read()
    if _fits(text, ["--dry-run", "--fuzz=0", *_reversed(given), *where]):
        return same("Patch was already applied")
    return (_plan_directory if directory else _plan_one)(path, text, given)


def _plan_directory(path: str, text: bytes, given: list[str]) -> Plan:
    words = [*given, f"--directory={path}"]
    trial = _run(text, ["--forward", "--dry-run", *words])
    if trial.retcode != 0:
        if _fits(text, ["--dry-run", *_reversed(given), f"--directory={path}"]):
            return same("Patch was already applied")
        raise CommandExecutionError(f"the patch does not fit {path}: {_said(trial)}")

    def apply() -> Changes:
        done = _run(text, ["--forward", *words])
        if done.retcode != 0:
            raise CommandExecutionError(f"patch failed: {_said(done)}")
        return {"pid": done.pid, "retcode": 0, "stdout": done.text, "stderr": done.error_text}

    predicted = {"retcode": 0, "stdout": trial.text, "stderr": trial.error_text}
    return change(f"The patch is set to be applied to {path}", predicted, Step(f"patch {path}", apply), done="Patched")


def _plan_one(path: str, text: bytes, given: list[str]) -> Plan:
    """Have patch(1) make the new content elsewhere, which then replaces the file at once."""
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory, "patched")
        done = _run(text, ["--forward", f"--output={made}", *given, path])
        new = made.read_bytes() if made.exists() else b""
    if done.retcode != 0:
        if _fits(text, ["--dry-run", *_reversed(given), path]):
            return same("Patch was already applied")
        raise CommandExecutionError(f"the patch does not fit {path}: {_said(done)}")
    return plan_file(Wanted(path, content_of_bytes(new)))


def _reversed(options: list[str]) -> list[str]:
    kept = [option for option in options if option not in ("-R", "--reverse")]
    return kept if len(kept) < len(options) else ["--reverse", *kept]


def _fits(text: bytes, words: list[str]) -> bool:
    return _run(text, words).retcode == 0


def _run(text: bytes, words: list[str]) -> process.Completed:
    # --force asks nothing; with --forward it would apply what is applied already.
    quiet = ("--batch", *_QUIET[1:]) if "--forward" in words else _QUIET
    return process.tool(["patch", *quiet, "--reject-file=-", *words], stdin=text, ok=None, timeout=_TIMEOUT_S)


def _said(done: process.Completed) -> str:
    return "; ".join(line for line in (done.text + "\n" + done.error_text).splitlines() if line.strip())
