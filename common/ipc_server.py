"""The serving half of the clients' socket: accept, ask the kernel who it is, read requests, stream answers."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import os
import pwd
import socket
import struct
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import ipc
from .errors import ConfigError, CtlError, WireError
from .log import Limiter
from .writers import make_own_directory

log = logging.getLogger(__name__)

READ_TIMEOUT_SECONDS = 10.0
WRITE_TIMEOUT_SECONDS = 300.0  # how long somebody who may not do everything may leave an answer unread
MAX_PIPELINED = 64
UNKNOWN_FRAME_BYTES = 128 * 1024
CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, by the kernel's word: ids, name (the uid's digits where it has none), group names."""

    uid: int
    gid: int
    pid: int
    user: str
    groups: tuple[str, ...]

    @property
    def is_full(self) -> bool:
        """Whether this is root or who this process runs as."""
        return is_full(self.uid)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many connections may be open: in all, of one user, and how many of all are for root and the own user only.

    `trusts(peer)` says whose requests may be large from the first one on; of others, once one of theirs was granted.
    """

    connections: int = 512
    per_user: int = 64
    kept: int = 64
    trusts: Callable[[Peer], bool] = lambda peer: peer.is_full


def _credentials(sock: socket.socket) -> tuple[int, int, int]:
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    pid, uid, gid = CREDENTIALS.unpack(data)
    return pid, uid, gid


def is_full(uid: int) -> bool:
    """Whether a user is root, or who this process runs as."""
    return uid in (0, os.geteuid())


def peer_of(sock: socket.socket) -> Peer:
    """Ask the kernel for the credentials of a connected Unix socket's other end."""
    pid, uid, gid = _credentials(sock)
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        return Peer(uid, gid, pid, str(uid), ())
    return Peer(uid, gid, pid, user, _group_names(user, gid) if uid else ("root",))


def _group_names(user: str, gid: int) -> tuple[str, ...]:
    names = []
    for number in os.getgrouplist(user, gid):
        with contextlib.suppress(KeyError):
            names.append(grp.getgrgid(number).gr_name)
    return tuple(names)


class Connection(asyncio.Protocol):
    """One client's connection: takes bytes apart into requests, and holds writers back while the client is slow."""

    def __init__(self, opened: Callable[[Connection], None]) -> None:
        self.requests: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.reason = ""
        self.most = UNKNOWN_FRAME_BYTES  # of one request, and of all that wait
        self.patience: float | None = WRITE_TIMEOUT_SECONDS
        self._waiting: deque[int] = deque()
        self._opened = opened
        self._buffer = bytearray()
        self._writable = asyncio.Event()
        self._writable.set()
        self._deadline: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        self.gone.set()
        self._writable.set()
        self.requests.put_nowait(None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while (request := self._next_request()) is not None:
                self.requests.put_nowait(request)
            if self.requests.qsize() > MAX_PIPELINED or sum(self._waiting) > self.most:
                raise WireError(f"more than {MAX_PIPELINED} requests or {self.most} bytes at once")
        except WireError as error:
            self.cut(str(error))

    async def next(self) -> dict[str, Any] | None:
        """Wait for the next request; None at the end."""
        request = await self.requests.get()
        if self._waiting:
            self._waiting.popleft()
        return request

    def _next_request(self) -> dict[str, Any] | None:
        end = ipc.LENGTH.size
        if has_length := len(self._buffer) >= end:
            end += ipc.check_length(bytes(self._buffer[:end]), self.most)
        if not has_length or len(self._buffer) < end:
            if self._buffer:
                self._start_clock()
            return None
        self._stop_clock()
        request = ipc.decode(bytes(self._buffer[ipc.LENGTH.size : end]))
        self._waiting.append(end)
        del self._buffer[:end]
        if not isinstance(request, dict) or not isinstance(request.get("op"), str):
            raise WireError("a request must be a map with an op")
        return request

    def _start_clock(self) -> None:
        """Bound the time of a request that has begun to arrive; each further byte buys none."""
        if self._deadline is not None:
            return
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(READ_TIMEOUT_SECONDS, self.cut, "a request did not arrive whole in time")

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def cut(self, reason: str) -> None:
        """Close at once, for a reason that goes to the log."""
        self.reason = reason
        if self.transport is not None:
            self.transport.abort()

    async def send(self, message: Any) -> None:
        """Write one frame; waits while the client reads slowly; raises `ConnectionError` where it has gone."""
        if self.gone.is_set() or self.transport is None:
            raise ConnectionResetError("the client has gone")
        self.transport.write(ipc.encode(message))
        if not self._writable.is_set():
            try:
                async with asyncio.timeout(self.patience):
                    await self._writable.wait()
            except TimeoutError:
                self.cut(f"it read nothing for {self.patience:g} s")
                raise ConnectionResetError("the client does not read") from None


class Stream:
    """Where a handler writes what comes before its result. Writing waits while the client reads slowly."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def closed(self) -> bool:
        """Whether the client has gone."""
        return self._connection.gone.is_set()

    def granted(self) -> None:
        """Somebody here was let in: what they ask next may be large."""
        self._connection.most = ipc.MAX_FRAME_BYTES

    async def send(self, kind: str, data: Any) -> None:
        """Send one item; raises `ConnectionError` where the client has gone."""
        await self._connection.send([kind, data])


Handler = Callable[[dict[str, Any], Peer, Stream], Awaitable[Any]]


class Server:
    """Serve one Unix socket: `await start()`, `await close()`. The handler's return value is the result.

    A handler is cancelled where its client goes away before the answer.
    """

    def __init__(self, path: Path, handler: Handler, *, mode: int = 0o660, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._users: Counter[int] = Counter()
        self._limiter = Limiter()
        self._path = path
        self._handler = handler
        self._mode = mode
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Bind and listen; an old socket file is replaced. The caller holds the instance's lock."""
        _check_directory(self._path.parent)
        sock = _bind(self._path, self._mode)
        self._server = await asyncio.get_running_loop().create_unix_server(lambda: Connection(self._accept), sock=sock)

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is None:
            return
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None
        self._path.unlink(missing_ok=True)

    def _accept(self, connection: Connection) -> None:
        assert connection.transport is not None
        _, uid, _ = _credentials(connection.transport.get_extra_info("socket"))
        if why := self._has_no_room(uid):
            if self._limiter.allows(uid):
                log.warning("a client of user %d was turned away from %s: %s", uid, self._path, why)
            connection.cut(why)
            return
        self._users[uid] += 1
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, uid))

    def _has_no_room(self, uid: int) -> str:
        """Return why one more connection of a user is not taken; empty where it is. The cheap check comes first."""
        bounds, full = self._bounds, is_full(uid)
        if len(self._tasks) >= bounds.connections - (0 if full else bounds.kept):
            return f"{len(self._tasks)} connections are open"
        if not full and self._users[uid] >= bounds.per_user:
            return f"{bounds.per_user} connections of this user are open"
        return ""

    def _ended(self, task: asyncio.Task[None], uid: int) -> None:
        self._tasks.discard(task)
        self._users[uid] -= 1
        if not self._users[uid]:
            del self._users[uid]

    async def _serve(self, connection: Connection) -> None:
        assert connection.transport is not None
        peer = peer_of(connection.transport.get_extra_info("socket"))
        if self._bounds.trusts(peer):
            connection.most = ipc.MAX_FRAME_BYTES
        if peer.is_full:
            connection.patience = None  # its reader may be a person who pages through what comes
        try:
            while (request := await connection.next()) is not None:
                await self._answer(request, peer, connection)
        except (WireError, ConnectionError) as error:
            connection.reason = str(error)
        finally:
            connection.transport.close()
            if connection.reason:
                log.info("a client (pid %d, user %s) was cut off: %s", peer.pid, peer.user, connection.reason)

    async def _answer(self, request: dict[str, Any], peer: Peer, connection: Connection) -> None:
        work = asyncio.ensure_future(self._guarded(request, peer, Stream(connection)))
        gone = asyncio.ensure_future(connection.gone.wait())
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await connection.send(list(work.result()))
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _guarded(self, request: dict[str, Any], peer: Peer, stream: Stream) -> tuple[str, Any]:
        try:
            result = await self._handler(request, peer, stream)
        except CtlError as error:
            return "error", ipc.error_data(error)
        except ConnectionError:
            raise
        except Exception as error:  # the boundary around one handler call
            log.exception("the request %r of user %s failed", request.get("op"), peer.user)
            return "error", ipc.error_data(error)
        stream.granted()
        return "result", result


def _check_directory(directory: Path) -> None:
    make_own_directory(directory, 0o750)
    info = directory.stat()
    if info.st_uid not in (0, os.geteuid()):
        raise ConfigError(f"the socket's directory {directory} belongs to another user (uid {info.st_uid})")


def _bind(path: Path, mode: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    # the mode is set on the socket itself first: its name never exists with a wider one
    try:
        path.unlink(missing_ok=True)
        os.fchmod(sock.fileno(), mode)
        name = os.fspath(path)
        sock.bind(name if len(os.fsencode(name)) <= ipc.SOCKET_NAME_BYTES else f"/proc/self/fd/{directory}/{path.name}")
        os.chmod(path, mode)
        sock.listen(128)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(directory)
    return sock
