"""Minions and masters that go away: every job ends in a stated way, and runs at most once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

RunFleet = Callable[..., None]


def test_who_is_down_is_named_at_once_and_runs_the_job_when_back(run_fleet: RunFleet, eventually: Any) -> None:
    async def scenario(fleet: Any) -> None:
        await fleet.drop("m2")
        await eventually(lambda: "m2" not in fleet.master.desk.presence)
        loop = asyncio.get_running_loop()
        started = loop.time()
        found = await fleet.publish("*", "test.ping")
        assert loop.time() - started < 2.0
        assert found.returns == {"m1": True}
        assert found.absent == {"m2": "Not connected"}
        await fleet.add("m2")
        await fleet.connected()
        await eventually(lambda: found.jid not in fleet.master.desk.joblog.active)
        assert await fleet.run("jobs.lookup_jid", found.jid) == {"m1": True, "m2": True}

    run_fleet(scenario, minions=2)


def test_waiting_for_a_minion_that_is_down_brings_its_return(run_fleet: RunFleet, eventually: Any) -> None:
    async def scenario(fleet: Any) -> None:
        await fleet.drop("m1")
        await eventually(lambda: "m1" not in fleet.master.desk.presence)
        asked = asyncio.ensure_future(fleet.publish("m1", "test.ping", wait=True))
        await asyncio.sleep(0.2)
        await fleet.add("m1")
        assert (await asked).returns == {"m1": True}

    run_fleet(scenario)


def test_a_job_without_a_queue_does_not_wait_for_who_is_down(run_fleet: RunFleet, eventually: Any) -> None:
    async def scenario(fleet: Any) -> None:
        await fleet.drop("m1")
        await eventually(lambda: "m1" not in fleet.master.desk.presence)
        found = await fleet.publish("m1", "test.ping", window=0.0)
        await fleet.add("m1")
        await fleet.connected()
        assert (await fleet.publish("m1", "test.ping")).returns == {"m1": True}
        assert (await fleet.call("job.get", jid=found.jid))["states"] == {"m1": "not delivered"}

    run_fleet(scenario)


def test_a_master_that_restarts_gets_the_return_of_a_job_that_ran_meanwhile(
    run_fleet: RunFleet, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        asked = asyncio.ensure_future(fleet.publish("*", "test.sleep", 2))
        await eventually(lambda: any(job.marks for job in fleet.master.desk.joblog.active.values()))
        (jid,) = fleet.master.desk.joblog.active
        await fleet.restart_master()
        with pytest.raises(Exception, match="closed"):
            await asked
        await fleet.connected()
        await eventually(lambda: jid not in fleet.master.desk.joblog.active, 20.0)
        assert await fleet.run("jobs.lookup_jid", jid) == {"m1": True}
        assert (await fleet.publish("*", "test.ping")).returns == {"m1": True}

    run_fleet(scenario)


def test_a_running_job_is_waited_for_without_a_timeout(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        found = await fleet.publish("*", "test.sleep", 2, timeout=0.5)
        assert found.returns == {"m1": True}

    run_fleet(scenario)


def test_the_time_that_a_client_waits_can_be_limited(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        found = await fleet.publish("*", "test.sleep", 3, max_time=0.5)
        assert found.absent == {"m1": "Still running"}
        states = (await fleet.call("job.get", jid=found.jid))["states"]
        assert states["m1"] in ("acknowledged", "running")

    run_fleet(scenario)


def test_a_new_epoch_while_jobs_are_published_loses_nothing(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        async def publish(number: int) -> Any:
            await asyncio.sleep(number * 0.01)
            if number % 5 == 0:
                fleet.master.desk.publications.rotate()
            return await fleet.publish("*", "test.echo", str(number), timeout=10.0)

        found = await asyncio.gather(*(publish(number) for number in range(20)))
        assert [one.returns for one in found] == [{"m1": str(number), "m2": str(number)} for number in range(20)]

    run_fleet(scenario, minions=2)
