"""Plain outputters: Python's own notation, lines of text, or next to nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from . import Style, nested
from .palette import escape


def output_raw(data: Any, style: Style) -> str:
    """Return the data in Python's notation, on one line."""
    return repr(data)


def output_pprint(data: Any, style: Style) -> str:
    """Return the data in Python's notation, on as many lines as make it readable."""
    import pprint

    return pprint.pformat(data)


def output_txt(data: Any, style: Style) -> str:
    """Return one `id: line` for each line of each return."""
    if not isinstance(data, Mapping):
        return _safe("\n".join(_words(data)), style)
    found = [f"{key}: {line}" for key, value in data.items() for line in _words(value) or [""]]
    return _safe("\n".join(found), style)


def output_values(data: Any, style: Style) -> str:
    """Return the bare values, one a line, without the ids they came from."""
    values = data.values() if isinstance(data, Mapping) else [data]
    return _safe("\n".join(line for value in values for line in _flat(value)), style)


def output_missing(data: Any, style: Style) -> str:
    """Return only the minions that did not return."""
    if not isinstance(data, Mapping):
        return ""
    missing = {key: value for key, value in data.items() if _is_missing(value)}
    return nested.output(missing, style)


def output_nothing(data: Any, style: Style) -> str:
    """Return nothing: the exit code says it all."""
    return ""


def _is_missing(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("Minion did not return.")


def _words(value: Any) -> list[str]:
    return (value if isinstance(value, str) else repr(value)).splitlines()


def _flat(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _flat(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _flat(item)
    else:
        yield nested.text_of(value) if isinstance(value, bytes) else str(value).rstrip("\n")


def _safe(text: str, style: Style) -> str:
    return escape(text) if style.terminal else text
