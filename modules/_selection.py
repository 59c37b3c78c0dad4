"""Which relative paths are meant by `include_pat` and `exclude_pat`: globs, or expressions after `E@`."""

from __future__ import annotations

import fnmatch
import re
from typing import Any


def selected(path: str, include: Any = None, exclude: Any = None) -> bool:
    """Say whether a relative path is meant; each argument is a pattern or a list of them."""
    if include and not any(_matches(path, pattern) for pattern in _listed(include)):
        return False
    return not any(_matches(path, pattern) for pattern in _listed(exclude))


def _listed(patterns: Any) -> list[str]:
    if not patterns:
        return []
    return [str(pattern) for pattern in patterns] if isinstance(patterns, list | tuple) else [str(patterns)]


def _matches(path: str, pattern: str) -> bool:
    if pattern.startswith("E@"):
        return re.search(pattern[2:], path) is not None
    return fnmatch.fnmatch(path, pattern) or fnmatch.fnmatch(path, pattern.rstrip("/") + "/*")
