"""Jobs on minions of a real fleet: ended by force, by time, by their minion's absence."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

RunFleet = Callable[..., None]

PROBE = """
import os, time


def wait(path, seconds=30):
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    time.sleep(seconds)
    return "waited"


def append(path):
    with open(path, "a") as file:
        file.write("x")
    return True


def big(size):
    return "x" * size
"""


async def _plant(fleet: Any) -> None:
    folder = fleet.root / "states" / "_modules"
    folder.mkdir(exist_ok=True)
    (folder / "probe.py").write_text(PROBE)
    await fleet.publish("*", "saltutil.sync_modules")


async def _written(path: Path, eventually: Any) -> str:
    await eventually(lambda: path.exists() and path.read_text())
    return await asyncio.to_thread(path.read_text)


def test_a_killed_process_is_a_failed_return_at_once(run_fleet: RunFleet, eventually: Any, tmp_path: Path) -> None:
    async def scenario(fleet: Any) -> None:
        await _plant(fleet)
        job = asyncio.ensure_future(fleet.publish("m1", "probe.wait", str(tmp_path / "pid")))
        os.kill(int(await _written(tmp_path / "pid", eventually)), signal.SIGKILL)
        found = await asyncio.wait_for(job, 5)
        envelope = found.envelopes["m1"]
        assert (envelope["state"], envelope["success"]) == ("failed", False)
        assert "killed by SIGKILL" in found.returns["m1"]

    run_fleet(scenario)


def test_kill_job_and_running(run_fleet: RunFleet, eventually: Any, tmp_path: Path) -> None:
    async def scenario(fleet: Any) -> None:
        await _plant(fleet)
        job = asyncio.ensure_future(fleet.publish("m1", "probe.wait", str(tmp_path / "pid")))
        await _written(tmp_path / "pid", eventually)
        (running,) = (await fleet.publish("m1", "saltutil.running")).returns["m1"]
        assert running["fun"] == "probe.wait"
        found = (await fleet.publish("m1", "saltutil.find_job", running["jid"])).returns["m1"]
        assert found["pid"] == running["pid"]
        await fleet.publish("m1", "saltutil.kill_job", running["jid"])
        assert (await asyncio.wait_for(job, 5)).envelopes["m1"]["state"] == "failed"
        assert (await fleet.publish("m1", "saltutil.running")).returns["m1"] == []

    run_fleet(scenario)


def test_a_timeout_of_the_job_ends_it(run_fleet: RunFleet, tmp_path: Path) -> None:
    async def scenario(fleet: Any) -> None:
        await _plant(fleet)
        found = await fleet.publish("m1", "probe.wait", str(tmp_path / "pid"), job_timeout=0.5)
        assert found.envelopes["m1"]["state"] == "failed"
        assert "timeout of 0.5 s" in found.returns["m1"]

    run_fleet(scenario)


def test_a_job_waits_for_a_minion_that_comes_back_and_runs_once(
    run_fleet: RunFleet, eventually: Any, tmp_path: Path
) -> None:
    async def scenario(fleet: Any) -> None:
        await _plant(fleet)
        await fleet.drop("m1")
        await eventually(lambda: "m1" not in fleet.master.desk.presence)
        target = tmp_path / "count"
        job = asyncio.ensure_future(fleet.publish("m1", "probe.append", str(target), wait=True))
        await asyncio.sleep(0.3)
        await fleet.add("m1")
        assert (await asyncio.wait_for(job, 20)).returns == {"m1": True}
        await fleet.drop("m1")
        await fleet.add("m1")
        await fleet.connected()
        await fleet.publish("m1", "test.ping")
        assert target.read_text() == "x"

    run_fleet(scenario)


def test_a_job_that_was_not_to_wait_never_runs_late(run_fleet: RunFleet, eventually: Any, tmp_path: Path) -> None:
    async def scenario(fleet: Any) -> None:
        await _plant(fleet)
        await fleet.drop("m1")
        await eventually(lambda: "m1" not in fleet.master.desk.presence)
        found = await fleet.publish("m1", "probe.append", str(tmp_path / "count"), window=0.0)
        assert "m1" in found.absent or "m1" in found.result["missing"]
        await fleet.add("m1")
        await fleet.connected()
        await fleet.publish("m1", "test.ping")
        assert not (tmp_path / "count").exists()

    run_fleet(scenario)


def test_a_job_outlives_a_restart_of_the_master(run_fleet: RunFleet, eventually: Any, tmp_path: Path) -> None:
    async def scenario(fleet: Any) -> None:
        await _plant(fleet)
        job = asyncio.ensure_future(fleet.publish("m1", "probe.wait", str(tmp_path / "pid"), 2))
        await _written(tmp_path / "pid", eventually)
        (jid,) = [running["jid"] for running in fleet.minions["m1"].running()]
        await fleet.restart_master()
        await asyncio.gather(job, return_exceptions=True)
        await fleet.connected()
        await eventually(lambda: not len(fleet.minions["m1"].outbox) and not fleet.minions["m1"].running())
        found = await fleet.run("jobs.lookup_jid", jid)
        assert "waited" in str(found)

    run_fleet(scenario)


def test_a_large_return_arrives_whole(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        await _plant(fleet)
        found = await fleet.publish("m1", "probe.big", 3_000_000)
        assert found.returns["m1"] == "x" * 3_000_000

    run_fleet(scenario)


def test_a_hundred_jobs_at_once_all_return(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        found = await asyncio.gather(*(fleet.publish("*", "test.echo", str(number)) for number in range(100)))
        assert [answer.returns for answer in found] == [{"m1": str(n), "m2": str(n)} for n in range(100)]

    run_fleet(scenario, minions=2)
