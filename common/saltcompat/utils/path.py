"""`salt.utils.path`: finding programs and joining paths."""

from __future__ import annotations

import os
import shutil


def which(name: str) -> str | None:
    """Return the path of a program, or None."""
    return shutil.which(name)


def which_bin(names: list[str]) -> str | None:
    """Return the path of the first of several programs that is there, or None."""
    return next((path for name in names if (path := which(name))), None)


def join(*parts: str) -> str:
    """Join path segments; only the first may be absolute."""
    first, *rest = parts
    return os.path.normpath(os.path.join(first, *(part.lstrip("/") for part in rest)))


def readlink(path: str) -> str:
    """Return what a symlink points at."""
    return os.readlink(path)
