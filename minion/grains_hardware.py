"""Grains of the hardware: processor, memory, disks, graphics, and what the firmware calls the machine."""

from __future__ import annotations

import os
import re
from typing import Any

from .grains_machine import Group, Machine

_VENDORS = ("nvidia", "amd", "ati", "intel", "cirrus logic", "vmware", "matrox", "aspeed")
_GRAPHICS = ("vga compatible controller", "3d controller", "display controller", "processing accelerators")
_GRAPHICS_CODES = ("0x03", "0x12")
_FIRMWARE = {
    "biosversion": "bios_version",
    "biosvendor": "bios_vendor",
    "biosreleasedate": "bios_date",
    "boardname": "board_name",
    "manufacturer": "sys_vendor",
    "productname": "product_name",
    "serialnumber": "product_serial",
    "uuid": "product_uuid",
}


def parse_cpuinfo(text: str) -> dict[str, Any]:
    """Read the processors' number, model and flags from /proc/cpuinfo, whatever the architecture calls them."""
    count, model, flags = 0, "", []
    for line in text.splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "processor":
            count += 1
        elif key == "# processors":
            count = int(value)
        elif key in ("model name", "cpu", "Processor") or (key == "vendor_id" and not model):
            model = value
        elif key in ("flags", "Features", "features"):
            flags = value.split()
    return {"num_cpus": count or os.cpu_count() or 0, "cpu_model": model or "Unknown", "cpu_flags": flags}


def parse_meminfo(text: str) -> dict[str, int]:
    """Read the sizes of memory and swap from /proc/meminfo, in MiB."""
    sizes = dict(re.findall(r"^(MemTotal|SwapTotal):\s+(\d+) kB", text, re.MULTILINE))
    return {
        "mem_total": int(sizes.get("MemTotal", 0)) // 1024,
        "swap_total": int(sizes.get("SwapTotal", 0)) // 1024,
    }


def parse_lspci(text: str) -> list[dict[str, str]]:
    """Find graphics processors in the output of `lspci -vmm`: blocks of `Key: value`, apart by blank lines."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        device = dict(re.findall(r"^(\w+):\s*(.*?)\s*$", block, re.MULTILINE))
        if device.get("Class", "").lower() in _GRAPHICS:
            found.append({"vendor": _vendor(device.get("Vendor", "")), "model": device.get("Device", "")})
    return found


def _vendor(name: str) -> str:
    words = re.split(r"[^a-z0-9]+", name.lower())
    return next((vendor for vendor in _VENDORS if vendor.split()[0] in words), "unknown")


def _load_gpus(machine: Machine) -> dict[str, Any]:
    """Ask lspci for names, but only where the kernel shows a device of that class."""
    classes = (machine.text(f"/sys/bus/pci/devices/{name}/class") for name in machine.names("/sys/bus/pci/devices"))
    gpus = parse_lspci(machine.output("lspci", "-vmm")) if any(c.startswith(_GRAPHICS_CODES) for c in classes) else []
    return {"num_gpus": len(gpus), "gpus": gpus}


def _load_disks(machine: Machine) -> dict[str, Any]:
    """Tell disks that rotate from those that do not; devices that are no hardware are left out."""
    disks: list[str] = []
    ssds: list[str] = []
    for name in machine.names("/sys/block"):
        rotates = machine.text(f"/sys/block/{name}/queue/rotational").strip()
        if rotates and "/devices/virtual/" not in os.path.realpath(machine.path(f"/sys/block/{name}")):
            (ssds if rotates == "0" else disks).append(name)
    return {"disks": disks, "ssds": ssds}


def _load_firmware(machine: Machine) -> dict[str, Any]:
    grains = {}
    for key, name in _FIRMWARE.items():
        if value := clean_firmware(key, machine.text(f"/sys/class/dmi/id/{name}")):
            grains[key] = value
    if not grains and (model := machine.text("/proc/device-tree/model").strip("\0 \n")):
        grains["productname"] = model
    return grains


def clean_firmware(key: str, value: str) -> str:
    """Return what the firmware says, or nothing where its maker left the field as it came."""
    value = value.strip()
    if re.match(r"none$|to be filled|not (specified|applicable|available)|unspecified$|unknown$", value, re.IGNORECASE):
        return ""
    if key == "serialnumber" and re.fullmatch(r"0+|0?123456789?0?", value):
        return ""
    return value.lower() if key == "uuid" else value


def _load_cpu(machine: Machine) -> dict[str, Any]:
    return parse_cpuinfo(machine.text("/proc/cpuinfo"))


def _load_memory(machine: Machine) -> dict[str, Any]:
    return parse_meminfo(machine.text("/proc/meminfo"))


GROUPS = (
    Group(("num_cpus", "cpu_model", "cpu_flags"), _load_cpu),
    Group(("mem_total", "swap_total"), _load_memory),
    Group(("num_gpus", "gpus"), _load_gpus),
    Group(("disks", "ssds"), _load_disks),
    Group(tuple(_FIRMWARE), _load_firmware),
)
