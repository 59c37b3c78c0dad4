"""Seals: what a file looked like when it was last closed, so that a change meanwhile is seen when it is opened again.

Beside `x.db` lies `x.db.seal` with its digest while nobody has it open. SQLite looks at the shape of its pages and not
at what is in them: without a seal one flipped bit can turn one key into another. After an unclean end there is no seal,
and nothing to compare.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

from .atomic import atomic_write
from .errors import StorageError

log = logging.getLogger(__name__)


def path_of(path: Path) -> Path:
    """Return where a file's seal lies."""
    return path.with_name(f"{path.name}.seal")


def check(path: Path) -> None:
    """Compare a file with its seal, and break the seal durably; raises `StorageError` where they differ.

    A file that is refused keeps its seal.
    """
    seal = path_of(path)
    try:
        wanted = seal.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return
    if wanted != _digest(path) or _has_more(path):
        raise StorageError(
            f"the file {path} is not what it was when it was closed: it is damaged, or somebody changed it",
            hint=f"restore it from a backup; remove {seal} if it was changed on purpose",
        )
    seal.unlink()
    sync(path.parent)


def seal(path: Path) -> None:
    """Write the seal of a file that was closed. Where that fails there is none, and a line in the log.

    None either where somebody else reads it just now, so that SQLite did not bring all of it into the one file.
    """
    if _has_more(path):
        return
    try:
        atomic_write(path_of(path), f"{_digest(path)}\n".encode(), mode=0o600, sync=True)
        sync(path.parent)
    except OSError as error:
        log.error("%s was closed, and could not be sealed: %s", path, error.strerror)


def sync(directory: Path) -> None:
    """Bring the names in a directory to the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def _has_more(path: Path) -> bool:
    """Whether SQLite has a part of the file's content beside it."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size > 0
    except FileNotFoundError:
        return False
