"""Write TOML: tables, arrays of tables, inline tables, dates. The standard library only reads it."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..common.errors import CommandExecutionError

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def dump_toml(data: Any) -> str:
    """Write a mapping as a TOML document."""
    if not isinstance(data, Mapping):
        raise CommandExecutionError("a TOML document is a mapping")
    return "\n".join(_table(data, ())).lstrip("\n") + "\n"


def _table(data: Mapping[Any, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Give the lines of a table: its own values first, then the tables in it."""
    plain = {key: value for key, value in data.items() if not _is_table(value) and not _is_tables(value)}
    for key, value in plain.items():
        if value is not None:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in data.items():
        if key in plain:
            continue
        below = (*path, _key(key))
        for table in [value] if _is_table(value) else value:
            yield ""
            yield f"[{'.'.join(below)}]" if _is_table(value) else f"[[{'.'.join(below)}]]"
            yield from _table(table, below)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _key(key: Any) -> str:
    text = str(key)
    return text if _BARE_KEY.fullmatch(text) else _string(text)


def _string(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(char) or (char if char.isprintable() else _coded(char)) for char in text) + '"'


def _coded(char: str) -> str:
    return f"\\u{ord(char):04X}" if ord(char) < 0x10000 else f"\\U{ord(char):08X}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(value) if math.isfinite(value) else "nan" if math.isnan(value) else f"{'-' if value < 0 else ''}inf"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items() if item is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return f"[{', '.join(_value(item) for item in value)}]"
    if value is None:
        raise CommandExecutionError("TOML has no word for an empty value in a list")
    return _string(value.decode() if isinstance(value, bytes) else str(value))
