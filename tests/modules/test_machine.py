"""`network`, `status`, `disk`, `ps`, `timezone`: this machine, asked."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.common.context import Context
from ctl.common.errors import CommandExecutionError, CommandNotFoundError
from ctl.modules import disk, timezone

Call = Callable[..., Any]


def test_interfaces_and_their_addresses(call: Call) -> None:
    found = call("network.interfaces")["lo"]
    assert found["inet"][0]["address"] == "127.0.0.1"
    assert call("network.interface", "lo")[0]["netmask"] == "255.0.0.0"
    assert call("network.interface_ip", "lo") == "127.0.0.1"
    assert re.fullmatch(r"[0-9a-f:]{17}", call("network.hw_addr", "lo"))
    assert "127.0.0.1" not in call("network.ip_addrs")
    assert "127.0.0.1" in call("network.ip_addrs", include_loopback=True)
    assert call("network.ip_addrs", cidr="127.0.0.0/8") == ["127.0.0.1"]
    assert call("network.ipaddrs", "lo", True) == ["127.0.0.1"]
    assert "::1" not in call("network.ip_addrs6")
    assert call("network.ifacestartswith", "127.") == ["lo"]
    with pytest.raises(CommandExecutionError, match="no interface 'nope0'"):
        call("network.hw_addr", "nope0")


def test_networks_are_calculated(call: Call) -> None:
    assert call("network.in_subnet", "127.0.0.0/8")
    assert not call("network.in_subnet", "203.0.113.0/24")
    assert all("/" in one for one in [*call("network.subnets"), *call("network.subnets6")])
    assert call("network.ip_in_subnet", "172.17.0.4", "172.16.0.0/12")
    assert call("network.is_private", "10.0.0.3")
    assert call("network.is_loopback", "127.0.0.1")
    assert call("network.calc_net", "172.17.0.5", "255.255.255.240") == "172.17.0.0/28"
    assert call("network.convert_cidr", "172.31.0.0/16")["broadcast"] == "172.31.255.255"
    assert call("network.reverse_ip", "172.17.0.4") == "4.0.17.172.in-addr.arpa"
    for function, word in (("is_private", "10.0.0"), ("in_subnet", "10.0.0.0/99")):
        with pytest.raises(CommandExecutionError, match="is no"):
            call(f"network.{function}", word)


def test_routes_sockets_and_neighbours(call: Call) -> None:
    assert isinstance(call("network.routes", "inet"), list)
    assert all(one["destination"] in ("0.0.0.0", "::/0") for one in call("network.default_route"))
    assert isinstance(call("network.arp"), dict)
    assert isinstance(call("network.active_tcp"), dict)
    with pytest.raises(CommandExecutionError, match="no family"):
        call("network.routes", "ipx")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        mine = next(one for one in call("network.netstat") if one["local-address"] == f"127.0.0.1:{port}")
    assert (mine["state"], mine["proto"]) == ("LISTEN", "tcp")
    assert mine["program"].startswith(f"{os.getpid()}/")


def test_others_are_reached_or_not(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = call("network.connect", "127.0.0.1", port)
        assert result == {
            "result": True,
            "comment": f"Successfully connected to 127.0.0.1 (127.0.0.1) on tcp port {port}",
        }
    refused = call("network.connect", "127.0.0.1", port, timeout=2)
    assert refused["result"] is False
    assert "Connection refused" in refused["comment"]
    for host in ("-x", "a;b", "$(id)", "a b"):
        with pytest.raises(CommandExecutionError, match="no name of a host"):
            call("network.connect", host, 80)
    with pytest.raises(CommandExecutionError, match="host and a port"):
        call("network.connect", "localhost")


def test_ping_gets_a_host_as_data(call: Call, fake_tool: Callable[..., Path]) -> None:
    record = fake_tool("ping", "4 received\n")
    assert call("network.ping", "example.org", timeout=3) == "4 received"
    assert call("network.ping", "example.org", return_boolean=True) is True
    words = ["-c", "4", "-W", "3", "--", "example.org"]
    assert record.read_text().splitlines()[0].split("\0")[:-1] == words
    with pytest.raises(CommandExecutionError, match="no name of a host"):
        call("network.ping", "-f")


def test_the_machines_name(call: Call) -> None:
    assert call("network.get_hostname") == socket.gethostname()
    assert call("network.get_fqdn")


def test_status_of_the_machine(call: Call) -> None:
    uptime = call("status.uptime")
    assert uptime["seconds"] > 0
    assert uptime["days"] == uptime["seconds"] // 86400
    assert set(call("status.loadavg")) == {"1-min", "5-min", "15-min"}
    assert int(call("status.meminfo")["MemTotal"]["value"]) > 0
    assert call("status.meminfo")["MemTotal"]["unit"] == "kB"
    assert call("status.nproc") >= 1
    assert "lo" in call("status.netdev")
    assert call("status.version").startswith("Linux version")
    assert call("status.time", "%Y").isdecimal()
    assert call("status.diskusage", "/")["/"]["total"] > 0
    assert call("status.procs")[os.getpid()]["user"]
    everything = call("status.all_status")
    json.dumps(everything)
    assert {"loadavg", "w", "cpustats"} <= set(everything)


def test_processes_are_found_by_their_words(call: Call, tmp_path: Path) -> None:
    hostile = tmp_path / "a;touch pwned;$(touch pwned)"
    shutil.copy(shutil.which("sleep") or "", hostile)
    child = subprocess.Popen([str(hostile), "300"], cwd=tmp_path)
    try:
        assert str(child.pid) in call("status.pid", "a;touch pwned").split()
        assert call("ps.pgrep", "touch pwned", full=True) == [child.pid]
        assert child.pid in call("ps.get_pid_list")
        assert call("ps.proc_info", child.pid, attrs=["pid", "name"])["pid"] == child.pid
        assert call("ps.psaux", "touch pwned")[2] == "1 occurrence(s)."
        assert any(entry["pid"] == child.pid for entry in call("ps.status", "sleeping"))
        json.dumps(call("ps.proc_info", child.pid))
        assert call("ps.pkill", "touch pwned", full=True) == {"killed": [child.pid]}
        assert child.wait(10) == -15
    finally:
        child.kill()
        child.wait()
    assert call("ps.pgrep", "no process is called this") is None
    assert call("ps.pkill", "no process is called this") is None
    assert not (tmp_path / "pwned").exists()
    with pytest.raises(CommandExecutionError, match="no process"):
        call("ps.kill_pid", 2**22 + 1)


def test_what_processes_use(call: Call) -> None:
    assert call("ps.virtual_memory")["total"] == call("ps.total_physical_memory")
    assert call("ps.top", 2, 0.05)[0]["cpu"].keys() == {"user", "system"}
    assert isinstance(call("ps.cpu_percent", 0.01), float)
    assert len(call("ps.cpu_times", per_cpu=True)) == call("ps.num_cpus")
    assert call("ps.disk_usage", "/")["total"] > 0
    assert call("ps.boot_time") > 0
    assert call("ps.boot_time", "%Y").isdecimal()
    assert call("ps.network_io_counters", "lo")["bytes_sent"] >= 0
    assert call("ps.network_io_counters", "nope0") is False
    for name in ("swap_memory", "disk_partitions", "disk_partition_usage", "disk_io_counters", "get_users"):
        json.dumps(call(f"ps.{name}"))


def test_disks_are_measured(call: Call) -> None:
    root = call("disk.usage")["/"]
    assert int(root["1K-blocks"]) >= int(root["used"])
    assert root["capacity"].endswith("%")
    assert call("disk.percent", "/") == root["capacity"]
    assert call("disk.percent")["/"] == root["capacity"]
    assert int(call("disk.inodeusage")["/"]["inodes"]) >= 0
    with pytest.raises(CommandExecutionError, match="mounted on /no/such"):
        call("disk.percent", "/no/such")
    assert disk._percent(1, 1000) == "1%"
    assert disk._percent(0, 0) == "-"


def test_blkid_gets_a_device_as_data(call: Call, fake_tool: Callable[..., Path]) -> None:
    record = fake_tool("blkid", "DEVNAME=/dev/sda1\nTYPE=ext4\n")
    assert call("disk.blkid", "/dev/sda1", token="TYPE=ext4") == {"/dev/sda1": {"TYPE": "ext4"}}
    words = ["-o", "export", "--match-token", "TYPE=ext4", "--", "/dev/sda1"]
    assert record.read_text().split("\0")[:-1] == words


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that say the time zone, in a folder."""
    if not timezone._ZONES.is_dir():
        pytest.skip("there are no data of time zones here")
    monkeypatch.setattr(timezone, "_LOCALTIME", tmp_path / "localtime")
    monkeypatch.setattr(timezone, "_NAME_FILE", tmp_path / "timezone")
    monkeypatch.setattr(timezone, "_ADJTIME", tmp_path / "adjtime")
    monkeypatch.setattr(timezone, "_has_timedatectl", lambda: False)
    return tmp_path


def test_the_time_zone_is_set_and_told(call: Call, clock: Path) -> None:
    assert call("timezone.get_zone") == "UTC"
    assert call("timezone.set_zone", "Asia/Tokyo") is True
    assert call("timezone.get_zone") == "Asia/Tokyo"
    assert call("timezone.get_offset") == "+0900"
    assert call("timezone.get_zonecode") == "JST"
    assert (clock / "timezone").read_text() == "Asia/Tokyo\n"
    assert call("timezone.zone_compare", "Asia/Tokyo")
    assert call("timezone.zone_compare", "Japan")
    assert not call("timezone.zone_compare", "UTC")
    assert {"Asia/Tokyo", "UTC"} <= set(call("timezone.list_zones"))
    (clock / "localtime").unlink()
    assert call("timezone.get_zone") == "Asia/Tokyo"
    (clock / "timezone").unlink()
    (clock / "localtime").write_bytes((timezone._ZONES / "America" / "Denver").read_bytes())
    assert call("timezone.zone_compare", call("timezone.get_zone"))


@pytest.mark.parametrize("name", ["Asia/Tokio", "../../etc/passwd", "-x", "Asia", "/etc/passwd", ""])
def test_what_is_no_time_zone_is_refused(call: Call, clock: Path, name: str) -> None:
    with pytest.raises(CommandExecutionError, match="no time zone"):
        call("timezone.set_zone", name)
    assert not (clock / "localtime").exists()


def test_the_hardware_clock_counts_as_told(call: Call, clock: Path) -> None:
    assert call("timezone.get_hwclock") == "UTC"
    assert call("timezone.set_hwclock", "localtime") is True
    assert (clock / "adjtime").read_text() == "0.0 0 0.0\n0\nLOCAL\n"
    assert call("timezone.get_hwclock") == "localtime"
    call("timezone.set_hwclock", "UTC")
    assert call("timezone.get_hwclock") == "UTC"
    with pytest.raises(CommandExecutionError, match="not in 'moon'"):
        call("timezone.set_hwclock", "moon")


def test_a_missing_tool_is_named_with_its_package(
    call: Call, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctl.common.process.find_tool", lambda name: None)
    with pytest.raises(CommandNotFoundError, match=r"ping is not installed .*iputils-ping"):
        call("network.ping", "example.org")
