"""Files below `/proc`, captured and read."""

from __future__ import annotations

import sys

import pytest

from ctl.modules import _proc_text as proc

little_endian = pytest.mark.skipif(sys.byteorder != "little", reason="the captured text is of a little-endian machine")

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
ROUTES6 = """\
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
"""  # noqa: E501
TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:11FD 00000000:0000 0A 00000000:00000005 00:00000000 00000000     0        0 12345 1 0 100 0 0 10 0
   1: 0F02000A:0016 0202000A:D431 01 00000010:00000000 02:000A7B3C 00000000  1000        0 23456 2 0 20 4 30 10 -1
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 99 1 0 100
   1: 0000000000000000FFFF00000100007F:01BB 0000000000000000FFFF00000100007F:D431 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0
"""  # noqa: E501
ARP = """\
IP address       HW type     Flags       HW address            Mask     Device
192.168.0.1      0x1         0x2         02:42:ac:11:00:01     *        eth0
192.168.0.9      0x1         0x0         00:00:00:00:00:00     *        eth0
"""
NETDEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:  100       2    0    0    0     0          0         0      100       2    0    0    0     0       0          0
  eth0:12345      67    1    2    3     4          5         6      890      12    7    8    9    10      11         12
"""  # noqa: E501
NETSTAT = "TcpExt: SyncookiesSent EmbryonicRsts\nTcpExt: 3 4\nIpExt: InNoRoutes\nIpExt: 5\n"
STAT = """\
cpu  10 1 20 300 4 0 1 0 0 0
cpu0 10 1 20 300 4 0 1 0 0 0
intr 500 1 2 3
ctxt 900
btime 1700000000
softirq 70 1 2
"""
MOUNTS = "/dev/sda1 / ext4 rw 0 0\ntmpfs /mnt/with\\040space\\011tab tmpfs rw 0 0\nbroken\n"
BLKID = "DEVNAME=/dev/sda1\nLABEL=my\\ disk\nTYPE=ext4\n\nDEVNAME=/dev/sdb1\nTYPE=swap\n"


@little_endian
def test_routes_are_read() -> None:
    first, second = proc.parse_routes(ROUTES)
    assert (first["destination"], first["gateway"], first["flags"]) == ("0.0.0.0", "192.168.0.1", "UG")
    assert (second["destination"], second["netmask"]) == ("192.168.0.0", "255.255.255.0")
    link, default, lost = proc.parse_routes6(ROUTES6)
    assert (link["destination"], link["interface"]) == ("fe80::/64", "eth0")
    assert (default["destination"], default["gateway"]) == ("::/0", "fe80::1")
    assert "!" in lost["flags"]


@little_endian
def test_sockets_are_read() -> None:
    listening, talking = proc.parse_sockets(TCP, "tcp")
    assert (listening["local-address"], listening["remote-address"]) == ("127.0.0.1:4605", "0.0.0.0:*")
    assert (listening["state"], listening["recv-q"], listening["inode"]) == ("LISTEN", "5", "12345")
    assert (talking["remote-address"], talking["state"], talking["send-q"]) == ("10.0.2.2:54321", "ESTABLISHED", "16")
    first, second = proc.parse_sockets(TCP6, "tcp6")
    assert first["local-address"] == "::1:631"
    assert second["local-address"] == "127.0.0.1:443"
    assert "state" not in proc.parse_sockets(TCP, "udp")[0]


def test_neighbours_without_an_address_are_left_out() -> None:
    assert proc.parse_arp(ARP) == {"02:42:ac:11:00:01": "192.168.0.1"}


def test_counters_of_the_network_are_read() -> None:
    found = proc.parse_netdev(NETDEV)
    assert found["eth0"]["rx_bytes"] == 12345
    assert found["eth0"]["tx_compressed"] == 12
    assert proc.parse_netstats(NETSTAT) == {
        "TcpExt": {"SyncookiesSent": 3, "EmbryonicRsts": 4},
        "IpExt": {"InNoRoutes": 5},
    }


def test_processors_and_memory_are_read() -> None:
    found = proc.parse_cpustats(STAT)
    assert found["cpu0"]["idle"] == 300
    assert found["intr"] == {"total": 500, "irqs": [1, 2, 3]}
    assert found["ctxt"] == 900
    info = proc.parse_cpuinfo("processor\t: 0\nflags\t\t: fpu vme\n\nprocessor\t: 1\nflags\t\t: fpu vme\n")
    assert info == {"processor": "1", "flags": ["fpu", "vme"]}
    assert proc.parse_meminfo("MemTotal:  2048 kB\nHugePages_Total:  0\n") == {
        "MemTotal": {"value": "2048", "unit": "kB"},
        "HugePages_Total": {"value": "0"},
    }
    assert proc.parse_vmstats("nr_free_pages 12\nbroken line here\n") == {"nr_free_pages": 12}


def test_disks_and_mounts_are_read() -> None:
    line = "   8       1 sda1 10 1 200 30 40 2 500 60 0 70 90 0 0 0 0\n"
    found = proc.parse_diskstats(line)["sda1"]
    assert (found["reads_issued"], found["weighted_ms_spent_in_io"], found["major"]) == (10, 90, 8)
    assert proc.parse_mounts(MOUNTS) == [("/dev/sda1", "/", "ext4"), ("tmpfs", "/mnt/with space\ttab", "tmpfs")]
    assert proc.parse_blkid(BLKID) == {
        "/dev/sda1": {"LABEL": "my disk", "TYPE": "ext4"},
        "/dev/sdb1": {"TYPE": "swap"},
    }
