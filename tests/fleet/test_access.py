"""The clients' socket: who is at its other end decides, not what a request says; and nothing sent to it hurts."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest

from ctl.common import ipc, ipc_server
from ctl.common.errors import CtlError
from ctl.common.ipc_server import Peer
from ctl.common.wire import pack_payload
from ctl.master import acl, clients
from ctl.master.clients import OPERATIONS

RunFleet = Callable[..., None]
NOBODY = 65534

# Asks for everything, as somebody else: prints {operation: code of the error}. Imports come before root is given up.
STRANGER = """
import json, os, sys
from pathlib import Path
from ctl.common import ipc
from ctl.common.errors import CtlError
path, operations = Path(sys.argv[1]), json.loads(sys.argv[2])
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
answers = {}
with ipc.connect(path, timeout=10) as client:
    for operation in operations:
        lies = {"user": "root", "uid": 0, "match": "*", "tgt": "*", "fun": "test.ping", "payload": b"", "jid": "1" * 20}
        try:
            answers[operation] = repr(list(client.request(operation, **lies)))
        except CtlError as error:
            answers[operation] = error.code
print(json.dumps(answers))
"""


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user can reach, as members of the group ctl can reach /run/ctl."""
    directory = Path(tempfile.mkdtemp(prefix="ctl-access-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def raw(path: Path, data: bytes, seconds: float = 2.0) -> bytes:
    """Send bytes to the socket and return what comes until it is closed, or until nothing comes any more."""
    answer = b""
    with ipc.connect_socket(path) as sock:
        sock.settimeout(seconds)
        try:
            sock.sendall(data)
            while piece := sock.recv(65536):
                answer += piece
        except (TimeoutError, ConnectionError):
            pass
    return answer


def tracebacks(caplog: Any) -> list[str]:
    """Return what was logged with a traceback, or as an error."""
    return [record.getMessage() for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_user_may_do_nothing_whatever_a_request_says(run_fleet: RunFleet, open_directory: Path) -> None:
    async def scenario(fleet: Any) -> None:
        socket_path = fleet.socket
        socket_path.chmod(0o666)
        for directory in socket_path.relative_to(open_directory).parents:
            (open_directory / directory).chmod(0o755)
        command = [sys.executable, "-c", STRANGER, str(socket_path), json.dumps(sorted(OPERATIONS))]
        found = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30, cwd="/")
        assert found.returncode == 0, found.stderr
        assert json.loads(found.stdout) == dict.fromkeys(OPERATIONS, "authorization")
        assert fleet.master.desk.publications.published == 0
        assert (await fleet.call("ping"))["pid"] == os.getpid()

    run_fleet(scenario, minions=0, root_dir=str(open_directory))


def test_the_socket_and_its_directory_are_closed_to_others(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        assert fleet.socket.stat().st_mode & 0o777 == 0o660
        assert fleet.socket.parent.stat().st_mode & 0o007 == 0

    run_fleet(scenario, minions=0)


def test_every_operation_asks_the_one_door_first(run_fleet: RunFleet, monkeypatch: Any) -> None:
    """The operations themselves are never reached by who has no rights; with the door open, all of them are."""
    reached: list[str] = []

    def spy(name: str) -> Any:
        async def operation(*_: Any) -> str:
            reached.append(name)
            return name

        return operation

    monkeypatch.setattr(clients, "OPERATIONS", {name: spy(name) for name in OPERATIONS})
    stranger = Peer(NOBODY, NOBODY, 1, "root", ("root", "ctl"))

    async def scenario(fleet: Any) -> None:
        for name in OPERATIONS:
            with pytest.raises(CtlError) as caught:
                await clients.serve(fleet.master.desk, {"op": name, "user": "root"}, stranger, None)  # type: ignore[arg-type]
            assert caught.value.code == "authorization"
        assert reached == []
        monkeypatch.setattr(acl, "authorise", lambda principal, action: None)
        for name in OPERATIONS:
            await clients.serve(fleet.master.desk, {"op": name}, stranger, None)  # type: ignore[arg-type]
        assert reached == list(OPERATIONS)

    run_fleet(scenario, minions=0)


def test_what_is_no_operation_is_refused(run_fleet: RunFleet, caplog: Any) -> None:
    async def scenario(fleet: Any) -> None:
        for name in ("", "__class__", "key.accept.x", "KEY.LIST", "desk.keys", "p" * 10_000, "ping\0"):
            with pytest.raises(CtlError):
                await fleet.call(name)
        assert (await fleet.call("ping"))["version"]

    run_fleet(scenario, minions=0)
    assert tracebacks(caplog) == []


def _frame(value: bytes) -> bytes:
    return ipc.LENGTH.pack(len(value)) + value


BAD_FRAMES = {
    "longer than allowed": struct.pack("!I", 2**31),
    "a byte longer than allowed": struct.pack("!I", ipc.MAX_FRAME_BYTES + 1) + b"x" * 100,
    "empty": _frame(b""),
    "no msgpack": _frame(b"\xc1\xc1\xc1"),
    "cut short": _frame(msgpack.packb({"op": "ping"})[:-2]),
    "something after it": _frame(msgpack.packb({"op": "ping"}) + b"\xc0"),
    "a list": _frame(msgpack.packb(["ping"])),
    "no operation": _frame(msgpack.packb({"fun": "ping"})),
    "an operation that is no text": _frame(msgpack.packb({"op": 1})),
    "bytes as operation": _frame(msgpack.packb({"op": b"ping"})),
    "numbers as keys": _frame(msgpack.packb({"op": "ping", 1: 2})),
    "an extension": _frame(msgpack.packb({"op": "ping", "x": msgpack.ExtType(1, b"x")})),
    "a length that lies": _frame(b"\xdd\xff\xff\xff\xff"),
    "very deep": _frame(b"\x91" * 100_000 + b"\xc0"),
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "too many at once": _frame(msgpack.packb({"op": "ping"})) * 10_000,
}


@pytest.mark.parametrize("data", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_bad_frames_end_their_connection_and_nothing_else(run_fleet: RunFleet, caplog: Any, data: bytes) -> None:
    caplog.set_level(logging.INFO, "ctl")

    async def scenario(fleet: Any) -> None:
        await asyncio.to_thread(raw, fleet.socket, data)
        assert (await fleet.call("ping"))["pid"] == os.getpid()
        assert sum("was cut off" in record.getMessage() for record in caplog.records) <= 1

    run_fleet(scenario, minions=0)
    assert tracebacks(caplog) == []


def test_half_a_request_is_not_waited_for_for_ever(run_fleet: RunFleet, monkeypatch: Any) -> None:
    monkeypatch.setattr(ipc_server, "READ_TIMEOUT_SECONDS", 0.2)

    async def scenario(fleet: Any) -> None:
        for part in (b"\0", b"\0\0\0", struct.pack("!I", 100) + b"x"):
            assert await asyncio.to_thread(raw, fleet.socket, part, 5.0) == b""
        assert (await fleet.call("ping"))["pid"] == os.getpid()

    run_fleet(scenario, minions=0)


def test_a_client_that_goes_away_leaves_nothing(run_fleet: RunFleet, eventually: Any) -> None:
    async def scenario(fleet: Any) -> None:
        def begin_and_go() -> None:
            for op in ("events", "publish", "follow"):
                with ipc.connect_socket(fleet.socket) as sock:
                    payload = pack_payload({"fun": "test.sleep", "arg": [30], "kwarg": {}})
                    request = {"op": op, "tgt": "*", "fun": "test.sleep", "payload": payload, "follow": True}
                    sock.sendall(ipc.encode({**request, "jid": "1" * 20, "wait": True}))
                    sock.shutdown(socket.SHUT_WR)

        await asyncio.to_thread(begin_and_go)
        desk = fleet.master.desk
        await eventually(lambda: not desk.events._subscriptions and not desk.joblog._watchers)
        assert (await fleet.call("ping"))["pid"] == os.getpid()

    run_fleet(scenario, minions=0)


ODD_VALUES: list[Any] = [
    None, True, -1, 2**63, math.nan, math.inf, -math.inf, "", "x" * 5000, "\0", "((", b"", b"\xc1", [], [[]], [None],
    {}, {"a": {}},
]  # fmt: skip
FIELDS = {
    "publish": ("tgt", "tgt_type", "delimiter", "fun", "payload", "timeout", "window", "max_time", "job_timeout",
                "metadata", "request_id", "subset", "follow", "wait"),
    "targets": ("tgt", "tgt_type", "delimiter"),
    "follow": ("jid", "timeout", "max_time"),
    "returns": ("jid",),
    "events": ("tags",),
    "key.list": ("match",),
    "key.accept": ("match", "fingerprint", "include", "dry_run"),
    "key.reject": ("match", "fingerprint", "include", "dry_run"),
    "key.delete": ("match", "fingerprint", "include", "dry_run"),
    "key.print": ("match",),
    "key.finger": ("match",),
    "key.preseed": ("id", "public"),
    "job.active": ("jid",),
    "job.list": ("limit", "minion", "fun"),
    "job.get": ("jid",),
    "minion.status": ("tgt",),
    "cache.grains": ("tgt", "tgt_type", "delimiter"),
    "cache.pillar": ("tgt", "tgt_type", "delimiter"),
    "ping": ("op2",),
}  # fmt: skip


@pytest.mark.parametrize("operation", sorted(OPERATIONS.keys() - {"run"}))
def test_odd_arguments_are_refused_in_a_sentence(run_fleet: RunFleet, caplog: Any, operation: str) -> None:
    good = {
        "tgt": "somebody",
        "fun": "test.ping",
        "payload": pack_payload({"fun": "test.ping", "arg": [], "kwarg": {}}),
        "jid": "1" * 20,
        "match": "nobody",
        "id": "m1",
        "public": bytes(32),
        "limit": 1,
    }

    def ask(path: Path, name: str, value: Any) -> None:
        with ipc.connect_socket(path) as sock:
            sock.settimeout(0.05 if operation == "events" else 5)
            sock.sendall(ipc.encode({**good, "op": operation, name: value}))
            try:
                sock.recv(65536)
            except TimeoutError:
                assert operation == "events", f"{operation} does not answer {name}={value!r}"

    async def scenario(fleet: Any) -> None:
        await fleet.call("key.preseed", id="somebody", public=bytes(32))
        for name in FIELDS.get(operation, tuple(good)):
            for value in ODD_VALUES:
                await asyncio.to_thread(ask, fleet.socket, name, value)
        assert (await fleet.call("ping"))["pid"] == os.getpid()

    run_fleet(scenario, minions=0)
    assert tracebacks(caplog) == []
