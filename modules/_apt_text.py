"""What dpkg and apt print, read as data: pure functions from text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..common.errors import CommandExecutionError

LIST_FORMAT = "${Package}\\t${Version}\\t${Architecture}\\t${db:Status-Want}\\t${db:Status-Status}\\n"
PROVIDES_FORMAT = "${Package}\\t${db:Status-Status}\\t${Provides}\\n"
INFO_FIELDS = {
    "name": "Package",
    "version": "Version",
    "arch": "Architecture",
    "status": "db:Status-Abbrev",
    "group": "Section",
    "packager": "Maintainer",
    "url": "Homepage",
    "source": "source:Package",
    "size": "Installed-Size",
    "essential": "Essential",
    "summary": "binary:Summary",
    "description": "Description",
}
_SEPARATOR = "\x1f"
_RECORD = "\x1e"
INFO_FORMAT = _SEPARATOR.join(f"${{{field}}}" for field in INFO_FIELDS.values()) + _RECORD

# What apt-get would take for an option, a removal (`name-`), a pattern or another argument is no package's name.
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9+.-]*[a-zA-Z0-9+.](:[a-z0-9-]+)?")
_VERSION = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9.+:~-]*")
_RELEASE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9./_=~+-]*")
_PROVIDED = re.compile(r"([a-zA-Z0-9][a-zA-Z0-9+.-]*)(?:\s*\(=\s*([^)\s]+)\s*\))?")
_REPO_LINE = re.compile(r"(Get|Hit|Ign|Err):\d+\s+(.*)")
_INST = re.compile(r"Inst (\S+)(?: \[([^\]]+)\])? \((\S+)")
_REMV = re.compile(r"(?:Remv|Purg) (\S+)(?: \[([^\]]+)\])?")


class Package(NamedTuple):
    """One package as dpkg knows it; `wanted` and `status` are dpkg's words (install, installed, config-files)."""

    name: str
    version: str
    arch: str
    wanted: str
    status: str


def parse_packages(text: str, native: str) -> list[Package]:
    """Read `dpkg-query -W` in `LIST_FORMAT`; a package of a foreign architecture is called `name:arch`."""
    found = []
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == 5:
            name, version, arch, wanted, status = fields
            full = name if arch in (native, "all", "") else f"{name}:{arch}"
            found.append(Package(full, version, arch, wanted, status))
    return found


def parse_provides(text: str) -> Iterable[tuple[str, str, dict[str, str]]]:
    """Read `dpkg-query -W` in `PROVIDES_FORMAT`: each package, its status, and what it provides."""
    for line in text.splitlines():
        name, _, rest = line.partition("\t")
        status, _, provides = rest.partition("\t")
        words = (_PROVIDED.match(word.strip()) for word in provides.split(","))
        provided = {found[1]: found[2] or "" for found in words if found}
        if provided:
            yield name, status, provided


def parse_policy(text: str) -> dict[str, dict[str, str]]:
    """Read `apt-cache policy NAMES`: each name's `installed` and `candidate` version, `` where there is none."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in text.splitlines():
        if line and not line.startswith(" ") and line.endswith(":"):
            current = found[line[:-1]] = {"installed": "", "candidate": ""}
        elif line.startswith("  ") and ": " in line:
            word, _, value = line.strip().partition(": ")
            if word in ("Installed", "Candidate"):
                current[word.lower()] = "" if value == "(none)" else value
    return found


def parse_madison(text: str) -> dict[str, list[str]]:
    """Read `apt-cache madison`: each name's versions, as apt orders them (newest first), each once."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) >= 3 and not fields[2].endswith(" Sources"):
            versions = found.setdefault(fields[0], [])
            if fields[1] not in versions:
                versions.append(fields[1])
    return found


def parse_simulation(text: str) -> dict[str, tuple[str, str]]:
    """Read `apt-get --simulate`: each package's old and new version; `` where it is not there before or after."""
    found: dict[str, tuple[str, str]] = {}
    for line in text.splitlines():
        if inst := _INST.match(line):
            found[inst[1]] = (inst[2] or "", inst[3])
        elif removed := _REMV.match(line):
            found[removed[1]] = (removed[2] or "", "")
    return found


def parse_refresh(text: str) -> dict[str, bool | None]:
    """Read `apt-get update`: each repository with True: new, None: as it was, False: it failed."""
    result: dict[str, bool | None] = {}
    for line in text.splitlines():
        found = _REPO_LINE.match(line)
        if found:
            name = re.sub(r" \[[\d.,]+ \w+\]$", "", found[2])
            result[name] = {"Get": True, "Hit": None, "Ign": None, "Err": False}[found[1]]
    return result


def parse_owners(text: str) -> dict[str, str]:
    """Read `dpkg-query -S`: each path's package (the first, where several own it)."""
    found = {}
    for line in text.splitlines():
        packages, separator, path = line.partition(": ")
        if separator and not line.startswith(("diversion by", "local diversion")):
            found[path] = packages.split(",")[0].strip()
    return found


def parse_info(text: str) -> list[dict[str, str]]:
    """Read `dpkg-query -W` in `INFO_FORMAT`: a dict with what is known of each package."""
    records = []
    for record in text.split(_RECORD):
        values = record.split(_SEPARATOR)
        if len(values) == len(INFO_FIELDS):
            records.append({key: value for key, value in zip(INFO_FIELDS, values, strict=True) if value.strip()})
    return records


def parse_stanzas(text: str) -> list[dict[str, str]]:
    """Read paragraphs of `Field: value` with continuation lines, as `apt-cache show` prints them."""
    stanzas = []
    for block in re.split(r"\n\s*\n", text.strip()):
        fields: dict[str, str] = {}
        last = ""
        for line in block.splitlines():
            if line.startswith((" ", "\t")) and last:
                fields[last] += f"\n{line.strip()}"
            elif ":" in line:
                last, _, value = line.partition(":")
                fields[last] = value.strip()
        if fields:
            stanzas.append(fields)
    return stanzas


def check_name(name: Any) -> str:
    """Return a package's name, or raise where it is none (it would mean something else to apt-get)."""
    text = str(name)
    if not _NAME.fullmatch(text):
        raise CommandExecutionError(f"{text!r} is no name of a package")
    return text


def check_version(version: str) -> str:
    """Return a version, or raise where it is none."""
    if not _VERSION.fullmatch(version):
        raise CommandExecutionError(f"{version!r} is no version of a package")
    return version


def check_release(release: str) -> str:
    """Return a release's name (`bookworm-backports`), or raise where it is none."""
    if not _RELEASE.fullmatch(release):
        raise CommandExecutionError(f"{release!r} is no name of a release")
    return release


def parse_targets(name: str | None, pkgs: Any, version: str | None = None) -> dict[str, str]:
    """Return each package asked for with its version (`` for any), from what users give as `name` and `pkgs`.

    `name` may hold several names with commas, and `name=version`. `pkgs` is a list of names and of mappings of names to
    versions, or a mapping.
    """
    if pkgs:
        return dict(_split_pin(*pair) for pair in _pairs(pkgs))
    if not name:
        raise CommandExecutionError("no package is named", hint="give name, pkgs or sources")
    return dict(_split_pin(word.strip(), version) for word in str(name).split(",") if word.strip())


def _pairs(pkgs: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(pkgs, Mapping):
        yield from pkgs.items()
        return
    for item in [pkgs] if isinstance(pkgs, str) else pkgs:
        if isinstance(item, Mapping):
            yield from item.items()
        else:
            yield item, None


def _split_pin(name: Any, version: Any) -> tuple[str, str]:
    plain, equals, pinned = str(name).partition("=")
    wanted = pinned if equals else "" if version is None else str(version)
    return check_name(plain), "" if wanted in ("latest", "installed") else wanted.strip()


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return what changed between two listings of packages, as states report it."""
    changed = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return {name: {"old": old.get(name, ""), "new": new.get(name, "")} for name in changed}
