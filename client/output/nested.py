"""The default outputter: keys and values as an indented outline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import Style
from .palette import Palette, escape

STEP = 4
RULE = "----------"


def output(data: Any, style: Style) -> str:
    """Return any data as an outline; a minion's return stands below its id."""
    palette = style.palette
    if not isinstance(data, Mapping):
        return "\n".join(lines(data, palette))
    found: list[str] = []
    for key, value in data.items():
        found.append(_key(key, palette))
        found += lines(value, palette, STEP)
    return "\n".join(found)


def lines(value: Any, palette: Palette, indent: int = 0) -> Iterator[str]:
    """Yield the lines of a value, each indented."""
    pad = " " * indent
    if isinstance(value, Mapping):
        yield pad + palette.paint("cyan", RULE)
        for key in sorted(value, key=str):
            yield pad + _key(key, palette)
            yield from lines(value[key], palette, indent + STEP)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _item_lines(item, palette, pad)
    else:
        color = color_of(value)
        for line in text_of(value).splitlines():
            yield pad + palette.paint(color, line)


def _item_lines(item: Any, palette: Palette, pad: str) -> Iterator[str]:
    if isinstance(item, Mapping | list | tuple | set | frozenset):
        yield pad + palette.paint("green", "|_")
        yield from lines(item, palette, len(pad) + 2)
        return
    color = color_of(item)
    for number, line in enumerate(text_of(item).splitlines() or [""]):
        yield pad + palette.paint(color, f"{'  ' if number else '- '}{line}")


def _key(key: Any, palette: Palette) -> str:
    return palette.paint("cyan", text_of(key).replace("\r", "\\r").replace("\n", "\\n")) + ":"


def text_of(value: Any) -> str:
    """Return a scalar as text that is safe on a terminal."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    return escape(str(value))


def color_of(value: Any) -> str:
    """Return the colour of a scalar: text is green, numbers and the like yellow."""
    return "green" if isinstance(value, str | bytes) else "bright_yellow"
