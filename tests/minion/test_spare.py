"""The process that waits for the next job: it is there before the job, and never out of date."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import psutil

from ctl.common.config import MinionConfig
from ctl.common.extmods import load_directories
from ctl.common.wire import pack_payload, unpack_payload
from ctl.minion.helper_process import Generations, Helper
from ctl.minion.process import Ended, Process
from ctl.minion.spare import Spare

from .conftest import until

Make = Callable[..., MinionConfig]


@asynccontextmanager
async def _spare(helper: Helper | None = None) -> AsyncIterator[tuple[Spare, Generations]]:
    helpers = Generations(helper)
    helpers.start()
    spare = Spare(helpers, 1_000_000)
    try:
        yield spare, helpers
    finally:
        spare.close()
        helpers.close()


async def _standing_by(spare: Spare) -> Process:
    """Have a process stand by, and wait until it runs."""
    spare.prepare()
    process = spare._process
    assert process is not None
    await until(lambda: process.pid)
    return process


async def _run(process: Process, config: MinionConfig, fun: str) -> Ended:
    message: dict[str, Any] = {
        "kind": "job",
        "jid": "1",
        "user": "",
        "id": config.id,
        "payload": pack_payload({"fun": fun, "arg": [], "kwarg": {}}),
        "config": pack_payload(config.raw),
        "grains": pack_payload({}),
        "plugin_dirs": load_directories(config.raw),
        "file_cache": str(config.cachedir),
        "return_max": 1_000_000,
        "log_level": 30,
    }
    process.begin(message, lambda *_: None, lambda *_: None)
    return await process.ended


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_job_gets_the_process_that_was_there_before_it(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        async with _spare(helper) as (spare, _helpers):
            before = (await _standing_by(spare)).pid
            taken = spare.take()
            following = await _standing_by(spare)
            ended = await _run(taken, make_config(), "probe.pid")
            assert ended.result is not None
            assert unpack_payload(ended.result.payload) == before
            assert following.pid != before

    asyncio.run(main())


def test_each_job_has_a_process_of_its_own_when_many_come_at_once(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        async with _spare(helper) as (spare, _helpers):
            runs = []
            for _ in range(20):
                runs.append(_run(spare.take(), make_config(), "probe.pid"))
                spare.prepare()
            ended = await asyncio.gather(*runs)
            assert len({unpack_payload(end.result.payload) for end in ended if end.result}) == 20

    asyncio.run(main())


def test_what_the_helper_learns_the_next_process_knows(helper: Helper) -> None:
    async def main() -> None:
        async with _spare(helper) as (spare, _helpers):
            ignorant = await _standing_by(spare)
            helper.learn("timezone.get_zone")
            await until(lambda: helper.lessons > ignorant.lessons)
            await until(lambda: _gone(ignorant.pid))
            assert spare._process is not None
            assert spare._process.lessons == helper.lessons

    asyncio.run(main())


def test_an_old_helper_ends_though_a_process_stood_by() -> None:
    async def main() -> None:
        async with _spare() as (spare, helpers):
            old, stood_by = helpers.current, await _standing_by(spare)
            helpers.renew()
            await until(lambda: old.gone, what="the end of the old helper")
            assert _gone(stood_by.pid)
            assert spare.take().helper is helpers.current

    asyncio.run(main())


def test_one_that_was_killed_is_not_given_a_job(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        async with _spare(helper) as (spare, _helpers):
            killed = await _standing_by(spare)
            os.kill(killed.pid, signal.SIGKILL)
            await killed.ended
            ended = await _run(spare.take(), make_config(), "probe.ping")
            assert ended.result is not None

    asyncio.run(main())


def test_closing_ends_it_and_there_is_no_other(helper: Helper) -> None:
    async def main() -> None:
        async with _spare(helper) as (spare, _helpers):
            last = await _standing_by(spare)
        await until(lambda: _gone(last.pid))
        spare.prepare()
        assert spare._process is None

    asyncio.run(main())


def test_a_process_that_has_ended_does_not_hold_its_result_until_the_collector_runs(
    make_config: Make, helper: Helper
) -> None:
    async def ended(process: Process) -> weakref.ref[Process]:
        await _run(process, make_config(), "probe.ping")
        await until(lambda: process._exited)
        return weakref.ref(process)

    async def main() -> None:
        async with _spare(helper) as (spare, _helpers):
            assert (await ended(spare.take()))() is None

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()
