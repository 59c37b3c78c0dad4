"""A minion against a scripted master: its jobs, from publication to confirmed return."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ctl.common import wire
from ctl.common.config import MinionConfig
from ctl.common.errors import ConfigError
from ctl.minion.daemon import Minion
from ctl.minion.helper_process import Helper

from .conftest import FakeMaster, until

Make = Callable[..., MinionConfig]
Scenario = Callable[[FakeMaster, Minion], Awaitable[None]]
Run = Callable[..., None]


@pytest.fixture
def run(make_config: Make, helper: Helper) -> Run:
    """Run a scenario with a master and one connected minion."""

    def run(scenario: Scenario, **settings: Any) -> None:
        async def main() -> None:
            async with FakeMaster() as master:
                config = make_config(master=[master.address], **settings)
                async with Minion(config, helper) as minion:
                    await asyncio.wait_for(minion.connected.wait(), 10)
                    await scenario(master, minion)

        asyncio.run(main())

    return run


async def _read(path: Path) -> str:
    await until(lambda: path.exists() and path.read_text(), 10, f"{path} to be written")
    return await asyncio.to_thread(path.read_text)


def test_a_ping_runs_in_a_child_and_returns(run: Run) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        jid = master.job("probe.ping")
        answer = await master.wait_return(jid)
        assert master.value(jid) is True
        assert (answer["retcode"], answer["success"], answer["state"]) == (0, True, "returned")
        jid = master.job("probe.pid")
        await master.wait_return(jid)
        assert master.value(jid) != os.getpid()

    run(scenario)


def test_it_registers_with_its_grains(run: Run) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        registered = master.calls("register")[0]
        assert wire.unpack_payload(registered["grains"])["id"] == "m1"
        assert registered["versions"]["protocol"] == 1
        assert master.claim.id == "m1"

    run(scenario)


def test_arguments_arrive_positional_and_named(run: Run) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        jid = master.job("probe.echo", 1, "two", {"__kwarg__": True, "late": 1}, kwarg={"key": [3]})
        await master.wait_return(jid)
        assert master.value(jid) == {"args": [1, "two"], "kwargs": {"key": [3], "late": 1}}

    run(scenario)


@pytest.mark.parametrize(
    ("fun", "args", "retcode", "part"),
    [
        ("probe.fail", [], 1, "ERROR: probe.fail raised ValueError: no such thing ("),
        ("probe.leave", [], 1, "ERROR: probe.leave raised SystemExit: 3"),
        ("probe.code", [7], 7, "done"),
        ("probe.ping", [1], 1, "ERROR: probe.ping"),
        ("probe.pong", [], 255, "'probe.pong' is not available"),
        ("nothing.here", [], 255, "'nothing.here' is not available"),
    ],
)
def test_a_function_that_fails_says_why(run: Run, fun: str, args: list[Any], retcode: int, part: str) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        jid = master.job(fun, *args)
        answer = await master.wait_return(jid)
        assert (answer["retcode"], answer["success"], answer["state"]) == (retcode, False, "returned")
        assert part in master.value(jid)

    run(scenario)


def test_several_functions_in_one_job(run: Run) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        payload = {"fun": ["probe.ping", "probe.code"], "arg": [[], [3]], "kwarg": {}}
        jid = master.job("", payload=wire.pack_payload(payload))
        answer = await master.wait_return(jid)
        assert master.value(jid) == {"probe.ping": True, "probe.code": "done"}
        assert (answer["retcode"], answer["fun"]) == (3, "probe.ping,probe.code")

    run(scenario)


def test_the_outputter_of_a_module_goes_with_the_return(run: Run) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        assert (await master.wait_return(master.job("probe.shaped")))["out"] == "txt"
        jid = master.job("probe.parts")
        await master.wait_return(jid)
        assert master.value(jid) == {"a": 1, "b": 2}

    run(scenario)


def test_a_crash_of_the_process_is_a_failed_return(run: Run) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        jid = master.job("probe.crash")
        answer = await master.wait_return(jid)
        assert (answer["state"], answer["success"]) == ("failed", False)
        assert "SIGSEGV" in answer["reason"]
        await master.wait_return(master.job("probe.ping"))

    run(scenario)


def test_a_job_past_its_timeout_is_ended_with_all_it_started(run: Run, tmp_path: Path) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        jid = master.job("probe.spawn", str(tmp_path / "pid"), timeout=0.5)
        answer = await master.wait_return(jid)
        assert (answer["state"], answer["retcode"]) == ("failed", 1)
        assert "timeout of 0.5 s" in master.value(jid)
        grandchild = int(await _read(tmp_path / "pid"))
        await until(lambda: not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == "zombie")

    run(scenario)


def test_kill_job_ends_a_job(run: Run, tmp_path: Path) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        victim = master.job("probe.wait", str(tmp_path / "pid"))
        await _read(tmp_path / "pid")
        jid = master.job("probe.running")
        await master.wait_return(jid)
        assert [(job["jid"], job["fun"]) for job in master.value(jid)] == [(victim, "probe.wait")]
        jid = master.job("saltutil.kill_job", victim)
        await master.wait_return(jid)
        assert f"Signal 9 sent to job {victim}" in master.value(jid)
        assert "SIGKILL" in (await master.wait_return(victim))["reason"]

    run(scenario)


def test_a_kill_from_outside_is_told(run: Run, tmp_path: Path) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        jid = master.job("probe.wait", str(tmp_path / "pid"))
        os.kill(int(await _read(tmp_path / "pid")), signal.SIGKILL)
        answer = await master.wait_return(jid)
        assert (answer["state"], answer["success"]) == ("failed", False)
        assert "killed by SIGKILL" in answer["reason"]

    run(scenario)


def test_large_returns_go_in_chunks_and_too_large_ones_are_cut(run: Run) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        master.answers["return_chunk"] = lambda args: {"received": args["offset"] + len(args["data"])}
        jid = master.job("probe.big", 3_000_000)
        answer = await master.wait_return(jid)
        chunks = sorted(master.calls("return_chunk"), key=lambda chunk: chunk["offset"])
        data = b"".join(chunk["data"] for chunk in chunks)
        assert (answer["payload"], answer["size"], answer["truncated"]) == (b"", len(data), False)
        assert wire.unpack_payload(data) == "x" * 3_000_000
        master.heard.clear()
        jid = master.job("probe.big", 5_000_000)
        answer = await master.wait_return(jid)
        assert (answer["truncated"], answer["success"]) == (True, False)
        data = b"".join(chunk["data"] for chunk in sorted(master.calls("return_chunk"), key=lambda c: c["offset"]))
        assert "return_max_bytes is 4000000" in wire.unpack_payload(data)

    run(scenario, return_max_bytes=4_000_000)


def test_what_a_job_prints_harms_nobody_and_what_it_logs_is_kept(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        jid = master.job("probe.prints")
        await master.wait_return(jid)
        assert master.value(jid) == "printed"
        jid = master.job("probe.log")
        await master.wait_return(jid)
        assert f"[job {jid}] from the child" in caplog.text

    run(scenario)


def test_pillar_comes_from_memory_until_it_is_refreshed(run: Run) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        for _ in range(3):
            jid = master.job("probe.pillar")
            await master.wait_return(jid)
            assert master.value(jid) == {"role": "web"}
        assert len(master.calls("pillar")) == 1
        master.answers["pillar"] = {"payload": wire.pack_payload({"role": "db"})}
        await master.wait_return(master.job("saltutil.refresh_pillar"))
        jid = master.job("probe.pillar")
        await master.wait_return(jid)
        assert master.value(jid) == {"role": "db"}

    run(scenario)


def test_a_large_pillar_comes_in_chunks(run: Run) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        await until(lambda: master.calls("pillar"), what="the first pillar")
        data = wire.pack_payload({"blob": "y" * 1_500_000})
        master.answers["pillar"] = {"handle": b"h", "size": len(data)}
        master.answers["pillar_chunk"] = lambda args: {"data": data[args["offset"] :][: args["length"]]}
        await master.wait_return(master.job("saltutil.refresh_pillar"))
        jid = master.job("probe.pillar")
        await until(lambda: jid in master.returns() or master.calls("return_chunk"))
        assert len(master.calls("pillar_chunk")) == 3

    run(scenario)


def test_an_event_of_a_job_reaches_the_master(run: Run) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        jid = master.job("probe.event")
        await master.wait_return(jid)
        assert master.value(jid) is True
        sent = master.calls("event")[0]
        assert (sent["tag"], wire.unpack_payload(sent["data"])) == ("probe/there", {"n": 1})

    run(scenario)


def test_a_slow_job_is_acknowledged_before_it_returns_and_named_by_keepalives(run: Run, tmp_path: Path) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        jid = master.job("probe.wait", str(tmp_path / "pid"), 1.0)
        await until(lambda: any(jid in args["jids"] for args in master.calls("ack")), what="the acknowledgement")
        await until(lambda: any(jid in args["jids"] for args in master.calls("keepalive")), what="a keepalive")
        assert jid not in master.returns()
        await master.wait_return(jid)

    run(scenario, keepalive_seconds=0.2)


def test_more_jobs_than_may_run_at_once_wait(run: Run, tmp_path: Path) -> None:
    async def scenario(master: FakeMaster, minion: Minion) -> None:
        first = master.job("probe.wait", str(tmp_path / "one"), 0.5)
        second = master.job("probe.wait", str(tmp_path / "two"), 0.0)
        await _read(tmp_path / "one")
        assert not (tmp_path / "two").exists()
        assert [job["queued"] for job in minion.running()] == [False, True]
        await master.wait_return(first)
        await master.wait_return(second)

    run(scenario, process_count_max=1)


def test_a_stopped_minion_reports_its_jobs_interrupted(make_config: Make, helper: Helper, tmp_path: Path) -> None:
    async def main() -> None:
        async with FakeMaster() as master:
            config = make_config(master=[master.address], shutdown_seconds=1.6)
            async with Minion(config, helper) as minion:
                await asyncio.wait_for(minion.connected.wait(), 10)
                jid = master.job("probe.wait", str(tmp_path / "pid"))
                pid = int(await _read(tmp_path / "pid"))
            assert master.returns()[jid]["state"] == "interrupted"
            assert master.calls("goodbye")
            await until(lambda: not psutil.pid_exists(pid), what="the end of the job's process")

    asyncio.run(main())


def test_a_second_minion_on_the_same_directory_is_refused(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        config = make_config(master=["127.0.0.1:1"])
        async with Minion(config, helper):
            with pytest.raises(ConfigError, match="another"):
                await Minion(config, helper).start()
        async with Minion(config, helper):
            pass  # the lock went with the first

    asyncio.run(main())
