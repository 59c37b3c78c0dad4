"""Merge two mappings by one of the strategies that pillar files are merged by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .data import merge
from .errors import CommandExecutionError, nearest

STRATEGIES = ("smart", "recurse", "aggregate", "overwrite", "none", "list")


def merged(
    base: Mapping[Any, Any], over: Mapping[Any, Any], strategy: str = "smart", merge_lists: bool = False
) -> dict[Any, Any]:
    """Return `base` with `over` merged in; neither is changed."""
    if strategy not in STRATEGIES:
        near = nearest(strategy, STRATEGIES)
        raise CommandExecutionError(
            f"there is no merge strategy {strategy!r}",
            hint=f"did you mean {near!r}?" if near else f"known: {', '.join(STRATEGIES)}",
        )
    if strategy == "overwrite":
        return {**base, **over}
    if strategy == "list":
        return {**base, **over, **{key: [base[key], over[key]] for key in base if key in over}}
    return merge(base, over, merge_lists or strategy == "aggregate")
