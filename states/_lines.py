"""Find and add lines of a text, as pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..modules._file_text import newline_of


def contains(text: str, wanted: str, ignore_whitespace: bool) -> bool:
    """Say whether a text holds the lines of another one after another, each a whole line."""
    lines = [re.escape(line) for line in wanted.splitlines()]
    if ignore_whitespace:
        lines = [r"[ \t]*" + r"[ \t]+".join(map(re.escape, line.split())) + r"[ \t]*" for line in wanted.splitlines()]
    return not lines or re.search("^" + r"\r?\n".join(lines) + r"\r?$", text, re.MULTILINE) is not None


def add_at_end(text: str, missing: Sequence[str]) -> str:
    """Add texts as lines at the end."""
    newline = newline_of(text)
    if missing and text and not text.endswith("\n"):
        text += newline
    return text + "".join(line + newline for one in missing for line in one.splitlines())


def add_at_start(text: str, missing: Sequence[str], newline: str) -> str:
    """Add texts as lines at the start."""
    return "".join(line + newline for one in missing for line in one.splitlines()) + text
