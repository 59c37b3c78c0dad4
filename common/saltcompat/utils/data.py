"""`salt.utils.data`: nested data."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any

from ...data import lookup
from .stringutils import to_num


def traverse_dict(data: Mapping[str, Any], key: str, default: Any = None, delimiter: str = ":") -> Any:
    """Follow `a:b:c` through mappings; return `default` where a step is missing."""
    return lookup(data, key, default, delimiter)


traverse_dict_and_list = traverse_dict


def is_true(value: Any = None) -> bool:
    """Whether a value means yes: a number above zero, the text of one, or the word true."""
    number = to_num(value) if isinstance(value, str) else value
    if isinstance(number, int | float):
        return number > 0
    return number.lower() == "true" if isinstance(number, str) else bool(number)


def repack_dictlist(data: list[Any]) -> dict[str, Any]:
    """Turn a list of one-key mappings (and bare words) into one mapping."""
    result: dict[str, Any] = {}
    for item in data:
        if isinstance(item, Mapping):
            result |= item
        else:
            result[str(item)] = None
    return result


def decode(data: Any, **_options: Any) -> Any:
    """Return data with bytes turned into text, as far down as it goes."""
    if isinstance(data, bytes):
        return data.decode("utf-8", "replace")
    if isinstance(data, Mapping):
        return {decode(key): decode(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(decode(item) for item in data)
    return data


def compare_dicts(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return `{key: {old, new}}` for what differs; a missing side is an empty text."""
    return {
        key: {"old": old.get(key, ""), "new": new.get(key, "")}
        for key in {**old, **new}
        if old.get(key, "") != new.get(key, "")
    }


def is_list(obj: Any) -> bool:
    """Whether this is a list."""
    return isinstance(obj, list)


def is_iter(thing: Any, ignore: tuple[type, ...] = (str,)) -> bool:
    """Whether one can iterate over this; strings do not count."""
    return not isinstance(thing, ignore) and hasattr(thing, "__iter__")


def is_dictlist(data: Any) -> bool:
    """Whether this is a list of one-key mappings."""
    return isinstance(data, list) and bool(data) and all(isinstance(x, Mapping) and len(x) == 1 for x in data)


def stringify(data: list[Any]) -> list[str]:
    """Turn every item into text."""
    return [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in data]


def flatten(data: list[Any], levels: int | None = None, preserve_nulls: bool = False) -> list[Any]:
    """Take nested lists apart; without nulls unless they are to be kept."""
    result: list[Any] = []
    for item in data:
        if isinstance(item, list | tuple) and (levels is None or levels > 0):
            result += flatten(list(item), None if levels is None else levels - 1, preserve_nulls)
        elif item is not None or preserve_nulls:
            result.append(item)
    return result


def compare_lists(old: list[Any], new: list[Any]) -> dict[str, list[Any]]:
    """Return `{new: what was added, old: what is gone}`, without a side that is empty."""
    sides = {"new": [item for item in new if item not in old], "old": [item for item in old if item not in new]}
    return {side: items for side, items in sides.items() if items}


def subdict_match(data: Mapping[str, Any], expr: str, delimiter: str = ":", **_options: Any) -> bool:
    """Whether `a:b:glob` matches nested data."""
    key, _colon, pattern = expr.rpartition(delimiter)
    value = lookup(data, key, None, delimiter)
    values = value if isinstance(value, list | tuple) else [value]
    return any(item is not None and fnmatch.fnmatch(str(item), pattern) for item in values)


decode_dict = decode_list = decode
