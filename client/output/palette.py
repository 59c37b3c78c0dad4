"""Colours, and the escaping of what must not reach a terminal as it is."""

from __future__ import annotations

import re
from typing import NamedTuple

# Controls but newline, tab and the return before a newline; DEL and the C1 set, invisible direction marks, line
# separators, lone surrogates.
_LOW = "\x00-\x08\x0b\x0c\x0e-\x1f"
_HIGH = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_UNSAFE = f"[{_LOW}{_HIGH}]|\r(?!\n)"  # compiled at its first use, which most runs never come to
_UNSAFE_IN_JSON = f"[{_HIGH}]"
_CODES = {"cyan": "36", "green": "32", "red": "31", "yellow": "33", "bright_yellow": "1;33", "bright_red": "1;31"}


def escape(text: str) -> str:
    """Make controls visible (`\\x1b`), so that text from a minion cannot drive the terminal or hide from the reader."""
    return text if text.isprintable() else re.sub(_UNSAFE, _visible, text)


def escape_json(text: str) -> str:
    """Write in JSON's own escapes what JSON lets stand and a terminal would act on."""
    return text if text.isascii() and "\x7f" not in text else re.sub(_UNSAFE_IN_JSON, _json_visible, text)


def _visible(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def _json_visible(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


class Palette(NamedTuple):
    """Puts colours around text, or leaves it alone."""

    on: bool = False

    def paint(self, color: str, text: str) -> str:
        """Return `text` in a colour; each of its lines on its own, so that cutting or indenting lines is safe."""
        if not self.on or not color or not text:
            return text
        start = f"\x1b[0;{_CODES[color]}m"
        return "\n".join(f"{start}{line}\x1b[0m" if line else line for line in text.split("\n"))
