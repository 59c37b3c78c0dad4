"""A scripted master, and what minions of these tests share: one fork helper and small configurations."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctl.common import handshake, publication, wire
from ctl.common.config import MinionConfig
from ctl.common.crypto import MASTER, IdentityKey, fingerprint
from ctl.common.session import HEAD, MasterSession, topic_session
from ctl.common.sockets import Publisher, Router
from ctl.minion.helper_process import Helper

HOST = "127.0.0.1"
SECOND_MS = 1000


@pytest.fixture(scope="session")
def helper() -> Iterator[Helper]:
    """One fork helper for every minion of these tests."""
    made = Helper.start()
    yield made
    made.close()


PROBE = """
import os, signal, subprocess, sys, time

__outputter__ = {"shaped": "txt"}


def ping():
    return True


def echo(*args, **kwargs):
    return {"args": list(args), "kwargs": kwargs}


def pid():
    return os.getpid()


def big(size: int):
    return "x" * size


def wait(path: str, seconds: float = 30.0):
    open(path, "w").write(str(os.getpid()))
    time.sleep(seconds)
    return "waited"


def spawn(path: str):
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    open(path, "w").write(str(child.pid))
    time.sleep(60)


def append(path: str):
    with open(path, "a") as file:
        file.write("x")


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def leave():
    sys.exit(3)


def fail():
    raise ValueError("no such thing")


def code(number: int):
    __context__["retcode"] = number
    return "done"


def shaped():
    return "text"


def pillar():
    return dict(__pillar__)


def parts():
    yield {"a": 1}
    yield {"b": 2}


def event():
    return __salt__["event.send"]("probe/there", {"n": 1})


def running():
    return __salt__["saltutil.running"]()


def prints():
    for _ in range(100000):
        print("x" * 100)
    return "printed"


def log():
    import logging

    logging.getLogger("probe").warning("from the child")
"""


@pytest.fixture(scope="session")
def probe_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a module of functions that do what tests need."""
    directory = tmp_path_factory.mktemp("modules")
    (directory / "probe.py").write_text(PROBE)
    return directory


@pytest.fixture
def make_config(tmp_path: Path, probe_dir: Path) -> Callable[..., MinionConfig]:
    """Make a minion's configuration below the test's directory."""

    def make(id: str = "m1", **settings: Any) -> MinionConfig:
        base = {
            "id": id,
            "root_dir": str(tmp_path / id),
            "config_dir": str(tmp_path / id / "etc"),
            "shutdown_seconds": 3,
            "reconnect_max": 0.5,
            "module_dirs": [str(probe_dir)],
        }
        return MinionConfig.from_mapping(base | settings)

    return make


async def until(condition: Callable[[], object], seconds: float = 10.0, what: str = "the condition") -> None:
    """Wait inside a loop until `condition()` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come true within {seconds} s")
        await asyncio.sleep(0.005)


class FakeMaster:
    """A master made of the protocol's own parts, which does what the test says.

    `accepts` decides M4's status; `answers` maps a method to what replies (a value, or a callable of its args);
    `log` is the job log; everything heard is in `heard`.
    """

    def __init__(self, identity: IdentityKey | None = None, port: int = 0, publish_port: int = 0) -> None:
        self.identity = identity or IdentityKey.generate()
        self.status = handshake.ACCEPTED
        self.params: dict[str, Any] = {}
        self.answers: dict[str, Any] = {}
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.log: list[tuple[int, dict[str, Any]]] = []
        self.silent: set[str] = set()
        self.handshakes = 0
        self.forget_frames = False
        self._sessions: dict[bytes, MasterSession] = {}
        self._half_open: dict[bytes, handshake.Responder] = {}
        self.fingerprint = fingerprint(MASTER, self.identity.public)
        self._publisher_packets = publication.Publisher(
            publication.Epoch.create(os.urandom, self.fingerprint), self.now_ms
        )
        self.slot = 3
        self._head_offset = 0
        self._jid = 0
        self.router = Router(HOST, port, self._on_frame)
        try:
            self.publisher = Publisher(HOST, publish_port, self._on_subscribe, lambda topic: None)
        except OSError:
            self.router.close()
            raise

    @property
    def address(self) -> str:
        return f"{HOST}:{self.router.port}"

    async def __aenter__(self) -> FakeMaster:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.router.close()
        self.publisher.close()

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    # -- what tests do

    def job(self, fun: str, *args: Any, publish: bool = True, **fields: Any) -> str:
        """Put a job into the log, and publish it; returns its jid."""
        self._jid += 1
        jid = f"2026010100000000{self._jid:04d}"
        payload = {"fun": fun, "arg": list(args), "kwarg": fields.pop("kwarg", {})}
        offset = fields.pop("log_off", self._head_offset + 1)
        body = {
            "v": 1,
            "jid": jid,
            "log_off": offset,
            "tgt": "*",
            "tgt_type": "glob",
            "delimiter": ":",
            "slots": publication.expected_slots([self.slot]),
            "epoch": self._publisher_packets.epoch.id,
            "expires_ms": self.now_ms() + 60 * SECOND_MS,
            "timeout": 0,
            "user": "root",
            "metadata": None,
            "progress": False,
            "payload": wire.pack_payload(payload),
        } | fields
        self._head_offset = offset
        self.log.append((offset, body))
        if publish:
            self.publish(body)
        else:
            self._publisher_packets.publish(offset, wire.pack(body))  # a packet that is lost
        return jid

    def publish(self, body: dict[str, Any]) -> None:
        self.send_packet(self._publisher_packets.publish(body["log_off"], wire.pack(body)))

    def heartbeat(self) -> None:
        self.send_packet(self._publisher_packets.heartbeat(self._head_offset))

    def send_packet(self, packet: bytes) -> None:
        self.publisher.send(publication.TOPIC, packet)

    def rotate(self) -> None:
        self._publisher_packets.rotate(publication.Epoch.create(os.urandom, self.fingerprint))

    def forget_sessions(self) -> None:
        self._sessions.clear()

    def calls(self, method: str) -> list[dict[str, Any]]:
        return [args for name, args in self.heard if name == method]

    def returns(self) -> dict[str, dict[str, Any]]:
        return {args["jid"]: args for args in self.calls("return")}

    def value(self, jid: str) -> Any:
        return wire.unpack_payload(self.returns()[jid]["payload"])

    async def wait_return(self, jid: str, seconds: float = 10.0) -> dict[str, Any]:
        await until(lambda: jid in self.returns(), seconds, f"the return of {jid}")
        return self.returns()[jid]

    # -- the protocol

    def _on_frame(self, routing_id: bytes, frame: bytes, _address: str) -> None:
        if self.forget_frames:
            return
        kind = wire.frame_type(frame)
        if kind == wire.HELLO:
            responder = handshake.Responder(self.identity, now_ms=self.now_ms)
            answer = responder.hello(frame)
            self._half_open[responder.hsid] = responder
            self.router.send(routing_id, answer)
        elif kind == wire.AUTH:
            self._auth(routing_id, frame)
        elif kind == wire.REQUEST:
            self._request(routing_id, frame)

    def _auth(self, routing_id: bytes, frame: bytes) -> None:
        responder = self._half_open.pop(handshake.handshake_id(frame))
        self.claim = responder.auth(frame)
        self.handshakes += 1
        self.hsid, self.routing_id = responder.hsid, routing_id
        accepted = self.status == handshake.ACCEPTED
        reads = accepted and self.claim.kind == handshake.AGENT
        group = self._publisher_packets.group(self.slot, self._head_offset) if reads else None
        params = {"publish_port": self.publisher.port} | self.params
        answer, keys = responder.result(self.status, params, group)
        if keys is not None:
            self._sessions[keys.sid] = MasterSession(keys)
        self.router.send(routing_id, answer)

    def _request(self, routing_id: bytes, frame: bytes) -> None:
        session = self._sessions.get(wire.session_id(frame))
        if session is None:
            hint = handshake.NoSession(wire.session_id(frame))
            self.router.send(routing_id, handshake.encode_hint(hint))
            return
        request = session.open_request(frame)
        self.heard.append((request.method, request.args))
        if request.method in self.silent or request.method in ("ack", "progress", "goodbye"):
            return
        code, body = self._answer(request.method, request.args)
        self.router.send(routing_id, session.reply(request.ctr, code, body))

    def _answer(self, method: str, args: dict[str, Any]) -> tuple[int | str, Any]:
        if method in self.answers:
            found = self.answers[method]
            found = found(args) if callable(found) else found
            if isinstance(found, Exception):
                return getattr(found, "code", "error"), {"name": type(found).__name__, "message": str(found)}
            return 0, found
        if method == "keepalive":
            return 0, {"t_master_ms": self.now_ms()}
        if method == "catch_up":
            missed = [(off, body) for off, body in self.log if off > args["offset"]]
            live = [
                [off, wire.pack(body | {"slots": b""})] for off, body in missed if body["expires_ms"] > self.now_ms()
            ]
            return 0, {"jobs": live, "head": self._head_offset, "more": False}
        if method == "group_get":
            return 0, self._publisher_packets.group(self.slot, self._head_offset)
        if method == "pillar":
            return 0, {"payload": wire.pack_payload({"role": "web"})}
        return 0, {"stored": True}

    def _on_subscribe(self, topic: bytes) -> None:
        session = self._sessions.get(topic_session(topic) or b"")
        if session is None or not session.check_topic(topic):
            return
        self.publisher.attach(publication.TOPIC, topic)
        state = [self._publisher_packets.epoch.id, self._publisher_packets.seq, self._head_offset]
        self.publisher.send(topic, session.push(HEAD, state))
