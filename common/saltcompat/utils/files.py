"""`salt.utils.files`: opening files."""

from __future__ import annotations

import os
import tempfile
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
