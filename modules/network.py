"""The network of the machine: interfaces, addresses, routes, sockets, and whether others can be reached."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

from ..common import process
from ..common.errors import CommandExecutionError
from . import _proc_text as proc
from ._file_path import user_name

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.:%-]*[A-Za-z0-9_.])?|::1?")
_SCOPES = (("is_loopback", "host"), ("is_link_local", "link"), ("is_site_local", "site"))


def interfaces() -> dict[str, dict[str, Any]]:
    """Return the network interfaces: `up`, `hwaddr`, `inet` and `inet6` addresses.

    CLI example: `ctl '*' network.interfaces`
    """
    states = psutil.net_if_stats()
    result = {}
    for name, addresses in psutil.net_if_addrs().items():
        entry: dict[str, Any] = {"up": name in states and states[name].isup}
        for found in addresses:
            if found.family == psutil.AF_LINK:
                entry["hwaddr"] = found.address
            elif found.family == socket.AF_INET:
                entry.setdefault("inet", []).append(_inet(name, found))
            elif found.family == socket.AF_INET6:
                entry.setdefault("inet6", []).append(_inet6(found))
        result[name] = entry
    return result


def _inet(name: str, found: Any) -> dict[str, Any]:
    return {"address": found.address, "netmask": found.netmask, "broadcast": found.broadcast, "label": name}


def _inet6(found: Any) -> dict[str, Any]:
    address = ipaddress.IPv6Address(found.address.partition("%")[0])
    length = bin(int(ipaddress.IPv6Address(found.netmask))).count("1") if found.netmask else 128
    scope = next((word for test, word in _SCOPES if getattr(address, test)), "global")
    return {"address": str(address), "prefixlen": str(length), "scope": scope}


def _interface(iface: str) -> dict[str, Any]:
    found = interfaces()
    if iface not in found:
        raise CommandExecutionError(f"there is no interface {iface!r} (known: {', '.join(sorted(found))})")
    return found[iface]


def interface(iface: str) -> list[dict[str, Any]]:
    """Return the IPv4 addresses of an interface with their netmasks.

    CLI example: `ctl '*' network.interface eth0`
    """
    return list(_interface(iface).get("inet", []))


def interface_ip(iface: str) -> str:
    """Return the first IPv4 address of an interface, `` where it has none.

    CLI example: `ctl '*' network.interface_ip eth0`
    """
    addresses = _interface(iface).get("inet", [])
    return str(addresses[0]["address"]) if addresses else ""


def hw_addr(iface: str) -> str:
    """Return the hardware address of an interface.

    CLI example: `ctl '*' network.hw_addr eth0`
    """
    return str(_interface(iface).get("hwaddr", ""))


hwaddr = hw_addr


def _addresses(kind: str, interface: str | None) -> list[Address]:
    chosen = interfaces()
    if interface is not None:
        names = [word.strip() for word in interface.split(",")]
        chosen = {name: entry for name, entry in chosen.items() if name in names}
    return [ipaddress.ip_address(one["address"]) for entry in chosen.values() for one in entry.get(kind, [])]


def _select(found: Iterable[Address], include_loopback: bool, cidr: str | None, type_: str | None) -> list[str]:
    network = None if cidr is None else _network(cidr)
    result = []
    for address in found:
        if address.is_loopback and not include_loopback and network is None:
            continue
        if network is not None and address not in network:
            continue
        if type_ == "public" and address.is_private:
            continue
        if type_ == "private" and not address.is_private:
            continue
        result.append(address)
    return [str(address) for address in sorted(set(result), key=lambda one: (one.version, int(one)))]


def ip_addrs(
    interface: str | None = None,
    include_loopback: bool = False,
    cidr: str | None = None,
    type: str | None = None,  # the argument's name is the one that users know
) -> list[str]:
    """Return the IPv4 addresses of the machine, but those of the loopback interface.

    Only those of an interface, of a network (`cidr`), or of a `type`: `public` or `private`.

    CLI example: `ctl '*' network.ip_addrs cidr=10.0.0.0/8`
    """
    return _select(_addresses("inet", interface), include_loopback, cidr, type)


ipaddrs = ip_addrs


def ip_addrs6(interface: str | None = None, include_loopback: bool = False, cidr: str | None = None) -> list[str]:
    """Return the IPv6 addresses of the machine, but those of the loopback interface.

    CLI example: `ctl '*' network.ip_addrs6 eth0`
    """
    return _select(_addresses("inet6", interface), include_loopback, cidr, None)


ipaddrs6 = ip_addrs6


def _networks(kind: str, chosen: list[str] | str | None) -> list[str]:
    names = [chosen] if isinstance(chosen, str) else chosen
    found = set()
    for name, entry in interfaces().items():
        for one in entry.get(kind, []) if names is None or name in names else ():
            length = one["netmask"] if kind == "inet" else one["prefixlen"]
            network = ipaddress.ip_network(f"{one['address']}/{length}", strict=False)
            if not network.is_loopback:
                found.add(network)
    return [str(network) for network in sorted(found, key=lambda one: (int(one.network_address), one.prefixlen))]


def subnets(interfaces: str | list[str] | None = None) -> list[str]:
    """Return the IPv4 networks that the machine is in.

    CLI example: `ctl '*' network.subnets interfaces=eth1`
    """
    return _networks("inet", interfaces)


def subnets6(interfaces: str | list[str] | None = None) -> list[str]:
    """Return the IPv6 networks that the machine is in.

    CLI example: `ctl '*' network.subnets6`
    """
    return _networks("inet6", interfaces)


def in_subnet(cidr: str) -> bool:
    """Say whether the machine has an address in a network.

    CLI example: `ctl '*' network.in_subnet 10.0.0.0/16`
    """
    network = _network(cidr)
    return any(address in network for kind in ("inet", "inet6") for address in _addresses(kind, None))


def ip_in_subnet(ip_addr: str, cidr: str) -> bool:
    """Say whether an address is in a network.

    CLI example: `ctl '*' network.ip_in_subnet 172.17.0.4 172.16.0.0/12`
    """
    return _address(ip_addr) in _network(cidr)


def is_private(ip_addr: str) -> bool:
    """Say whether an address is a private one.

    CLI example: `ctl '*' network.is_private 10.0.0.3`
    """
    return _address(ip_addr).is_private


def is_loopback(ip_addr: str) -> bool:
    """Say whether an address is one of the loopback interface.

    CLI example: `ctl '*' network.is_loopback 127.0.0.1`
    """
    return _address(ip_addr).is_loopback


def calc_net(ip_addr: str, netmask: str | None = None) -> str:
    """Return the network that an address with a netmask is in.

    CLI example: `ctl '*' network.calc_net 172.17.0.5 255.255.255.240`
    """
    return str(_network(f"{ip_addr}/{netmask}" if netmask else ip_addr))


def convert_cidr(cidr: str) -> dict[str, str]:
    """Return the network address, netmask and broadcast address of a network.

    CLI example: `ctl '*' network.convert_cidr 172.31.0.0/16`
    """
    network = _network(cidr)
    broadcast = str(network.broadcast_address) if network.version == 4 else ""
    return {"network": str(network.network_address), "netmask": str(network.netmask), "broadcast": broadcast}


def reverse_ip(ip_addr: str) -> str:
    """Return the name that DNS has the reverse entry of an address under.

    CLI example: `ctl '*' network.reverse_ip 172.17.0.4`
    """
    return _address(ip_addr).reverse_pointer


def _address(text: str) -> Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise CommandExecutionError(f"{text!r} is no IP address") from None


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise CommandExecutionError(f"{text!r} is no network, such as 10.0.0.0/8") from None


def ifacestartswith(cidr: str) -> list[str]:
    """List the interfaces with an IPv4 address that starts like this.

    CLI example: `ctl '*' network.ifacestartswith 10.0`
    """
    found = interfaces().items()
    return [name for name, entry in found if any(one["address"].startswith(cidr) for one in entry.get("inet", []))]


def get_hostname() -> str:
    """Return the name of the machine.

    CLI example: `ctl '*' network.get_hostname`
    """
    return socket.gethostname()


def get_fqdn() -> str:
    """Return the full name of the machine.

    CLI example: `ctl '*' network.get_fqdn`
    """
    return socket.getfqdn()


def routes(family: str | None = None) -> list[dict[str, str]]:
    """Return the routes of the machine; of `inet` or `inet6` alone, where asked.

    CLI example: `ctl '*' network.routes inet`
    """
    if family not in (None, "inet", "inet6"):
        raise CommandExecutionError(f"there is no family {family!r} (known: inet, inet6)")
    found = []
    if family != "inet6":
        found += proc.parse_routes(_read("/proc/net/route"))
    if family != "inet":
        found += [one for one in proc.parse_routes6(_read("/proc/net/ipv6_route")) if "!" not in one["flags"]]
    return found


def default_route(family: str | None = None) -> list[dict[str, str]]:
    """Return the routes that lead to everywhere else.

    CLI example: `ctl '*' network.default_route`
    """
    found = routes(family)
    return [one for one in found if one["destination"] in ("0.0.0.0", "::/0") and one["interface"] != "lo"]  # noqa: S104


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def netstat() -> list[dict[str, Any]]:
    """Return the sockets of the machine with their addresses, state, user and program.

    CLI example: `ctl '*' network.netstat`
    """
    found: list[dict[str, Any]] = []
    for proto in ("tcp", "tcp6", "udp", "udp6"):
        found += proc.parse_sockets(_read(f"/proc/net/{proto}"), proto)
    programs = _socket_programs()
    for entry in found:
        entry["user"] = user_name(int(entry["user"]))
        entry["program"] = programs.get(entry["inode"], "")
    return found


def _socket_programs() -> dict[str, str]:
    """Return which program has each socket open, by the socket's inode, as far as we may see."""
    found = {}
    for pid in psutil.pids():
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")
            name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
            except OSError:
                continue
            if target.startswith("socket:["):
                found[target[8:-1]] = f"{pid}/{name}"
    return found


def active_tcp() -> dict[int, dict[str, Any]]:
    """Return the TCP connections that are established, by number.

    CLI example: `ctl '*' network.active_tcp`
    """
    found = [one for one in netstat() if one.get("state") == "ESTABLISHED"]
    result = {}
    for index, entry in enumerate(found):
        local, _, local_port = entry["local-address"].rpartition(":")
        remote, _, remote_port = entry["remote-address"].rpartition(":")
        ends = {"local_addr": local, "local_port": local_port, "remote_addr": remote, "remote_port": remote_port}
        result[index] = ends
    return result


def arp() -> dict[str, str]:
    """Return the IP address of each hardware address that the machine has talked to.

    CLI example: `ctl '*' network.arp`
    """
    return proc.parse_arp(_read("/proc/net/arp"))


def ping(host: str, timeout: float | None = None, return_boolean: bool = False) -> str | bool:
    """Send four pings to a host and return what came of it; or only whether all was well, with `return_boolean`.

    CLI example: `ctl '*' network.ping archlinux.org timeout=3 return_boolean=True`
    """
    program = process.require_tool("ping", "iputils-ping")
    limit = ["-W", f"{timeout:g}"] if timeout else []
    done = process.tool([program, "-c", "4", *limit, "--", _host(host)], ok=None, timeout=60)
    return done.retcode == 0 if return_boolean else (done.text or done.error_text).rstrip()


def _host(host: str) -> str:
    if not _HOST.fullmatch(host):
        raise CommandExecutionError(f"{host!r} is no name of a host and no address")
    return host


def connect(
    host: str,
    port: int | str | None = None,
    proto: str = "tcp",
    timeout: float = 5,
    family: str | None = None,
) -> dict[str, Any]:
    """Say whether a port of a host can be reached; `proto` is `tcp`, or `udp` (which rarely tells).

    CLI example: `ctl '*' network.connect archlinux.org 80`
    """
    kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
    families = {None: 0, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
    if not host or port is None:
        raise CommandExecutionError("both a host and a port are needed")
    if proto not in kinds or family not in families:
        raise CommandExecutionError("proto is tcp or udp, and family is ipv4 or ipv6")
    where = f"{host} on {proto} port {port}"
    try:
        found = socket.getaddrinfo(_host(host), port, families[family], kinds[proto])
        address = _reach(found, timeout)
    except OSError as error:
        reason = error.strerror or str(error)
        return {"result": False, "comment": f"Unable to connect to {where}: {reason}"}
    return {"result": True, "comment": f"Successfully connected to {host} ({address}) on {proto} port {port}"}


def _reach(found: list[Any], timeout: float) -> str:
    problem: OSError = OSError("there is no address")
    for family, kind, number, _, address in found:
        with socket.socket(family, kind, number) as made:
            made.settimeout(timeout)
            try:
                made.connect(address)
                if kind == socket.SOCK_DGRAM:
                    made.send(b"\0")
                return str(address[0])
            except OSError as error:
                problem = error
    raise problem
