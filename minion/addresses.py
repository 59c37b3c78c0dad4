"""A master's address as the configuration writes it: `host`, `host:port`, `[v6]:port` or a bare IPv6 address."""

from __future__ import annotations

from dataclasses import dataclass

from ..common.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Address:
    """Host and request port of one master."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, default_port: int) -> Address:
    """Read one entry of `master`; raises `ConfigError`."""
    host, port = text.strip(), ""
    if host.startswith("["):
        host, _, port = host[1:].partition("]")
        port = port.removeprefix(":")
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    if not host or (port and not (port.isdecimal() and 0 < int(port) < 65536)):
        raise ConfigError(f"master: {text!r} is no host or host:port", key="master")
    return Address(host, int(port) if port else default_port)
