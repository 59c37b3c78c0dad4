"""What of a directory may go: neither other states of the run keep it, nor does a pattern protect it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..common.context import current
from ..common.state.low import LOWSTATE
from ..modules._selection import selected

_REMOVING = ("absent", "missing", "not_cached")


def kept_by_others(directory: str) -> set[str]:
    """Return the paths below `directory` that other states of this run manage, with the directories above them."""
    kept: set[str] = set()
    chunks: Iterable[Mapping[str, Any]] = current().scratch.get(LOWSTATE) or ()
    for chunk in chunks:
        name = str(chunk.get("name", ""))
        if name.startswith(directory.rstrip("/") + "/") and chunk.get("fun") not in _REMOVING:
            kept.update(_with_parents(os.path.normpath(name), directory))
            if os.path.isdir(name) and not os.path.islink(name) and not chunk.get("clean"):
                kept.update(every_path(name))
    return kept


def _with_parents(path: str, directory: str) -> Iterator[str]:
    top = os.path.normpath(directory)
    while path not in (top, "/"):
        yield path
        path = os.path.dirname(path)


def every_path(directory: str) -> Iterator[str]:
    """Give every path below a directory; symlinks are not gone through."""
    for above, dirs, files in os.walk(directory):
        yield from (os.path.join(above, name) for name in (*dirs, *files))


def not_kept(directory: str, kept: set[str], exclude: Any) -> list[str]:
    """Return the topmost paths below `directory` that nobody keeps and no pattern excludes, sorted."""
    removable: list[str] = []
    for above, dirs, files in os.walk(directory):
        for name in sorted([*dirs, *files]):
            path = os.path.join(above, name)
            relative = os.path.relpath(path, directory)
            if path in kept or not selected(relative, None, exclude):
                continue
            if name in dirs and not os.path.islink(path) and exclude and _excluded_below(path, directory, exclude):
                continue
            removable.append(path)
        dirs[:] = [name for name in dirs if os.path.join(above, name) not in removable]
    return sorted(removable)


def _excluded_below(path: str, directory: str, exclude: Any) -> bool:
    return any(not selected(os.path.relpath(child, directory), None, exclude) for child in every_path(path))
