"""Choose from a table by a value's pattern, with a base under the choice and data merged over it.

This is what `grains.filter_by`, `pillar.filter_by` and `match.filter_by` do, and what every formula's map uses.
"""

from __future__ import annotations

import copy
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

from .data import merge
from .errors import CommandExecutionError


def filter_by(
    table: Mapping[Any, Any],
    value: Any,
    *,
    over: Mapping[Any, Any] | None = None,
    default: Any = "default",
    base: Any = None,
) -> Any:
    """Return the entry of `table` whose key is a glob that matches `value`, or one of its elements.

    Without a match it is the entry `default`, or None. The entry `base`, where there is one, is merged under the
    choice, and `over` is merged over it. The table is not changed.
    """
    chosen = _choose(table, value)
    if chosen is None:
        chosen = table.get(default)
    if base and base in table:
        chosen = _over_base(table[base], chosen)
    return choice_with(chosen, over)


def choice_with(chosen: Any, over: Mapping[Any, Any] | None, merge_lists: bool = False) -> Any:
    """Return a copy of what was chosen, with `over` merged over it."""
    if not over:
        return copy.deepcopy(chosen)
    if not isinstance(over, Mapping):
        raise CommandExecutionError("filter_by: what is to be merged must be a mapping")
    if chosen is not None and not isinstance(chosen, Mapping):
        raise CommandExecutionError("filter_by: only a mapping can have something merged into it")
    return copy.deepcopy(merge(chosen or {}, over, merge_lists))


def _choose(table: Mapping[Any, Any], value: Any) -> Any:
    values = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
    for one in values:
        for key, entry in table.items():
            if entry is not None and fnmatch.fnmatchcase(str(one), str(key)):
                return entry
    return None


def _over_base(under: Any, chosen: Any) -> Any:
    if chosen is None:
        return under
    if not isinstance(under, Mapping):
        return chosen
    if not isinstance(chosen, Mapping):
        raise CommandExecutionError("filter_by: the base and the chosen value must both be mappings")
    return merge(under, chosen)
