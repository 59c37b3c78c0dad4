"""Interfaces, name servers and gateways from captured text; names with a resolver that can hang."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ctl.minion import grains_network as network
from ctl.minion.grains_machine import Machine


def test_addresses_go_by_interface_and_sorted() -> None:
    grains = network.interface_grains(
        {
            "lo": [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"), (socket.AF_PACKET, "00:00:00:00:00:00")],
            "eth0": [
                (socket.AF_INET, "10.0.0.20"),
                (socket.AF_INET, "9.0.0.1"),
                (socket.AF_INET6, "fe80::1%eth0"),
                (socket.AF_PACKET, "02:fc:00:00:00:01"),
            ],
            "tun0": [],
        }
    )
    assert grains == {
        "ip_interfaces": {"lo": ["127.0.0.1", "::1"], "eth0": ["10.0.0.20", "9.0.0.1", "fe80::1"], "tun0": []},
        "ip4_interfaces": {"lo": ["127.0.0.1"], "eth0": ["10.0.0.20", "9.0.0.1"], "tun0": []},
        "ip6_interfaces": {"lo": ["::1"], "eth0": ["fe80::1"], "tun0": []},
        "hwaddr_interfaces": {"lo": "00:00:00:00:00:00", "eth0": "02:fc:00:00:00:01"},
        "ipv4": ["9.0.0.1", "10.0.0.20", "127.0.0.1"],
        "ipv6": ["::1", "fe80::1"],
    }


def test_name_servers() -> None:
    text = """# made by hand
domain example.com ; old
search a.example.com b.example.com
nameserver 10.0.0.1
nameserver fe80::1%eth0
nameserver bogus
options timeout:1 rotate
nameserver
"""
    assert network.parse_resolv_conf(text) == {
        "nameservers": ["10.0.0.1", "fe80::1%eth0", "bogus"],
        "ip4_nameservers": ["10.0.0.1"],
        "ip6_nameservers": ["fe80::1%eth0"],
        "domain": "example.com",
        "search": ["a.example.com", "b.example.com"],
        "sortlist": [],
        "options": ["timeout:1", "rotate"],
    }


HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (HEAD + "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n", "192.0.2.1"),
        (HEAD + "ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n", True),
        (HEAD + "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", False),
        ("", False),
    ],
)
def test_default_gateway(text: str, wanted: str | bool) -> None:
    assert network.parse_route4(text) == wanted


def test_default_gateway_of_ipv6() -> None:
    zero = "0" * 32
    default = f"{zero} 00 {zero} 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth0\n"
    rejecting = f"{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200201     eth0\n"
    loopback = f"{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
    assert network.parse_route6(default) == "fd00::1"
    assert network.parse_route6(rejecting + loopback) is False


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A resolver that answers only when the test is over."""
    end = threading.Event()

    def hang(*_args: Any) -> Any:
        end.wait(20)
        raise socket.gaierror("no answer")

    monkeypatch.setattr(network, "LOOKUP_SECONDS", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(socket, "gethostbyaddr", hang)
    monkeypatch.setattr(socket, "getfqdn", hang)
    yield end
    end.set()


def test_a_resolver_that_hangs_costs_little(hanging: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "web1.example.com")
    start = time.monotonic()
    grains: dict[str, Any] = {}
    for group in network.GROUPS:
        if group.slow:
            grains.update(group.load(Machine()))
    assert time.monotonic() - start < 5
    assert grains == {
        "localhost": "web1.example.com",
        "fqdn": "web1.example.com",
        "host": "web1",
        "domain": "example.com",
        "fqdn_ip4": [],
        "fqdn_ip6": [],
        "fqdns": [],
    }
