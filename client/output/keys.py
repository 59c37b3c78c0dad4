"""Keys of minions by state: `{"minions": [...], "minions_pre": {...}, ...}` under headings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import Style, nested

# Salt's name of each state -> (heading, colour)
HEADINGS = {
    "local": ("Local Keys", "bright_yellow"),
    "minions": ("Accepted Keys", "green"),
    "minions_denied": ("Denied Keys", "bright_yellow"),
    "minions_pre": ("Unaccepted Keys", "red"),
    "minions_rejected": ("Rejected Keys", "bright_red"),
}


def output(data: Any, style: Style) -> str:
    """Return the keys of each state, one a line; with fingerprints or PEM texts after the id where there are some."""
    if not isinstance(data, Mapping):
        return nested.output(data, style)
    lines: list[str] = []
    for state, keys in data.items():
        heading, color = HEADINGS.get(str(state), (nested.text_of(state), "cyan"))
        lines.append(style.palette.paint(color, f"{heading}:"))
        lines += [style.palette.paint(color, line) for line in _lines(keys, style)]
    return "\n".join(lines)


def _lines(keys: Any, style: Style) -> list[str]:
    if isinstance(keys, list | tuple):
        return [nested.text_of(key) for key in keys]
    if not isinstance(keys, Mapping):
        return [nested.output(keys, style)]
    return [_line(nested.text_of(key), value) for key, value in keys.items()]


def _line(key: str, value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    texts = [nested.text_of(one).rstrip("\n") for one in values]
    if any("\n" in text for text in texts):
        return "\n".join([f"{key}:", *texts])
    return f"{key}:  {', '.join(texts)}"
