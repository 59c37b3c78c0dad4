"""Abuse of the network's ports, B01 to B15, B21 and B22, scaled down: a real master, hostile peers made by hand.

An honest minion asks all the while and a newcomer shakes hands every second; neither may fail. `make abuse` does the
same at full size and measures it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"
MEMORY_MIB = 48.0  # what any of it may make the master grow by, at this size


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """The module bench/abuse.py, with those it imports."""
    sys.path.insert(0, str(BENCH))
    try:
        yield importlib.import_module("abuse")
    finally:
        sys.path.remove(str(BENCH))


@pytest.fixture(scope="module")
def master(bench: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A master with an honest minion and a newcomer."""
    running = bench.Abuse(tmp_path_factory.mktemp("abuse"))
    try:
        running.start()
        yield running
    finally:
        if hasattr(running, "honest"):
            running.honest.stop()
        running.fleet.stop()


@pytest.fixture
def attack(bench: ModuleType, master: Any) -> Iterator[Callable[..., Any]]:
    """Run an attack; afterwards the honest ones were served, memory is bounded, and the log is not full."""
    honest = master.honest
    honest.asked, honest.shaken, honest.failures = [], [], []
    lines = master.log.count("\n")
    with bench.Sampler(master.fleet.master.pid) as sampler:
        yield lambda work, *arguments: work(master.ports, *arguments)
    assert master.fleet.master.running()
    assert sampler.peak - sampler.base < MEMORY_MIB, master.log[-2000:]
    assert honest.failures == []
    assert max(honest.asked, default=0.0) < 5.0
    assert max(honest.shaken, default=0.0) < 5.0
    assert "Traceback" not in master.log
    assert master.log.count("\n") - lines < 100


@pytest.fixture(scope="module")
def attackers(bench: ModuleType) -> ModuleType:
    return importlib.import_module("attackers")


def test_b01_b02_b03_who_says_nothing_of_use_is_cut_after_ten_seconds(attack: Any, attackers: Any) -> None:
    with ThreadPoolExecutor(3, thread_name_prefix="asyncio_attack") as pool:
        silent = pool.submit(attack, attackers.silent_many, 0.0, 300)
        idle = pool.submit(attack, attackers.idle, 0.0, 300)
        loris = pool.submit(attack, attackers.loris, 0.0, 20)
    for found in (silent.result(), idle.result()):
        assert found["cut"] == found["opened"] == 300
        assert found["within_s"] < 14.0
    assert loris.result()["left"] == 0


def test_b01_a_source_that_opens_more_than_fifty_loses_the_oldest(attack: Any, attackers: Any, master: Any) -> None:
    raws = [attackers.Raw(master.ports.request, "127.70.0.1").greet() for _ in range(60)]
    try:
        cut = [raw.is_cut(3.0) for raw in raws[:10]]
        assert cut == [True] * 10
        assert not raws[-1].is_cut(0.1)
    finally:
        for raw in raws:
            raw.close()


def test_b03_messages_that_do_not_end_are_cut(attack: Any, attackers: Any) -> None:
    attack(attackers.endless, 2.0)


def test_b04_frames_that_claim_to_be_huge_end_their_connection(attack: Any, attackers: Any) -> None:
    found = attack(attackers.claims, 0.5)
    assert found["tried"] == found["cut"] > 0


def test_b05_hellos_are_answered_busy_and_the_honest_are_served(attack: Any, attackers: Any, master: Any) -> None:
    attack(attackers.hellos, 2.0)
    attack(attackers.hellos_many, 2.0)
    assert "a handshake from" in master.log


def test_b05_a_puzzle_is_set_where_half_of_the_handshakes_are_used_up(
    bench: ModuleType, attackers: Any, tmp_path: Path
) -> None:
    """And is solved by a minion, which gets its session."""
    with ThreadPoolExecutor(1, thread_name_prefix="asyncio_attack"):
        fleet = bench.fleet.Fleet(tmp_path, master={"trusted_networks": [], "handshake_rate_global": 4.0})
        fleet.master.start()
        try:
            fleet.wait_for_master()
            ports = attackers.Ports(fleet.request_port, fleet.publish_port)
            kinds = []
            for number in range(4):
                raw = attackers.Raw(ports.request, f"127.71.0.{number + 1}").greet()
                raw.send(attackers.handshake.Initiator(attackers.IdentityKey.generate(), "x").hello())
                kinds.append(raw.receive()[0])
                raw.close()
            hints = [attackers.handshake.parse_hint(frame) for frame in kinds if frame[4] == attackers.wire.BUSY]
            assert hints
            assert all(hint.bits >= 12 and hint.seed != bytes(16) for hint in hints)
            peer = attackers.Peer(ports, "solver", "127.71.0.9").open()
            assert peer.shake() == "pending"
            peer.close()
        finally:
            fleet.stop()


def test_b06_new_keys_fill_neither_the_list_nor_the_disk(attack: Any, attackers: Any, master: Any) -> None:
    found = attack(attackers.strangers, 2.0)
    assert found.get("pending", 0) > 0
    assert len(master.call("key.list")["pending"]) <= 1000


def test_b07_subscriptions_cost_little_and_receive_nothing(attack: Any, attackers: Any) -> None:
    found = attack(attackers.subscriptions, 1.0, 20_000)
    assert found["bytes_delivered"] == 0


@pytest.mark.parametrize(
    "name", ["tampered", "bombs", "heavy", "busy", "returns", "hoard", "replay", "revoked", "targets", "lines"]
)
def test_b08_to_b22_what_insiders_try_is_refused(name: str, attack: Any, bench: ModuleType, master: Any) -> None:
    master.insider(name, 1.5)
