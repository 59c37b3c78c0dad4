"""`salt.utils.validate.net`: addresses."""

from __future__ import annotations

import ipaddress
import re


def mac(address: str) -> bool:
    """Whether a text is a hardware address."""
    return re.fullmatch(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", address) is not None


def ipv4_addr(address: str) -> bool:
    """Whether a text is an IPv4 address or network."""
    return _is(address, 4)


def ipv6_addr(address: str) -> bool:
    """Whether a text is an IPv6 address or network."""
    return _is(address, 6)


def ip_addr(address: str) -> bool:
    """Whether a text is an address or network."""
    return _is(address, 4) or _is(address, 6)


def netmask(mask: str) -> bool:
    """Whether a text is an IPv4 netmask."""
    try:
        return str(ipaddress.IPv4Network(f"0.0.0.0/{mask}").netmask) == mask
    except ValueError:
        return False


def _is(address: str, version: int) -> bool:
    try:
        return ipaddress.ip_interface(address).version == version
    except ValueError:
        return False
