"""Grains `virtual` and `virtual_subtype`: what this machine runs inside of.

Read from files where they tell; only where none does is `systemd-detect-virt` asked, which may use instructions that
Python cannot.
"""

from __future__ import annotations

import re
from typing import Any

from .grains_machine import Group, Machine

Kind = tuple[str, str]  # virtual, virtual_subtype

# word in the firmware's names -> what that is; the first that is there counts
_FIRMWARE: tuple[tuple[str, Kind], ...] = (
    ("virtualbox", ("VirtualBox", "")),
    ("vmware", ("VMware", "")),
    ("amazon ec2", ("Nitro", "Amazon EC2")),
    ("rhev hypervisor", ("kvm", "rhev")),
    ("ovirt", ("kvm", "ovirt")),
    ("ahv", ("kvm", "Nutanix AHV")),
    ("google", ("gce", "")),
    ("bhyve", ("bhyve", "")),
    ("parallels", ("Parallels", "")),
    ("microsoft corporation virtual machine", ("VirtualPC", "")),
    ("hvm domu", ("xen", "Xen HVM DomU")),
    ("qemu", ("kvm", "")),
    ("bochs", ("kvm", "")),
    ("kvm", ("kvm", "")),
    ("openstack", ("kvm", "")),
    ("seabios", ("kvm", "")),
)
_DETECTED: dict[str, Kind] = {
    "kvm": ("kvm", ""),
    "qemu": ("qemu", ""),
    "xen": ("xen", ""),
    "uml": ("uml", ""),
    "oracle": ("VirtualBox", ""),
    "zvm": ("zvm", ""),
    "bochs": ("kvm", ""),
    "vmware": ("VMware", ""),
    "microsoft": ("VirtualPC", ""),
    "parallels": ("Parallels", ""),
    "bhyve": ("bhyve", ""),
    "amazon": ("Nitro", "Amazon EC2"),
    "google": ("gce", ""),
    "openvz": ("openvzve", ""),
    "lxc": ("container", "LXC"),
    "lxc-libvirt": ("container", "LXC"),
    "docker": ("container", "Docker"),
    "podman": ("container", "Podman"),
    "systemd-nspawn": ("container", "systemd-nspawn"),
    "wsl": ("HyperV", "WSL"),
}
# pattern in /proc/1/cgroup -> kind of container
_CGROUPS: tuple[tuple[str, str], ...] = (
    (r":/lxc(/|\.payload)", "LXC"),
    (r"/kubepods", "kubernetes"),
    (r"/(docker|system\.slice/docker)[/-]", "Docker"),
    (r"/libpod", "Podman"),
)


def from_firmware(text: str) -> Kind | None:
    """Tell a hypervisor by the firmware's names of maker, product and BIOS."""
    text = " ".join(text.lower().split())
    return next((kind for word, kind in _FIRMWARE if re.search(rf"\b{word}\b", text)), None)


def from_cgroup(text: str) -> Kind | None:
    """Tell a container by the control groups of its first process."""
    return next((("container", kind) for pattern, kind in _CGROUPS if re.search(pattern, text)), None)


def from_detector(text: str) -> Kind | None:
    """Read the answer of `systemd-detect-virt`."""
    return _DETECTED.get(text.strip())


def _container(machine: Machine) -> Kind | None:
    if machine.exists("/.dockerenv") or machine.exists("/.dockerinit"):
        return "container", "Docker"
    if machine.exists("/run/.containerenv"):
        return "container", "Podman"
    if machine.exists("/proc/vz") and not machine.exists("/proc/bc"):
        return "openvzve", ""
    named = from_detector(machine.text("/run/systemd/container"))
    return named or from_cgroup(machine.text("/proc/1/cgroup"))


def _hypervisor(machine: Machine) -> Kind | None:
    names = ("sys_vendor", "product_name", "bios_vendor", "board_vendor")
    found = from_firmware(" ".join(machine.text(f"/sys/class/dmi/id/{name}") for name in names))
    if found is None and machine.text("/sys/hypervisor/type").strip() == "xen":
        dom0 = "control_d" in machine.text("/proc/xen/capabilities")
        return "xen", "Xen Dom0" if dom0 else "Xen PV DomU"
    if found is None and "QEMU Virtual CPU" in machine.text("/proc/cpuinfo"):
        return "kvm", ""
    return found


def _load(machine: Machine) -> dict[str, Any]:
    kind = _container(machine) or _hypervisor(machine) or from_detector(machine.output("systemd-detect-virt"))
    virtual, subtype = kind or ("physical", "")
    return {"virtual": virtual, "virtual_subtype": subtype} if subtype else {"virtual": virtual}


GROUPS = (Group(("virtual", "virtual_subtype"), _load),)
