"""Returners of users over a real fleet: synced, named by a job or by a minion's setting, harmless where they fail."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ctl.client import LocalClient
from ctl.common.errors import CtlError
from ctl.common.ipc_server import Peer
from ctl.common.wire import pack_payload
from ctl.master import clients

RunFleet = Callable[..., None]
NOBODY = 65534
FILE_RET = """
import json
import os


def __virtual__():
    return "file_ret"


def returner(ret):
    path = __opts__["file_ret.path"]
    with open(path + ".new", "w") as file:
        json.dump(ret, file)
    os.replace(path + ".new", path)
"""
BOOM = """
def returner(ret):
    ret["return"] = "changed"
    __context__["retcode"] = 9
    raise ValueError("no database")
"""
LATE = """
from ctl.common.context import current


def returner(ret):
    while ret["jid"] in [job["jid"] for job in current().daemon.running()]:
        pass
    __salt__["state.single"]("test.nop", name="x")
"""
QUIT = "import sys\n\n\ndef returner(ret):\n    sys.exit(7)\n"


def _plugins(fleet: Any) -> None:
    directory = fleet.root / "states" / "_returners"
    directory.mkdir(parents=True)
    for name, text in {"file_ret": FILE_RET, "boom": BOOM, "quit": QUIT}.items():
        (directory / f"{name}.py").write_text(text)


async def _run(fleet: Any, fun: str, arg: Sequence[Any] = (), ret: Any = "", **options: Any) -> Any:
    def work() -> Any:
        (fleet.root / "client").write_text(f"sock_dir: {fleet.socket.parents[1]}\n")
        with LocalClient(str(fleet.root / "client")) as client:
            return client.cmd("m1", fun, arg, timeout=20, ret=ret, full_return=True, **options)["m1"]

    return await fleet.in_thread(work)


async def _read(path: Path, eventually: Any) -> dict[str, Any]:
    await eventually(path.exists)
    return _content(path)


def _content(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_a_job_names_a_returner_and_it_gets_salts_shape(run_fleet: RunFleet, eventually: Any) -> None:
    async def scenario(fleet: Any) -> None:
        _plugins(fleet)
        path = fleet.root / "returned.json"
        await fleet.add("m1", **{"file_ret.path": str(path)})
        await fleet.connected()
        await fleet.publish("m1", "saltutil.sync_returners")
        found = await _run(fleet, "test.echo", ["hi"], ret="file_ret")
        assert found["ret"] == "hi"
        assert await _read(path, eventually) == {
            "jid": found["jid"],
            "id": "m1",
            "fun": "test.echo",
            "fun_args": ["hi"],
            "return": "hi",
            "retcode": 0,
            "success": True,
        }

    run_fleet(scenario, minions=0)


def test_the_minions_setting_names_returners_for_every_job(run_fleet: RunFleet, eventually: Any) -> None:
    async def scenario(fleet: Any) -> None:
        _plugins(fleet)
        path = fleet.root / "returned.json"
        allowed = ["saltutil.*", "test.*"]  # the master's choice of returners is not allowed, the minion's own is
        await fleet.add(
            "m1",
            **{"file_ret.path": str(path), "return": "file_ret", "allowed_functions": allowed, "log_level": "info"},
        )
        await fleet.connected()
        await fleet.publish("m1", "saltutil.sync_returners")
        await _run(fleet, "test.echo", kwarg={"text": "x", "password": "hunter2"}, secret=["text"])
        await eventually(lambda: path.exists() and json.loads(path.read_text())["fun"] == "test.echo")
        assert "hunter2" not in path.read_text()
        assert json.loads(path.read_text())["fun_args"] == [{"text": "**********", "password": "**********"}]

    run_fleet(scenario, minions=0)


def test_a_returner_that_fails_is_named_in_the_log_and_changes_nothing(
    run_fleet: RunFleet, eventually: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(fleet: Any) -> None:
        _plugins(fleet)
        path = fleet.root / "returned.json"
        await fleet.add("m1", **{"file_ret.path": str(path)})
        await fleet.connected()
        await fleet.publish("m1", "saltutil.sync_returners")
        caplog.clear()
        with caplog.at_level(logging.ERROR):
            found = await _run(fleet, "test.echo", ["hi"], ret=["absent", "boom", "quit", "file_ret"])
            assert (found["ret"], found["retcode"], found["success"]) == ("hi", 0, True)
            assert (await _read(path, eventually))["return"] == "hi"
        errors = [record.getMessage() for record in caplog.records]
        job = f"[job {found['jid']}] the returner"
        assert errors == [
            f"{job} absent was not called: 'absent.returner' is not available: there is no module 'absent'",
            f"{job} boom failed: ValueError: no database",
            f"{job} quit failed: SystemExit: 7",
        ]

    run_fleet(scenario, minions=0)


def test_a_returner_cannot_keep_the_turn_of_state_runs(
    run_fleet: RunFleet, eventually: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(fleet: Any) -> None:
        directory = fleet.root / "states" / "_returners"
        directory.mkdir(parents=True)
        (directory / "late.py").write_text(LATE)
        await fleet.add("m1")
        await fleet.connected()
        await fleet.publish("m1", "saltutil.sync_returners")
        await _run(fleet, "test.ping", ret="late")
        await eventually(lambda: "the returner late failed" in caplog.text)
        assert "the job has returned: it can run no more states" in caplog.text
        assert (await _run(fleet, "state.single", ["test.nop", "name=x"]))["success"]

    run_fleet(scenario, minions=0)


def test_what_a_minion_does_not_allow_its_master_is_no_returner(
    run_fleet: RunFleet, eventually: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(fleet: Any) -> None:
        _plugins(fleet)
        path = fleet.root / "returned.json"
        await fleet.add("m1", **{"file_ret.path": str(path), "allowed_functions": ["saltutil.*", "test.*"]})
        await fleet.connected()
        await fleet.publish("m1", "saltutil.sync_returners")
        await _run(fleet, "test.ping", ret="file_ret")
        await eventually(lambda: "file_ret was not called" in caplog.text)
        assert "allowed_functions" in caplog.text
        assert not path.exists()

    run_fleet(scenario, minions=0)


@pytest.mark.parametrize(
    ("functions", "ret", "code", "words"),
    [
        (["test.*"], ["file_ret"], "authorization", "with the returners file_ret"),
        (["*"], ["file_ret"], "", ""),
        (["test.*"], [], "", ""),
        (["*"], "file_ret", "job", "no arguments"),
        (["*"], ["x"] * 33, "job", "no arguments"),
        (["*"], [1], "job", "no arguments"),
    ],
)
def test_who_names_a_returner_needs_the_right_to_everything(
    run_fleet: RunFleet, functions: list[str], ret: Any, code: str, words: str
) -> None:
    """A returner is read from the payload, which the minion runs: not from what the request says beside it."""

    class Stream:
        async def send(self, kind: str, data: Any) -> None:
            """Hear of the job, and do nothing."""

    async def scenario(fleet: Any) -> None:
        payload = pack_payload({"fun": "test.ping", "arg": [], "kwarg": {}, "ret": ret})
        request = {"op": "publish", "tgt": "m1", "fun": "test.ping", "payload": payload, "window": 0.0}
        peer = Peer(NOBODY, NOBODY, 1, "someone", ())
        serve = clients.serve(fleet.master.desk, request, peer, Stream())  # type: ignore[arg-type]
        if not code:
            await serve
            return
        with pytest.raises(CtlError, match=words) as caught:
            await serve
        assert caught.value.code == code

    run_fleet(scenario, minions=1, publisher_acl={"someone": functions})
