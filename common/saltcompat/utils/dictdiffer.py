"""`salt.utils.dictdiffer`: what is different between two mappings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class DictDiffer:
    """Which keys were added, removed, changed or kept."""

    def __init__(self, current_dict: Mapping[Any, Any], past_dict: Mapping[Any, Any]) -> None:
        self.current_dict = current_dict
        self.past_dict = past_dict

    def added(self) -> set[Any]:
        """Keys that only the current one has."""
        return set(self.current_dict) - set(self.past_dict)

    def removed(self) -> set[Any]:
        """Keys that only the past one has."""
        return set(self.past_dict) - set(self.current_dict)

    def changed(self) -> set[Any]:
        """Keys whose values differ."""
        both = set(self.current_dict) & set(self.past_dict)
        return {key for key in both if self.past_dict[key] != self.current_dict[key]}

    def unchanged(self) -> set[Any]:
        """Keys whose values are the same."""
        return set(self.current_dict) & set(self.past_dict) - self.changed()


def diff(current_dict: Mapping[Any, Any], past_dict: Mapping[Any, Any]) -> DictDiffer:
    """Compare two mappings."""
    return DictDiffer(current_dict, past_dict)


def deep_diff(old: Any, new: Any, ignore: list[str] | None = None) -> dict[str, Any]:
    """Return `{old: …, new: …}`, each reduced to what differs, as far down as mappings go."""
    before, after = _differing(old, new, ignore or [])
    return {side: value for side, value in (("old", before), ("new", after)) if value not in (None, {})}


def _differing(old: Any, new: Any, ignore: list[str]) -> tuple[Any, Any]:
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return (None, None) if old == new else (old, new)
    before: dict[Any, Any] = {}
    after: dict[Any, Any] = {}
    for key in {**old, **new}:
        if key in ignore or (key in old and key in new and old[key] == new[key]):
            continue
        one, other = (
            _differing(old[key], new[key], ignore) if key in old and key in new else (old.get(key), new.get(key))
        )
        if key in old:
            before[key] = one
        if key in new:
            after[key] = other
    return before, after
