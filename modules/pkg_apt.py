"""Packages on Debian and its family, through apt-get and dpkg.

Nothing is asked, configuration files that an administrator changed are kept, and a lock that another apt holds is
waited for. Names and versions are checked before they reach a command, and no shell is involved.
"""

from __future__ import annotations

import fnmatch
import functools
import glob
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..common import process
from ..common.context import current
from ..common.errors import CommandExecutionError
from . import _apt_text as text
from ._dpkg_version import compare, fulfils, parse_conditions, without_epoch

__virtualname__ = "pkg"

LOCK_WAIT_S = 120
_LISTS = "/var/lib/apt/lists"
_INFO = "/var/lib/dpkg/info"
# A package that waits for a trigger is installed and works.
_INSTALLED = ("installed", "triggers-awaited", "triggers-pending")
_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "APT_LISTCHANGES_FRONTEND": "none",
    "APT_LISTBUGS_FRONTEND": "none",
    "UCF_FORCE_CONFFOLD": "1",
}


def __virtual__() -> bool | tuple[bool, str]:
    if process.find_tool("apt-get") and process.find_tool("dpkg-query"):
        return True
    return False, "apt-get and dpkg-query are not installed"


def list_pkgs(versions_as_list: bool = False, removed: bool = False, purge_desired: bool = False) -> dict[str, Any]:
    """Return the installed packages with their versions.

    versions_as_list
        Give each version in a list.
    removed
        Instead, those that are removed but have configuration files left.
    purge_desired
        Instead, those that are installed but marked to be purged.

    CLI example: `ctl '*' pkg.list_pkgs`
    """
    if removed:
        found = [one for one in _packages() if one.status == "config-files"]
    elif purge_desired:
        found = [one for one in _packages() if one.status in _INSTALLED and one.wanted == "purge"]
    else:
        found = [one for one in _packages() if one.status in _INSTALLED]
    return {one.name: [one.version] if versions_as_list else one.version for one in found}


def _packages() -> list[text.Package]:
    done = process.tool(["dpkg-query", "--show", f"--showformat={text.LIST_FORMAT}"], ok=(0, 1))
    return text.parse_packages(done.text, _architecture())


def _architecture() -> str:
    found = current().scratch.get("pkg.architecture")
    if found is None:
        found = current().scratch["pkg.architecture"] = process.tool(["dpkg", "--print-architecture"]).text.strip()
    return str(found)


def version(*names: str, versions_as_list: bool = False) -> Any:
    """Return the installed version of a package, `` where it is not installed; a dict for several names or a glob.

    CLI example: `ctl '*' pkg.version nginx`
    """
    installed = list_pkgs(versions_as_list=versions_as_list)
    result: dict[str, Any] = {}
    for name in names:
        if any(sign in name for sign in "*?["):
            result |= {key: value for key, value in installed.items() if fnmatch.fnmatchcase(key, name)}
        else:
            result[name] = installed.get(name, "")
    return result[names[0]] if len(names) == 1 and names[0] in result else result


def version_cmp(pkg1: str, pkg2: str, ignore_epoch: bool = False) -> int:
    """Compare two versions: -1, 0 or 1 as the first is older, the same, or newer.

    CLI example: `ctl '*' pkg.version_cmp 0.2.4-0ubuntu1 0.2.4.1-0ubuntu1`
    """
    return compare(str(pkg1), str(pkg2), ignore_epoch)


def latest_version(
    *names: str,
    refresh: bool = True,
    show_installed: bool = False,
    fromrepo: str | None = None,
    cache_valid_time: int = 0,
) -> str | dict[str, str]:
    """Return the version that an installation or upgrade would bring; `` where it is installed already, or unknown.

    A dict for several names. With `show_installed` the version is returned also where it is installed.

    CLI example: `ctl '*' pkg.latest_version nginx refresh=False`
    """
    if refresh:
        refresh_db(cache_valid_time)
    policy = _policy(names, fromrepo)
    result = {}
    for name in names:
        found = policy.get(name, {"installed": "", "candidate": ""})
        newer = bool(found["candidate"]) and (
            not found["installed"] or compare(found["installed"], found["candidate"]) < 0
        )
        result[name] = found["candidate"] if newer or show_installed else ""
    return result[names[0]] if len(names) == 1 else result


available_version = latest_version


def _policy(names: Sequence[str], fromrepo: str | None = None) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    release = ["-o", f"APT::Default-Release={text.check_release(fromrepo)}"] if fromrepo else []
    words = [text.check_name(name) for name in names]
    return text.parse_policy(process.tool(["apt-cache", *release, "policy", "--", *words]).text)


def upgrade_available(name: str, refresh: bool = False) -> bool:
    """Say whether a newer version of a package could be installed.

    CLI example: `ctl '*' pkg.upgrade_available nginx`
    """
    return latest_version(name, refresh=refresh) != ""


def list_repo_pkgs(*names: str) -> dict[str, list[str]]:
    """Return the versions of packages that the repositories have, the newest first.

    CLI example: `ctl '*' pkg.list_repo_pkgs nginx bash`
    """
    words = [text.check_name(name) for name in names]
    return text.parse_madison(process.tool(["apt-cache", "madison", "--", *words]).text) if words else {}


def list_upgrades(refresh: bool = True, dist_upgrade: bool = True, cache_valid_time: int = 0) -> dict[str, str]:
    """Return the packages that an upgrade would change, with their new versions.

    CLI example: `ctl '*' pkg.list_upgrades refresh=False`
    """
    if refresh:
        refresh_db(cache_valid_time)
    action = "dist-upgrade" if dist_upgrade else "upgrade"
    planned = text.parse_simulation(process.tool(["apt-get", "--simulate", action]).text)
    return {name: new for name, (old, new) in planned.items() if old and new}


def refresh_db(cache_valid_time: int = 0, failhard: bool = False) -> dict[str, bool | None]:
    """Fetch the lists of packages anew; returns each repository with True: new, None: as it was, False: it failed.

    With `cache_valid_time`, nothing is fetched where the lists are younger than that many seconds. With `failhard`, a
    repository that failed is an error.

    CLI example: `ctl '*' pkg.refresh_db`
    """
    if cache_valid_time and _age_of_lists() < cache_valid_time:
        return {}
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        done = process.tool(["apt-get", "-q", *_lock_options(), "update"], env=_ENVIRONMENT, ok=None, timeout=None)
        # apt waits for dpkg's lock by itself, but not for the one of the lists.
        if done.retcode == 0 or "/var/lib/apt/lists/lock" not in done.error_text or time.monotonic() > deadline:
            break
        time.sleep(1)
    result = text.parse_refresh(done.text)
    failed = [name for name, state in result.items() if state is False]
    if done.retcode != 0 or (failhard and failed):
        raise CommandExecutionError(f"the lists of packages could not be fetched: {process.complaint(done)}")
    return result


def _age_of_lists() -> float:
    try:
        return time.time() - os.stat(_LISTS).st_mtime
    except FileNotFoundError:
        return float("inf")


def _has_lists() -> bool:
    return any(glob.iglob(f"{_LISTS}/*_Packages*"))


def _lock_options() -> list[str]:
    return ["-o", f"DPkg::Lock::Timeout={LOCK_WAIT_S}"]


def install(
    name: str | None = None,
    refresh: bool = False,
    fromrepo: str | None = None,
    skip_verify: bool = False,
    debconf: str | None = None,
    pkgs: list[Any] | dict[str, Any] | None = None,
    sources: list[Any] | dict[str, Any] | None = None,
    reinstall: bool = False,
    downloadonly: bool = False,
    ignore_epoch: bool = False,
    version: str | None = None,
    install_recommends: bool | None = None,
    only_upgrade: bool = False,
    force_yes: bool = False,
    force_conf_new: bool = False,
    update_holds: bool = False,
    cache_valid_time: int = 0,
) -> dict[str, dict[str, str]]:
    """Install packages, or upgrade them; return what changed: `{name: {old, new}}`.

    name
        A package, or several with commas. `name=1.2-3` names a version.
    refresh, cache_valid_time
        Fetch the lists of packages first (where they are older than so many seconds). They are fetched in any case
        where the machine has none.
    fromrepo
        The release to take packages from: `bookworm-backports`.
    version
        The version of `name`: exact, a glob (`1.2*`), or conditions (`>=1.2,<2`), of which the newest is taken.
    pkgs
        Several packages: names, or `name: version` with the same kinds of versions.
    sources
        Package files: a list of `name: file`, each a path on the minion or a `salt://` URL.
    debconf
        A file (`salt://`, or a path) with answers to questions of packages, set beforehand.
    reinstall, only_upgrade, downloadonly
        Install again what is there; upgrade only what is there; only fetch.
    install_recommends
        False: leave recommended packages out; default: as apt is configured.
    force_conf_new
        Take new configuration files over ones that an administrator changed.
    skip_verify
        Accept packages whose signature cannot be checked.
    update_holds
        Change held packages too; they are held again afterwards.
    ignore_epoch
        Compare versions without the number before the colon.

    `force_yes` is accepted for trees that have it.

    CLI example: `ctl '*' pkg.install pkgs="[nginx, {bash: '5.2*'}]" refresh=True`
    """
    if debconf:
        _set_answers(debconf)
    if refresh or (not sources and not _has_lists()):
        refresh_db(cache_valid_time)
    targets = _files(sources) if sources else _pinned(text.parse_targets(name, pkgs, version), fromrepo, ignore_epoch)
    options = [
        ("--reinstall", reinstall),
        ("--download-only", downloadonly),
        ("--only-upgrade", only_upgrade),
        ("--allow-unauthenticated", skip_verify),
        ("--allow-change-held-packages", update_holds),
        ("--allow-downgrades", bool(version or sources) or any("=" in target for target in targets)),
        ("--install-recommends", install_recommends is True),
        ("--no-install-recommends", install_recommends is False),
    ]
    release = ["-t", text.check_release(fromrepo)] if fromrepo else []
    chosen = [option for option, wanted in options if wanted]
    held = list_holds() if update_holds else []
    try:
        return _transaction("install", [*chosen, *release], targets, force_conf_new)
    finally:
        _hold_again(held)


def _hold_again(held: Sequence[str]) -> None:
    """Hold packages that an installation let go (dpkg forgets a hold when it unpacks)."""
    installed = list_pkgs() if held else {}
    lost = [one for one in held if one in installed and one not in list_holds()]
    if lost:
        process.tool(["apt-mark", "hold", "--", *lost])


def _transaction(
    action: str, options: Sequence[str], targets: Sequence[str], force_conf_new: bool = False
) -> dict[str, dict[str, str]]:
    """Run one apt-get action and return what it changed; where it fails, the error says what it changed before."""
    old = list_pkgs()
    conf = ["-o", "DPkg::Options::=--force-conf" + ("new" if force_conf_new else "old")]
    words = ["apt-get", "-q", "-y", *conf, "-o", "DPkg::Options::=--force-confdef", *_lock_options(), *options]
    done = process.tool([*words, action, "--", *targets], env=_ENVIRONMENT, ok=None, timeout=None)
    changes = text.differences(old, list_pkgs())
    if done.retcode != 0:
        what = f"apt-get {action} {' '.join(targets)}".strip()
        changed = f"; these packages changed before: {', '.join(changes)}" if changes else ""
        raise CommandExecutionError(f"{what} failed: {process.complaint(done, 6)}{changed}", hint=_advice(done))
    return changes


def _advice(done: process.Completed) -> str:
    said = done.error_text
    if "Unable to locate package" in said or "has no installation candidate" in said or "404" in said:
        return "the lists of packages may be old: refresh=True"
    if "dpkg --configure -a" in said:
        return "an earlier installation was interrupted: run dpkg --configure -a"
    if "held packages were changed" in said:
        return "update_holds=True changes held packages"
    return ""


def _files(sources: Any) -> list[str]:
    items = [sources] if isinstance(sources, Mapping) else sources
    pairs = [(key, value) for item in items for key, value in item.items()]
    paths = []
    for name, source in pairs:
        path = source if os.path.isabs(str(source)) else current().call("cp.cache_file", source, current().saltenv)
        if not path or not os.path.isfile(path):
            raise CommandExecutionError(f"there is no package file {source} for {name}")
        paths.append(str(path))
    return paths


def _set_answers(debconf: str) -> None:
    path = debconf if os.path.isabs(debconf) else current().call("cp.cache_file", debconf, current().saltenv)
    if not path or not os.path.isfile(path):
        raise CommandExecutionError(f"there is no file {debconf} with answers for debconf")
    process.tool(["debconf-set-selections"], stdin=Path(path).read_bytes(), env=_ENVIRONMENT)


def _pinned(wanted: Mapping[str, str], fromrepo: str | None, ignore_epoch: bool) -> list[str]:
    """Return apt-get's words for packages with versions: `name` or `name=version`."""
    open_names = [name for name, spec in wanted.items() if spec and _is_open(spec, ignore_epoch)]
    known = list_repo_pkgs(*open_names)
    result = []
    for name, spec in wanted.items():
        if name in open_names:
            spec = _choose_version(name, spec, known.get(name, []), ignore_epoch)
        result.append(f"{name}={text.check_version(spec)}" if spec else name)
    return result


def _is_open(spec: str, ignore_epoch: bool) -> bool:
    return ignore_epoch or "*" in spec or parse_conditions(spec) is not None


def _choose_version(name: str, spec: str, known: Sequence[str], ignore_epoch: bool = False) -> str:
    """Return the newest of the known versions that a glob or conditions (`>=1.2,<2`) allow."""
    conditions = parse_conditions(spec)
    for candidate in sorted(known, key=functools.cmp_to_key(compare), reverse=True):
        plain = without_epoch(candidate) if ignore_epoch else candidate
        if conditions is not None:
            if all(fulfils(candidate, operator, wanted, ignore_epoch) for operator, wanted in conditions):
                return candidate
        elif fnmatch.fnmatchcase(plain, spec):
            return candidate
    there = ", ".join(known) or "none"
    raise CommandExecutionError(f"no version of {name} is as {spec!r} asks for (there are: {there})")


def remove(name: str | None = None, pkgs: list[Any] | None = None) -> dict[str, dict[str, str]]:
    """Remove packages and keep their configuration files; return what changed: `{name: {old, new}}`.

    CLI example: `ctl '*' pkg.remove nginx`
    """
    installed = list_pkgs()
    targets = [one for one in text.parse_targets(name, pkgs) if one in installed]
    return _transaction("remove", [], targets) if targets else {}


def purge(name: str | None = None, pkgs: list[Any] | None = None) -> dict[str, dict[str, dict[str, str]]]:
    """Remove packages with their configuration files; return what was `installed` and what was only `removed` before.

    CLI example: `ctl '*' pkg.purge nginx`
    """
    installed, removed = list_pkgs(), list_pkgs(removed=True)
    targets = [one for one in text.parse_targets(name, pkgs) if one in installed or one in removed]
    if not targets:
        return {"installed": {}, "removed": {}}
    changes = _transaction("purge", [], targets)
    return {"installed": changes, "removed": text.differences(removed, list_pkgs(removed=True))}


def autoremove(list_only: bool = False, purge: bool = False) -> list[str] | dict[str, dict[str, str]]:
    """Remove packages that were installed for others and are needed no more; or only list them.

    CLI example: `ctl '*' pkg.autoremove list_only=True`
    """
    options = ["--purge"] if purge else []
    if list_only:
        planned = process.tool(["apt-get", "--simulate", *options, "autoremove"]).text
        return sorted(text.parse_simulation(planned))
    return _transaction("autoremove", options, [])


def upgrade(
    refresh: bool = True,
    dist_upgrade: bool = False,
    force_conf_new: bool = False,
    download_only: bool = False,
    cache_valid_time: int = 0,
    allow_downgrades: bool = False,
) -> dict[str, dict[str, str]]:
    """Upgrade all packages; with `dist_upgrade`, install and remove others where that takes it. Returns what changed.

    CLI example: `ctl '*' pkg.upgrade dist_upgrade=True`
    """
    if refresh:
        refresh_db(cache_valid_time)
    options = [
        option
        for option, wanted in (("--download-only", download_only), ("--allow-downgrades", allow_downgrades))
        if wanted
    ]
    return _transaction("dist-upgrade" if dist_upgrade else "upgrade", options, [], force_conf_new)


def hold(name: str | None = None, pkgs: list[Any] | None = None) -> dict[str, dict[str, Any]]:
    """Keep packages at the version they have.

    CLI example: `ctl '*' pkg.hold nginx`
    """
    return _mark("hold", "install", name, pkgs)


def unhold(name: str | None = None, pkgs: list[Any] | None = None) -> dict[str, dict[str, Any]]:
    """Let held packages be upgraded again.

    CLI example: `ctl '*' pkg.unhold nginx`
    """
    return _mark("install", "hold", name, pkgs)


def _mark(new: str, old: str, name: str | None, pkgs: list[Any] | None) -> dict[str, dict[str, Any]]:
    states = {one.name: one.wanted for one in _packages()}
    result: dict[str, dict[str, Any]] = {}
    for target in text.parse_targets(name, pkgs):
        state = states.get(target)
        verb = "held" if new == "hold" else "not held"
        entry = result[target] = {"name": target, "changes": {}, "result": True, "comment": f"{target} is {verb}."}
        if state is None:
            entry |= {"result": False, "comment": f"Package {target} is not known to dpkg."}
        elif (state == "hold") != (new == "hold"):
            process.tool(["apt-mark", "hold" if new == "hold" else "unhold", "--", target])
            entry["changes"] = {target: {"new": new, "old": old}}
    return result


def list_holds() -> list[str]:
    """List the packages that are held.

    CLI example: `ctl '*' pkg.list_holds`
    """
    return sorted(one.name for one in _packages() if one.wanted == "hold")


def provided_by(*names: str) -> dict[str, dict[str, str]]:
    """Return which installed packages provide virtual ones: `{virtual: {package: version}}`.

    The version is the one that the package provides, `` where it states none. What nothing provides is left out.

    CLI example: `ctl '*' pkg.provided_by mail-transport-agent`
    """
    done = process.tool(["dpkg-query", "--show", f"--showformat={text.PROVIDES_FORMAT}"], ok=(0, 1))
    found: dict[str, dict[str, str]] = {}
    for package, status, provided in text.parse_provides(done.text):
        if status in _INSTALLED:
            for name, number in provided.items():
                if name in names:
                    found.setdefault(name, {})[package] = number
    return found


def owner(*paths: str) -> str | dict[str, str]:
    """Return the package that a file belongs to, `` where none does; a dict for several paths.

    CLI example: `ctl '*' pkg.owner /usr/bin/apt-get`
    """
    if not paths:
        return ""
    spellings = {path: _spellings(path) for path in paths}
    words = [word for several in spellings.values() for word in several]
    found = text.parse_owners(process.tool(["dpkg-query", "--search", "--", *words], ok=(0, 1)).text)
    result = {path: next((found[word] for word in several if word in found), "") for path, several in spellings.items()}
    return result[paths[0]] if len(paths) == 1 else result


def _spellings(path: str) -> list[str]:
    """Return what dpkg may call a path: where `/bin` is merged into `/usr`, it knows some by the other name."""
    plain = os.path.normpath(path)
    if plain.startswith("/usr/"):
        return [plain, plain[4:]]
    return [plain, f"/usr{plain}"] if plain.startswith(("/bin/", "/sbin/", "/lib")) else [plain]


def file_list(*packages: str) -> dict[str, list[str]]:
    """List the files of packages.

    CLI example: `ctl '*' pkg.file_list nginx`
    """
    listed = file_dict(*packages)
    files = [path for paths in listed["packages"].values() for path in paths]
    return {"errors": listed["errors"], "files": files}


def file_dict(*packages: str) -> dict[str, Any]:
    """List the files of packages by package.

    CLI example: `ctl '*' pkg.file_dict nginx bash`
    """
    errors: list[str] = []
    found: dict[str, list[str]] = {}
    for name in packages:
        done = process.tool(["dpkg-query", "--listfiles", "--", text.check_name(name)], ok=(0, 1))
        if done.retcode == 0:
            found[name] = [line for line in done.text.splitlines() if line.startswith("/") and line != "/."]
        else:
            errors.append(next(process.lines(done.error_text), f"package {name} is not installed"))
    return {"errors": errors, "packages": found}


def info_installed(*names: str, attr: list[str] | None = None, failhard: bool = True) -> dict[str, dict[str, str]]:
    """Return what dpkg knows about installed packages; all of them, where none is named.

    With `attr`, only these of: version, arch, install_date, group, packager, url, source, size, status, summary,
    description, essential.

    CLI example: `ctl '*' pkg.info_installed bash attr='[version, url]'`
    """
    words = [text.check_name(name) for name in names]
    done = process.tool(["dpkg-query", "--show", f"--showformat={text.INFO_FORMAT}", "--", *words], ok=(0, 1))
    result = {}
    for entry in text.parse_info(done.text):
        name = entry.pop("name")
        if entry.pop("status", "")[1:2] not in ("i", "W", "t"):
            continue
        entry["install_date"] = _install_date(name, entry.get("arch", ""))
        chosen = {key: value for key, value in entry.items() if not attr or key in attr}
        result[name] = {key: value for key, value in chosen.items() if value}
    missing = [name for name in names if name.partition(":")[0] not in result]
    if missing and failhard:
        raise CommandExecutionError(f"not installed: {', '.join(missing)}")
    return result


def _install_date(name: str, arch: str) -> str:
    for stem in (name, f"{name}:{arch}"):
        try:
            moment = os.stat(f"{_INFO}/{stem}.list").st_mtime
        except FileNotFoundError:
            continue
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
    return ""


def show(*names: str, filter: list[str] | None = None) -> dict[str, dict[str, dict[str, str]]]:
    """Return what the repositories say about packages: `{name: {version: {field: value}}}`.

    With `filter`, only these fields.

    CLI example: `ctl '*' pkg.show nginx filter=description`
    """
    words = [text.check_name(name) for name in names]
    result: dict[str, dict[str, dict[str, str]]] = {}
    for stanza in text.parse_stanzas(process.tool(["apt-cache", "show", "--", *words], ok=(0, 100)).text):
        name, number = stanza.get("Package", ""), stanza.get("Version", "")
        wanted = {word.lower() for word in filter or []}
        fields = {key: value for key, value in stanza.items() if not wanted or key.lower() in wanted}
        result.setdefault(name, {})[number] = fields
    return result
