"""The time zone of the machine, and how its hardware clock counts."""

from __future__ import annotations

import datetime
import os
import re
import zoneinfo
from pathlib import Path

from ..common import process
from ..common.atomic import atomic_write
from ..common.errors import CommandExecutionError, nearest
from ._file_path import doing
from .file_change import symlink

_LOCALTIME = Path("/etc/localtime")
_NAME_FILE = Path("/etc/timezone")
_ADJTIME = Path("/etc/adjtime")
_ZONES = Path("/usr/share/zoneinfo")
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


def get_zone() -> str:
    """Return the time zone: `Europe/Prague`.

    CLI example: `ctl '*' timezone.get_zone`
    """
    if _LOCALTIME.is_symlink():
        target = os.path.realpath(_LOCALTIME)
        named = os.path.join(_LOCALTIME.parent, os.readlink(_LOCALTIME))
        for path in (os.path.normpath(named), target):
            name = path.partition("/zoneinfo/")[2]
            if name:
                return name.removeprefix("posix/").removeprefix("right/")
    if _NAME_FILE.is_file():
        name = _NAME_FILE.read_text(encoding="utf-8").strip()
        if name:
            return name
    return _zone_with_content(_LOCALTIME) if _LOCALTIME.is_file() else "UTC"


def _zone_with_content(path: Path) -> str:
    content = path.read_bytes()
    for name in list_zones():
        candidate = _ZONES / name
        if candidate.stat().st_size == len(content) and candidate.read_bytes() == content:
            return name
    raise CommandExecutionError(f"{path} is none of the zones in {_ZONES}")


def list_zones() -> list[str]:
    """List the time zones that can be set.

    CLI example: `ctl '*' timezone.list_zones`
    """
    found = []
    for folder, directories, files in os.walk(_ZONES):
        directories[:] = [name for name in directories if name not in ("posix", "right")]
        for name in files:
            relative = os.path.relpath(os.path.join(folder, name), _ZONES)
            if "." not in name and (relative[0].isupper() and name not in ("SECURITY", "localtime", "posixrules")):
                found.append(relative)
    return sorted(found)


def get_zonecode() -> str:
    """Return the short name of the time zone now: `CEST`.

    CLI example: `ctl '*' timezone.get_zonecode`
    """
    return _now().strftime("%Z")


def get_offset() -> str:
    """Return how far the time zone is from UTC now: `+0200`.

    CLI example: `ctl '*' timezone.get_offset`
    """
    return _now().strftime("%z")


def _now() -> datetime.datetime:
    name = get_zone()
    try:
        return datetime.datetime.now(zoneinfo.ZoneInfo(name))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise CommandExecutionError(f"there are no data for the time zone {name}", hint="install tzdata") from None


def zone_compare(timezone: str) -> bool:
    """Say whether the machine's time zone is this one, also under another of its names.

    CLI example: `ctl '*' timezone.zone_compare 'America/Denver'`
    """
    path = _zone_file(timezone)
    if get_zone() == timezone:
        return True
    return _LOCALTIME.is_file() and _LOCALTIME.read_bytes() == path.read_bytes()


def set_zone(timezone: str) -> bool:
    """Set the time zone of the machine.

    CLI example: `ctl '*' timezone.set_zone 'America/Denver'`
    """
    path = _zone_file(timezone)
    if _has_timedatectl():
        process.tool(["timedatectl", "set-timezone", "--", timezone])
        return True
    symlink(str(path), str(_LOCALTIME), force=True)
    with doing("write", str(_NAME_FILE)):
        atomic_write(_NAME_FILE, f"{timezone}\n".encode(), mode=0o644)
    return True


def _zone_file(timezone: str) -> Path:
    path = _ZONES / timezone
    if not _ZONE.fullmatch(timezone) or not path.is_file():
        close = nearest(timezone, list_zones())
        raise CommandExecutionError(
            f"there is no time zone {timezone!r} in {_ZONES}",
            hint=f"did you mean {close}?" if close else "the package tzdata has them",
        )
    return path


def _has_timedatectl() -> bool:
    return os.path.isdir("/run/systemd/system") and process.find_tool("timedatectl") is not None


def get_hwclock() -> str:
    """Return how the hardware clock counts: `UTC` or `localtime`.

    CLI example: `ctl '*' timezone.get_hwclock`
    """
    return _parse_adjtime(_ADJTIME.read_text(encoding="utf-8")) if _ADJTIME.is_file() else "UTC"


def _parse_adjtime(text: str) -> str:
    lines = text.splitlines()
    return "localtime" if len(lines) >= 3 and lines[2].strip() == "LOCAL" else "UTC"


def set_hwclock(clock: str) -> bool:
    """Set how the hardware clock counts: `UTC` or `localtime`.

    CLI example: `ctl '*' timezone.set_hwclock UTC`
    """
    if clock.lower() not in ("utc", "localtime"):
        raise CommandExecutionError(f"the hardware clock counts in 'UTC' or 'localtime', not in {clock!r}")
    local = clock.lower() == "localtime"
    if _has_timedatectl():
        process.tool(["timedatectl", "set-local-rtc", str(int(local))])
        return True
    lines = _ADJTIME.read_text(encoding="utf-8").splitlines() if _ADJTIME.is_file() else []
    lines = [*lines, *("0.0 0 0.0", "0", "UTC")[len(lines) :]]
    lines[2] = "LOCAL" if local else "UTC"
    with doing("write", str(_ADJTIME)):
        atomic_write(_ADJTIME, "".join(f"{line}\n" for line in lines).encode(), mode=0o644)
    return True
