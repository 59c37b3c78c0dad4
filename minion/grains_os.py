"""Grains of the operating system: its names and releases (from `os-release`), the kernel, and the architecture.

Names are Salt's: `os` is a short name, `osfullname` the one the system calls itself, `os_family` the tree it is from.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

from .grains_machine import Group, Machine

# ID in os-release -> (os, os_family)
SYSTEMS = {
    "almalinux": ("AlmaLinux", "RedHat"),
    "alinux": ("Alinux", "RedHat"),
    "alpine": ("Alpine", "Alpine"),
    "amzn": ("Amazon", "RedHat"),
    "arch": ("Arch", "Arch"),
    "archarm": ("Arch ARM", "Arch"),
    "astra": ("Astra", "Debian"),
    "centos": ("CentOS", "RedHat"),
    "cloudlinux": ("CloudLinux", "RedHat"),
    "debian": ("Debian", "Debian"),
    "deepin": ("Deepin", "Debian"),
    "devuan": ("Devuan", "Debian"),
    "elementary": ("elementary OS", "Debian"),
    "endeavouros": ("EndeavourOS", "Arch"),
    "fedora": ("Fedora", "RedHat"),
    "gentoo": ("Gentoo", "Gentoo"),
    "kali": ("Kali", "Debian"),
    "linuxmint": ("Mint", "Debian"),
    "mageia": ("Mageia", "Mageia"),
    "manjaro": ("Manjaro", "Arch"),
    "neon": ("KDE neon", "Debian"),
    "nixos": ("NixOS", "NixOS"),
    "ol": ("OEL", "RedHat"),
    "openeuler": ("openEuler", "RedHat"),
    "opensuse-leap": ("openSUSE Leap", "Suse"),
    "opensuse-tumbleweed": ("openSUSE Tumbleweed", "Suse"),
    "parrot": ("Parrot OS", "Debian"),
    "photon": ("VMware Photon OS", "RedHat"),
    "pop": ("Pop", "Debian"),
    "raspbian": ("Raspbian", "Debian"),
    "rhel": ("RedHat", "RedHat"),
    "rocky": ("Rocky", "RedHat"),
    "scientific": ("ScientificLinux", "RedHat"),
    "sle-micro": ("SLE Micro", "Suse"),
    "sled": ("SUSE", "Suse"),
    "sles": ("SUSE", "Suse"),
    "sles_sap": ("SUSE", "Suse"),
    "ubuntu": ("Ubuntu", "Debian"),
    "virtuozzo": ("Virtuozzo", "RedHat"),
    "void": ("Void", "Void"),
    "xenenterprise": ("XCP-ng", "RedHat"),
}
# word in ID_LIKE -> os_family, for systems that are not in the table
FAMILIES = {
    "debian": "Debian",
    "ubuntu": "Debian",
    "rhel": "RedHat",
    "centos": "RedHat",
    "fedora": "RedHat",
    "suse": "Suse",
    "opensuse": "Suse",
    "arch": "Arch",
    "alpine": "Alpine",
    "gentoo": "Gentoo",
}
_FINGER_BY_OS = ("Debian", "Raspbian", "AlmaLinux")
_FINGER_WHOLE_RELEASE = ("Ubuntu", "Pop", "NixOS")
_DEBIAN_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "armhf",
    "armv6l": "armhf",
    "i386": "i386",
    "i686": "i386",
    "ppc64le": "ppc64el",
    "riscv64": "riscv64",
    "s390x": "s390x",
}


def parse_os_release(text: str) -> dict[str, str]:
    """Read the assignments of an os-release file; a line that is none is passed over."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or not re.fullmatch(r"[A-Z][A-Z_0-9]*", name):
            continue
        try:
            found[name] = "".join(shlex.split(value, comments=False))
        except ValueError:
            found[name] = value.strip("\"'")
    return found


def system_grains(release: Mapping[str, str], debian_version: str = "") -> dict[str, Any]:
    """Name the system that an os-release file describes; `debian_version` is for a Debian without a release."""
    full_name = release.get("NAME", "Linux").strip()
    name, family = _name(release, full_name)
    version = _release(release, name, debian_version)
    codename = _codename(release)
    grains: dict[str, Any] = {
        "os": name,
        "os_family": family,
        "osfullname": full_name,
        "oscodename": codename,
        "osrelease": version,
        "lsb_distrib_id": full_name,
        "lsb_distrib_codename": codename,
    }
    if "VERSION_ID" in release:
        grains["lsb_distrib_release"] = release["VERSION_ID"]
    return grains | release_grains(name, full_name, version)


def release_grains(name: str, full_name: str, version: str) -> dict[str, Any]:
    """Split a release into its numbers, and make the fingerprint that tells major releases apart."""
    info = [int(part) if part.isdecimal() else part for part in version.split(".")]
    grains: dict[str, Any] = {"osrelease_info": info}
    if isinstance(info[0], int):
        grains["osmajorrelease"] = info[0]
    called = name if name in _FINGER_BY_OS else full_name
    grains["osfinger"] = f"{called}-{version if name in _FINGER_WHOLE_RELEASE else info[0]}".removesuffix("-")
    return grains


def _name(release: Mapping[str, str], full_name: str) -> tuple[str, str]:
    identity = release.get("ID", "linux").lower()
    if identity == "centos" and "Stream" in full_name:
        return "CentOS Stream", "RedHat"
    if identity in SYSTEMS:
        return SYSTEMS[identity]
    short = " ".join(full_name.replace("GNU/Linux", "").replace("Linux", "").split()) or full_name
    likes = release.get("ID_LIKE", "").lower().split()
    return short, next((FAMILIES[like] for like in likes if like in FAMILIES), short)


def _release(release: Mapping[str, str], name: str, debian_version: str) -> str:
    version = release.get("VERSION_ID") or (debian_version.strip() if name == "Debian" else "")
    return version or release.get("BUILD_ID", "")


def _codename(release: Mapping[str, str]) -> str:
    if codename := release.get("VERSION_CODENAME"):
        return codename
    if release.get("ID") == "astra" and release.get("VARIANT_ID"):
        return release["VARIANT_ID"]
    bracketed = re.search(r"\(([^()]+)\)", release.get("VERSION", ""))
    if release.get("ID") in ("almalinux", "rocky") and bracketed:
        return bracketed[1]
    return release.get("PRETTY_NAME", "")


def _load_system(machine: Machine) -> dict[str, Any]:
    text = machine.text("/etc/os-release") or machine.text("/usr/lib/os-release")
    return system_grains(parse_os_release(text), machine.text("/etc/debian_version"))


def _load_kernel(_machine: Machine) -> dict[str, Any]:
    names = os.uname()
    return {
        "kernel": names.sysname,
        "kernelrelease": names.release,
        "kernelversion": names.version,
        "cpuarch": names.machine,
        "nodename": names.nodename,
    }


def parse_kernel_parameters(text: str) -> list[list[str | None]]:
    """Split the kernel's command line into pairs; a parameter without a value has None."""
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    pairs: list[list[str | None]] = []
    for word in words:
        name, equals, value = word.partition("=")
        pairs.append([name, value.strip('"') if equals else None])
    return pairs


def _load_parameters(machine: Machine) -> dict[str, Any]:
    return {"kernelparams": parse_kernel_parameters(machine.text("/proc/cmdline"))}


def _load_architecture(machine: Machine) -> dict[str, Any]:
    """Ask the package manager, which knows of a 32 bit system on a 64 bit kernel."""
    found = machine.output("dpkg", "--print-architecture") or machine.output("rpm", "--eval", "%{_host_cpu}")
    return {"osarch": found.strip() or guess_architecture(os.uname().machine, machine.exists("/etc/debian_version"))}


def guess_architecture(machine: str, debian: bool) -> str:
    """Name the architecture of packages by the kernel's."""
    return _DEBIAN_ARCHITECTURES.get(machine, machine) if debian else machine


GROUPS = (
    Group(
        (
            "os",
            "os_family",
            "osfullname",
            "oscodename",
            "osrelease",
            "osrelease_info",
            "osmajorrelease",
            "osfinger",
            "lsb_distrib_id",
            "lsb_distrib_codename",
            "lsb_distrib_release",
        ),
        _load_system,
    ),
    Group(("kernel", "kernelrelease", "kernelversion", "cpuarch", "nodename"), _load_kernel),
    Group(("kernelparams",), _load_parameters),
    Group(("osarch",), _load_architecture),
)
