"""The four ZeroMQ sockets of ctl, on an asyncio loop. The only importer of `zmq`.

Frames are taken in bounded drains from the socket's descriptor (`loop.add_reader`). ZeroMQ signals that descriptor on
edges only, so after a drain that stopped at its bound, and after every send, the socket is looked at again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

import zmq

log = logging.getLogger(__name__)

MIN_LIBZMQ = (4, 3, 5)
DRAIN_MESSAGES = 256
MAX_REQUEST_FRAME_BYTES = 1024 * 1024 + 64
MAX_SUBSCRIPTION_BYTES = 128
PUBLISH_HIGH_WATER = 256
ROUTER_HIGH_WATER = 1000
HANDSHAKE_TIMEOUT_MS = 5000


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How often a connection is probed and after which silence it is given up, in seconds."""

    interval: float = 10.0
    timeout: float = 30.0


def library_version() -> tuple[int, int, int]:
    """Return libzmq's version."""
    major, minor, patch = zmq.zmq_version_info()
    return int(major), int(minor), int(patch)


def _descriptor(socket: zmq.Socket[bytes]) -> int:
    descriptor = socket.getsockopt(zmq.FD)
    assert isinstance(descriptor, int)
    return descriptor


_context: zmq.Context[zmq.Socket[bytes]] | None = None


def _shared_context() -> zmq.Context[zmq.Socket[bytes]]:
    global _context
    if _context is None or _context.closed:
        _context = zmq.Context(io_threads=1)
        _context.set(zmq.MAX_SOCKETS, 65536)
    return _context


class _Socket:
    """What the four have in common: options, the drain, closing."""

    def __init__(self, kind: int, heartbeat: Heartbeat, max_frame: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket: zmq.Socket[bytes] = _shared_context().socket(kind)
        self._closed = False
        self._again: asyncio.Handle | None = None
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.IPV6, 1)
        self._socket.setsockopt(zmq.MAXMSGSIZE, max_frame)
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_TIMEOUT_MS)
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, int(heartbeat.interval * 1000))
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, int(heartbeat.timeout * 1000))
        self._socket.setsockopt(zmq.HEARTBEAT_TTL, int(heartbeat.timeout * 1000))

    def _start(self) -> None:
        self._loop.add_reader(_descriptor(self._socket), self._drain)
        self._look_again()

    def _look_again(self) -> None:
        if self._again is None and not self._closed:
            self._again = self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        for _ in range(DRAIN_MESSAGES):
            if self._closed:
                return
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                self._handle(parts)
            except Exception:  # the boundary around one message: whatever it was, the next one is served
                log.exception("a message broke its handler")
        self._look_again()

    def _handle(self, parts: list[bytes]) -> None:
        raise AssertionError("each socket handles its own messages")

    def _send(self, parts: list[bytes]) -> bool:
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK, copy=True)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                return False
            raise
        finally:
            self._look_again()
        return True

    def close(self) -> None:
        """Close the socket; what was not sent yet is dropped. Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._loop.remove_reader(_descriptor(self._socket))
        self._close_monitor()
        self._socket.close(linger=0)

    def _close_monitor(self) -> None:
        """Only sockets that connect watch their connection."""


class _Bound(_Socket):
    """A socket that listens."""

    port: int

    def _bind(self, host: str, port: int) -> None:
        where = f"tcp://{_bracketed(host)}:{port or '*'}"
        try:
            self._socket.bind(where)
        except zmq.ZMQError as error:
            self._socket.close(linger=0)
            reason = zmq.strerror(error.errno or 0)
            raise OSError(error.errno, f"cannot listen on {host} port {port}: {reason}") from error
        endpoint = self._socket.getsockopt(zmq.LAST_ENDPOINT)
        assert isinstance(endpoint, bytes)
        self.port = int(endpoint.rstrip(b"\0").rsplit(b":", 1)[1])


class Router(_Bound):
    """The master's request socket: frames from peers, answers to them by routing id.

    `on_message(routing_id, frame, address)` is called for each message of exactly one frame; `address` is the peer's
    IP address as text. Others are dropped.
    """

    def __init__(
        self,
        host: str,
        port: int,
        on_message: Callable[[bytes, bytes, str], None],
        *,
        max_frame: int = MAX_REQUEST_FRAME_BYTES,
        heartbeat: Heartbeat | None = None,
    ) -> None:
        super().__init__(zmq.ROUTER, heartbeat or Heartbeat(), max_frame)
        self._on_message = on_message
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.SNDHWM, ROUTER_HIGH_WATER)
        self._socket.setsockopt(zmq.RCVHWM, ROUTER_HIGH_WATER)
        self._socket.setsockopt(zmq.BACKLOG, 1024)
        self._bind(host, port)
        self._start()

    def _drain(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        for _ in range(DRAIN_MESSAGES):
            if self._closed:
                return
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            if len(frames) == 2:
                self._on_message(frames[0].bytes, frames[1].bytes, _address_of(frames[1]))
        self._look_again()

    def send(self, routing_id: bytes, frame: bytes) -> bool:
        """Send one frame to a peer; False where it has gone or reads too slowly."""
        return self._send([routing_id, frame])


def _address_of(frame: zmq.Frame) -> str:
    try:
        address = frame.get("Peer-Address")
    except zmq.ZMQError:
        return ""
    return str(address).removeprefix("::ffff:")


class Publisher(_Bound):
    """The master's publication socket. A subscription receives nothing until `attach` is called for it.

    `on_subscribe(topic)` and `on_unsubscribe(topic)` tell of subscriptions as peers ask for them and end (also by
    dying). `attach` is to be called inside `on_subscribe`: it acts on the peer that asked.
    """

    def __init__(
        self,
        host: str,
        port: int,
        on_subscribe: Callable[[bytes], None],
        on_unsubscribe: Callable[[bytes], None],
        *,
        heartbeat: Heartbeat | None = None,
    ) -> None:
        super().__init__(zmq.XPUB, heartbeat or Heartbeat(), MAX_SUBSCRIPTION_BYTES)
        self._on_subscribe = on_subscribe
        self._on_unsubscribe = on_unsubscribe
        self._socket.setsockopt(zmq.XPUB_MANUAL, 1)
        self._socket.setsockopt(zmq.SNDHWM, PUBLISH_HIGH_WATER)
        self._socket.setsockopt(zmq.BACKLOG, 1024)
        self._bind(host, port)
        self._start()

    def _handle(self, parts: list[bytes]) -> None:
        message = parts[0] if len(parts) == 1 else b""
        if message[:1] == b"\x01":
            self._on_subscribe(message[1:])
        elif message[:1] == b"\x00":
            self._on_unsubscribe(message[1:])

    def attach(self, *topics: bytes) -> None:
        """Give the peer whose subscription is being handled these topics."""
        for topic in topics:
            self._socket.setsockopt(zmq.SUBSCRIBE, topic)

    def send(self, topic: bytes, packet: bytes) -> None:
        """Publish; a subscriber that is over its high-water mark loses the message."""
        self._send([topic, packet])


class _Connected(_Socket):
    """A socket that connects, connects again by itself, and tells when its connection was lost."""

    def __init__(
        self,
        kind: int,
        host: str,
        port: int,
        heartbeat: Heartbeat,
        max_frame: int,
        on_disconnect: Callable[[], None] | None,
    ) -> None:
        super().__init__(kind, heartbeat, max_frame)
        self._on_disconnect = on_disconnect
        self._monitor: zmq.Socket[bytes] | None = None
        self._socket.setsockopt(zmq.RECONNECT_IVL, 100)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 5000)
        self._socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        if on_disconnect is not None:
            self._watch()
        try:
            self._socket.connect(f"tcp://{_bracketed(host)}:{port}")
        except zmq.ZMQError as error:
            self._close_monitor()
            self._socket.close(linger=0)
            raise OSError(error.errno, f"cannot connect to {host} port {port}: {error.strerror}") from error

    def _watch(self) -> None:
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._loop.add_reader(_descriptor(self._monitor), self._drain_monitor)
        self._loop.call_soon(self._drain_monitor)

    def _drain_monitor(self) -> None:
        while self._monitor is not None and not self._closed:
            try:
                self._monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if self._on_disconnect is not None:
                self._on_disconnect()

    def _close_monitor(self) -> None:
        if self._monitor is not None:
            monitor, self._monitor = self._monitor, None
            self._loop.remove_reader(_descriptor(monitor))
            self._socket.disable_monitor()
            monitor.close(linger=0)


class Dealer(_Connected):
    """A minion's request socket. It never sets a routing id: a chosen one could be taken by somebody else."""

    def __init__(
        self,
        host: str,
        port: int,
        on_message: Callable[[bytes], None],
        on_disconnect: Callable[[], None] | None = None,
        *,
        max_frame: int = MAX_REQUEST_FRAME_BYTES,
        heartbeat: Heartbeat | None = None,
    ) -> None:
        super().__init__(zmq.DEALER, host, port, heartbeat or Heartbeat(), max_frame, on_disconnect)
        self._on_message = on_message
        self._start()

    def _handle(self, parts: list[bytes]) -> None:
        if len(parts) == 1:
            self._on_message(parts[0])

    def send(self, frame: bytes) -> bool:
        """Send one frame; False where the queue to the master is full."""
        return self._send([frame])


class Subscriber(_Connected):
    """A minion's publication socket: messages of exactly two frames, topic and packet."""

    def __init__(
        self,
        host: str,
        port: int,
        on_message: Callable[[bytes, bytes], None],
        on_disconnect: Callable[[], None] | None = None,
        *,
        max_frame: int = MAX_REQUEST_FRAME_BYTES,
        heartbeat: Heartbeat | None = None,
    ) -> None:
        super().__init__(zmq.SUB, host, port, heartbeat or Heartbeat(), max_frame, on_disconnect)
        self._on_message = on_message
        self._start()

    def _handle(self, parts: list[bytes]) -> None:
        if len(parts) == 2:
            self._on_message(parts[0], parts[1])

    def subscribe(self, topic: bytes) -> None:
        """Ask for a topic; repeated by ZeroMQ itself at each new connection."""
        self._socket.setsockopt(zmq.SUBSCRIBE, topic)
        self._look_again()

    def unsubscribe(self, topic: bytes) -> None:
        """Give a topic up."""
        self._socket.setsockopt(zmq.UNSUBSCRIBE, topic)
        self._look_again()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
