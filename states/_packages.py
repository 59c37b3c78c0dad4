"""Which packages a state names, in which versions, and whether what is installed is what it asks for."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..common.context import current
from ..common.errors import CommandExecutionError

_CONDITION = re.compile(r"(<=|>=|!=|==|<>|=|<|>)?\s*(\S+)")
_HOLDS = "pkg.list_holds"
_VERDICTS = {
    "<": (-1,),
    "<=": (-1, 0),
    "=": (0,),
    "==": (0,),
    ">=": (0, 1),
    ">": (1,),
    "!=": (-1, 1),
    "<>": (-1, 1),
}


def wanted_packages(name: str, pkgs: Any, version: Any = None) -> dict[str, str]:
    """Map each package that a state names to the version it asks for (`` for any)."""
    if pkgs is None:
        return {name: _version_text(version)}
    found: dict[str, str] = {}
    for item in pkgs:
        if isinstance(item, Mapping):
            found.update({str(key): _version_text(value) for key, value in item.items()})
        else:
            found[str(item)] = ""
    if not found:
        raise CommandExecutionError("the list pkgs is empty")
    return found


def source_names(sources: Iterable[Any]) -> list[str]:
    """Return the packages that `sources` (`- name: path`) are for."""
    names: list[str] = []
    for item in sources:
        if not isinstance(item, Mapping):
            raise CommandExecutionError(f"sources: {item!r} is not of the form `name: path`")
        names.extend(str(key) for key in item)
    return names


def _version_text(version: Any) -> str:
    return "" if version is None else str(version).strip()


def installed_version(installed: Mapping[str, Any], name: str) -> str:
    """Return the version of a package that is installed, or nothing; `name:arch` finds the native one, too."""
    version = installed.get(name) or installed.get(name.partition(":")[0]) or ""
    return str(version)


def unsatisfied(wanted: Mapping[str, str], installed: Mapping[str, Any], ignore_epoch: bool = False) -> dict[str, str]:
    """Return which of the wanted packages are not installed as asked.

    One that no repository has as such, a purely virtual one, is where an installed package provides it.
    """
    missing = {
        one: spec
        for one, spec in wanted.items()
        if not satisfies(installed_version(installed, one), spec, ignore_epoch)
    }
    absent = [one for one in missing if not installed_version(installed, one)]
    provided = _providers(absent) if absent else {}
    return {
        one: spec
        for one, spec in missing.items()
        if not any(_provides(version, spec, ignore_epoch) for version in provided.get(one, ()))
    }


def _providers(names: list[str]) -> dict[str, list[str]]:
    """Map purely virtual packages to the versions of them that installed packages provide (`` for none)."""
    functions = current().functions
    if "pkg.provided_by" not in functions:
        return {}
    found = functions["pkg.provided_by"](*names)
    return {
        one: list(packages.values())
        for one, packages in found.items()
        if not current().call("pkg.latest_version", one, refresh=False, show_installed=True)
    }


def _provides(version: str, wanted: str, ignore_epoch: bool) -> bool:
    return not wanted or satisfies(version, wanted, ignore_epoch)


def held_back(names: Iterable[str]) -> list[str]:
    """Return which packages are held, so that they cannot be changed."""
    functions = current().functions
    held = {str(one).partition("=")[0] for one in functions["pkg.list_holds"]()} if _HOLDS in functions else set()
    return sorted(held.intersection(names))


def satisfies(installed: str, wanted: str, ignore_epoch: bool = False) -> bool:
    """Say whether an installed version is as asked: any, a glob (`1.2*`), or conditions (`>=1.2,<2`)."""
    if not installed:
        return False
    if not wanted or wanted in ("installed", "latest"):
        return True
    for part in wanted.split(","):
        found = _CONDITION.fullmatch(part.strip())
        if found is None:
            raise CommandExecutionError(f"the version {wanted!r} is neither a version nor a condition")
        if not _fulfils(installed, found[1] or "=", found[2], ignore_epoch):
            return False
    return True


def _fulfils(installed: str, operator: str, version: str, ignore_epoch: bool) -> bool:
    if operator in ("=", "==") and any(sign in version for sign in "*?["):
        plain = installed.partition(":")[2] if ignore_epoch and ":" in installed else installed
        return fnmatch.fnmatchcase(plain, version)
    verdict = current().call("pkg.version_cmp", installed, version, ignore_epoch=ignore_epoch)
    return verdict in _VERDICTS[operator]
