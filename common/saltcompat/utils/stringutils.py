"""`salt.utils.stringutils`: text and bytes."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence


def to_str(value: str | bytes, encoding: str = "utf-8", errors: str = "strict") -> str:
    """Return text; bytes are decoded."""
    return value if isinstance(value, str) else bytes(value).decode(encoding, errors)


to_unicode = to_str


def to_bytes(value: str | bytes, encoding: str = "utf-8", errors: str = "strict") -> bytes:
    """Return bytes; text is encoded."""
    return value.encode(encoding, errors) if isinstance(value, str) else bytes(value)


def to_num(text: str) -> int | float | str:
    """Return a number where the text is one, else the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def is_hex(text: str) -> bool:
    """Whether the text is a hexadecimal number."""
    return re.fullmatch(r"(0x)?[0-9a-fA-F]+", text) is not None


def expr_match(text: str, expression: str) -> bool:
    """Whether a text equals, or matches as a glob or from the start as a regular expression."""
    if text == expression or fnmatch.fnmatchcase(text, expression):
        return True
    try:
        return re.match(rf"\A{expression}\Z", text) is not None
    except re.error:
        return False


def check_whitelist_blacklist(
    value: str, whitelist: Sequence[str] | None = None, blacklist: Sequence[str] | None = None
) -> bool:
    """Whether a value is wanted by the first list (where it has entries) and not named by the second."""
    if blacklist and any(expr_match(value, expression) for expression in blacklist):
        return False
    return not whitelist or any(expr_match(value, expression) for expression in whitelist)


def to_none(text: str | None) -> str | None:
    """Return None for a text that is empty, or says none or null."""
    return None if not text or text.strip().lower() in ("", "none", "null") else text


def contains_whitespace(text: str) -> bool:
    """Whether there is white space in a text."""
    return any(letter.isspace() for letter in text)


def dequote(value: str) -> str:
    """Take off the quotation marks about a text."""
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'" else value
