"""Owner and mode of everything below a directory: what `recurse` asks for, and how it differs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..common.errors import CommandExecutionError
from ._attributes import Attributes, differences

WORDS = ("user", "group", "mode", "ignore_files", "ignore_dirs", "silent")


@dataclass(frozen=True, slots=True)
class Recursion:
    """Which attributes files and directories below get; None leaves the kind alone."""

    files: Attributes | None
    dirs: Attributes | None
    max_depth: int | None


def recursion(
    words: list[Any], owner: Attributes, dir_mode: int | None, file_mode: int | None, max_depth: int | None
) -> Recursion:
    """Read a state's `recurse` list."""
    unknown = [str(word) for word in words if word not in WORDS]
    if unknown:
        raise CommandExecutionError(f"recurse: {', '.join(unknown)} is none of {', '.join(WORDS)}")
    uid, user = (owner.uid, owner.user) if "user" in words else (None, None)
    gid, group = (owner.gid, owner.group) if "group" in words else (None, None)

    def of(mode: int | None) -> Attributes:
        return Attributes(uid, gid, mode if "mode" in words else None, user, group)

    return Recursion(
        None if "ignore_files" in words else of(file_mode),
        None if "ignore_dirs" in words else of(dir_mode),
        max_depth,
    )


def differing(directory: str, wanted: Recursion) -> Iterator[tuple[str, Attributes, dict[str, str]]]:
    """Give each path below `directory` whose attributes differ, with those it shall get and the changes."""
    for path, status in _entries(directory, wanted.max_depth):
        attributes = wanted.dirs if stat.S_ISDIR(status.st_mode) else wanted.files
        if attributes is None:
            continue
        changes = differences(attributes, status)
        if stat.S_ISLNK(status.st_mode):
            changes.pop("mode", None)
        if changes:
            yield path, attributes, changes


def _entries(directory: str, depth: int | None) -> Iterator[tuple[str, os.stat_result]]:
    if depth is not None and depth <= 0:
        return
    with os.scandir(directory) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        yield entry.path, entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(entry.path, None if depth is None else depth - 1)
