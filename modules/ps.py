"""Processes and what they use, through psutil."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from typing import Any

import psutil

from ..common import process
from ..common.errors import CommandExecutionError


def _process(pid: int) -> psutil.Process:
    try:
        return psutil.Process(int(pid))
    except psutil.NoSuchProcess:
        raise CommandExecutionError(f"there is no process {pid}") from None


def get_pid_list() -> list[int]:
    """List the pids of all processes.

    CLI example: `ctl '*' ps.get_pid_list`
    """
    return psutil.pids()


def proc_info(pid: int, attrs: list[str] | None = None) -> dict[str, Any]:
    """Return what is known about a process; only some attributes, where `attrs` names them.

    CLI example: `ctl '*' ps.proc_info 2322 attrs='[pid, name]'`
    """
    try:
        return dict(_plain(_process(pid).as_dict(attrs)))
    except ValueError as error:
        raise CommandExecutionError(str(error)) from None


def _plain(value: Any) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {key: _plain(inner) for key, inner in value._asdict().items()}
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)


def kill_pid(pid: int, signal: int = 15) -> bool:
    """Send a signal to a process.

    CLI example: `ctl '*' ps.kill_pid 2000 signal=9`
    """
    try:
        _process(pid).send_signal(signal)
    except psutil.NoSuchProcess:
        return False
    return True


def _matching(pattern: str, user: str | None, full: bool, is_regex: bool = False) -> Iterator[psutil.Process]:
    regex = re.compile(pattern if is_regex else re.escape(pattern))
    # Our own command line may hold the pattern too: who asks is not what is asked for.
    own = {os.getpid(), *(one.pid for one in psutil.Process().parents())} if full else {os.getpid()}
    for one in psutil.process_iter(["name", "cmdline", "username"]):
        text = " ".join(one.info["cmdline"] or []) if full else one.info["name"] or ""
        if one.pid not in own and regex.search(text) and user in (None, one.info["username"]):
            yield one


def pgrep(
    pattern: str, user: str | None = None, full: bool = False, pattern_is_regex: bool = False
) -> list[int] | None:
    """Return the pids of processes in whose name (whole command line, with `full`) a text is found; nothing for none.

    CLI example: `ctl '*' ps.pgrep httpd user=www-data`
    """
    return sorted(one.pid for one in _matching(pattern, user, full, pattern_is_regex)) or None


def pkill(pattern: str, user: str | None = None, signal: int = 15, full: bool = False) -> dict[str, list[int]] | None:
    """Send a signal to processes in whose name (whole command line, with `full`) a text is found.

    CLI example: `ctl '*' ps.pkill bash signal=9 user=tom`
    """
    killed = []
    for one in _matching(pattern, user, full):
        try:
            one.send_signal(signal)
        except psutil.NoSuchProcess:
            continue
        killed.append(one.pid)
    return {"killed": killed} if killed else None


def top(num_processes: int = 5, interval: float = 3) -> list[dict[str, Any]]:
    """Return the processes that used most processor time within some seconds, the busiest first.

    CLI example: `ctl '*' ps.top 5 10`
    """
    before = {one: sum(one.info["cpu_times"][:2]) for one in psutil.process_iter(["cpu_times"]) if _has_times(one)}
    time.sleep(interval)
    busy = []
    for one, seconds in before.items():
        try:
            busy.append((sum(one.cpu_times()[:2]) - seconds, one))
        except psutil.Error:
            continue
    busy.sort(key=lambda pair: pair[0], reverse=True)
    return [entry for _, one in busy[:num_processes] if (entry := _top_entry(one))]


def _has_times(one: psutil.Process) -> bool:
    return one.info["cpu_times"] is not None


def _top_entry(one: psutil.Process) -> dict[str, Any] | None:
    try:
        with one.oneshot():
            memory, times = one.memory_info(), one.cpu_times()
            return {
                "cmd": " ".join(one.cmdline()) or one.name(),
                "user": one.username(),
                "status": one.status(),
                "pid": one.pid,
                "create_time": one.create_time(),
                "cpu": {"user": times.user, "system": times.system},
                "mem": {"rss": memory.rss, "vms": memory.vms},
            }
    except psutil.Error:
        return None


def psaux(name: str) -> list[Any]:
    """Return the processes in whose command line a text is found: the text, their lines, and how many there are.

    CLI example: `ctl '*' ps.psaux www-data`
    """
    listed = process.tool(["ps", "aux"]).text.splitlines()[1:]
    found = [line for line in listed if name in line and "ps aux" not in line]
    return [name, found, f"{len(found)} occurrence(s)."]


def lsof(name: str) -> list[Any]:
    """Return the files that processes called `name` have open, as lsof lists them.

    CLI example: `ctl '*' ps.lsof apache2`
    """
    program = process.require_tool("lsof", "lsof")
    return [name, process.tool([program, "-c", name], ok=(0, 1)).text.splitlines()]


def status(status: str) -> list[dict[str, Any]]:
    """Return the processes in a status: running, sleeping, zombie, stopped, idle, disk-sleep.

    CLI example: `ctl '*' ps.status zombie`
    """
    return [
        {"pid": one.pid, "name": one.info["name"]}
        for one in psutil.process_iter(["name", "status"])
        if one.info["status"] == status
    ]


def cpu_percent(interval: float = 0.1, per_cpu: bool = False) -> float | list[float]:
    """Return how busy the processors were within some seconds.

    CLI example: `ctl '*' ps.cpu_percent`
    """
    return psutil.cpu_percent(interval, percpu=True) if per_cpu else psutil.cpu_percent(interval)


def cpu_times(per_cpu: bool = False) -> Any:
    """Return what the processors have spent their time on, in seconds.

    CLI example: `ctl '*' ps.cpu_times`
    """
    return _plain(psutil.cpu_times(percpu=True) if per_cpu else psutil.cpu_times())


def num_cpus() -> int | None:
    """Return how many processors the machine has.

    CLI example: `ctl '*' ps.num_cpus`
    """
    return psutil.cpu_count()


def virtual_memory() -> dict[str, Any]:
    """Return how the memory is used, in bytes.

    CLI example: `ctl '*' ps.virtual_memory`
    """
    return dict(_plain(psutil.virtual_memory()))


def swap_memory() -> dict[str, Any]:
    """Return how the swap space is used, in bytes.

    CLI example: `ctl '*' ps.swap_memory`
    """
    return dict(_plain(psutil.swap_memory()))


def total_physical_memory() -> int:
    """Return how much memory the machine has, in bytes.

    CLI example: `ctl '*' ps.total_physical_memory`
    """
    return psutil.virtual_memory().total


def disk_partitions(all: bool = False) -> list[dict[str, Any]]:
    """Return the mounted partitions; with `all`, what is no disk too.

    CLI example: `ctl '*' ps.disk_partitions`
    """
    return list(_plain(psutil.disk_partitions(all)))


def disk_usage(path: str) -> dict[str, Any]:
    """Return how full the file system of a path is, in bytes.

    CLI example: `ctl '*' ps.disk_usage /home`
    """
    try:
        return dict(_plain(psutil.disk_usage(path)))
    except OSError as error:
        raise CommandExecutionError(f"cannot look at {path}: {error.strerror}") from error


def disk_partition_usage(all: bool = False) -> list[dict[str, Any]]:
    """Return the mounted partitions with how full they are.

    CLI example: `ctl '*' ps.disk_partition_usage`
    """
    return [one | disk_usage(one["mountpoint"]) for one in disk_partitions(all)]


def disk_io_counters(device: str | None = None) -> Any:
    """Return what the disks have read and written; one of them, where it is named.

    CLI example: `ctl '*' ps.disk_io_counters device=sda1`
    """
    if device is None:
        return _plain(psutil.disk_io_counters())
    return _plain((psutil.disk_io_counters(perdisk=True) or {}).get(device, False))


def network_io_counters(interface: str | None = None) -> Any:
    """Return what the network interfaces have sent and received; one of them, where it is named.

    CLI example: `ctl '*' ps.network_io_counters interface=eth0`
    """
    if interface is None:
        return _plain(psutil.net_io_counters())
    return _plain(psutil.net_io_counters(pernic=True).get(interface, False))


def boot_time(time_format: str | None = None) -> int | str:
    """Return when the machine started: in seconds since 1970, or in a format.

    CLI example: `ctl '*' ps.boot_time time_format='%F %T'`
    """
    moment = int(psutil.boot_time())
    return time.strftime(time_format, time.localtime(moment)) if time_format else moment


def get_users() -> list[dict[str, Any]]:
    """Return who is logged in.

    CLI example: `ctl '*' ps.get_users`
    """
    return list(_plain(psutil.users()))
