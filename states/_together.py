"""Package states whose packages come or go in one transaction: which go together, and whose change is whose."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..common.context import current
from ..common.state.low import INTERNAL_KEYS
from ._packages import wanted_packages

_MATES = "pkg.mates"
_EARLY = "pkg.early"
# What may differ between states that go together.
_OWN = INTERNAL_KEYS | {"name", "pkgs", "version"}


def plan_together(low: Mapping[str, Any], mates: Sequence[Mapping[str, Any]]) -> None:
    """Note which packages of `mates` may be dealt with along with those of the state `low`; read by `mates_of`.

    What comes after a state of another function is left to its own turn: it may need what that one does.
    """
    if not _is_simple(low):
        return
    wanted: dict[str, str] = {}
    for mate in itertools.takewhile(lambda mate: mate["fun"] == low["fun"], mates):
        if _is_simple(mate) and _options(mate) == _options(low):
            wanted |= wanted_packages(str(mate["name"]), mate.get("pkgs"), mate.get("version"))
    current().scratch[_MATES] = (str(low["name"]), wanted)


def _is_simple(low: Mapping[str, Any]) -> bool:
    return low.get("pkgs") != [] and not any(
        key in low for key in ("sources", "hold", "reinstall", "allow_updates", "refresh")
    )


def _options(low: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in low.items() if key not in _OWN}


def mates_of(name: str) -> dict[str, str]:
    """Return the packages to be dealt with along with those of the state `name`, once."""
    found: tuple[str, dict[str, str]] = current().scratch.pop(_MATES, ("", {}))
    return found[1] if found[0] == name else {}


def set_aside(changed: Mapping[str, Any], others: Iterable[str], of: str = "") -> dict[str, Any]:
    """Keep the changes of other states' packages for those states (`taken_early`); return the rest.

    `of` keeps changes of several kinds apart.
    """
    theirs = {name for one in others for name in (one, one.partition(":")[0])}
    early = current().scratch.setdefault(_EARLY + of, {})
    early.update({one: change for one, change in changed.items() if one in theirs})
    return {one: change for one, change in changed.items() if one not in theirs}


def taken_early(wanted: Iterable[str], of: str = "") -> dict[str, Any]:
    """Return the changes of packages that an earlier state's transaction dealt with for this one; in a run, once."""
    early = current().scratch.get(_EARLY + of)
    if not early or current().test:
        return {}
    listed = list(wanted)
    names = [*listed, *(one.partition(":")[0] for one in listed)]
    return {one: early.pop(one) for one in names if one in early}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return which packages changed between two listings, in the shape of `pkg.install`'s changes."""
    return {
        one: {"old": before.get(one, ""), "new": after.get(one, "")}
        for one in {**before, **after}
        if before.get(one) != after.get(one)
    }
