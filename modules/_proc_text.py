"""What the files below `/proc` say, read as data: pure functions from text, for `network`, `status` and `disk`."""

from __future__ import annotations

import ipaddress
import re
import socket
import struct
import sys
from typing import Any

_TCP_STATES = {
    "01": "ESTABLISHED",
    "02": "SYN_SENT",
    "03": "SYN_RECV",
    "04": "FIN_WAIT1",
    "05": "FIN_WAIT2",
    "06": "TIME_WAIT",
    "07": "CLOSE",
    "08": "CLOSE_WAIT",
    "09": "LAST_ACK",
    "0A": "LISTEN",
    "0B": "CLOSING",
}
_ROUTE_FLAGS = ((0x1, "U"), (0x2, "G"), (0x4, "H"), (0x8, "R"), (0x10, "D"), (0x20, "M"), (0x200, "!"))
_OCTAL = re.compile(r"\\([0-7]{3})")
_NET_DEV = (
    *("rx_bytes", "rx_packets", "rx_errs", "rx_drop", "rx_fifo", "rx_frame", "rx_compressed", "rx_multicast"),
    *("tx_bytes", "tx_packets", "tx_errs", "tx_drop", "tx_fifo", "tx_colls", "tx_carrier", "tx_compressed"),
)
_DISK_FIELDS = (
    *("reads_issued", "reads_merged", "sectors_read", "ms_spent_reading"),
    *("writes_completed", "writes_merged", "sectors_written", "ms_spent_writing"),
    *("io_in_progress", "ms_spent_in_io", "weighted_ms_spent_in_io"),
)
_CPU_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest", "guest_nice")


def number(text: str) -> int | float | str:
    """Return a word as the number that it is, or as it is."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def parse_routes(text: str) -> list[dict[str, str]]:
    """Read `/proc/net/route`."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 8:
            found.append(
                {
                    "addr_family": "inet",
                    "destination": _address4(fields[1]),
                    "gateway": _address4(fields[2]),
                    "netmask": _address4(fields[7]),
                    "flags": _route_flags(int(fields[3], 16)),
                    "interface": fields[0],
                    "metric": fields[6],
                }
            )
    return found


def parse_routes6(text: str) -> list[dict[str, str]]:
    """Read `/proc/net/ipv6_route`."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 10:
            found.append(
                {
                    "addr_family": "inet6",
                    "destination": f"{_plain6(fields[0])}/{int(fields[1], 16)}",
                    "gateway": _plain6(fields[4]),
                    "netmask": "",
                    "flags": _route_flags(int(fields[8], 16)),
                    "interface": fields[9],
                    "metric": str(int(fields[5], 16)),
                }
            )
    return found


def _route_flags(bits: int) -> str:
    return "".join(letter for bit, letter in _ROUTE_FLAGS if bits & bit)


def _address4(digits: str) -> str:
    return socket.inet_ntoa(struct.pack("=L", int(digits, 16)))


def _plain6(digits: str) -> str:
    return str(ipaddress.IPv6Address(bytes.fromhex(digits)))


def _address6(digits: str) -> str:
    """Read an address of `/proc/net/tcp6`: four words in the machine's own byte order."""
    words = [bytes.fromhex(digits[start : start + 8]) for start in range(0, 32, 8)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    address = ipaddress.IPv6Address(b"".join(words))
    return str(address.ipv4_mapped or address)


def parse_sockets(text: str, proto: str) -> list[dict[str, Any]]:
    """Read `/proc/net/tcp`, `tcp6`, `udp` or `udp6`."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 10:
            sent, _, received = fields[4].partition(":")
            entry: dict[str, Any] = {
                "proto": proto,
                "recv-q": str(int(received, 16)),
                "send-q": str(int(sent, 16)),
                "local-address": _endpoint(fields[1]),
                "remote-address": _endpoint(fields[2]),
                "user": fields[7],
                "inode": fields[9],
            }
            if proto.startswith("tcp"):
                entry["state"] = _TCP_STATES.get(fields[3], fields[3])
            found.append(entry)
    return found


def _endpoint(word: str) -> str:
    digits, _, port = word.partition(":")
    address = _address4(digits) if len(digits) == 8 else _address6(digits)
    return f"{address}:{int(port, 16) or '*'}"


def parse_arp(text: str) -> dict[str, str]:
    """Read `/proc/net/arp`: each hardware address's IP address."""
    fields = (line.split() for line in text.splitlines()[1:])
    return {words[3]: words[0] for words in fields if len(words) >= 6 and words[3] != "00:00:00:00:00:00"}


def parse_meminfo(text: str) -> dict[str, dict[str, str]]:
    """Read `/proc/meminfo`."""
    found = {}
    for line in text.splitlines():
        key, _, rest = line.partition(":")
        words = rest.split()
        if words:
            found[key] = {"value": words[0], **({"unit": words[1]} if len(words) > 1 else {})}
    return found


def parse_cpuinfo(text: str) -> dict[str, Any]:
    """Read `/proc/cpuinfo`: the last processor's values, flags as a list."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            name = key.strip()
            found[name] = value.split() if name in ("flags", "Features", "bugs") else value.strip()
    return found


def parse_cpustats(text: str) -> dict[str, Any]:
    """Read `/proc/stat`: each processor's times by name, lists, and single numbers."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        key, *values = line.split()
        if key.startswith("cpu"):
            found[key] = dict(zip(_CPU_FIELDS, map(number, values), strict=False))
        elif key in ("intr", "softirq") and values:
            found[key] = {"total": number(values[0]), "irqs": [number(value) for value in values[1:]]}
        elif values:
            found[key] = number(values[0])
    return found


def parse_vmstats(text: str) -> dict[str, int | float | str]:
    """Read `/proc/vmstat`."""
    pairs = (line.split() for line in text.splitlines())
    return {words[0]: number(words[1]) for words in pairs if len(words) == 2}


def parse_diskstats(text: str) -> dict[str, dict[str, Any]]:
    """Read `/proc/diskstats`."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 14:
            values = dict(zip(_DISK_FIELDS, map(number, words[3:14]), strict=True))
            found[words[2]] = {"major": number(words[0]), "minor": number(words[1]), "device": words[2], **values}
    return found


def parse_netdev(text: str) -> dict[str, dict[str, Any]]:
    """Read `/proc/net/dev`."""
    found = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        values = rest.split()
        if len(values) >= len(_NET_DEV):
            found[name.strip()] = {"iface": name.strip(), **dict(zip(_NET_DEV, map(number, values), strict=False))}
    return found


def parse_netstats(text: str) -> dict[str, dict[str, Any]]:
    """Read `/proc/net/netstat` or `/proc/net/snmp`: pairs of lines, one of names and one of values."""
    found: dict[str, dict[str, Any]] = {}
    lines = text.splitlines()
    for head, values in zip(lines[::2], lines[1::2], strict=False):
        names, numbers = head.split(), values.split()
        if names and names[0] == numbers[0]:
            pairs = zip(names[1:], map(number, numbers[1:]), strict=False)
            found[names[0].rstrip(":")] = dict(pairs)
    return found


def parse_mounts(text: str) -> list[tuple[str, str, str]]:
    """Read `/proc/self/mounts`: device, directory and kind of each, with their blanks put back."""
    found = []
    for line in text.splitlines():
        words = line.split(" ")
        if len(words) >= 4:
            found.append((_unescape(words[0]), _unescape(words[1]), words[2]))
    return found


def _unescape(word: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), word)


def parse_blkid(text: str) -> dict[str, dict[str, str]]:
    """Read `blkid -o export`: paragraphs of `KEY=value`, each with its device first."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key == "DEVNAME":
            current = found[value] = {}
        elif key:
            current[key] = re.sub(r"\\(.)", r"\1", value)
    return found
