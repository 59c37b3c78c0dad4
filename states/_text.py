"""Text of files: whether it is text, and how two versions differ."""

from __future__ import annotations

import difflib

MAX_DIFF_BYTES = 1024 * 1024
MAX_DIFF_LINES = 20_000
HIDDEN = "<show_changes=False>"


def is_binary(data: bytes) -> bool:
    """Say whether these are not the bytes of a text."""
    if b"\0" in data[:8192]:
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return True
    return False


def diff_bytes(old: bytes, new: bytes) -> str:
    """Return a unified diff of two files' contents, or a word on why there is none."""
    if len(old) > MAX_DIFF_BYTES or len(new) > MAX_DIFF_BYTES:
        return f"Replaced {len(old)} bytes with {len(new)} bytes, too many to show"
    if is_binary(old) or is_binary(new):
        return "Replaced binary file" if is_binary(old) and is_binary(new) else "Replaced text and binary file"
    return diff_text(old.decode(), new.decode())


def diff_text(old: str, new: str) -> str:
    """Return a unified diff of two texts."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    if len(before) > MAX_DIFF_LINES or len(after) > MAX_DIFF_LINES:
        return f"Replaced {len(before)} lines with {len(after)} lines, too many to show"
    lines = difflib.unified_diff(before, after)
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)
