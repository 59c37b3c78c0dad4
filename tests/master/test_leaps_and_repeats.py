"""Returns that come twice at once, masters that start again, clocks that leap (F17): nothing doubled, nothing lost."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from ctl.common import wire
from ctl.master import clock
from ctl.master.clock import Clock, Uptime
from ctl.master.jobs import JobIds

YEARS_NS = 10 * 365 * 86400 * 10**9
HOUR_NS = 3600 * 10**9


@pytest.fixture
def leap(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Move the wall clock: `leap(nanoseconds)`."""
    real = time.time_ns

    def move(by: int) -> None:
        monkeypatch.setattr("ctl.master.clock.time.time_ns", lambda: real() + by)

    return move


def test_a_return_that_comes_again_while_it_is_stored_is_confirmed_only_once_it_is(
    run_house: Any, eventually: Any, monkeypatch: Any
) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        jid = await house.start()
        store = house.master.desk.store
        held: list[Future[bool]] = []
        put: list[bytes] = []
        put_body = store.put_body

        def hold(*_: Any) -> Future[bool]:
            held.append(Future())
            return held[-1]

        def note(body: bytes) -> Any:
            digest = put_body(body)
            put.append(digest)
            return digest

        monkeypatch.setattr(store, "put_body", note)
        monkeypatch.setattr(store, "add_end", hold)
        both = [asyncio.ensure_future(peer.give(jid, "y" * 400_000)) for _ in range(2)]
        await eventually(lambda: len(put) == 2 and held)
        await asyncio.sleep(0.05)
        assert len(held) == 1
        assert not any(one.done() for one in both), "confirmed before it is on disk"
        held[0].set_result(True)
        await asyncio.gather(*both)

    run_house(scenario)


def test_a_body_that_no_end_names_is_removed(run_house: Any, eventually: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        jid = await house.start()
        await asyncio.gather(peer.give(jid, "y" * 400_000), peer.give(jid, "z" * 400_000))
        bodies = Path(house.master.config.data_dir) / "master" / "bodies"
        await eventually(lambda: len(list(bodies.glob("*/*"))) == 1)
        assert not list(bodies.glob("new-*"))

    run_house(scenario)


def test_a_job_without_a_queue_does_not_wait_for_a_master_that_starts_again(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        one, two = await house.join("one", "two")
        jid = await house.start(window=0.0)
        await one.give(jid)
        await house.restart()
        assert await house.states(jid) == {"one": "returned", "two": "not delivered"}
        again = await house.peer("two", identity=two.identity).join()
        assert (await again.ask("catch_up", offset=0))["jobs"] == []
        await again.give(jid, "it had it all the same")
        assert await house.states(jid) == {"one": "returned", "two": "returned"}

    run_house(scenario)


def test_a_job_is_known_as_running_once_it_has_begun(run_house: Any, eventually: Any) -> None:
    async def scenario(house: Any) -> None:
        one, two = await house.join("one", "two")
        jid = await house.start()
        one.tell("ack", jids=[jid], running=[jid])
        two.tell("ack", jids=[jid])  # as a minion of an earlier version says it
        marks = house.master.desk.joblog.active[jid].states
        await eventually(lambda: marks() == {"one": "running", "two": "acknowledged"})

    run_house(scenario)


def test_f17_a_window_is_over_in_time_though_the_clock_was_set_back_meanwhile(run_house: Any, leap: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        await house.leave(peer)
        await house.start(window=1.0)
        await asyncio.sleep(1.1)
        leap(-2 * HOUR_NS)
        await house.restart()
        again = await house.peer("web1", identity=peer.identity).join()
        assert (await again.ask("catch_up", offset=0))["jobs"] == []

    run_house(scenario)


def test_f17_a_clock_that_leaps_ten_years_makes_no_job_old(run_house: Any, leap: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        first = await house.start(window=60.0)
        await peer.give(first, "kept")
        second = await house.start(window=60.0)
        leap(YEARS_NS)
        assert await house.master.desk.joblog.expire(86400.0) == 0
        await house.restart()
        assert await house.master.desk.joblog.expire(86400.0) == 0
        assert await house.states(first) == {"web1": "returned"}
        again = await house.peer("web1", identity=peer.identity).join()
        assert [wire.unpack(body)["jid"] for _, body in (await again.ask("catch_up", offset=0))["jobs"]] == [second]
        leap(-YEARS_NS)
        third = await house.start()
        assert first < second < third

    run_house(scenario)


def test_f17_the_masters_clock_goes_on_whatever_the_machines_does(leap: Any) -> None:
    ours = Clock()
    ids = JobIds()
    seen, jids = [ours.now_ms()], []
    for by in (0, HOUR_NS, -HOUR_NS, YEARS_NS, -YEARS_NS, 0):
        leap(by)
        for _ in range(50):
            seen.append(ours.now_ms())
            jids.append(ids.next(seen[-1]))
    assert seen == sorted(seen)
    assert jids == sorted(set(jids))
    before = ours.now_ms()
    time.sleep(0.05)
    assert 40 <= ours.now_ms() - before < 1000, "it does not stand still until the machine's has caught up"


def test_uptime_tells_the_time_between_two_runs_of_one_boot_only() -> None:
    assert Uptime("a", 5000).since(Uptime("a", 1000)) == 4000
    assert Uptime("b", 5000).since(Uptime("a", 1000)) is None
    assert Uptime("", 5000).since(Uptime("", 1000)) is None
    one, other = clock.uptime(), clock.uptime()
    assert other.since(one) is not None
