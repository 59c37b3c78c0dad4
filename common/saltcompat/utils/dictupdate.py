"""`salt.utils.dictupdate`: deep merges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import data


def update(
    dest: dict[Any, Any], upd: Mapping[Any, Any], recursive_update: bool = True, merge_lists: bool = False
) -> dict[Any, Any]:
    """Change `dest` so that `upd` is merged into it, and return it."""
    merged = data.merge(dest, upd, merge_lists) if recursive_update else {**dest, **upd}
    dest.clear()
    dest.update(merged)
    return dest


def merge(
    obj_a: Mapping[Any, Any],
    obj_b: Mapping[Any, Any],
    strategy: str = "smart",
    renderer: str = "yaml",
    merge_lists: bool = False,
) -> dict[Any, Any]:
    """Return both merged; `overwrite` keeps only the second's values at the top level."""
    if strategy == "overwrite":
        return {**obj_a, **obj_b}
    return data.merge(obj_a, obj_b, merge_lists)


merge_recurse = data.merge
