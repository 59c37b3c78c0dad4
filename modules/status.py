"""How the machine is: load, memory, processors, disks, processes, users."""

from __future__ import annotations

import datetime
import os
import time as time_module
from pathlib import Path
from typing import Any

import psutil

from ..common.errors import CommandExecutionError
from . import _proc_text as proc


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CommandExecutionError(f"cannot read {path}: {error.strerror}") from error


def uptime() -> dict[str, Any]:
    """Return for how long the machine is up, since when, and how many users are logged in.

    CLI example: `ctl '*' status.uptime`
    """
    seconds = int(float(_read("/proc/uptime").split()[0]))
    since = int(time_module.time()) - seconds
    hours, minutes = divmod(seconds // 60, 60)
    return {
        "seconds": seconds,
        "since_iso": datetime.datetime.fromtimestamp(since, datetime.UTC).replace(tzinfo=None).isoformat(),
        "since_t": since,
        "days": seconds // 86400,
        "time": f"{hours % 24}:{minutes}",
        "users": len({user.name for user in psutil.users()}),
    }


def loadavg() -> dict[str, float]:
    """Return the load averages over 1, 5 and 15 minutes.

    CLI example: `ctl '*' status.loadavg`
    """
    return dict(zip(("1-min", "5-min", "15-min"), os.getloadavg(), strict=True))


def cpustats() -> dict[str, Any]:
    """Return what the processors have spent their time on.

    CLI example: `ctl '*' status.cpustats`
    """
    return proc.parse_cpustats(_read("/proc/stat"))


def cpuinfo() -> dict[str, Any]:
    """Return what is known about the processors.

    CLI example: `ctl '*' status.cpuinfo`
    """
    return proc.parse_cpuinfo(_read("/proc/cpuinfo"))


def meminfo() -> dict[str, dict[str, str]]:
    """Return how the memory is used.

    CLI example: `ctl '*' status.meminfo`
    """
    return proc.parse_meminfo(_read("/proc/meminfo"))


def vmstats() -> dict[str, Any]:
    """Return what the virtual memory has counted.

    CLI example: `ctl '*' status.vmstats`
    """
    return proc.parse_vmstats(_read("/proc/vmstat"))


def diskstats() -> dict[str, dict[str, Any]]:
    """Return what the disks have read and written.

    CLI example: `ctl '*' status.diskstats`
    """
    return proc.parse_diskstats(_read("/proc/diskstats"))


def diskusage(*args: str) -> dict[str, dict[str, int]]:
    """Return the bytes of file systems, in total and available: those of paths or of kinds (`ext4`), or all.

    CLI example: `ctl '*' status.diskusage /var ext4`
    """
    mounts = proc.parse_mounts(_read("/proc/self/mounts"))
    wanted = [path for _, path, kind in mounts if not args or kind in args]
    wanted += [path for path in args if os.path.isabs(path)]
    result = {}
    for path in wanted:
        try:
            found = os.statvfs(path)
        except OSError:
            continue
        if found.f_blocks:
            result[path] = {"available": found.f_frsize * found.f_bavail, "total": found.f_frsize * found.f_blocks}
    return result


def nproc() -> int:
    """Return how many processors can be used.

    CLI example: `ctl '*' status.nproc`
    """
    return len(os.sched_getaffinity(0))


num_cpus = nproc


def netstats() -> dict[str, dict[str, Any]]:
    """Return what the network protocols have counted.

    CLI example: `ctl '*' status.netstats`
    """
    return proc.parse_netstats(_read("/proc/net/netstat")) | proc.parse_netstats(_read("/proc/net/snmp"))


def netdev() -> dict[str, dict[str, Any]]:
    """Return what the network interfaces have sent and received.

    CLI example: `ctl '*' status.netdev`
    """
    return proc.parse_netdev(_read("/proc/net/dev"))


def procs() -> dict[int, dict[str, str]]:
    """Return the processes of the machine: command, user and time, by pid.

    CLI example: `ctl '*' status.procs`
    """
    result = {}
    for one in psutil.process_iter(["pid", "cmdline", "name", "username", "cpu_times"]):
        seconds = int(sum(one.info["cpu_times"][:2])) if one.info["cpu_times"] else 0
        hours, rest = divmod(seconds, 3600)
        result[one.info["pid"]] = {
            "cmd": " ".join(one.info["cmdline"] or []) or f"[{one.info['name']}]",
            "user": one.info["username"] or "",
            "time": f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}",
        }
    return result


def pid(sig: str) -> str:
    """Return the pids of processes in whose command line a text is found, one a line; `` for none.

    CLI example: `ctl '*' status.pid nginx`
    """
    # Our own command line may hold the text too: who asks is not what is asked for.
    own = {os.getpid(), *(one.pid for one in psutil.Process().parents())}
    found = [number for number, entry in procs().items() if sig in entry["cmd"] and number not in own]
    return "\n".join(str(number) for number in sorted(found))


def w() -> list[dict[str, str]]:
    """Return who is logged in, where and since when.

    CLI example: `ctl '*' status.w`
    """
    result = []
    for user in psutil.users():
        since = datetime.datetime.fromtimestamp(user.started).astimezone().strftime("%H:%M")
        result.append({"user": user.name, "tty": user.terminal or "", "from": user.host or "", "login": since})
    return result


def version() -> str:
    """Return the version of the kernel, as it tells it.

    CLI example: `ctl '*' status.version`
    """
    return _read("/proc/version").strip()


def time(format: str = "%A, %d. %B %Y %I:%M%p") -> str:  # the argument's name is the one that users know
    """Return the time of the machine.

    CLI example: `ctl '*' status.time '%s'`
    """
    return datetime.datetime.now().astimezone().strftime(format)


def all_status() -> dict[str, Any]:
    """Return everything that this module tells.

    CLI example: `ctl '*' status.all_status`
    """
    return {
        "cpuinfo": cpuinfo(),
        "cpustats": cpustats(),
        "diskstats": diskstats(),
        "diskusage": diskusage(),
        "loadavg": loadavg(),
        "meminfo": meminfo(),
        "netdev": netdev(),
        "netstats": netstats(),
        "uptime": uptime(),
        "vmstats": vmstats(),
        "w": w(),
    }
