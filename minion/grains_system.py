"""Grains of the running system: init, locale and time zone, the process's user and paths, Python and libraries."""

from __future__ import annotations

import grp
import locale
import os
import pwd
import re
import sys
import time
from typing import Any

from .grains_machine import Group, Machine

_INITS = ("systemd", "upstart", "sysvinit", "supervisord", "dumb-init", "tini", "runit", "openrc-init", "s6-svscan")


def parse_systemctl(text: str) -> dict[str, str] | None:
    """Read version and features from `systemctl --version`."""
    found = re.match(r"systemd (\d+)[^\n]*\n?([^\n]*)", text)
    return {"version": found[1], "features": found[2].strip()} if found else None


def name_init(command: str, has_systemd: bool) -> str:
    """Name the init system by the first process's command line (words apart by NUL)."""
    if has_systemd:
        return "systemd"
    for word in command.split("\0")[:2]:
        name = os.path.basename(word.strip())
        if name == "my_init":
            return "runit"
        if name in _INITS:
            return name
    return "unknown"


def _load_init(machine: Machine) -> dict[str, Any]:
    return {"init": name_init(machine.text("/proc/1/cmdline"), machine.exists("/run/systemd/system"))}


def _load_systemd(machine: Machine) -> dict[str, Any]:
    systemd = parse_systemctl(machine.output("systemctl", "--version"))
    return {"systemd": systemd} if systemd else {}


def _load_locale(_machine: Machine) -> dict[str, Any]:
    language, encoding = locale.getlocale()
    zone = time.localtime().tm_zone
    info = {
        "defaultlanguage": language,
        "defaultencoding": encoding,
        "detectedencoding": locale.getencoding().lower(),
        "timezone": zone,
    }
    return {"locale_info": info}


def _load_timezone(machine: Machine) -> dict[str, Any]:
    """Name the zone as the time zone database does, which unlike an abbreviation says which one it is."""
    named = machine.text("/etc/timezone").strip()
    if not named and machine.path("/etc/localtime").is_symlink():
        named = os.readlink(machine.path("/etc/localtime")).partition("zoneinfo/")[2]
    return {"timezone": named or time.localtime().tm_zone}


def _load_user(_machine: Machine) -> dict[str, Any]:
    uid, gid = os.geteuid(), os.getegid()
    grains: dict[str, Any] = {"uid": uid, "gid": gid}
    try:
        grains["username"] = pwd.getpwuid(uid).pw_name
    except KeyError:
        grains["username"] = str(uid)
    try:
        grains["groupname"] = grp.getgrgid(gid).gr_name
    except KeyError:
        grains["groupname"] = str(gid)
    return grains


def _load_paths(_machine: Machine) -> dict[str, Any]:
    path = os.environ.get("PATH", "").strip()
    return {
        "path": path,
        "systempath": path.split(os.pathsep),
        "shell": os.environ.get("SHELL", "/bin/sh"),
        "ps": "ps -efHww",
    }


def _load_python(_machine: Machine) -> dict[str, Any]:
    return {
        "pythonversion": list(sys.version_info),
        "pythonpath": [str(entry) for entry in sys.path],
        "pythonexecutable": sys.executable,
    }


def _load_library(_machine: Machine) -> dict[str, Any]:
    from ..common.sockets import library_version  # the bus is not loaded in a job that does not ask

    return {"zmqversion": ".".join(map(str, library_version()))}


def _load_machine_id(machine: Machine) -> dict[str, Any]:
    found = machine.text("/etc/machine-id").strip() or machine.text("/var/lib/dbus/machine-id").strip()
    return {"machine_id": found} if found else {}


def _load_boot(machine: Machine) -> dict[str, Any]:
    variables = machine.path("/sys/firmware/efi/vars"), machine.path("/sys/firmware/efi/efivars")
    efi = machine.exists("/sys/firmware/efi/systab") or any(path.exists() for path in variables)
    return {"efi": efi, "efi-secure-boot": efi and _secure_boot(machine)}


def _secure_boot(machine: Machine) -> bool:
    directory = "/sys/firmware/efi/efivars"
    for name in machine.names(directory):
        if name.startswith("SecureBoot-"):
            try:
                return machine.path(f"{directory}/{name}").read_bytes()[-1:] == b"\x01"
            except OSError:
                return False
    return False


GROUPS = (
    Group(("init",), _load_init),
    Group(("systemd",), _load_systemd),
    Group(("locale_info",), _load_locale),
    Group(("timezone",), _load_timezone),
    Group(("username", "uid", "groupname", "gid"), _load_user),
    Group(("path", "systempath", "shell", "ps"), _load_paths),
    Group(("pythonversion", "pythonpath", "pythonexecutable"), _load_python),
    Group(("zmqversion",), _load_library),
    Group(("machine_id",), _load_machine_id),
    Group(("efi", "efi-secure-boot"), _load_boot),
)
