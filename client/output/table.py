"""Tables: a list of rows, or a mapping of them, with a column for each key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import Style, nested
from .palette import Palette

Row = Mapping[Any, Any]


def output(data: Any, style: Style) -> str:
    """Return each minion's rows as a table; what has no rows prints nested."""
    if not isinstance(data, Mapping):
        return _table(data, style.palette) or nested.output(data, style)
    if table := _table(data, style.palette) if not any(map(_rows, data.values())) else "":
        return table
    return "\n".join(_below(key, value, style) for key, value in data.items())


def _below(key: Any, value: Any, style: Style) -> str:
    table = _table(value, style.palette)
    if not table:
        return nested.output({key: value}, style)
    indented = table.replace("\n", "\n    ")
    return f"{style.palette.paint('cyan', nested.text_of(key))}:\n    {indented}"


def _rows(value: Any) -> list[Row]:
    """Return the rows of a value: none where it is not of one kind throughout."""
    if isinstance(value, list | tuple) and value and all(isinstance(item, Mapping) for item in value):
        return list(value)
    if isinstance(value, list | tuple) and value and all(isinstance(item, list | tuple) for item in value):
        return [dict(enumerate(item, 1)) for item in value]
    if isinstance(value, Mapping) and value and all(isinstance(item, Mapping) for item in value.values()):
        return [{"": key, **item} for key, item in value.items()]
    return []


def _table(value: Any, palette: Palette) -> str:
    rows = _rows(value)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    if not columns:
        return ""
    cells = [[_cell(row.get(column, "")) for column in columns] for row in rows]
    header = [nested.text_of(column) for column in columns]
    widths = [max(len(line[i]) for line in [header, *cells]) for i in range(len(columns))]
    rule = "-" * (sum(widths) + 3 * len(widths) + 1)
    lines = [rule, palette.paint("cyan", _line(header, widths)), rule, *(_line(row, widths) for row in cells), rule]
    return "\n".join(lines)


def _line(cells: list[str], widths: list[int]) -> str:
    return "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)) + " |"


def _cell(value: Any) -> str:
    return nested.text_of(value).replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
