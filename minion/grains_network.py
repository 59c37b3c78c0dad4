"""Grains of the network: interfaces, addresses, gateways, name servers, and this machine's names.

What asks a name server (`fqdn` and its kin) is limited in time, and loaded only when it is looked at.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from .grains_machine import Group, Machine, within

LOOKUP_SECONDS = 2.0
MAX_REVERSE_LOOKUPS = 64


def interface_grains(interfaces: Mapping[str, Iterable[tuple[int, str]]]) -> dict[str, Any]:
    """Sort addresses into grains; each interface has pairs of address family and address."""
    v4: dict[str, list[str]] = {}
    v6: dict[str, list[str]] = {}
    hardware: dict[str, str] = {}
    for name, addresses in interfaces.items():
        v4[name], v6[name] = [], []
        for family, address in addresses:
            if family == socket.AF_INET:
                v4[name].append(address)
            elif family == socket.AF_INET6:
                v6[name].append(address.partition("%")[0])
            elif family == socket.AF_PACKET and address:
                hardware[name] = address
    return {
        "ip_interfaces": {name: v4[name] + v6[name] for name in v4},
        "ip4_interfaces": v4,
        "ip6_interfaces": v6,
        "hwaddr_interfaces": hardware,
        "ipv4": _sorted(v4),
        "ipv6": _sorted(v6),
    }


def _sorted(addresses: Mapping[str, Iterable[str]]) -> list[str]:
    every = {ipaddress.ip_address(address) for found in addresses.values() for address in found}
    return [str(address) for address in sorted(every, key=int)]


def _load_interfaces(_machine: Machine) -> dict[str, Any]:
    import psutil  # a job that reads no such grain need not pay for it

    found = psutil.net_if_addrs()
    order = {name: index for index, name in socket.if_nameindex()}
    names = sorted(found, key=lambda name: (order.get(name, len(order) + len(found)), name))
    return interface_grains({name: [(item.family, item.address) for item in found[name]] for name in names})


def parse_resolv_conf(text: str) -> dict[str, Any]:
    """Read a resolver configuration; a line that makes no sense is passed over."""
    servers: list[str] = []
    dns: dict[str, Any] = {"domain": "", "search": [], "sortlist": [], "options": []}
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2:
            continue
        keyword, values = words[0], words[1:]
        if keyword == "nameserver":
            servers.append(values[0])
        elif keyword == "domain":
            dns["domain"] = values[0]
        elif keyword in ("search", "sortlist", "options"):
            dns[keyword] = values
    return {
        "nameservers": servers,
        "ip4_nameservers": [server for server in servers if _version(server) == 4],
        "ip6_nameservers": [server for server in servers if _version(server) == 6],
        **dns,
    }


def _version(address: str) -> int:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).version
    except ValueError:
        return 0


def _load_dns(machine: Machine) -> dict[str, Any]:
    text = machine.text("/etc/resolv.conf")
    if "127.0.0.53" in text:  # the stub of systemd-resolved; behind it are the real ones
        text = machine.text("/run/systemd/resolve/resolv.conf") or text
    return {"dns": parse_resolv_conf(text)}


def parse_route4(text: str) -> str | bool:
    """Find the default gateway in /proc/net/route; True where there is a route but no gateway."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == "00000000" and fields[7] == "00000000" and int(fields[3], 16) & 1:
            gateway = bytes.fromhex(fields[2])[::-1]
            return str(ipaddress.IPv4Address(gateway)) if any(gateway) else True
    return False


def parse_route6(text: str) -> str | bool:
    """Find the default gateway in /proc/net/ipv6_route; True where there is a route but no gateway."""
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 10 or fields[0] != "0" * 32 or fields[1] != "00" or fields[9] == "lo":
            continue
        if int(fields[8], 16) & 0x201 == 0x001:  # up, and not a rejecting route
            gateway = bytes.fromhex(fields[4])
            return str(ipaddress.IPv6Address(gateway)) if any(gateway) else True
    return False


def _load_gateways(machine: Machine) -> dict[str, Any]:
    v4 = parse_route4(machine.text("/proc/net/route"))
    v6 = parse_route6(machine.text("/proc/net/ipv6_route"))
    return {"ip4_gw": v4, "ip6_gw": v6, "ip_gw": bool(v4 or v6)}


def _canonical_name() -> str:
    """Ask the resolver for this host's full name."""
    for info in socket.getaddrinfo(socket.gethostname(), 0, 0, socket.SOCK_STREAM, 0, socket.AI_CANONNAME):
        if info[3]:
            return info[3]
    return socket.getfqdn()


def _full_name() -> str:
    local = socket.gethostname()
    return within(LOOKUP_SECONDS, [_canonical_name], "")[0] or local or "localhost.localdomain"


def _load_names(_machine: Machine) -> dict[str, Any]:
    fqdn = _full_name()
    host, _, domain = fqdn.partition(".")
    return {"localhost": socket.gethostname(), "fqdn": fqdn, "host": host, "domain": domain}


def _forward(name: str, family: int) -> list[str]:
    found = socket.getaddrinfo(name, None, family, socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


def _load_name_addresses(_machine: Machine) -> dict[str, Any]:
    fqdn = _full_name()
    look_ups = [functools.partial(_forward, fqdn, family) for family in (socket.AF_INET, socket.AF_INET6)]
    none: list[str] = []
    v4, v6 = within(LOOKUP_SECONDS, look_ups, none)
    return {"fqdn_ip4": v4, "fqdn_ip6": v6}


def _reverse(address: str) -> list[str]:
    name, aliases, _addresses = socket.gethostbyaddr(address)
    return [name, *aliases]


def _load_fqdns(machine: Machine) -> dict[str, Any]:
    """Look up the names of all addresses at once."""
    found = _load_interfaces(machine)
    outside = [address for address in found["ipv4"] + found["ipv6"] if not _is_local(address)]
    look_ups = [functools.partial(_reverse, address) for address in outside[:MAX_REVERSE_LOOKUPS]]
    none: list[str] = []
    return {"fqdns": sorted({name for names in within(LOOKUP_SECONDS, look_ups, none) for name in names})}


def _is_local(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.is_loopback or parsed.is_link_local


GROUPS = (
    Group(("ip_interfaces", "ip4_interfaces", "ip6_interfaces", "hwaddr_interfaces", "ipv4", "ipv6"), _load_interfaces),
    Group(("ip_gw", "ip4_gw", "ip6_gw"), _load_gateways),
    Group(("dns",), _load_dns),
    Group(("localhost", "fqdn", "host", "domain"), _load_names, slow=True),
    Group(("fqdn_ip4", "fqdn_ip6"), _load_name_addresses, slow=True),
    Group(("fqdns",), _load_fqdns, slow=True),
)
