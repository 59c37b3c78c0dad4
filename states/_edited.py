"""Edits of text files: read the text, let a pure function change it, and plan the write."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Any

from ..common.atomic import atomic_write
from ..common.errors import CommandExecutionError
from ..common.state.plan import Plan, Step, same
from ._content import content_of_bytes
from ._managed import Wanted, file_status, plan_file
from ._planning import Missing

# Bytes that are no UTF-8 survive an edit unchanged.
ERRORS = "surrogateescape"


def read_text(path: str) -> str:
    """Return a file's text; raises `Missing` where it is not there."""
    if file_status(path) is None:
        raise Missing(f"the file {path} is not there")
    if os.path.isdir(path):
        raise CommandExecutionError(f"{path} is a directory")
    with open(path, "rb") as file:
        return file.read().decode("utf-8", ERRORS)


def compile_pattern(pattern: str, flags: Any = re.MULTILINE) -> re.Pattern[str]:
    """Compile a user's expression, with flags as names or as their number."""
    number = 0
    for flag in flags if isinstance(flags, list | tuple) else [flags]:
        if isinstance(flag, str) and not flag.isdecimal():
            if not isinstance(getattr(re, flag.upper(), None), re.RegexFlag):
                raise CommandExecutionError(f"there is no flag {flag!r} of expressions")
            number |= getattr(re, flag.upper())
        else:
            number |= int(flag)
    try:
        return re.compile(pattern, number)
    except re.error as error:
        raise CommandExecutionError(f"the expression {pattern!r} is wrong: {error}") from None


def plan_edit(
    path: str,
    old: str,
    new: str,
    *,
    why_same: str,
    done: str,
    backup: str | bool = "",
    show_changes: bool = True,
) -> Plan:
    """Plan to write the edited text; `backup` is a suffix for a copy beside the file (`.bak`), or `minion`."""
    if old == new:
        return same(why_same)
    central = backup if backup in (True, "minion", "both", "master") else ""
    wanted = Wanted(path, content_of_bytes(new.encode("utf-8", ERRORS)), backup=central, show_changes=show_changes)
    plan = plan_file(wanted)
    steps = plan.steps
    if backup and not central:
        suffix = str(backup)
        steps = (Step(f"copy {path} to {path}{suffix}", lambda: _copy(path, path + suffix)), *steps)
    return replace(plan, steps=steps, done=done)


def _copy(path: str, copy: str) -> None:
    status = os.stat(path)
    with open(path, "rb") as file:
        content = file.read()
    atomic_write(copy, content, mode=status.st_mode & 0o7777, uid=status.st_uid, gid=status.st_gid)
