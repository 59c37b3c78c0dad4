"""What an address counts as where peers are limited: itself, its /64 in IPv6; and whether a trusted network has it."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

IPV6_SOURCE_PREFIX = 64
REMEMBERED = 4096


class Sources:
    """Tells sources apart. Raises `ValueError` for a trusted network that is none."""

    def __init__(self, trusted_networks: Sequence[str] = ()) -> None:
        self._networks = [ipaddress.ip_network(text, strict=False) for text in trusted_networks]
        self.of = lru_cache(REMEMBERED)(self._of)

    def _of(self, address: str) -> tuple[str, bool]:
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return address, False
        trusted = any(found.version == network.version and found in network for network in self._networks)
        if found.version == 6:
            network = ipaddress.ip_network((found, IPV6_SOURCE_PREFIX), strict=False)
            return str(network), trusted
        return address, trusted
