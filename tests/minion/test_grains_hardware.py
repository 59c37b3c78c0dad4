"""Processor, memory, graphics, disks and firmware, from captured text and folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ctl.minion import grains_hardware as hardware
from ctl.minion import grains_virtual as virtual
from ctl.minion.grains_machine import Machine

CPU_X86 = """processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 7763
flags\t\t: fpu vme sse2

processor\t: 1
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 7763
flags\t\t: fpu vme sse2
"""
CPU_ARM64 = """processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd crc32
CPU implementer\t: 0x41

processor\t: 1
Features\t: fp asimd crc32
"""
CPU_S390 = """vendor_id       : IBM/S390
# processors    : 4
features\t: esan3 zarch
"""
CPU_POWER = """processor\t: 0
cpu\t\t: POWER9 (architected), altivec supported
revision\t: 2.2 (pvr 004e 0202)
"""


@pytest.mark.parametrize(
    ("text", "number", "model", "flags"),
    [
        (CPU_X86, 2, "AMD EPYC 7763", ["fpu", "vme", "sse2"]),
        (CPU_ARM64, 2, "Unknown", ["fp", "asimd", "crc32"]),
        (CPU_S390, 4, "IBM/S390", ["esan3", "zarch"]),
        (CPU_POWER, 1, "POWER9 (architected), altivec supported", []),
    ],
)
def test_processors(text: str, number: int, model: str, flags: list[str]) -> None:
    assert hardware.parse_cpuinfo(text) == {"num_cpus": number, "cpu_model": model, "cpu_flags": flags}


def test_memory_is_in_mib() -> None:
    text = "MemTotal:       16303428 kB\nMemFree: 1 kB\nSwapTotal:        999420 kB\n"
    assert hardware.parse_meminfo(text) == {"mem_total": 15921, "swap_total": 975}
    assert hardware.parse_meminfo("") == {"mem_total": 0, "swap_total": 0}


LSPCI = """Slot:\t00:00.0
Class:\tHost bridge
Vendor:\tIntel Corporation
Device:\tDevice 9b61

Slot:\t00:02.0
Class:\tVGA compatible controller
Vendor:\tIntel Corporation
Device:\tUHD Graphics
SVendor:\tLenovo

Slot:\t01:00.0
Class:\t3D controller
Vendor:\tNVIDIA Corporation
Device:\tGP108M [GeForce MX330]

Slot:\t02:00.0
Class:\tVGA compatible controller
Vendor:\tAdvanced Micro Devices, Inc. [AMD/ATI]
Device:\tNavi 23

Slot:\t03:00.0
Class:\tDisplay controller
Vendor:\tFoo
Device:\tBar
"""


def test_graphics() -> None:
    assert hardware.parse_lspci(LSPCI) == [
        {"vendor": "intel", "model": "UHD Graphics"},
        {"vendor": "nvidia", "model": "GP108M [GeForce MX330]"},
        {"vendor": "amd", "model": "Navi 23"},
        {"vendor": "unknown", "model": "Bar"},
    ]


def _load(groups: Any, key: str, root: Path) -> dict[str, Any]:
    group = next(group for group in groups if key in group.keys)
    return dict(group.load(Machine(root, tools=False)))


def _write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_disks_that_rotate_and_that_do_not(tmp_path: Path) -> None:
    for device, rotates in (("sda", "1"), ("nvme0n1", "0")):
        _write(tmp_path, f"sys/devices/pci0/{device}/queue/rotational", rotates + "\n")
    _write(tmp_path, "sys/devices/virtual/block/loop0/queue/rotational", "1\n")
    (tmp_path / "sys/block").mkdir()
    for device, place in (("sda", "pci0"), ("nvme0n1", "pci0"), ("loop0", "virtual/block")):
        os.symlink(f"../devices/{place}/{device}", tmp_path / "sys/block" / device)
    assert _load(hardware.GROUPS, "disks", tmp_path) == {"disks": ["sda"], "ssds": ["nvme0n1"]}


def test_firmware_is_read_and_placeholders_are_left_out(tmp_path: Path) -> None:
    for name, text in {
        "sys_vendor": "Dell Inc.\n",
        "product_name": "To Be Filled By O.E.M.\n",
        "product_serial": "0123456789\n",
        "product_uuid": "4C4C4544-0042\n",
    }.items():
        _write(tmp_path, f"sys/class/dmi/id/{name}", text)
    assert _load(hardware.GROUPS, "uuid", tmp_path) == {"manufacturer": "Dell Inc.", "uuid": "4c4c4544-0042"}


def test_a_device_tree_names_the_board(tmp_path: Path) -> None:
    _write(tmp_path, "proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    assert _load(hardware.GROUPS, "productname", tmp_path) == {"productname": "Raspberry Pi 4 Model B Rev 1.4"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("QEMU Standard PC (i440FX + PIIX, 1996) SeaBIOS", ("kvm", "")),
        ("innotek GmbH VirtualBox", ("VirtualBox", "")),
        ("VMware, Inc. VMware Virtual Platform Phoenix", ("VMware", "")),
        ("Amazon EC2 t3.micro Amazon EC2", ("Nitro", "Amazon EC2")),
        ("Google Google Compute Engine", ("gce", "")),
        ("Xen HVM domU", ("xen", "Xen HVM DomU")),
        ("Microsoft Corporation Virtual Machine", ("VirtualPC", "")),
        ("Microsoft Corporation Surface Pro", None),
        ("Dell Inc. PowerEdge R740", None),
        ("", None),
    ],
)
def test_hypervisors_by_firmware(text: str, wanted: tuple[str, str] | None) -> None:
    assert virtual.from_firmware(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("12:cpu:/docker/0123abcd\n", "Docker"),
        ("0::/system.slice/docker-0123.scope\n", "Docker"),
        ("11:devices:/kubepods/besteffort/pod1\n", "kubernetes"),
        ("0::/lxc.payload.web\n", "LXC"),
        ("0::/libpod_parent/x\n", "Podman"),
        ("0::/init.scope\n", None),
    ],
)
def test_containers_by_control_group(text: str, wanted: str | None) -> None:
    assert virtual.from_cgroup(text) == (("container", wanted) if wanted else None)


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({}, {"virtual": "physical"}),
        ({".dockerenv": ""}, {"virtual": "container", "virtual_subtype": "Docker"}),
        ({"run/systemd/container": "lxc\n"}, {"virtual": "container", "virtual_subtype": "LXC"}),
        ({"sys/class/dmi/id/sys_vendor": "QEMU\n"}, {"virtual": "kvm"}),
        (
            {"sys/class/dmi/id/sys_vendor": "QEMU\n", "run/.containerenv": ""},
            {"virtual": "container", "virtual_subtype": "Podman"},
        ),
        ({"sys/hypervisor/type": "xen\n"}, {"virtual": "xen", "virtual_subtype": "Xen PV DomU"}),
    ],
)
def test_what_a_machine_runs_inside_of(tmp_path: Path, files: dict[str, str], wanted: dict[str, str]) -> None:
    for name, text in files.items():
        _write(tmp_path, name, text)
    assert _load(virtual.GROUPS, "virtual", tmp_path) == wanted
