"""The filters about addresses and networks that templates have, over the standard library's `ipaddress`."""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from collections.abc import Callable, Iterable
from typing import Any

from jinja2.exceptions import FilterArgumentError

_MAX_HOSTS = 65536
_NAMES = ("private", "public", "global", "multicast", "unspecified", "reserved", "loopback", "link_local")


def _parse(value: Any, version: int | None) -> Any:
    try:
        found = ipaddress.ip_interface(str(value))
    except ValueError:
        return None
    return found if version in (None, found.version) else None


def _fits(address: Any, options: str | None) -> bool:
    """Tell whether an address has all of the named properties (`private`, `loopback, link_local`)."""
    for word in re.split(r"[,\s]+", options or ""):
        name = word.replace("-", "_").replace("linklocal", "link_local")
        if name in _NAMES:
            attribute = "is_global" if name == "public" else f"is_{name}"
            if not getattr(address.ip, attribute, False):
                return False
    return True


def _one(value: Any, options: str | None, version: int | None) -> str | None:
    address = _parse(value, version)
    return str(value) if address is not None and _fits(address, options) else None


def is_ip(value: Any, options: str | None = None) -> bool:
    """Tell whether a value is an address with the named properties."""
    return _one(value, options, None) is not None


def is_ipv4(value: Any, options: str | None = None) -> bool:
    """Tell whether a value is an IPv4 address with the named properties."""
    return _one(value, options, 4) is not None


def is_ipv6(value: Any, options: str | None = None) -> bool:
    """Tell whether a value is an IPv6 address with the named properties."""
    return _one(value, options, 6) is not None


def _filter(value: Any, options: str | None, version: int | None) -> Any:
    if isinstance(value, list | tuple | set):
        return [str(item) for item in value if _one(item, options, version) is not None]
    return _one(value, options, version)


def ipaddr(value: Any, options: str | None = None) -> Any:
    """Keep what is an address: of a list its addresses, of one value itself or None."""
    return _filter(value, options, None)


def ipv4(value: Any, options: str | None = None) -> Any:
    """Keep what is an IPv4 address."""
    return _filter(value, options, 4)


def ipv6(value: Any, options: str | None = None) -> Any:
    """Keep what is an IPv6 address."""
    return _filter(value, options, 6)


def _each(value: Any, make: Callable[[Any], Any]) -> Any:
    if isinstance(value, list | tuple | set):
        return [make(item) for item in value if _parse(item, None) is not None]
    return make(value) if _parse(value, None) is not None else None


def ip_host(value: Any, options: str | None = None, version: int | None = None) -> Any:
    """Write an address with the length of its network."""
    return _each(ipaddr(value, options), lambda item: str(_parse(item, version)))


def network_hosts(value: Any, options: str | None = None, version: int | None = None) -> Any:
    """List the hosts of an address's network."""

    def hosts(item: Any) -> list[str]:
        network = _parse(item, version).network
        if network.num_addresses > _MAX_HOSTS:
            raise FilterArgumentError(f"{network} has more than {_MAX_HOSTS} addresses to list")
        return [str(host) for host in network.hosts()]

    return _each(ipaddr(value, options), hosts)


def network_size(value: Any, options: str | None = None, version: int | None = None) -> Any:
    """Count the addresses of an address's network."""
    return _each(ipaddr(value, options), lambda item: _parse(item, version).network.num_addresses)


def filter_by_networks(values: Iterable[str] | None, networks: Iterable[str]) -> list[str]:
    """Keep the addresses that are in one of the networks."""
    known = [ipaddress.ip_network(network, strict=False) for network in networks]
    return [value for value in values or () if any(ipaddress.ip_address(value) in network for network in known)]


def ipwrap(value: Any) -> Any:
    """Put an IPv6 address in brackets, as URLs want it."""
    if isinstance(value, list | tuple | set):
        return [ipwrap(item) for item in value]
    return f"[{value}]" if is_ipv6(value) else value


def gen_mac(prefix: str = "AC:DE:48") -> str:
    """Make up a hardware address."""
    return ":".join([prefix, *(f"{byte:02X}" for byte in secrets.token_bytes(3))])


def mac_str_to_bytes(mac: str) -> bytes:
    """Turn a hardware address into its bytes."""
    return bytes.fromhex(re.sub(r"[:.\-]", "", mac))


def dns_check(address: str, port: int = 0, safe: bool = False, ipv6: bool | None = None) -> str | None:
    """Resolve a name to its first address; with `safe`, None where it does not resolve."""
    family = {None: socket.AF_UNSPEC, True: socket.AF_INET6, False: socket.AF_INET}[ipv6]
    try:
        found = socket.getaddrinfo(address, port, family, socket.SOCK_STREAM)
    except OSError as error:
        if safe:
            return None
        raise FilterArgumentError(f"{address} does not resolve: {error}") from None
    return str(found[0][4][0])


FILTERS: dict[str, Callable[..., Any]] = {
    "dns_check": dns_check,
    "filter_by_networks": filter_by_networks,
    "gen_mac": gen_mac,
    "ip_host": ip_host,
    "ipaddr": ipaddr,
    "ipv4": ipv4,
    "ipv6": ipv6,
    "ipwrap": ipwrap,
    "is_ip": is_ip,
    "is_ipv4": is_ipv4,
    "is_ipv6": is_ipv6,
    "mac_str_to_bytes": mac_str_to_bytes,
    "network_hosts": network_hosts,
    "network_size": network_size,
}
