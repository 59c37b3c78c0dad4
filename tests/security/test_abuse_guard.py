"""The transport guard on real sockets: puzzles, sockets that are opened anew, a library that tells no connections."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from ctl.common import sockets
from ctl.common.config import MasterConfig
from ctl.master import daemon
from ctl.master.guard_loop import RECYCLE_PAUSE_SECONDS, GuardLoop

RunFleet = Callable[..., None]


async def _pings(fleet: Any) -> bool:
    published = await fleet.publish("*", "test.ping")
    return bool(published.returns == {"m1": True})


def test_a_minion_solves_the_puzzle_of_a_busy_master(run_fleet: RunFleet, lines: Any) -> None:
    """With so low a rate nothing is free: without a solution there would be no session."""

    async def scenario(fleet: Any) -> None:
        assert await _pings(fleet)
        assert lines.about("they show no solved puzzle")

    run_fleet(scenario, trusted_networks=[], handshake_rate_global=1.0)


def test_sessions_survive_sockets_that_are_opened_anew(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        session = fleet.master.desk.sessions.agent("m1")
        await fleet.master._channel.reopen()
        await fleet.master.desk.publications.reopen()
        assert fleet.master.desk.presence.ids() == []
        await fleet.connected()
        assert fleet.master.desk.sessions.agent("m1") is session
        assert await _pings(fleet)

    run_fleet(scenario)


def test_a_library_that_tells_no_connections_is_lived_with(
    run_fleet: RunFleet, monkeypatch: pytest.MonkeyPatch, lines: Any
) -> None:
    monkeypatch.setattr(sockets, "tells_connections", lambda: False)

    async def scenario(fleet: Any) -> None:
        assert await _pings(fleet)
        assert lines.about("does not tell connections apart")

    run_fleet(scenario)


def test_this_library_tells_connections_and_is_new_enough() -> None:
    assert sockets.tells_connections()
    assert not sockets.is_old()


def test_an_old_library_is_warned_of(run_fleet: RunFleet, monkeypatch: pytest.MonkeyPatch, lines: Any) -> None:
    monkeypatch.setattr(sockets, "library_version", lambda: (4, 3, 4))
    assert "4.3.5 or newer" in sockets.describe_library()

    async def scenario(fleet: Any) -> None:
        assert lines.about("libzmq is too old", logging.WARNING, daemon.__name__)

    run_fleet(scenario)


def test_members_are_known_and_nothing_is_looked_at_while_nobody_else_is_here(
    run_fleet: RunFleet, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        (watcher,) = {fleet.master.desk.publications._guard}
        guard = watcher.guard
        await eventually(lambda: guard.unknown == 0)
        assert {connection.owner for connection in guard.everything()} == {"m1"}
        assert {connection.port for connection in guard.everything()} == {"request", "publish"}

    run_fleet(scenario)


def test_memory_over_its_budget_opens_the_sockets_anew_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        memory = [100 * 2**20]
        config = MasterConfig.from_mapping({"memory_budget": 200})
        loop = GuardLoop(config, descriptors=1000, blind=True, memory=lambda: memory[0])
        reopened: list[str] = []

        async def reopen() -> None:
            reopened.append("socket")

        loop.attach(lambda: 1, reopen)
        await loop._look(1.0)
        memory[0] = 300 * 2**20
        await loop._look(2.0)
        await loop._look(2.4)
        assert reopened == []  # it may be a moment's
        await loop._look(2.6)
        assert reopened == ["socket"]
        for now in range(3, int(RECYCLE_PAUSE_SECONDS)):
            await loop._look(float(now))
        assert reopened == ["socket"]

    asyncio.run(scenario())
    assert "the sockets are opened anew" in caplog.text
