"""`salt.utils.data`: nested data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...data import lookup


def traverse_dict(data: Mapping[str, Any], key: str, default: Any = None, delimiter: str = ":") -> Any:
    """Follow `a:b:c` through mappings; return `default` where a step is missing."""
    return lookup(data, key, default, delimiter)


traverse_dict_and_list = traverse_dict


def is_true(value: Any = None) -> bool:
    """Whether a value means yes: a number above zero, or the words true, yes, on."""
    if isinstance(value, str):
        return value.lower() in ("true", "yes", "on", "1")
    return bool(value)


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
