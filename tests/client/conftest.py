"""A master that is none: it answers clients over a real Unix socket; its minions are functions in this process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from ctl.common.errors import NoMinions, TargetError
from ctl.common.ipc_server import Peer, Server, Stream
from ctl.common.payload import pack_payload, unpack_payload

START_SECONDS = 10.0
PART_BYTES = 1000


@dataclass
class Reply:
    """What a minion of the fake returns."""

    ret: Any = True
    retcode: int = 0
    success: bool = True
    out: str = ""
    delay: float = 0.0
    split: bool = False
    never: bool = False


Function = Callable[..., Any]


def _echo(text: Any = "") -> Any:
    return text


@dataclass
class FakeMaster:
    """Serves the clients' operations. `minions` maps ids to whether they are connected."""

    directory: Path
    minions: dict[str, bool] = field(default_factory=lambda: {"web1": True, "web2": True})
    functions: dict[str, Function] = field(default_factory=lambda: {"test.ping": lambda: True, "test.echo": _echo})
    runners: dict[str, Function] = field(default_factory=dict)
    keys: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"accepted": {}, "pending": {}, "rejected": {}, "denied": {}}
    )
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    jobs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    most_running: int = 0
    connections: set[int] = field(default_factory=set)

    reply = Reply  # what tests let functions return

    def __post_init__(self) -> None:
        self._jids = itertools.count(1)
        self._running = 0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def config(self) -> Path:
        """The configuration file that clients are given."""
        return self.directory / "etc" / "master"

    @property
    def socket(self) -> Path:
        return self.directory / "run" / "master" / "ctl.sock"

    def start(self) -> None:
        self.config.parent.mkdir(exist_ok=True)
        self.config.write_text(f"root_dir: {self.directory}\nsock_dir: {self.directory}/run\n")
        self._thread.start()
        assert self._started.wait(START_SECONDS)

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(START_SECONDS)
        assert not self._thread.is_alive()

    def of(self, op: str) -> list[dict[str, Any]]:
        """The requests for one operation."""
        return [request for request in self.requests if request["op"] == op]

    def published(self) -> list[dict[str, Any]]:
        """What was asked to be published: {fun, arg, kwarg} each."""
        return [unpack_payload(request["payload"]) for request in self.of("publish")]

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = Server(self.socket, self._handle)
        await server.start()
        self._started.set()
        await self._stop.wait()
        await server.close()

    async def _handle(self, request: dict[str, Any], peer: Peer, stream: Stream) -> Any:
        self.requests.append(request)
        self.connections.add(id(stream._connection))
        operation = getattr(self, "op_" + request["op"].replace(".", "_"))
        return await operation(request, stream)

    def _match(self, request: dict[str, Any]) -> list[str]:
        target, kind = request["tgt"], request["tgt_type"]
        if target == "(":
            raise TargetError("a parenthesis is not closed", expression="(", position=0)
        if kind == "list":
            wanted = target if isinstance(target, list) else target.split(",")
            return [minion for minion in self.minions if minion in wanted]
        return [minion for minion in self.minions if fnmatchcase(minion, target)]

    # -- operations

    async def op_ping(self, request: dict[str, Any], stream: Stream) -> Any:
        return {"version": "0", "fingerprint": "MASTERFP", "pid": 1}

    async def op_targets(self, request: dict[str, Any], stream: Stream) -> Any:
        return {"minions": [[minion, self.minions[minion]] for minion in self._match(request)]}

    async def op_publish(self, request: dict[str, Any], stream: Stream) -> Any:
        minions = self._match(request)[: request["subset"] or None]
        if not minions:
            raise NoMinions("no minion matches the target")
        jid = f"2024010100000000{next(self._jids):04d}"
        self.jobs[jid] = []
        job = {"jid": jid, "minions": [[minion, self.minions[minion]] for minion in minions]}
        await stream.send("job", job)
        if not request["follow"]:
            return {"jid": jid, "minions": minions, "returned": [], "missing": {}}
        missing = {}
        for minion in minions:
            if not self.minions[minion]:
                missing[minion] = "Not connected"
                await stream.send("absent", {"id": minion, "reason": "Not connected", "state": "sent"})
        present = [minion for minion in minions if self.minions[minion]]
        async with asyncio.TaskGroup() as group:
            for minion in present:
                group.create_task(self._run_on(minion, jid, request, stream))
        return {"jid": jid, "minions": minions, "returned": present, "missing": missing}

    async def _run_on(self, minion: str, jid: str, request: dict[str, Any], stream: Stream) -> None:
        payload = unpack_payload(request["payload"])
        await stream.send("ack", {"id": minion})
        if request["progress"]:
            news = pack_payload({"name": "step one", "result": True})
            await stream.send("progress", {"id": minion, "kind": "state", "data": news})
        reply = self._call(minion, payload)
        self._running += 1
        self.most_running = max(self.most_running, self._running)
        await asyncio.sleep(3600 if reply.never else reply.delay)
        self._running -= 1
        await self._send_return(minion, jid, payload["fun"], reply, stream)

    def _call(self, minion: str, payload: dict[str, Any]) -> Reply:
        fun, args, kwargs = payload["fun"], payload["arg"], payload["kwarg"]
        if isinstance(fun, list):
            return Reply({name: self.functions[name](*group) for name, group in zip(fun, args, strict=True)})
        found = self.functions[fun](*args, **kwargs)
        if isinstance(found, dict) and minion in found:
            found = found[minion]
        return found if isinstance(found, Reply) else Reply(found)

    async def _send_return(self, minion: str, jid: str, fun: Any, reply: Reply, stream: Stream) -> None:
        payload = pack_payload(reply.ret)
        data = {
            "id": minion,
            "jid": jid,
            "fun": fun,
            "retcode": reply.retcode,
            "success": reply.success,
            "out": reply.out or None,
            "state": "returned",
            "reason": "",
            "truncated": False,
            "payload": payload,
            "size": len(payload),
        }
        self.jobs[jid].append(data)
        if not reply.split:
            await stream.send("return", data)
            return
        parts = [payload[i : i + PART_BYTES] for i in range(0, len(payload), PART_BYTES)]
        await stream.send("return", {**data, "payload": b"", "parts": len(parts)})
        for part in parts:
            await stream.send("part", {"id": minion, "data": part})

    async def op_follow(self, request: dict[str, Any], stream: Stream) -> Any:
        for data in self.jobs[request["jid"]]:
            await stream.send("return", data)
        return {"jid": request["jid"], "minions": [], "returned": [], "missing": {}}

    async def op_returns(self, request: dict[str, Any], stream: Stream) -> Any:
        for data in self.jobs[request["jid"]]:
            await stream.send("return", data)
        return {"jid": request["jid"], "minions": [], "states": {}}

    async def op_run(self, request: dict[str, Any], stream: Stream) -> Any:
        payload = unpack_payload(request["payload"])
        if not request["follow"]:
            return {"jid": "20240101000000000099"}
        await stream.send("progress", {"data": pack_payload({"step": 1})})
        reply = self.runners[request["fun"]](*payload["arg"], **payload["kwarg"])
        reply = reply if isinstance(reply, Reply) else Reply(reply)
        return {
            "jid": "20240101000000000099",
            "success": reply.success,
            "retcode": reply.retcode,
            "payload": pack_payload(reply.ret),
            "out": reply.out,
        }

    async def op_events(self, request: dict[str, Any], stream: Stream) -> Any:
        for tag, data in self.events:
            await stream.send("event", {"tag": tag, "data": pack_payload(data), "stamp": "2024-01-01T00:00:00"})
        while not stream.closed:
            await asyncio.sleep(0.01)

    async def op_key_list(self, request: dict[str, Any], stream: Stream) -> Any:
        return self.keys

    async def op_key_accept(self, request: dict[str, Any], stream: Stream) -> Any:
        rows = []
        for state in ["pending", *request["include"]]:
            for minion, found in list(self.keys[state].items()):
                fingerprint = found if isinstance(found, str) else found[0][0]
                if request.get("fingerprint", fingerprint) == fingerprint and fnmatchcase(
                    minion, request.get("match", "*")
                ):
                    rows.append([minion, fingerprint, state])
        if not request["dry_run"]:
            for minion, fingerprint, state in rows:
                del self.keys[state][minion]
                self.keys["accepted"][minion] = fingerprint
        return {"ids": rows}

    async def op_key_print(self, request: dict[str, Any], stream: Stream) -> Any:
        return {minion: f"PEM of\n{minion}\n" for minion in self.keys["accepted"]}


@pytest.fixture
def master(tmp_path: Path) -> Iterator[FakeMaster]:
    """A running fake master with two minions."""
    fake = FakeMaster(tmp_path)
    fake.start()
    with contextlib.closing(fake):
        yield fake
