"""Nested data: look up `a:b:c`, merge deeply. Pure functions over dicts and lists."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

MISSING: Any = object()


def lookup(data: Any, key: str, default: Any = None, delimiter: str = ":") -> Any:
    """Follow `key` (`a:b:0`) through nested mappings and lists; return `default` where a step is missing.

    A number steps into a list; any other word steps into the first mapping of a list that has it. A mapping's
    key may itself hold the delimiter, and an integer key is found by its digits.
    """
    if isinstance(data, Mapping) and key in data:
        return data[key]
    words = key.split(delimiter)
    current = data
    for position, word in enumerate(words):
        if isinstance(current, Mapping):
            rest = delimiter.join(words[position:])
            if rest in current:
                return current[rest]
        current = _step(current, word)
        if current is MISSING:
            return default
    return current


def _step(data: Any, word: str) -> Any:
    if isinstance(data, Mapping):
        if word in data:
            return data[word]
        return data.get(int(word), MISSING) if _is_index(word) else MISSING
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        if _is_index(word):
            index = int(word)
            return data[index] if -len(data) <= index < len(data) else MISSING
        for item in data:
            if isinstance(item, Mapping) and word in item:
                return item[word]
    return MISSING


def _is_index(word: str) -> bool:
    return len(word) < 10 and word.removeprefix("-").isdecimal()


def store(data: dict[str, Any], key: str, value: Any, delimiter: str = ":") -> None:
    """Set `key` (`a:b:c`) in `data`, making the dicts on the way."""
    *parents, last = key.split(delimiter)
    for word in parents:
        child = data.get(word)
        if not isinstance(child, dict):
            child = data[word] = {}
        data = child
    data[last] = value


def merge(base: Mapping[Any, Any], over: Mapping[Any, Any], merge_lists: bool = False) -> dict[Any, Any]:
    """Return `base` with `over` merged in deeply; where both have a value that is not a mapping, `over` wins.

    With `merge_lists`, what `over`'s list has and `base`'s has not is appended. Neither argument is changed.
    """
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = merge(old, value, merge_lists)
        elif merge_lists and isinstance(old, list) and isinstance(value, list):
            result[key] = old + [item for item in value if item not in old]
        else:
            result[key] = copy.deepcopy(value)
    return result
