"""Peers made by hand, and what they do to a master: plain TCP sockets that speak ZMTP, with any loopback address.

`Raw` is one connection; `Peer` is a minion of the protocol's own parts on one, honest or not. The functions in `FLOODS`
are the attacks that want a process of their own: `python bench/attackers.py NAME REQUEST_PORT PUBLISH_PORT SECONDS`
runs one and prints what it saw as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ctl.common import handshake, puzzle, wire
from ctl.common.crypto import IdentityKey
from ctl.common.errors import HandshakeError
from ctl.common.session import MinionSession

MORE, LONG, COMMAND = 1, 2, 4
GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\x00" + bytes(31)
HOST = "127.0.0.1"
MIB = 1024 * 1024


@dataclass(frozen=True)
class Ports:
    """Where a master listens."""

    request: int
    publish: int


def frame(body: bytes, flags: int = 0) -> bytes:
    """Return one ZMTP frame."""
    if len(body) > 255:
        return bytes([flags | LONG]) + struct.pack(">Q", len(body)) + body
    return bytes([flags, len(body)]) + body


def ready(kind: str) -> bytes:
    """Return the command that ends ZMTP's handshake."""
    return frame(b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind.encode(), COMMAND)


def source(number: int) -> str:
    """Return one of many addresses of the loopback."""
    return f"127.{1 + number // 62500 % 200}.{number // 250 % 250}.{1 + number % 250}"


class Raw:
    """One TCP connection from a chosen address. `greet()` makes it a peer of type `kind`."""

    def __init__(self, port: int, address: str = HOST, timeout: float = 10.0) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        try:
            self.sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT: ports are many for each address
            self.sock.bind((address, 0))
            self.sock.connect((HOST, port))
        except OSError:
            self.sock.close()
            raise
        self._buffer = bytearray()

    def greet(self, kind: str = "DEALER") -> Raw:
        """Speak ZMTP's handshake."""
        self.sock.sendall(GREETING + ready(kind))
        self._take(64)
        self._frame()  # READY
        return self

    def send(self, *parts: bytes) -> None:
        """Send one message."""
        last = len(parts) - 1
        data = b"".join(frame(part, MORE if number < last else 0) for number, part in enumerate(parts))
        self.sock.sendall(data)

    def receive(self, timeout: float = 10.0) -> list[bytes]:
        """Return the next message; raises `TimeoutError`, `ConnectionError`."""
        self.sock.settimeout(timeout)
        parts: list[bytes] = []
        while True:
            flags, body = self._frame()
            if flags & COMMAND:
                if body.startswith(b"\x04PING"):
                    self.sock.sendall(frame(b"\x04PONG" + body[7:], COMMAND))
                continue
            parts.append(body)
            if not flags & MORE:
                return parts

    def waiting(self) -> bool:
        """Whether something has come."""
        return bool(self._buffer) or bool(select.select([self.sock], [], [], 0)[0])

    def is_cut(self, timeout: float) -> bool:
        """Wait until the other end has closed this connection."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            self.sock.settimeout(left)
            try:
                if not self.sock.recv(65536):
                    return True
            except TimeoutError:
                return False
            except OSError:
                return True
        return False

    def close(self) -> None:
        """Close it."""
        self.sock.close()

    def _frame(self) -> tuple[int, bytes]:
        flags = self._take(1)[0]
        size = struct.unpack(">Q", self._take(8))[0] if flags & LONG else self._take(1)[0]
        return flags, self._take(size)

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            data = self.sock.recv(max(65536, count - len(self._buffer)))
            if not data:
                raise ConnectionResetError("cut")
            self._buffer += data
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


@dataclass(eq=False)
class Peer:
    """A minion on raw sockets: it shakes hands, solves puzzles, asks, subscribes, and does what a test makes it do."""

    ports: Ports
    id: str = "honest"
    address: str = HOST
    identity: IdentityKey = field(default_factory=IdentityKey.generate)
    status: str = ""
    session: Any = None
    raw: Any = None
    sub: Any = None

    def open(self) -> Peer:
        """Connect to the request port."""
        self.close()
        self.raw = Raw(self.ports.request, self.address)
        self.raw.greet()
        return self

    def close(self) -> None:
        """Let go of both connections."""
        for sock in (self.raw, self.sub):
            if sock is not None:
                sock.close()
        self.raw = self.sub = None

    def shake(self, timeout: float = 10.0) -> str:
        """Shake hands; return the status."""
        initiator = handshake.Initiator(self.identity, self.id)
        self.raw.send(initiator.hello())
        deadline = time.monotonic() + timeout
        while True:
            (found,) = self.raw.receive(max(0.001, deadline - time.monotonic()))
            kind = wire.frame_type(found)
            if kind == wire.BUSY:
                self.raw.send(self._hello_again(initiator, found))
            elif kind == wire.CHALLENGE:
                with contextlib.suppress(HandshakeError):  # of the HELLO before
                    self.raw.send(initiator.challenge(found))
            elif kind == wire.RESULT:
                outcome = initiator.result(found)
                self.status = outcome.status
                if outcome.session_keys is not None:
                    self.session = MinionSession(outcome.session_keys)
                return self.status

    def _hello_again(self, initiator: handshake.Initiator, found: bytes) -> bytes:
        busy = handshake.parse_hint(found)
        assert isinstance(busy, handshake.Busy)
        time.sleep(min(busy.retry_after, 2))
        nonce = puzzle.solve(busy.seed, initiator.ephemeral, busy.bits) if busy.bits else None
        return initiator.hello(busy.seed, nonce) if nonce is not None else initiator.hello()

    def request(self, method: str, **args: Any) -> tuple[bytes, int]:
        """Return the frame of a request and its counter."""
        frame_, counter = self.session.request(method, args)
        return frame_, counter

    def ask(self, method: str, timeout: float = 10.0, **args: Any) -> Any:
        """Make a request; return its result, or the error's word."""
        sent, counter = self.request(method, **args)
        self.raw.send(sent)
        deadline = time.monotonic() + timeout
        while True:
            (found,) = self.raw.receive(max(0.001, deadline - time.monotonic()))
            if wire.frame_type(found) == wire.NOSESSION:
                return "nosession"
            if wire.frame_type(found) == wire.REPLY and int.from_bytes(found[32:40], "big") == counter:
                code, body = self.session.reply(found)[1:]
                return body if code == 0 else code

    def subscribe(self, *topics: bytes) -> Raw:
        """Subscribe, to the session's own topic where none is given."""
        if self.sub is not None:
            self.sub.close()
        self.sub = Raw(self.ports.publish, self.address)
        self.sub.greet("SUB")
        for topic in topics or (b"G", self.session.topic()):
            self.sub.send(b"\x01" + topic)
        found: Raw = self.sub
        return found


# -- floods


def until(seconds: float) -> Iterator[float]:
    """Yield until the time is over."""
    deadline = time.monotonic() + seconds
    while (now := time.monotonic()) < deadline:
        yield deadline - now


def _open(port: int, address: str, kind: str = "") -> Raw | None:
    try:
        raw = Raw(port, address, 5.0)
    except OSError:
        return None
    try:
        if kind:
            raw.sock.sendall(GREETING + ready(kind))
    except OSError:
        raw.close()
        return None
    return raw


def _count_cut(raws: list[Raw], seconds: float) -> int:
    """Wait and count how many connections the master closes."""
    poller = select.poll()
    for raw in raws:
        raw.sock.setblocking(False)
        poller.register(raw.sock, select.POLLIN)
    by_number = {raw.sock.fileno(): raw for raw in raws}
    cut = 0
    for left in until(seconds):
        for number, _ in poller.poll(min(left, 1.0) * 1000):
            try:
                gone = not by_number[number].sock.recv(4096)
            except BlockingIOError:
                continue
            except OSError:
                gone = True
            if gone:
                poller.unregister(number)
                cut += 1
        if cut == len(raws):
            break
    return cut


def _idle(ports: Ports, seconds: float, kind: bool, count: int, sources: int) -> dict[str, Any]:
    began = time.monotonic()
    found = []
    for number in range(count):
        port, name = (ports.request, "DEALER") if number % 2 else (ports.publish, "SUB")
        found.append(_open(port, source(number % sources), name if kind else ""))
    raws = [raw for raw in found if raw is not None]
    opened = time.monotonic() - began
    cut = _count_cut(raws, max(seconds, 14.0))
    took = time.monotonic() - began - opened
    for raw in raws:
        raw.close()
    return {"opened": len(raws), "in_s": round(opened, 1), "cut": cut, "within_s": round(took, 1)}


def silent(ports: Ports, seconds: float, count: int = 10_000) -> dict[str, Any]:
    """B01: connections that say nothing, from one source."""
    return _idle(ports, seconds, False, count, 1)


def silent_many(ports: Ports, seconds: float, count: int = 10_000) -> dict[str, Any]:
    """B01: the same from 100 sources."""
    return _idle(ports, seconds, False, count, 100)


def idle(ports: Ports, seconds: float, count: int = 10_000) -> dict[str, Any]:
    """B02: connections that end ZMTP's handshake and then idle, from 1000 sources."""
    return _idle(ports, seconds, True, count, 1000)


def _pour(raws: list[Raw], data: bytes, seconds: float, again: Callable[[], Raw | None] | None = None) -> int:
    """Send data over connections until they are cut; return how many bytes went out."""
    sent = 0
    for raw in raws:
        raw.sock.setblocking(False)
    for _ in until(seconds):
        if not raws:
            if again is None or (more := again()) is None:
                break
            more.sock.setblocking(False)
            raws.append(more)
        for raw in list(raws):
            try:
                sent += raw.sock.send(data)
            except BlockingIOError:
                continue
            except OSError:
                raw.close()
                raws.remove(raw)
        if raws:
            select.select([], raws_of(raws), [], 0.05)
    for raw in raws:
        raw.close()
    return sent


def raws_of(raws: list[Raw]) -> list[socket.socket]:
    """Return the sockets."""
    return [raw.sock for raw in raws]


def endless(ports: Ports, seconds: float) -> dict[str, Any]:
    """B03: a message of ever more frames, over 20 connections of one source, anew whenever one is cut."""
    address = source(1)
    raws = [raw for _ in range(20) if (raw := _open(ports.request, address, "DEALER"))]
    time.sleep(0.2)
    sent = _pour(raws, frame(bytes(60_000), MORE), seconds, lambda: _open(ports.request, address, "DEALER"))
    return {"sent_mib": sent // MIB}


def empties(ports: Ports, seconds: float) -> dict[str, Any]:
    """B03: a million empty frames of one message, again and again."""
    data = bytes([MORE, 0]) * 30_000
    sent = 0
    for _ in until(seconds):
        raw = _open(ports.request, source(2), "DEALER")
        if raw is not None:
            sent += _pour([raw], data, min(2.0, seconds))
    return {"frames": sent // 2}


def loris(ports: Ports, seconds: float, count: int = 45) -> dict[str, Any]:
    """B03: one byte a second inside a frame."""
    raws = [raw for _ in range(count) if (raw := _open(ports.request, source(3), "DEALER"))]
    for raw in raws:
        with contextlib.suppress(OSError):
            raw.sock.sendall(b"\x00\x80")
    began, last = time.monotonic(), 0.0
    for _ in until(max(seconds, 14.0)):
        for raw in list(raws):
            try:
                raw.sock.send(b"x")
            except OSError:
                raw.close()
                raws.remove(raw)
                last = time.monotonic() - began
        time.sleep(1.0)
    for raw in raws:
        raw.close()
    return {"left": len(raws), "last_cut_after_s": round(last, 1)}


def claims(ports: Ports, seconds: float) -> dict[str, Any]:
    """B04: frames that claim to be huge."""
    cut = tried = 0
    for _ in until(seconds):
        for size in (2**63, 2**63 - 1, 2**40, 8 * MIB, MIB + 65):
            raw = _open(ports.request, source(4), "DEALER")
            if raw is None:
                continue
            with contextlib.suppress(OSError):
                raw.sock.sendall(bytes([LONG]) + struct.pack(">Q", size) + bytes(100))
            tried += 1
            cut += raw.is_cut(5.0)
            raw.close()
    return {"tried": tried, "cut": cut}


def _hellos(ports: Ports, seconds: float, sources: int) -> dict[str, Any]:
    hello = handshake.Initiator(IdentityKey.generate(), "x").hello()
    raws: list[Raw] = []
    sent = reconnected = number = 0
    budget = 20_000.0
    began = time.monotonic()
    for _ in until(seconds):
        while len(raws) < min(sources, 400):
            raw = _open(ports.request, source(1000 + number % sources), "DEALER")
            number += 1
            if raw is None:
                break
            raw.sock.setblocking(False)
            raws.append(raw)
            reconnected += 1
        for raw in list(raws):
            data = b"".join(frame(hello[:8] + os.urandom(64) + hello[72:]) for _ in range(10))
            try:
                sent += raw.sock.send(data) // 130
                with contextlib.suppress(BlockingIOError):
                    raw.sock.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                raw.close()
                raws.remove(raw)
        ahead = sent / budget - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
    for raw in raws:
        raw.close()
    return {"hellos_per_s": round(sent / seconds), "connections": reconnected}


def hellos(ports: Ports, seconds: float) -> dict[str, Any]:
    """B05: HELLOs from one source."""
    return _hellos(ports, seconds, 1)


def hellos_many(ports: Ports, seconds: float) -> dict[str, Any]:
    """B05: HELLOs from 1000 sources."""
    return _hellos(ports, seconds, 1000)


def strangers(ports: Ports, seconds: float) -> dict[str, Any]:
    """B06: whole handshakes, each with a new key and id, from 200 sources."""
    done: dict[str, int] = {}
    for number, _ in enumerate(until(seconds)):
        peer = Peer(ports, f"stranger-{random.getrandbits(48):x}", source(5000 + number % 200))
        try:
            word = peer.open().shake(2.0)
        except OSError as error:
            word = type(error).__name__
        done[word] = done.get(word, 0) + 1
        peer.close()
    return done


def subscriptions(ports: Ports, seconds: float, count: int = 200_000) -> dict[str, Any]:
    """B07: subscriptions, long and overlapping ones, and storms of unsubscribing."""
    sent = got = connections = 0
    address = source(6)
    for _ in until(seconds):
        raw = _open(ports.publish, address, "SUB")
        if raw is None:
            continue
        connections += 1
        try:
            raw.sock.settimeout(2.0)
            for number in range(count // 100):
                topics = [os.urandom(16 + number % 100) for _ in range(50)] + [b"S" * (n + 1) for n in range(50)]
                data = b"".join(frame(b"\x01" + topic) for topic in topics)
                raw.sock.sendall(data + data.replace(b"\x01", b"\x00") if number % 7 == 0 else data)
                sent += len(topics)
        except OSError:
            pass
        with contextlib.suppress(OSError):
            raw.sock.settimeout(0.05)
            data = raw.sock.recv(65536)
            got += max(0, len(data) - 64 - 64)
        raw.close()
    return {"subscriptions": sent, "connections": connections, "bytes_delivered": got}


FLOODS: dict[str, Callable[[Ports, float], dict[str, Any]]] = {
    "silent": silent,
    "silent_many": silent_many,
    "idle": idle,
    "endless": endless,
    "empties": empties,
    "loris": loris,
    "claims": claims,
    "hellos": hellos,
    "hellos_many": hellos_many,
    "strangers": strangers,
    "subscriptions": subscriptions,
}


def main() -> None:
    """Run one flood."""
    name, request, publish, seconds = sys.argv[1:]
    print(json.dumps(FLOODS[name](Ports(int(request), int(publish)), float(seconds))))


if __name__ == "__main__":
    main()
