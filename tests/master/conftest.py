"""A master in the test's own loop, and what is least of a minion: handshake, session, subscription."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ctl.common import handshake, ipc, publication, wire
from ctl.common.config import MasterConfig
from ctl.common.crypto import IdentityKey
from ctl.common.errors import WireError
from ctl.common.session import HEAD, JOB, MinionSession, Push, Reply
from ctl.common.sockets import Dealer, Heartbeat, Subscriber
from ctl.common.wire import pack_payload, unpack_payload
from ctl.master.daemon import Master

QUICK = Heartbeat(1.0, 3.0)


async def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until `condition()` is true."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, "it did not come true in time"
        await asyncio.sleep(0.005)


def settings_for(root: Path) -> dict[str, Any]:
    """Return the settings of a master below `root`, on free ports of loopback."""
    for name in ("states", "pillar"):
        (root / name).mkdir(exist_ok=True)
    return {
        "root_dir": str(root / "master"),
        "interface": "127.0.0.1",
        "ret_port": 0,
        "publish_port": 0,
        "auto_accept": True,
        "pending_per_source": 1000,
        "trusted_networks": ["127.0.0.0/8"],
        "publication_heartbeat_seconds": 0.5,
        "keepalive_seconds": 0.5,
        "file_roots": {"base": [str(root / "states")]},
        "pillar_roots": {"base": [str(root / "pillar")]},
    }


@dataclass(eq=False)
class Peer:
    """A minion by hand. What it receives is in lists; what it does, the test says."""

    master: Master
    id: str
    identity: IdentityKey = field(default_factory=IdentityKey.generate)
    kind: str = handshake.AGENT
    status: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    session: Any = None
    receiver: Any = None
    group: list[Any] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    pushes: list[Push] = field(default_factory=list)
    hints: list[Any] = field(default_factory=list)
    packets: list[bytes] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    dealer: Any = None
    subscriber: Any = None
    _handshake_frames: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)
    _waiting: dict[int, asyncio.Future[Reply]] = field(default_factory=dict)

    def open(self) -> None:
        self.dealer = Dealer("127.0.0.1", self.master.ret_port, self._on_frame, heartbeat=QUICK)

    def close(self) -> None:
        for sock in (self.dealer, self.subscriber):
            if sock is not None:
                sock.close()

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)
        self.dealer.send(frame)

    def _on_frame(self, frame: bytes) -> None:
        self.frames.append(frame)
        kind = wire.frame_type(frame)
        if kind in (wire.CHALLENGE, wire.RESULT):
            self._handshake_frames.put_nowait(frame)
        elif kind == wire.REPLY:
            reply = self.session.reply(frame)
            self._waiting.pop(reply.irt).set_result(reply)
        else:
            self.hints.append(handshake.parse_hint(frame))

    async def shake(self) -> str:
        """Shake hands; return the status."""
        initiator = handshake.Initiator(self.identity, self.id, self.kind)
        async with asyncio.timeout(10):
            self.send(initiator.hello())
            self.send(initiator.challenge(await self._handshake_frames.get()))
            outcome = initiator.result(await self._handshake_frames.get())
        self.status, self.params = outcome.status, outcome.params
        if outcome.session_keys is not None:
            self.session = MinionSession(outcome.session_keys)
        if outcome.group is not None:
            self.adopt(outcome.group)
        return self.status

    def adopt(self, group: list[Any]) -> None:
        self.group = group
        if self.receiver is None:
            self.receiver = publication.Receiver(group, self.master.fingerprint)
        else:
            self.receiver.adopt(group)

    async def subscribe(self, *topics: bytes) -> None:
        """Subscribe, and wait for the push HEAD."""
        self.subscriber = Subscriber("127.0.0.1", self.master.publish_port, self._on_packet, heartbeat=QUICK)
        for topic in topics or (publication.TOPIC, self.session.topic()):
            self.subscriber.subscribe(topic)
        if not topics:
            await eventually(lambda: any(push.kind == HEAD for push in self.pushes))

    def _on_packet(self, topic: bytes, packet: bytes) -> None:
        self.packets.append(packet)
        if topic != publication.TOPIC:
            self._take(self.session.push(packet))
            return
        with contextlib.suppress(WireError):
            found = self.receiver.open(packet, self.master.desk.now_ms())
            if not found.heartbeat:
                body = wire.unpack(found.body)
                slot = self.group[5]
                if len(body["slots"]) * 8 > slot and body["slots"][slot // 8] >> slot % 8 & 1:
                    self.jobs.append(body)

    def _take(self, push: Push) -> None:
        self.pushes.append(push)
        if push.kind == JOB:
            body = wire.unpack(push.body[1])
            if all(body["jid"] != job["jid"] for job in self.jobs):  # one that is not acknowledged comes again
                self.jobs.append(body)

    async def ask(self, method: str, rid: bytes | None = None, **args: Any) -> Any:
        """Make a request; return the result, or raise `Refused` with the error's word."""
        frame, counter = self.session.request(method, args, rid)
        self._waiting[counter] = asyncio.get_running_loop().create_future()
        self.send(frame)
        async with asyncio.timeout(15):
            reply = await self._waiting[counter]
        if reply.code != 0:
            raise Refused(str(reply.code), reply.body)
        return reply.body

    def tell(self, method: str, **args: Any) -> None:
        """Send a request that has no reply."""
        frame, _ = self.session.request(method, args, one_way=True)
        self.send(frame)

    async def join(self, **grains: Any) -> Peer:
        """Go all the way to being connected."""
        self.open()
        assert await self.shake() == "accepted"
        await self.subscribe()
        await self.ask("register", grains=pack_payload({"id": self.id, **grains}), versions={})
        return self

    async def give(self, jid: str, value: Any = True, **changes: Any) -> Any:
        """Return a job."""
        payload = pack_payload(value)
        fields = {"fun": "test.ping", "retcode": 0, "success": True, "state": "returned", "payload": payload}
        return await self.ask("return", jid=jid, **{**fields, **changes})

    async def job(self, number: int = 0) -> dict[str, Any]:
        """Wait for a job that expects this minion."""
        await eventually(lambda: len(self.jobs) > number)
        return self.jobs[number]


class Refused(Exception):
    """The master answered with an error; `code` is its word."""

    def __init__(self, code: str, body: Any) -> None:
        super().__init__(code, body)
        self.code = code


@dataclass
class House:
    """A master and the peers of one test."""

    root: Path
    master: Master
    clients: ThreadPoolExecutor
    peers: list[Peer] = field(default_factory=list)

    def peer(self, id: str, **fields: Any) -> Peer:
        """Make a minion by hand; it is closed at the end."""
        peer = Peer(self.master, id, **fields)
        self.peers.append(peer)
        return peer

    async def join(self, *ids: str) -> list[Peer]:
        """Make connected minions."""
        return [await self.peer(id).join() for id in ids]

    async def leave(self, peer: Peer) -> None:
        """Cut a minion's connections; wait until the master knows."""
        peer.close()
        await eventually(lambda: peer.id not in self.master.desk.presence)

    async def call(self, op: str, **arguments: Any) -> Any:
        """Do one operation as a client; return its result."""
        return (await self.stream(op, **arguments))[-1][1]

    async def stream(self, op: str, **arguments: Any) -> list[tuple[str, Any]]:
        """Do one operation as a client; return everything that came."""

        def work() -> list[tuple[str, Any]]:
            with ipc.connect(self.master.socket_path, timeout=30) as client:
                return list(client.request(op, **arguments))

        return await asyncio.get_running_loop().run_in_executor(self.clients, work)

    async def publish(self, tgt: Any = "*", fun: str = "test.ping", **options: Any) -> list[tuple[str, Any]]:
        """Publish a job as a client; return everything that came."""
        payload = pack_payload({"fun": fun, "arg": [], "kwarg": {}})
        return await self.stream("publish", tgt=tgt, fun=fun, payload=payload, **options)

    async def start(self, tgt: Any = "*", **options: Any) -> str:
        """Publish a job without following it; return its jid."""
        return str((await self.publish(tgt, **options))[-1][1]["jid"])

    async def run(self, fun: str, *args: Any, **kwarg: Any) -> Any:
        """Run a runner; return what it returned."""
        payload = pack_payload({"fun": fun, "arg": list(args), "kwarg": kwarg})
        return unpack_payload((await self.call("run", fun=fun, payload=payload, timeout=30.0))["payload"])

    async def states(self, jid: str) -> dict[str, str]:
        """Return the state of a job on each minion."""
        return dict((await self.call("job.get", jid=jid))["states"])

    async def restart(self, **settings: Any) -> None:
        """Stop the master and start it again on the same directory; peers stay with the old one."""
        config = MasterConfig.from_mapping({**self.master.config.raw, **settings})
        await self.master.close("restarted by the test")
        self.master = Master(config)
        await self.master.start()


@contextlib.asynccontextmanager
async def open_house(root: Path, settings: Mapping[str, Any]) -> AsyncIterator[House]:
    """Start a master; stop it and its peers."""
    # clients have threads of their own: the master's must not wait for them
    clients = ThreadPoolExecutor(32, thread_name_prefix="asyncio_clients")
    house = House(root, Master(MasterConfig.from_mapping({**settings_for(root), **settings})), clients)
    await house.master.start()
    try:
        yield house
    finally:
        for peer in house.peers:
            peer.close()
        await house.master.close("end of the test")
        clients.shutdown()


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Awaitable[None]]:
    return eventually


@pytest.fixture(name="refused")
def refused_fixture() -> type[Refused]:
    return Refused


@pytest.fixture
def run_house(tmp_path: Path) -> Callable[..., None]:
    """Return a function that runs a scenario with a master: `run_house(scenario, **master_settings)`."""

    def run(scenario: Callable[[House], Awaitable[None]], **settings: Any) -> None:
        async def main() -> None:
            async with open_house(tmp_path, settings) as house:
                await scenario(house)

        asyncio.run(main())

    os.umask(0o022)
    return run
