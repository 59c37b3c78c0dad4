"""Turn the rows of queries into pillar: the columns of a row are the keys on the way to its value.

The last column is the value, unless `depth` says how many keys there are: then the columns after them are a mapping by
their names. `as_list` collects what shares a key; `with_lists` names the levels (from 1) that are lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...common.errors import CommandExecutionError, nearest

Rows = tuple[Sequence[str], Sequence[Sequence[Any]]]  # the columns' names, the rows
Run = Callable[[str, Sequence[Any]], Rows]


@dataclass(frozen=True, slots=True)
class Query:
    """One query, and the shape of what it gives."""

    text: str
    depth: int = 0
    as_list: bool = False
    as_json: bool = False
    with_lists: tuple[int, ...] = ()
    ignore_null: bool = False


def queries(listed: Sequence[Any], named: Mapping[str, Any]) -> list[tuple[str, Query]]:
    """Read the configuration's queries: without a name, and under the key that their result goes to."""
    found = [("", _read(given)) for given in listed]
    return found + [(key, _read(given)) for key, given in named.items()]


def _read(given: Any) -> Query:
    if isinstance(given, str):
        return Query(given)
    if isinstance(given, list | tuple) and given:
        return Query(str(given[0]), int(given[1]) if len(given) > 1 else 0)
    if not isinstance(given, Mapping) or not isinstance(given.get("query"), str):
        raise CommandExecutionError(f"{given!r} is no query")
    options = {key: value for key, value in given.items() if key != "query"}
    known = ("depth", "as_list", "as_json", "with_lists", "ignore_null")
    for key in options:
        if key not in known:
            near = nearest(key, known)
            raise CommandExecutionError(f"a query has no option {key!r}", hint=f"did you mean {near}?" if near else "")
    lists = options.pop("with_lists", None) or ()
    if isinstance(lists, str):
        lists = lists.split(",")
    return Query(given["query"], **options, with_lists=tuple(int(level) for level in lists))


def pillar_of(
    asked: Sequence[tuple[str, Query]], run: Run, minion_id: str, placeholders: Sequence[str] = ("%s",)
) -> dict[str, Any]:
    """Run the queries, with the minion's id for every placeholder, and put the results together."""
    found: dict[str, Any] = {}
    for key, query in asked:
        count = sum(query.text.count(mark) for mark in placeholders)
        names, rows = run(query.text, [minion_id] * count)
        place = found.setdefault(key, {}) if key else found
        for row in rows:
            _enter(place, names, row, query)
    return {key: _without_marks(value) for key, value in found.items()}


class _Items(dict[Any, Any]):
    """A level that becomes a list of its values."""


def _enter(place: dict[Any, Any], names: Sequence[str], row: Sequence[Any], query: Query) -> None:
    depth = min(query.depth or len(row) - 1, len(row) - 1)
    keys, rest = list(row[:depth]), list(row[depth:])
    value: Any = rest[0] if len(rest) == 1 else dict(zip(names[depth:], rest, strict=True))
    if query.ignore_null and value is None:
        return
    if not keys:
        if not isinstance(value, dict):
            value = {names[0]: value}
        place.update(value)
        return
    for level, key in enumerate(keys[:-1], 1):
        inner = place.get(key)
        if not isinstance(inner, dict):
            inner = place[key] = _Items() if level in query.with_lists else {}
        place = inner
    last = keys[-1]
    if query.as_list and last in place:
        kept = place[last]
        place[last] = [*kept, value] if isinstance(kept, list) else [kept, value]
    else:
        place[last] = [value] if len(keys) in query.with_lists else value


def _without_marks(value: Any) -> Any:
    if isinstance(value, _Items):
        return [_without_marks(item) for item in value.values()]
    if isinstance(value, dict):
        return {key: _without_marks(item) for key, item in value.items()}
    return value
