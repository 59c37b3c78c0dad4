"""Take control characters out of strings that a machine reports about itself.

A grain ends up in templates: a line break inside one could add a line to the YAML around it. So whoever takes grains
in (the minion that collects them, the master that receives them) keeps strings to one printable line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .errors import WireError

# C0, DEL and C1, the line and paragraph separators of Unicode, marks that turn the direction of text, lone surrogates
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
MAX_DEPTH = 32


def has_control(value: Any) -> bool:
    """Whether any string in `value` (keys included) holds a control character."""
    return bool(one_line(value) != value)


def one_line(value: Any, depth: int = 0) -> Any:
    """Return `value` with every run of control characters, in every string in it, replaced by one space."""
    if isinstance(value, str):
        return _CONTROL.sub(" ", value).strip() if _CONTROL.search(value) else value
    if depth >= MAX_DEPTH:
        return one_line(str(value)) if isinstance(value, Mapping | list | tuple) else value
    if isinstance(value, Mapping):
        return {one_line(key, depth + 1): one_line(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [one_line(item, depth + 1) for item in value]
    if isinstance(value, tuple):
        return tuple(one_line(item, depth + 1) for item in value)
    return value


def own_grains(minion: str, grains: Any) -> dict[Any, Any]:
    """Return what `minion` says of itself as a master may use it: one-line strings, and the id that its session has."""
    if not isinstance(grains, dict):
        raise WireError("grains are a mapping")
    return {**one_line(grains), "id": minion}
