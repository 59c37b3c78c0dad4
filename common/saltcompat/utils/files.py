"""`salt.utils.files`: opening files."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import IO, Any


def fopen(path: str, mode: str = "r", **options: Any) -> IO[Any]:
    """Open a file as `open` does, in UTF-8 unless told otherwise, and closed in child processes."""
    if "b" not in mode:
        options.setdefault("encoding", "utf-8")
    return open(path, mode, **options)


flopen = fopen
fpopen = fopen


def mkstemp(**options: Any) -> str:
    """Make an empty temporary file, readable by its owner only, and return its path."""
    descriptor, path = tempfile.mkstemp(**options)
    os.close(descriptor)
    return str(path)


def is_fcntl_available() -> bool:
    """Whether files can be locked: always, on Linux."""
    return True


def safe_rm(tgt: str) -> None:
    """Remove a file; one that cannot be removed stays."""
    with contextlib.suppress(OSError):
        os.remove(tgt)


def rm_rf(path: str) -> None:
    """Remove a file, or a directory with all that is in it."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.remove(path)


def normalize_mode(mode: int | str | None) -> str | None:
    """Return a file mode as text without needless zeros."""
    return None if mode is None else str(mode).strip("'\"").lstrip("0Oo") or "0"


def is_binary(path: str) -> bool:
    """Whether a file holds something else than text."""
    with open(path, "rb") as file:
        return b"\0" in file.read(2048)


@contextlib.contextmanager
def set_umask(mask: int | None) -> Iterator[None]:
    """Have another umask within a block."""
    previous = None if mask is None else os.umask(mask)
    try:
        yield
    finally:
        if previous is not None:
            os.umask(previous)
