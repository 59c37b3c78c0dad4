"""A job for few minions goes to each of them alone: nobody else sees it, a lost one comes again, none runs twice."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.common.publication import TOPIC
from ctl.master import joblog
from ctl.minion.connection import Connection

RunFleet = Callable[..., None]
HEARTBEAT_BYTES = 128 + 16


@pytest.fixture
def arrived(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes, bytes]]:
    """What arrives on the publication sockets of minions, but for heartbeats: (minion, topic, packet)."""
    found: list[tuple[str, bytes, bytes]] = []
    take = Connection._on_packet

    def note(self: Connection, topic: bytes, packet: bytes) -> None:
        if topic != TOPIC or len(packet) > HEARTBEAT_BYTES:
            found.append((self._config.id, topic, packet))
        take(self, topic, packet)

    monkeypatch.setattr(Connection, "_on_packet", note)
    return found


def test_a_job_for_few_minions_reaches_nobody_else(run_fleet: RunFleet, arrived: Any) -> None:
    async def scenario(fleet: Any) -> None:
        arrived.clear()
        assert (await fleet.publish("m1", "test.echo", "a secret")).returns == {"m1": "a secret"}
        assert [name for name, _, _ in arrived] == ["m1"]
        assert fleet.master.desk.publications.published == 0

    run_fleet(scenario, minions=2)


def test_a_job_for_many_is_published_to_all(run_fleet: RunFleet, arrived: Any) -> None:
    async def scenario(fleet: Any) -> None:
        arrived.clear()
        found = await fleet.publish("m[12]", "test.ping")
        assert found.returns == {"m1": True, "m2": True}
        assert sorted((name, topic) for name, topic, _ in arrived) == [(f"m{n}", TOPIC) for n in (1, 2, 3)]

    run_fleet(scenario, minions=3, direct_minions=1)


def test_a_push_that_is_lost_comes_again_and_the_job_runs_once(
    run_fleet: RunFleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(joblog, "REPEAT_SECONDS", 0.1)
    mark = tmp_path / "mark"

    async def scenario(fleet: Any) -> None:
        socket = fleet.master.desk.publications._socket
        send = socket.send
        lost: list[bytes] = []

        def lossy(topic: bytes, packet: bytes) -> None:
            if topic == TOPIC or lost:
                send(topic, packet)
            else:
                lost.append(packet)

        monkeypatch.setattr(socket, "send", lossy)
        await fleet.publish("m1", "cmd.run", f"echo once >> {mark}")
        assert len(lost) == 1
        assert mark.read_text() == "once\n"

    run_fleet(scenario)


def test_a_job_that_is_pushed_twice_runs_once(run_fleet: RunFleet, tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    async def scenario(fleet: Any) -> None:
        found = await fleet.publish("m1", "cmd.run", f"echo once >> {mark}")
        job = await fleet.master.desk.joblog.load(found.jid)
        fleet.master.desk.publications.send_to(job.record, ["m1"])
        assert (await fleet.publish("m1", "test.ping")).returns == {"m1": True}
        assert mark.read_text() == "once\n"

    run_fleet(scenario)


def test_a_push_that_was_held_up_is_asked_for_anew(
    run_fleet: RunFleet, monkeypatch: pytest.MonkeyPatch, caplog: Any, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"

    async def scenario(fleet: Any) -> None:
        publications, now_ms = fleet.master.desk.publications, fleet.master.desk.now_ms
        monkeypatch.setattr(publications, "_now_ms", lambda: now_ms() - 31_000)
        await fleet.publish("m1", "cmd.run", f"echo once >> {mark}")
        assert mark.read_text() == "once\n"

    with caplog.at_level(logging.WARNING):
        run_fleet(scenario)
    assert sum("asking what is missing" in record.getMessage() for record in caplog.records) == 1
