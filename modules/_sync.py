"""Copies users' plugins from the state tree to where this minion loads them from: what changed, and no more."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path

from ..common.atomic import atomic_write
from ..common.context import FileSource
from ..common.extmods import folders
from ..common.files import safe_join


def sync_kind(files: FileSource, kind: str, directory: Path, saltenvs: Sequence[str]) -> tuple[list[str], bool]:
    """Make `directory` hold what the tree has of a kind.

    Returns the names of what was copied (`modules.mine`), and whether anything changed, removals included. Of two
    environments with one file the first counts.
    """
    wanted = _wanted(files, kind, saltenvs)
    copied = []
    for name, (path, saltenv, digest) in sorted(wanted.items()):
        target = safe_join(directory, name)
        if _digest(target) == digest:
            continue
        content = files.fetch(path, saltenv).read_bytes()
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        atomic_write(target, content, mode=0o600)
        copied.append(f"{kind}.{_dotted(name)}")
    removed = _remove_others(directory, set(wanted))
    return copied, bool(copied or removed)


def _wanted(files: FileSource, kind: str, saltenvs: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """Map each file's name below its folder to its path, environment and digest."""
    wanted: dict[str, tuple[str, str, str]] = {}
    for saltenv in saltenvs:
        for folder in folders(kind):
            paths = [path for path in files.list_files(saltenv, folder) if "__pycache__" not in path]
            for path, info in files.find(paths, saltenv).items() if paths else ():
                if info is not None:
                    wanted.setdefault(path.removeprefix(folder + "/"), (path, saltenv, info.digest))
    return wanted


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ""


def _dotted(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _remove_others(directory: Path, names: set[str]) -> bool:
    """Remove the files that are no longer in the tree, and directories that are empty after that."""
    removed = False
    for path in sorted(directory.rglob("*"), reverse=True) if directory.is_dir() else ():
        name = path.relative_to(directory).as_posix()
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):
                path.rmdir()
        elif name not in names:
            path.unlink()
            removed = removed or "__pycache__" not in name
    return removed
