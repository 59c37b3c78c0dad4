"""Packages that are kept at the version they have, or let go again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..common.context import current
from ..common.errors import CommandExecutionError
from ..common.state.plan import Changes, Plan, Step, change, same
from ._packages import held_back, installed_version, wanted_packages
from ._planning import Missing, planning

__virtualname__ = "pkg"


@planning
def held(name: str, version: str | None = None, pkgs: list[Any] | None = None, replace: bool = False) -> Plan:
    """Make sure that packages are held: upgrades leave them alone.

    pkgs
        A list of packages. Versions in it, and `version`, are accepted for trees that have them: a package is held at
        the one it has.
    replace
        Let every other package go.

    SLS example:

        linux-image-amd64:
          pkg.held: []
    """
    wanted = list(wanted_packages(name, pkgs)) if pkgs is None or pkgs else []
    known: Mapping[str, Any] = current().call("pkg.list_pkgs")
    missing = [one for one in wanted if not installed_version(known, one)]
    if missing:
        raise Missing(f"these packages are not installed: {', '.join(missing)}")
    there = _holds()
    free = [one for one in wanted if one not in there]
    others = sorted(there - set(wanted)) if replace else []
    return _plan("hold", free, others, "All specified packages are held already")


@planning
def unheld(name: str, version: str | None = None, pkgs: list[Any] | None = None, all: bool = False) -> Plan:
    """Make sure that packages are not held.

    all
        Let every package go.

    SLS example:

        linux-image-amd64:
          pkg.unheld: []
    """
    wanted = sorted(_holds()) if all else held_back(wanted_packages(name, pkgs))
    return _plan("unhold", [], wanted, "None of the packages is held")


def _holds() -> set[str]:
    if "pkg.list_holds" not in current().functions:
        raise CommandExecutionError("packages cannot be held on this machine")
    return {str(one).partition("=")[0] for one in current().call("pkg.list_holds")}


def _plan(word: str, hold: list[str], unhold: list[str], why_same: str) -> Plan:
    if not hold and not unhold:
        return same(why_same)
    changes = {one: {"old": "install", "new": "hold"} for one in hold}
    changes |= {one: {"old": "hold", "new": "install"} for one in unhold}
    steps = [_step("hold", hold)] if hold else []
    steps += [_step("unhold", unhold)] if unhold else []
    names = ", ".join(sorted(changes))
    done = f"The following packages were {'held' if word == 'hold' else 'let go'}: {names}"
    return change(
        f"The following packages would be {'held' if word == 'hold' else 'let go'}: {names}", changes, *steps, done=done
    )


def _step(word: str, names: Iterable[str]) -> Step:
    listed = list(names)

    def run() -> Changes:
        done: Mapping[str, Any] = current().call(f"pkg.{word}", pkgs=listed)
        failed = [f"{one}: {result.get('comment')}" for one, result in done.items() if result.get("result") is False]
        if failed:
            raise CommandExecutionError("; ".join(failed))
        return {one: result["changes"].get(one, result["changes"]) for one, result in done.items() if result["changes"]}

    return Step(f"{word} {', '.join(listed)}", run)
