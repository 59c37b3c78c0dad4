"""ZMTP 3.0 by hand, as much as a minion's two sockets need: one TCP connection is one Python object, no libzmq socket.

Thousands of minions fit into one process this way, each with a source address of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

MORE, LONG, COMMAND = 1, 2, 4
GREETING_BYTES = 64
MAX_FRAME_BYTES = 2 * 1024 * 1024
SUBSCRIBE, UNSUBSCRIBE = b"\x01", b"\x00"

_GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\x00" + bytes(31)


def encode(*parts: bytes) -> bytes:
    """Return one message as ZMTP frames."""
    last = len(parts) - 1
    return b"".join(_frame(MORE if number < last else 0, part) for number, part in enumerate(parts))


def _frame(flags: int, body: bytes) -> bytes:
    if len(body) > 255:
        return bytes([flags | LONG]) + len(body).to_bytes(8, "big") + body
    return bytes([flags, len(body)]) + body


def _ready(kind: str) -> bytes:
    socket_type = b"\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind.encode()
    return _frame(COMMAND, b"\x05READY" + socket_type + b"\x08Identity" + bytes(4))


class Peer(asyncio.Protocol):
    """One connection of a socket of type `kind` (DEALER or SUB).

    `on_ready()` once the other end has greeted, `on_message(parts)` for each message, `on_lost()` when it has gone.
    """

    def __init__(
        self,
        kind: str,
        on_ready: Callable[[], None],
        on_message: Callable[[list[bytes]], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._kind = kind
        self._on_ready = on_ready
        self._on_message = on_message
        self._on_lost = on_lost
        self._received = bytearray()
        self._greeted = False
        self._parts: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(_GREETING)

    def data_received(self, data: bytes) -> None:
        """Take frames out of the stream."""
        self._received += data
        if not self._greeted:
            if len(self._received) < GREETING_BYTES:
                return
            del self._received[:GREETING_BYTES]
            self._greeted = True
            self.write(_ready(self._kind))
        start = 0
        while (taken := self._take_frame(start)) > start:
            start = taken
        del self._received[:start]

    def _take_frame(self, start: int) -> int:
        """Take the frame that begins at `start`; return where the next one begins, `start` where it is not whole."""
        data = self._received
        if len(data) < start + 2:
            return start
        flags = data[start]
        head = start + (9 if flags & LONG else 2)
        if len(data) < head:
            return start
        size = int.from_bytes(data[start + 1 : head], "big")
        if size > MAX_FRAME_BYTES:
            raise ConnectionError(f"a frame of {size} bytes")
        if len(data) < head + size:
            return start
        self._take(flags, bytes(data[head : head + size]))
        return head + size

    def _take(self, flags: int, body: bytes) -> None:
        if flags & COMMAND:
            if body.startswith(b"\x05READY"):
                self._on_ready()
            elif body.startswith(b"\x04PING"):
                self.write(_frame(COMMAND, b"\x04PONG" + body[7:]))
            return
        self._parts.append(body)
        if not flags & MORE:
            parts, self._parts = self._parts, []
            self._on_message(parts)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whose connection it was."""
        self._transport = None
        self._on_lost()

    def write(self, data: bytes) -> None:
        """Write frames; dropped where the connection has gone."""
        if self._transport is not None:
            self._transport.write(data)

    def send(self, *parts: bytes) -> None:
        """Send one message."""
        self.write(encode(*parts))

    def subscribe(self, topic: bytes) -> None:
        """Ask for a topic, as a SUB socket does."""
        self.send(SUBSCRIBE + topic)

    def unsubscribe(self, topic: bytes) -> None:
        """Give a topic up."""
        self.send(UNSUBSCRIBE + topic)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()
