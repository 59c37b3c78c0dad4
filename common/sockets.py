"""The four ZeroMQ sockets of ctl, on an asyncio loop. The only importer of `zmq`.

Frames are taken in bounded drains from the socket's descriptor (`loop.add_reader`). ZeroMQ signals that descriptor on
edges only, so after a drain that stopped at its bound, and after every send, the socket is looked at again.

A bound socket can tell which TCP connection a message came by, and of each connection that comes and goes (`Watcher`).
That rests on `ZMQ_SRCFD`, which libzmq calls deprecated; `tells_connections` tries it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Protocol

import zmq

from .connections import peer_name

log = logging.getLogger(__name__)

MIN_LIBZMQ = (4, 3, 5)
DRAIN_MESSAGES = 256
DRAIN_SECONDS = 0.004  # of a bound socket, so that frames of a megabyte do not hold the loop up
UNKNOWN_DESCRIPTOR = -1
SELF_TEST_MS = 2000
MAX_REQUEST_FRAME_BYTES = 1024 * 1024 + 64
MAX_SUBSCRIPTION_BYTES = 128
PUBLISH_HIGH_WATER = 256
ROUTER_HIGH_WATER = 1000
RECEIVE_HIGH_WATER = 32  # of one peer, so that what many peers may have in queues is bounded
HANDSHAKE_TIMEOUT_MS = 5000
SILENCE_S = 30.0
KEEPALIVE = ((zmq.TCP_KEEPALIVE_IDLE, 30), (zmq.TCP_KEEPALIVE_INTVL, 10), (zmq.TCP_KEEPALIVE_CNT, 3))


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """How often a connection is probed and after which silence it is given up, in seconds."""

    interval: float = 10.0
    timeout: float = SILENCE_S


def library_version() -> tuple[int, int, int]:
    """Return libzmq's version."""
    major, minor, patch = zmq.zmq_version_info()
    return int(major), int(minor), int(patch)


def _descriptor(socket: zmq.Socket[bytes]) -> int:
    descriptor = socket.getsockopt(zmq.FD)
    assert isinstance(descriptor, int)
    return descriptor


def is_old() -> bool:
    """Whether libzmq has known holes that strangers can reach: the parsers before 4.3.5 are not safe in memory."""
    return library_version() < MIN_LIBZMQ


def describe_library() -> str:
    """Return libzmq's version, and what is wrong with it where something is."""
    found, wanted = (".".join(map(str, version)) for version in (library_version(), MIN_LIBZMQ))
    return f"{found} (strangers can break into it over the network: use {wanted} or newer)" if is_old() else found


class Watcher(Protocol):
    """Who is told of a bound socket's connections, by their descriptors."""

    def accepted(self, descriptor: int) -> None:
        """Hear that a connection was accepted."""
        ...

    def closed(self, descriptor: int) -> None:
        """Hear that a connection has ended."""
        ...


_context: zmq.Context[zmq.Socket[bytes]] | None = None
_monitors = count(1)


def _shared_context() -> zmq.Context[zmq.Socket[bytes]]:
    global _context
    if _context is None or _context.closed:
        _context = zmq.Context(io_threads=1)
        _context.set(zmq.MAX_SOCKETS, 65536)
    return _context


class _Socket:
    """What the four have in common: options, the drain, closing."""

    def __init__(self, kind: int, max_frame: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket: zmq.Socket[bytes] = _shared_context().socket(kind)
        self._closed = False
        self._again: asyncio.Handle | None = None
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.IPV6, 1)
        self._socket.setsockopt(zmq.MAXMSGSIZE, max_frame)
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_TIMEOUT_MS)

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
    """A socket that listens. `descriptor` is that of the connection whose message is being handled."""

    port: int
    descriptor: int = UNKNOWN_DESCRIPTOR
    drained: int = 0  # how often everything that was here had been handed out

    def _bind(self, host: str, port: int, watcher: Watcher | None, silence: float) -> None:
        self._watcher = watcher
        # No heartbeats from here: libzmq 4.3.5 aborts where one is due on a connection whose queue is full and whose
        # peer has gone, which a stranger can bring about. Peers probe, and say after which silence they are gone.
        # Before a peer's first probe, it is gone where what it was sent is not received for so long.
        for option, value in ((zmq.TCP_KEEPALIVE, 1), *KEEPALIVE, (zmq.TCP_MAXRT, int(silence * 1000))):
            self._socket.setsockopt(option, value)
        self._socket.setsockopt(zmq.RCVHWM, RECEIVE_HIGH_WATER)
        self._monitor = self._watch() if watcher is not None else None
        where = f"tcp://{_bracketed(host)}:{port or '*'}"
        try:
            self._socket.bind(where)
        except zmq.ZMQError as error:
            self._close_monitor()
            self._socket.close(linger=0)
            reason = zmq.strerror(error.errno or 0)
            raise OSError(error.errno, f"cannot listen on {host} port {port}: {reason}") from error
        endpoint = self._socket.getsockopt(zmq.LAST_ENDPOINT)
        assert isinstance(endpoint, bytes)
        self.port = int(endpoint.rstrip(b"\0").rsplit(b":", 1)[1])

    def _watch(self) -> zmq.Socket[bytes]:
        """Have ZeroMQ tell of connections. The queue has no bound: ZeroMQ's own thread would wait where it is full."""
        where = f"inproc://monitor-{next(_monitors)}"
        self._socket.monitor(where, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        monitor: zmq.Socket[bytes] = _shared_context().socket(zmq.PAIR)
        monitor.setsockopt(zmq.RCVHWM, 0)
        monitor.setsockopt(zmq.LINGER, 0)
        monitor.connect(where)
        self._loop.add_reader(_descriptor(monitor), self._drain_monitor)
        self._loop.call_soon(self._drain_monitor)
        return monitor

    def _drain_monitor(self) -> None:
        while self._monitor is not None and self._watcher is not None:
            try:
                event = self._monitor.recv_multipart(zmq.NOBLOCK)[0]
            except zmq.Again:
                return
            kind, descriptor = int.from_bytes(event[:2], sys.byteorder), int.from_bytes(event[2:6], sys.byteorder)
            if kind == zmq.EVENT_ACCEPTED:
                self._watcher.accepted(descriptor)
            else:
                self._watcher.closed(descriptor)

    def _close_monitor(self) -> None:
        if self._monitor is not None:
            monitor, self._monitor = self._monitor, None
            self._loop.remove_reader(_descriptor(monitor))
            self._socket.disable_monitor()
            monitor.close(linger=0)

    def _drain(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        until = self._loop.time() + DRAIN_SECONDS
        for _ in range(DRAIN_MESSAGES):
            if self._closed:
                return
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                self.drained += 1
                return
            if self._monitor is not None and int(self._monitor.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                self._drain_monitor()  # a descriptor may be another connection's by now
            self.descriptor = _descriptor_of(frames[-1])
            try:
                self._frames(frames)
            except Exception:  # the boundary around one message: whatever it was, the next one is served
                log.exception("a message broke its handler")
            if self._loop.time() > until:
                break
        self._look_again()

    def _frames(self, frames: list[zmq.Frame]) -> None:
        raise AssertionError("each socket handles its own messages")


def _descriptor_of(frame: zmq.Frame) -> int:
    try:
        return int(frame.get(zmq.SRCFD))
    except (zmq.ZMQError, ValueError):
        return UNKNOWN_DESCRIPTOR


def tells_connections() -> bool:
    """Say whether this libzmq tells the connection of a message, by trying it on the loopback. Blocks a moment."""
    context = _shared_context()
    with context.socket(zmq.ROUTER) as server, context.socket(zmq.DEALER) as client:
        for sock in (server, client):
            sock.setsockopt(zmq.LINGER, 0)
        try:
            port = server.bind_to_random_port("tcp://127.0.0.1")
            client.connect(f"tcp://127.0.0.1:{port}")
            client.send(b"?")
            if not server.poll(SELF_TEST_MS):
                return False
            descriptor = _descriptor_of(server.recv_multipart(copy=False)[-1])
        except zmq.ZMQError:
            return False
        return descriptor != UNKNOWN_DESCRIPTOR and peer_name(descriptor)[0] == "127.0.0.1"


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
        watcher: Watcher | None = None,
        silence: float = SILENCE_S,
    ) -> None:
        super().__init__(zmq.ROUTER, max_frame)
        self._on_message = on_message
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.SNDHWM, ROUTER_HIGH_WATER)
        self._socket.setsockopt(zmq.BACKLOG, 1024)
        self._bind(host, port, watcher, silence)
        self._start()

    def _frames(self, frames: list[zmq.Frame]) -> None:
        if len(frames) == 2:
            self._on_message(frames[0].bytes, frames[1].bytes, _address_of(frames[1]))

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
        watcher: Watcher | None = None,
        silence: float = SILENCE_S,
    ) -> None:
        super().__init__(zmq.XPUB, MAX_SUBSCRIPTION_BYTES)
        self._on_subscribe = on_subscribe
        self._on_unsubscribe = on_unsubscribe
        self._socket.setsockopt(zmq.XPUB_MANUAL, 1)
        self._socket.setsockopt(zmq.SNDHWM, PUBLISH_HIGH_WATER)
        self._socket.setsockopt(zmq.BACKLOG, 1024)
        self._bind(host, port, watcher, silence)
        self._start()

    def _frames(self, frames: list[zmq.Frame]) -> None:
        message = frames[0].bytes if len(frames) == 1 else b""
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
        super().__init__(kind, max_frame)
        self._on_disconnect = on_disconnect
        self._monitor: zmq.Socket[bytes] | None = None
        self._socket.setsockopt(zmq.RECONNECT_IVL, 100)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
        self._socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, int(heartbeat.interval * 1000))
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, int(heartbeat.timeout * 1000))
        self._socket.setsockopt(zmq.HEARTBEAT_TTL, int(heartbeat.timeout * 1000))
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
