"""The fork helper: real processes, their ends, their signals, and that nothing survives the daemon."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ctl.common.config import MinionConfig
from ctl.common.extmods import load_directories
from ctl.common.wire import pack_payload, unpack_payload
from ctl.minion.helper import descendants
from ctl.minion.helper_process import Generations, Helper
from ctl.minion.process import Process

from .conftest import until

Make = Callable[..., MinionConfig]


def _message(config: MinionConfig, fun: str, *args: Any) -> dict[str, Any]:
    return {
        "kind": "job",
        "jid": "1",
        "user": "",
        "id": config.id,
        "payload": pack_payload({"fun": fun, "arg": list(args), "kwarg": {}}),
        "config": pack_payload(config.raw),
        "grains": pack_payload({}),
        "plugin_dirs": load_directories(config.raw),
        "file_cache": str(config.cachedir),
        "return_max": 1_000_000,
        "log_level": 30,
    }


def _start(helper: Helper, message: dict[str, Any] | None) -> Process:
    process = Process(helper, 1_000_000)
    if message is not None:
        process.begin(message, lambda *_: None, lambda *_: None)
    return process


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_children_have_a_session_of_their_own_and_no_daemons_descriptors(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        helper.attach()
        process = _start(helper, None)
        await until(lambda: process.pid)
        await until(lambda: os.getsid(process.pid) == process.pid, what="a session of its own")
        assert psutil.Process(process.pid).ppid() == helper.pid
        links = {os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{process.pid}/fd")}
        assert len([link for link in links if link.startswith("socket:")]) == 1
        process.abandon()
        await until(lambda: _gone(process.pid))
        helper.detach()

    asyncio.run(main())


def test_many_at_once_each_get_their_own_result(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        helper.attach()
        config = make_config()
        processes = [_start(helper, _message(config, "probe.echo", number)) for number in range(40)]
        ended = await asyncio.gather(*(process.ended for process in processes))
        assert [unpack_payload(end.result.payload)["args"] for end in ended if end.result] == [[n] for n in range(40)]
        helper.detach()

    asyncio.run(main())


def test_a_helper_that_is_killed_takes_its_children_along_and_another_starts(make_config: Make, tmp_path: Path) -> None:
    async def main() -> None:
        generations = Generations()
        generations.start()
        config = make_config()
        process = _start(generations.current, _message(config, "probe.wait", str(tmp_path / "pid")))
        await until((tmp_path / "pid").exists)
        os.kill(generations.current.pid, signal.SIGKILL)
        assert "lost" in (await process.ended).reason
        await until(lambda: _gone(process.pid))
        again = await _start(generations.current, _message(config, "probe.ping")).ended
        assert again.result is not None
        generations.close()

    asyncio.run(main())


def test_an_old_helper_ends_with_its_last_job(make_config: Make, tmp_path: Path) -> None:
    async def main() -> None:
        generations = Generations()
        generations.start()
        old = generations.current
        config = make_config()
        slow = _start(old, _message(config, "probe.wait", str(tmp_path / "pid"), 1.0))
        await until((tmp_path / "pid").exists)
        generations.renew()
        assert generations.current.pid != old.pid
        quick = await _start(generations.current, _message(config, "probe.ping")).ended
        assert quick.result is not None
        assert not old.gone
        ended = await slow.ended
        assert ended.result is not None
        await until(lambda: old.gone, what="the end of the old helper")
        generations.close()

    asyncio.run(main())


def test_it_learns_what_jobs_use_and_no_users_plugin(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        helper.attach()
        helper.learn("probe.ping")
        helper.learn("environ.get")
        result = await _start(helper, _message(make_config(), "probe.echo")).ended
        assert result.result is not None
        helper.detach()

    asyncio.run(main())


DAEMON = """
import asyncio, sys
from ctl.common.config import MinionConfig
from ctl.minion.daemon import Minion

async def main():
    config = MinionConfig.from_mapping({"id": "m1", "root_dir": sys.argv[1], "master": ["127.0.0.1:1"]})
    minion = Minion(config)
    await minion.start()
    await minion.grains()
    print(minion._helpers.current.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_the_helper_ends_with_a_daemon_that_is_killed(tmp_path: Path) -> None:
    daemon = subprocess.Popen([sys.executable, "-c", DAEMON, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with daemon:
        assert daemon.stdout is not None
        pid = int(daemon.stdout.readline())
        below = descendants(daemon.pid)
        daemon.kill()
        assert pid in below
        asyncio.run(until(lambda: _gone(pid), what="the end of the helper"))


def test_a_socket_is_closed_where_the_helper_is_gone() -> None:
    async def main() -> None:
        helper = Helper.start()
        helper.attach()
        os.kill(helper.pid, signal.SIGKILL)
        await until(lambda: helper.gone)
        ours, theirs = socket.socketpair()
        told: list[int | None] = []
        helper.fork(theirs, lambda pid: None, told.append)
        assert told == [None]
        assert theirs.fileno() == -1
        ours.close()
        helper.detach()
        helper.close()

    asyncio.run(main())


def test_one_helper_serves_one_loop_at_a_time(helper: Helper) -> None:
    async def other() -> None:
        with pytest.raises(RuntimeError, match="another event loop"):
            helper.attach()

    async def main() -> None:
        helper.attach()
        await asyncio.to_thread(asyncio.run, other())
        helper.detach()

    asyncio.run(main())
