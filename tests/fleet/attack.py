"""What attackers are made of: somebody on the path who sees and changes every frame, and a minion that lies.

`OnPath` stands between minions (which are configured for its address) and the master, on both ports, and speaks enough
of ZMTP to take the messages out of the TCP streams. `Hostile` is a minion made of the protocol's own parts that says
what the test wants. `Lines` looks at what was logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ctl.common import crypto, handshake, publication, wire
from ctl.common.config import MasterConfig
from ctl.common.crypto import IdentityKey
from ctl.common.errors import WireError
from ctl.common.session import HEAD, MinionSession
from ctl.common.sockets import Dealer, Heartbeat, Subscriber
from ctl.master.daemon import Master

ADDRESS = "127.0.0.2"  # where the attacker on the path listens; the master is at 127.0.0.1
MASTER = "127.0.0.1"
GREETING_BYTES = 64
MORE, LONG, COMMAND = 1, 2, 4
UP, DOWN = "up", "down"

Parts = list[bytes]
Hook = Callable[[str, int, bytes], Iterable[bytes]]


def flips(frame: bytes, step: int = 1, first: int = 0) -> Iterator[bytes]:
    """Yield the frame with one bit of one byte turned, for each byte (or each `step`th)."""
    for position in range(first, len(frame), step):
        yield frame[:position] + bytes([frame[position] ^ (1 << position % 8)]) + frame[position + 1 :]


def kind_of(frame: bytes) -> int:
    """Return the type of a frame of ours, -1 for anything else."""
    return frame[4] if len(frame) >= 8 and frame[:3] == b"CTL" else -1


@dataclass(eq=False)
class Link:
    """One connection of a minion's to the master, both ways."""

    path: OnPath
    port: str
    writers: dict[str, asyncio.StreamWriter] = field(default_factory=dict)

    def inject(self, direction: str, *frames: bytes, topic: bytes | None = None) -> None:
        """Put frames into the stream; those of the publication port with their topic before them."""
        writer = self.writers[direction]
        for frame in frames:
            writer.write(encode([frame] if topic is None else [topic, frame]))

    async def pump(self, reader: asyncio.StreamReader, direction: str) -> None:
        """Carry one direction, message by message, through the hook."""
        writer = self.writers[direction]
        parts: Parts = []
        try:
            await self._greet(reader, writer)
            while True:
                flags, head, body = await read_frame(reader)
                if flags & COMMAND:
                    writer.write(head + body)
                    continue
                parts.append(body)
                if not flags & MORE:
                    for message in self.path.passing(self, direction, parts):
                        writer.write(encode(message))
                    parts = []
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = GREETING_BYTES  # comes in pieces: each side waits for the other's first one
        while left:
            piece = await reader.read(left)
            if not piece:
                raise ConnectionResetError
            writer.write(piece)
            left -= len(piece)


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    """Read one ZMTP frame: its flags, its head as it came, its body."""
    head = await reader.readexactly(1)
    size = await reader.readexactly(8 if head[0] & LONG else 1)
    return head[0], head + size, await reader.readexactly(int.from_bytes(size, "big"))


def encode(parts: Parts) -> bytes:
    """Return a message as ZMTP frames."""
    data = b""
    for number, part in enumerate(parts):
        flags = (MORE if number < len(parts) - 1 else 0) | (LONG if len(part) > 255 else 0)
        data += bytes([flags]) + len(part).to_bytes(8 if flags & LONG else 1, "big") + part
    return data


class OnPath:
    """Whoever carries the frames. `hook(direction, kind, frame)` returns what goes on in the place of a frame."""

    def __init__(self) -> None:
        self.hook: Hook = lambda direction, kind, frame: [frame]
        self.seen: list[tuple[str, int, bytes]] = []
        self.links: list[Link] = []
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, master: Master) -> None:
        """Listen on the master's port numbers, at the attacker's address."""
        for name, port in (("request", master.ret_port), ("publish", master.publish_port)):
            self._servers.append(await asyncio.start_server(self._accepting(name, port), ADDRESS, port))

    def _accepting(self, name: str, port: int) -> Callable[..., None]:
        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(self._carry(name, port, reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return accepted

    async def _carry(self, name: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(MASTER, port)
        except OSError:
            writer.close()
            return
        link = Link(self, name, {UP: far_writer, DOWN: writer})
        self.links.append(link)
        try:
            await asyncio.gather(link.pump(reader, UP), link.pump(far_reader, DOWN))
        finally:
            for end in (writer, far_writer):
                end.close()

    def passing(self, link: Link, direction: str, parts: Parts) -> list[Parts]:
        """Note a message, and say what goes on instead of it."""
        frame = parts[-1]
        kind = kind_of(frame)
        self.seen.append((direction, kind, frame))
        return [[*parts[:-1], changed] for changed in self.hook(direction, kind, frame)]

    def link(self, port: str) -> Link:
        """Return the newest connection to a port."""
        return next(link for link in reversed(self.links) if link.port == port)

    def frames(self, kind: int, direction: str = "") -> list[bytes]:
        """Return the frames of a type that came by."""
        return [frame for way, found, frame in self.seen if found == kind and direction in ("", way)]

    async def close(self) -> None:
        """Stop listening and cut every connection."""
        for server in self._servers:
            server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def on_path(fleet: Any) -> Any:
    """Stand on the path to a fleet's master; the minions stop before the path is gone."""
    path = OnPath()
    await path.open(fleet.master)
    try:
        yield path
    finally:
        path.hook = lambda direction, kind, frame: [frame]
        await asyncio.gather(*(fleet.drop(name) for name in list(fleet.minions)))
        await path.close()


@dataclass(eq=False)
class Hostile:
    """A minion that is whatever the test makes of it; what reaches it is in lists."""

    master: Master
    id: str = "hostile"
    identity: IdentityKey = field(default_factory=IdentityKey.generate)
    status: str = ""
    session: Any = None
    group: list[Any] | None = None
    frames: list[bytes] = field(default_factory=list)
    packets: list[tuple[bytes, bytes]] = field(default_factory=list)
    dealer: Any = None
    subscriber: Any = None

    def open(self) -> Hostile:
        """Connect to the request port."""
        self.dealer = Dealer(MASTER, self.master.ret_port, self.frames.append, heartbeat=Heartbeat(1.0, 3.0))
        return self

    def close(self) -> None:
        """Let go."""
        for sock in (self.dealer, self.subscriber):
            if sock is not None:
                sock.close()

    def of_kind(self, kind: int) -> list[bytes]:
        """Return the frames of a type that came."""
        return [frame for frame in self.frames if kind_of(frame) == kind]

    async def _next(self, kind: int, after: int) -> bytes:
        async with asyncio.timeout(10):
            while len(self.of_kind(kind)) <= after:
                await asyncio.sleep(0.002)
        return self.of_kind(kind)[after]

    async def shake(self, claimed: str | None = None) -> str:
        """Shake hands, with any text as the id; return the status, empty where the master did not answer."""
        initiator = handshake.Initiator(self.identity, "honest")
        initiator._id = self.id if claimed is None else claimed
        challenges, results = len(self.of_kind(wire.CHALLENGE)), len(self.of_kind(wire.RESULT))
        self.dealer.send(initiator.hello())
        self.dealer.send(initiator.challenge(await self._next(wire.CHALLENGE, challenges)))
        outcome = initiator.result(await self._next(wire.RESULT, results))
        self.status, self.group = outcome.status, outcome.group
        if outcome.session_keys is not None:
            self.session = MinionSession(outcome.session_keys)
        return self.status

    async def attempt(self, claimed: str, seconds: float = 0.3) -> str:
        """Shake hands as somebody whom the master may not answer at all."""
        try:
            async with asyncio.timeout(seconds):
                return await self.shake(claimed)
        except TimeoutError:
            return ""

    def subscribe(self, *topics: bytes) -> None:
        """Subscribe to these topics."""
        self.subscriber = Subscriber(MASTER, self.master.publish_port, self._on_packet, heartbeat=Heartbeat(1.0, 3.0))
        for topic in topics:
            self.subscriber.subscribe(topic)

    def _on_packet(self, topic: bytes, packet: bytes) -> None:
        self.packets.append((topic, packet))

    async def join(self, **grains: Any) -> Hostile:
        """Go all the way to being connected."""
        assert await self.open().shake() == "accepted"
        self.subscribe(publication.TOPIC, self.session.topic())
        async with asyncio.timeout(10):
            while not any(topic == self.session.topic() for topic, _ in self.packets):
                await asyncio.sleep(0.002)
        await self.ask("register", grains=wire.pack_payload({"id": self.id, **grains}), versions={})
        return self

    def heads(self) -> int:
        """Count the HEAD pushes that came."""
        pushes = [packet for topic, packet in self.packets if topic == self.session.topic()]
        return sum(self.session.push(packet).kind == HEAD for packet in pushes)

    def readable(self) -> list[dict[str, Any]]:
        """Return the jobs among what came that can be read with the group's key as it is known here."""
        assert self.group is not None
        receiver = publication.Receiver([*self.group[:3], 0, *self.group[4:]], self.master.fingerprint)
        found = []
        for topic, packet in self.packets:
            with contextlib.suppress(WireError):
                read = receiver.open(packet, self.master.desk.now_ms()) if topic == publication.TOPIC else None
                if read is not None and not read.heartbeat:
                    found.append(wire.unpack(read.body))
        return found

    async def ask(self, method: str, rid: bytes | None = None, **args: Any) -> Any:
        """Make a request; return the result, or the error's word."""
        frame, counter = self.session.request(method, args, rid)
        before = len(self.frames)
        self.dealer.send(frame)
        async with asyncio.timeout(10):
            while True:
                for reply in self.frames[before:]:
                    if kind_of(reply) == wire.REPLY and int.from_bytes(reply[32:40], "big") == counter:
                        code, body = self.session.reply(reply)[1:]
                        return body if code == 0 else code
                await asyncio.sleep(0.002)

    def forge(self, log_off: int, body: bytes, seq: int) -> bytes:
        """Make a publication with the group's key, as an accepted minion can: all but the signature is right."""
        assert self.group is not None
        epoch = publication.Epoch.create(lambda size: bytes(size), self.master.fingerprint)
        epoch.id, epoch.group_key, epoch.aead = self.group[0], self.group[1], crypto.Aead(self.group[1])
        epoch.seq = seq - 1
        return publication.Publisher(epoch, self.master.desk.now_ms).publish(log_off, body)


class Lines:
    """What ctl has logged since `clear`."""

    def __init__(self, caplog: Any) -> None:
        caplog.set_level(logging.INFO, "ctl")
        self._caplog = caplog

    def clear(self) -> None:
        """Forget what was logged."""
        self._caplog.clear()

    def about(self, text: str, level: int = logging.WARNING, room: str = "ctl.") -> list[str]:
        """Return the lines of at least this level that hold a text."""
        return [
            record.getMessage()
            for record in self._caplog.records
            if record.levelno >= level and record.name.startswith(room) and text in record.getMessage()
        ]

    def alarms(self) -> list[str]:
        """Return what nobody wants to see: errors of ours, and every traceback."""
        return [
            f"{record.name}: {record.getMessage()}"
            for record in self._caplog.records
            if record.levelno >= logging.ERROR or record.exc_info
        ]


async def restart_with(fleet: Any, identity: IdentityKey) -> IdentityKey:
    """Stop the master, put another key in its place, start it again on the same ports; return the key it had."""
    master = fleet.master
    path = master.config.pki_dir / "master.pem"
    before = IdentityKey.load(path)
    await master.close("another key")
    identity.save(path)
    ports = {"ret_port": master.ret_port, "publish_port": master.publish_port}
    fleet.master = Master(MasterConfig.from_mapping({**master.config.raw, **ports}))
    await fleet.master.start()
    return before
