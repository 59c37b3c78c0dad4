"""Disks and file systems: how full they are, and what is on them."""

from __future__ import annotations

import math
import os
from pathlib import Path

from ..common import process
from ..common.errors import CommandExecutionError
from . import _proc_text as proc

_HIDDEN = {"rootfs", "autofs"}


def _file_systems() -> dict[str, tuple[str, os.statvfs_result]]:
    """Return each mounted directory's device and size; of several mounts on one directory, the one that is seen."""
    found = {}
    for device, path, kind in proc.parse_mounts(Path("/proc/self/mounts").read_text(encoding="utf-8")):
        try:
            size = os.statvfs(path)
        except OSError:
            continue
        if size.f_blocks and kind not in _HIDDEN:
            found[path] = (device, size)
    return found


def usage(args: str | None = None) -> dict[str, dict[str, str]]:
    """Return how full the file systems are, in blocks of 1 KiB, by the directory they are mounted on.

    `args` is accepted for trees that have it (letters for df).

    CLI example: `ctl '*' disk.usage`
    """
    result = {}
    for path, (device, size) in _file_systems().items():
        used = (size.f_blocks - size.f_bfree) * size.f_frsize
        available = size.f_bavail * size.f_frsize
        result[path] = {
            "filesystem": device,
            "1K-blocks": str(size.f_blocks * size.f_frsize // 1024),
            "used": str(used // 1024),
            "available": str(available // 1024),
            "capacity": _percent(used, used + available),
        }
    return result


def inodeusage(args: str | None = None) -> dict[str, dict[str, str]]:
    """Return how many inodes of the file systems are used, by the directory they are mounted on.

    `args` is accepted for trees that have it (letters for df).

    CLI example: `ctl '*' disk.inodeusage`
    """
    result = {}
    for path, (device, size) in _file_systems().items():
        used = size.f_files - size.f_ffree
        result[path] = {
            "inodes": str(size.f_files),
            "used": str(used),
            "free": str(size.f_ffree),
            "use": _percent(used, size.f_files),
            "filesystem": device,
        }
    return result


def _percent(part: int, whole: int) -> str:
    return f"{math.ceil(part * 100 / whole)}%" if whole else "-"


def percent(args: str | None = None) -> str | dict[str, str]:
    """Return how full the file systems are; the one mounted on `args` alone, where that is given.

    CLI example: `ctl '*' disk.percent /var`
    """
    found = {path: entry["capacity"] for path, entry in usage().items()}
    if not args:
        return found
    if args not in found:
        raise CommandExecutionError(f"no file system is mounted on {args} (there are: {', '.join(sorted(found))})")
    return found[args]


def blkid(device: str | None = None, token: str | None = None) -> dict[str, dict[str, str]]:
    """Return what is on block devices: UUID, TYPE, LABEL; on one, or on those with a tag (`TYPE=ext4`).

    CLI example: `ctl '*' disk.blkid /dev/sda1`
    """
    program = process.require_tool("blkid", "util-linux")
    words = ["--match-token", token] if token else []
    names = ["--", device] if device else []
    return proc.parse_blkid(process.tool([program, "-o", "export", *words, *names], ok=(0, 2)).text)
