"""Packages: installed, in a version, the latest, removed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..common.context import current
from ..common.errors import CommandExecutionError
from ..common.state.plan import Changes, Plan, Step, change, same
from ._packages import held_back, installed_version, satisfies, source_names, unsatisfied, wanted_packages
from ._planning import Missing, planning
from ._together import differences, mates_of, plan_together, set_aside, taken_early

log = logging.getLogger(__name__)

# States that follow each other install in one transaction, also where `state_aggregate` is not set.
__aggregate_neighbours__ = True
_REFRESHED = "pkg.refreshed"
# The parts of what a purge changes: what was installed, and what had only files left.
_PURGED = ("installed", "removed")
_RECOMMENDS = "install_recommends"


@planning
def installed(
    name: str,
    version: str | None = None,
    refresh: bool | None = None,
    fromrepo: str | None = None,
    skip_verify: bool = False,
    pkgs: list[Any] | None = None,
    sources: list[Any] | None = None,
    allow_updates: bool = False,
    ignore_epoch: bool = False,
    reinstall: bool = False,
    update_holds: bool = False,
    hold: bool | None = None,
    install_recommends: bool | None = None,
    only_upgrade: bool = False,
    cache_valid_time: int = 0,
    debconf: str | None = None,
    resolve_capabilities: bool = False,
    normalize: bool = True,
    pkg_verify: bool | list[Any] = False,
) -> Plan:
    """Make sure that packages are installed.

    name, pkgs
        One package, or a list of names and `name: version`.
    version
        A version, a glob (`1.2*`) or conditions (`>=1.2,<2`).
    sources
        A list of `name: path` (`salt://…`, a URL or a path) to install from files.
    refresh
        Fetch the lists of packages before: True always, False never; by default once in a run.
    allow_updates
        A newer version than the one asked for is fine, too.
    hold
        Keep the packages at that version, or let them go; `update_holds` changes held ones, which stay held.
    fromrepo, install_recommends, skip_verify, debconf, cache_valid_time, reinstall, only_upgrade
        As in `pkg.install`.

    `normalize` and `resolve_capabilities` are accepted for trees that have them.

    SLS example:

        nginx:
          pkg.installed:
            - version: 1.22.*
    """
    if pkg_verify and "pkg.verify" not in current().functions:
        raise CommandExecutionError("pkg_verify: the packages of this machine cannot be verified")
    wanted = dict.fromkeys(source_names(sources), "") if sources else wanted_packages(name, pkgs, version)
    if allow_updates:
        wanted = {one: _at_least(spec) for one, spec in wanted.items()}
    known = _list()
    missing = dict(wanted) if reinstall else unsatisfied(wanted, known, ignore_epoch)
    if hold is not False and not update_holds:
        _refuse_held([one for one in missing if installed_version(known, one)])
    early = taken_early(wanted)
    mates = {one: spec for one, spec in mates_of(name).items() if one not in wanted}
    others = unsatisfied(mates, known, ignore_epoch)
    options = _said(
        fromrepo=fromrepo,
        skip_verify=skip_verify,
        reinstall=reinstall,
        update_holds=update_holds,
        install_recommends=install_recommends,
        only_upgrade=only_upgrade,
        debconf=debconf,
        ignore_epoch=ignore_epoch,
        sources=[item for item in sources or () if any(one in missing for one in item)] or None,
    )
    changes: dict[str, Any] = {
        one: {"old": installed_version(known, one), "new": spec or "installed"} for one, spec in missing.items()
    }
    steps = [_install_step(missing, options, refresh, cache_valid_time, others)] if missing else []
    if hold is not None:
        marking = _hold_steps(list(wanted), hold, changes)
        steps = [*steps, *marking] if hold else [*marking, *steps]
    if not steps and early:
        return replace(same(_listed("The following packages were installed or updated", early)), changes=early)
    if not steps:
        return same(_all_installed(wanted))
    steps += [Step("count what was installed before", lambda: early)] if early else []
    plan = change(_listed("The following packages would be installed or updated", changes), changes, *steps)
    if current().test and not sources:
        plan = _questioned(plan, missing)
    return replace(plan, conclude=_conclusion(wanted, ignore_epoch))


def _at_least(spec: str) -> str:
    return f">={spec}" if spec and spec[0].isalnum() and "*" not in spec else spec


def _said(**options: Any) -> dict[str, Any]:
    """Keep the options that say something. `install_recommends: False` does, so only None and other Falses go."""
    return {key: value for key, value in options.items() if value is not None and (value or key == _RECOMMENDS)}


def _list() -> Mapping[str, Any]:
    found: Mapping[str, Any] = current().call("pkg.list_pkgs")
    return found


def _all_installed(wanted: Mapping[str, str]) -> str:
    if len(wanted) == 1:
        return f"Package {next(iter(wanted))} is already installed"
    return "All specified packages are already installed"


def _listed(sentence: str, names: Any) -> str:
    return f"{sentence}: {', '.join(sorted(names))}"


def _install_step(
    missing: Mapping[str, str],
    options: Mapping[str, Any],
    refresh: bool | None,
    age: int,
    others: Mapping[str, str] | None = None,
) -> Step:
    """Install what is missing, and `others` along with it; where that cannot be, what is missing alone."""

    def install(wanted: Mapping[str, str]) -> Changes:
        targets = [{one: spec} if spec else one for one, spec in wanted.items()]
        changed: Changes = current().call("pkg.install", **options, pkgs=targets)
        return changed

    def run() -> Changes:
        _refresh(refresh, age)
        if "sources" in options:
            changed: Changes = current().call("pkg.install", **options)
            return changed
        if not others:
            return install(missing)
        before = _list()
        try:
            changed = install({**missing, **others})
        except CommandExecutionError as error:
            log.info("these packages cannot be installed together, so each state installs its own: %s", error)
            changed = {**differences(before, _list()), **install(missing)}
        return set_aside(changed, others)

    return Step(_listed("install packages", missing), run)


def _refresh(refresh: bool | None, age: int) -> None:
    """Fetch the lists of packages: as told, or else once in a run, where a failure is only worth a warning."""
    scratch = current().scratch
    if refresh is False or (refresh is None and scratch.get(_REFRESHED)):
        return
    try:
        current().call("pkg.refresh_db", cache_valid_time=age)
    except CommandExecutionError as error:
        if refresh:
            raise
        log.warning("the lists of packages are as they were: %s", error)
    scratch[_REFRESHED] = True


def _hold_steps(names: list[str], hold: bool, changes: dict[str, Any]) -> list[Step]:
    held = held_back(names)
    targets = [one for one in names if (one in held) is not hold]
    if not targets:
        return []
    word = "hold" if hold else "unhold"
    for one in targets:
        changes.setdefault(one, {"old": "install", "new": "hold"} if hold else {"old": "hold", "new": "install"})

    def run() -> Changes:
        done: Mapping[str, Any] = current().call(f"pkg.{word}", pkgs=targets)
        failed = [f"{one}: {result.get('comment')}" for one, result in done.items() if result.get("result") is False]
        if failed:
            raise CommandExecutionError("; ".join(failed))
        return {one: result["changes"].get(one, result["changes"]) for one, result in done.items() if result["changes"]}

    return [Step(_listed(f"{word} packages", targets), run)]


def _refuse_held(names: Iterable[str]) -> None:
    """Refuse to change packages that are held; an earlier state may let them go."""
    held = held_back(names)
    if held:
        raise Missing(_listed("these packages are held", held))


def _questioned(plan: Plan, missing: Mapping[str, str]) -> Plan:
    """Mark a dry run's plan as uncertain where a package is in no known repository: one may be added before."""
    unknown = [
        one for one in missing if not current().call("pkg.latest_version", one, refresh=False, show_installed=True)
    ]
    if not unknown:
        return plan
    comment = _listed(f"{plan.comment}; in no repository that is known now", unknown)
    return replace(plan, certain=False, comment=comment)


def _conclusion(wanted: Mapping[str, str], ignore_epoch: bool) -> Callable[[dict[str, Any]], tuple[bool, str]]:
    def conclude(changes: dict[str, Any]) -> tuple[bool, str]:
        known = _list()
        failed = unsatisfied(wanted, known, ignore_epoch)
        if failed:
            return False, _listed("The following packages are still not as wanted", failed)
        if not changes:
            return True, _all_installed(wanted)
        return True, _listed(
            "The following packages were installed or updated", [one for one in wanted if one in changes] or changes
        )

    return conclude


@planning
def latest(
    name: str,
    refresh: bool | None = None,
    fromrepo: str | None = None,
    skip_verify: bool = False,
    pkgs: list[Any] | None = None,
    install_recommends: bool | None = None,
    update_holds: bool = False,
    cache_valid_time: int = 0,
    watch_flags: bool = True,
) -> Plan:
    """Make sure that packages are installed in the newest version that the repositories have.

    The arguments are those of `pkg.installed`.

    SLS example:

        openssl:
          pkg.latest: []
    """
    names = list(wanted_packages(name, pkgs))
    if not current().test:
        _refresh(refresh, cache_valid_time)
    options = _said(fromrepo=fromrepo)
    mates = [one for one in mates_of(name) if one not in names]
    newest = _newest([*names, *mates], **options)
    newer = {one: newest[one] for one in names}
    known = _list()
    unknown = [one for one in names if not newer[one] and not installed_version(known, one)]
    if unknown and not current().test:
        raise CommandExecutionError(_listed("no repository has", unknown))
    targets = {one: version for one, version in newer.items() if version}
    early = taken_early(names)
    if not targets and not unknown and early:
        return replace(same(_listed("The following packages were installed or upgraded", early)), changes=early)
    if not targets and not unknown:
        return same(f"Package {names[0]} is already up-to-date" if len(names) == 1 else "All packages are up-to-date")
    if not update_holds:
        _refuse_held([one for one in targets if installed_version(known, one)])
    changes = {one: {"old": installed_version(known, one), "new": version} for one, version in targets.items()}
    given = _said(
        fromrepo=fromrepo, skip_verify=skip_verify, update_holds=update_holds, install_recommends=install_recommends
    )
    plan = change(
        _listed("The following packages are set to be installed or upgraded", names),
        changes,
        _install_step(dict.fromkeys(targets, ""), given, False, 0, {one: "" for one in mates if newest[one]}),
        certain=not unknown,
    )
    return replace(plan, conclude=_conclusion(dict.fromkeys(targets, ""), False))


def _newest(names: list[str], **options: Any) -> dict[str, str]:
    """Return for each package the version that an installation would bring, `` where it is there or unknown."""
    found = current().call("pkg.latest_version", *names, refresh=False, **options)
    return {one: str(found[one] or "") for one in names} if isinstance(found, Mapping) else {names[0]: str(found or "")}


@planning
def removed(
    name: str,
    version: str | None = None,
    pkgs: list[Any] | None = None,
    ignore_epoch: bool = False,
    normalize: bool = True,
) -> Plan:
    """Make sure that packages are not installed; their configuration files stay.

    version
        Remove only this version.

    SLS example:

        telnetd:
          pkg.removed: []
    """
    targets = _removable(wanted_packages(name, pkgs, version), ignore_epoch)
    others = _removable(mates_of(name), ignore_epoch)
    if not targets:
        return _gone(name, pkgs, taken_early(wanted_packages(name, pkgs)))
    return _removal("remove", targets, {one: {"old": old, "new": ""} for one, old in targets.items()}, others)


@planning
def purged(
    name: str,
    version: str | None = None,
    pkgs: list[Any] | None = None,
    ignore_epoch: bool = False,
    normalize: bool = True,
) -> Plan:
    """Make sure that packages are not installed, and that none of their configuration files are left.

    SLS example:

        apache2:
          pkg.purged: []
    """
    names = wanted_packages(name, pkgs)
    targets = _removable(wanted_packages(name, pkgs, version), ignore_epoch)
    left: Mapping[str, Any] = current().call("pkg.list_pkgs", removed=True)
    leftovers = {one: str(left[one]) for one in names if one in left and one not in targets}
    mates = mates_of(name)
    others = {**_removable(mates, ignore_epoch), **{one: str(left[one]) for one in mates if one in left}}
    if not targets and not leftovers:
        early = {part: taken_early(names, part) for part in _PURGED}
        return _gone(name, pkgs, early if any(early.values()) else {})
    changes = {
        "installed": {one: {"old": old, "new": ""} for one, old in targets.items()},
        "removed": {one: {"old": old, "new": ""} for one, old in leftovers.items()},
    }
    return _removal("purge", {**targets, **leftovers}, changes, others)


def _gone(name: str, pkgs: list[Any] | None, early: dict[str, Any]) -> Plan:
    """Plan nothing; `early` are the changes that an earlier state's transaction made for this one."""
    plan = same("None of the packages is installed" if pkgs else f"Package {name} is not installed")
    return replace(plan, changes=early, comment="All specified packages were removed") if early else plan


def _removable(wanted: Mapping[str, str], ignore_epoch: bool) -> dict[str, str]:
    known = _list()
    found = {}
    for one, spec in wanted.items():
        old = installed_version(known, one)
        if old and satisfies(old, spec, ignore_epoch):
            found[one] = old
    _refuse_held(found)
    return found


def _removal(action: str, targets: Mapping[str, str], changes: Changes, others: Mapping[str, str]) -> Plan:
    """Plan to remove or purge what is installed, and `others` along with it where that can be."""
    names = list(targets)

    def run() -> Changes:
        try:
            changed: Changes = current().call(f"pkg.{action}", pkgs=[*names, *others])
        except CommandExecutionError as error:
            if not others:
                raise
            log.info("these packages cannot be removed together, so each state removes its own: %s", error)
            changed = current().call(f"pkg.{action}", pkgs=names)
        if action == "purge":
            return {part: set_aside(changed.get(part, {}), others, part) for part in _PURGED}
        return set_aside(changed, others)

    def conclude(_changes: dict[str, Any]) -> tuple[bool, str]:
        known = _list()
        failed = [one for one in names if known.get(one) == targets[one]]
        if failed:
            return False, _listed("The following packages are still installed", failed)
        return True, _listed(f"The following packages were {action.rstrip('e')}ed", names)

    plan = change(
        _listed(f"The following packages will be {action.rstrip('e')}ed", names),
        changes,
        Step(f"{action} packages", run),
    )
    return replace(plan, conclude=conclude)


@planning
def uptodate(name: str, refresh: bool = False, pkgs: list[Any] | None = None, dist_upgrade: bool = True) -> Plan:
    """Make sure that every installed package (or each of `pkgs`) is in the newest version.

    SLS example:

        everything:
          pkg.uptodate:
            - refresh: True
    """
    if refresh and not current().test:
        _refresh(True, 0)
    newer: Mapping[str, str] = current().call("pkg.list_upgrades", refresh=False, dist_upgrade=dist_upgrade)
    chosen = {one: new for one, new in newer.items() if not pkgs or one in wanted_packages(name, pkgs)}
    if not chosen:
        return same("System is already up-to-date")
    known = _list()
    changes = {one: {"old": installed_version(known, one), "new": new} for one, new in chosen.items()}

    def run() -> Changes:
        if pkgs:
            done: Changes = current().call("pkg.install", pkgs=list(chosen))
        else:
            done = current().call("pkg.upgrade", refresh=False, dist_upgrade=dist_upgrade)
        return done

    return change(
        _listed("The following packages would be upgraded", chosen),
        changes,
        Step("upgrade packages", run),
        done="Upgrade ran successfully",
    )


def mod_aggregate(low: dict[str, Any], chunks: list[dict[str, Any]], running: Mapping[str, Any]) -> dict[str, Any]:
    """Have the packages of several states of one function dealt with in one transaction, at the first one's turn.

    Each state's return has the changes of its own packages. Where it cannot be done together, each does its own.
    """
    if low["fun"] in ("installed", "latest", "removed", "purged") and not current().test:
        plan_together(low, chunks[1:])
    return low
