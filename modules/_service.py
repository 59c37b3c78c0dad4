"""What both families of `service` share: names that are safe to pass on, and processes found by their words."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable

import psutil

from ..common.errors import CommandExecutionError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9:_.\\@+-]*")


def check_name(name: str) -> str:
    """Return a service's name, or raise where it is none."""
    if not _NAME.fullmatch(name):
        raise CommandExecutionError(f"{name!r} is no name of a service")
    return name


def is_glob(name: str) -> bool:
    """Say whether a name stands for several services."""
    return any(sign in name for sign in "*?[")


def status_of(name: str, known: Callable[[], Iterable[str]], running: Callable[[str], bool]) -> bool | dict[str, bool]:
    """Return whether a service runs, or for a glob a dict of those that match."""
    if not is_glob(name):
        return running(check_name(name))
    return {one: running(one) for one in sorted(known()) if fnmatch.fnmatchcase(one, name)}


def find_processes(signature: str) -> list[int]:
    """Return the pids of processes in whose command line a regular expression is found."""
    pattern = re.compile(signature)
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "name"]):
        words = process.info["cmdline"] or [process.info["name"] or ""]
        if pattern.search(" ".join(words)):
            found.append(process.info["pid"])
    return sorted(found)
