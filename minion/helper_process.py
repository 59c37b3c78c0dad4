"""The daemon's handle on its fork helper: start it, have it fork, hear of ends, replace it.

Messages on the `SOCK_SEQPACKET` pair, one per packet. To the helper: `F` token (with the child's socket attached),
`S` pid signal, `L` name (a built-in module that jobs use), `Q` (drain: end with the last child). From it: `R` (ready),
`F` token pid (negative: the errno of a fork that failed), `X` pid wait-status, `L` (what was to be learnt is loaded).
One handle may serve several minions of one event loop; it counts the `lessons` that its helper has learnt.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .helper import (
    DRAIN,
    ENDED,
    EXITED,
    FORK,
    FORKED,
    LEARN,
    MAX_MESSAGE_BYTES,
    MAX_NAME_BYTES,
    MODULES,
    READY,
    SIGNAL,
    SIGNALLED,
    TOKEN,
)

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 5.0
SOCKET_BUFFER_BYTES = 1024 * 1024


@dataclass(slots=True)
class _Fork:
    """A fork that was asked for: its socket until it is sent, and whom to tell."""

    sock: socket.socket | None
    started: Callable[[int], None]
    ended: Callable[[int | None], None]


class Helper:
    """One helper process. `start()` needs no event loop; `attach()` before use inside one, `detach()` after."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._loop: asyncio.AbstractEventLoop | None = None
        self._users = 0
        self._next_token = 0
        self._unsent: deque[tuple[bytes, int | None]] = deque()
        self._asked: dict[int, _Fork] = {}
        self._running: dict[int, _Fork] = {}
        self._gone = False
        self._known = set(MODULES)
        self.lessons = 0
        self.on_gone: list[Callable[[], None]] = []
        self.on_learnt: list[Callable[[], None]] = []

    @classmethod
    def start(cls) -> Helper:
        """Start a helper by exec; it preloads on its own while we go on."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "ctl.minion.helper", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        ours.setblocking(False)
        return cls(process, ours)

    @property
    def pid(self) -> int:
        """The helper's process id."""
        return self._process.pid

    @property
    def gone(self) -> bool:
        """Whether the helper has ended."""
        return self._gone

    def attach(self) -> None:
        """Serve the running event loop; one loop at a time, any number of users in it."""
        loop = asyncio.get_running_loop()
        if self._users and self._loop is not loop:
            raise RuntimeError("this helper serves another event loop")
        self._users += 1
        if self._users == 1:
            self._loop = loop
            loop.add_reader(self._control, self._readable)

    def detach(self) -> None:
        """Undo one `attach`."""
        self._users -= 1
        if self._users == 0 and self._loop is not None:
            if not self._gone:
                self._loop.remove_reader(self._control)
                self._loop.remove_writer(self._control)
            self._loop = None

    def fork(self, sock: socket.socket, started: Callable[[int], None], ended: Callable[[int | None], None]) -> None:
        """Fork a child that serves `sock`, which is closed here once handed over.

        `started(pid)` tells of the fork; `ended(wait_status)` of its end, or with None where the fork failed or the
        helper itself ended.
        """
        self._next_token += 1
        self._asked[self._next_token] = _Fork(sock, started, ended)
        self._send(TOKEN.pack(FORK, self._next_token), self._next_token)

    def signal(self, pid: int, number: int) -> bool:
        """Send a signal to a child's whole tree of processes; False where it does not run."""
        if pid not in self._running:
            return False
        self._send(SIGNALLED.pack(SIGNAL, pid, number))
        return True

    def learn(self, fun: str) -> None:
        """Have the helper load the built-in module of a function, once, so that later jobs find it loaded."""
        name = fun.partition(".")[0]
        if name not in self._known and name.isidentifier() and name.isascii() and len(name) <= MAX_NAME_BYTES:
            self._known.add(name)
            self._send(LEARN + name.encode())

    def drain(self) -> None:
        """Let the helper end after its last child."""
        self._send(DRAIN)

    def close(self) -> None:
        """End the helper and all that it forked, and wait for it."""
        self._end()
        self._control.close()
        try:
            self._process.wait(CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, message: bytes, token: int | None = None) -> None:
        self._unsent.append((message, token))
        if len(self._unsent) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._unsent and not self._gone:
            message, token = self._unsent[0]
            fork = self._asked.get(token) if token is not None else None
            fds = [fork.sock.fileno()] if fork is not None and fork.sock is not None else []
            try:
                socket.send_fds(self._control, [message], fds)
            except BlockingIOError:
                if self._loop is not None:
                    self._loop.add_writer(self._control, self._flush)
                return
            except OSError:
                self._end()
                return
            self._unsent.popleft()
            if fork is not None and fork.sock is not None:
                fork.sock.close()
                fork.sock = None
        if self._gone:
            self._fail_all()
        elif self._loop is not None:
            self._loop.remove_writer(self._control)

    def _readable(self) -> None:
        for _ in range(256):
            try:
                message = self._control.recv(MAX_MESSAGE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                self._end()
                return
            self._handle(message)

    def _handle(self, message: bytes) -> None:
        kind = message[:1]
        if kind == FORK:
            _kind, token, pid = FORKED.unpack(message)
            fork = self._asked.pop(token)
            if pid > 0:
                self._running[pid] = fork
                fork.started(pid)
            else:
                log.error("a job's process could not be forked: %s", os.strerror(-pid))
                fork.ended(None)
        elif kind == EXITED:
            _kind, pid, status = ENDED.unpack(message)
            found = self._running.pop(pid, None)
            if found is not None:
                found.ended(status)
        elif kind == LEARN:
            self.lessons += 1
            for tell in list(self.on_learnt):
                tell()
        elif kind == READY:
            log.debug("the fork helper (pid %d) is ready", self.pid)

    def _end(self) -> None:
        if self._gone:
            return
        self._gone = True
        if self._loop is not None:
            self._loop.remove_reader(self._control)
            self._loop.remove_writer(self._control)
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        self._fail_all()
        for tell in list(self.on_gone):
            tell()

    def _fail_all(self) -> None:
        self._unsent.clear()
        waiting = [*self._asked.values(), *self._running.values()]
        self._asked.clear()
        self._running.clear()
        for fork in waiting:
            if fork.sock is not None:
                fork.sock.close()
            fork.ended(None)


class Generations:
    """The helpers of one daemon: the one that forks now, and older ones that end with their last job.

    With a helper given from outside (tests share one between minions) that one is used for good and never closed.
    `on_change` is called when what will be forked differs from before: the helper has learnt, or is another one.
    """

    def __init__(self, given: Helper | None = None) -> None:
        self._given = given
        self._current = given
        self._draining: list[Helper] = []
        self._closed = False
        self.on_change: list[Callable[[], None]] = []

    def start(self) -> None:
        """Start the first helper, before there is any thread or socket, and serve the running event loop with it."""
        if self._current is None:
            self._current = Helper.start()
        self._use(self._current)

    @property
    def current(self) -> Helper:
        """The helper that forks now; a new one where the last has died."""
        if self._current is None or self._current.gone:
            if self._current is not None and self._current is not self._given:
                self._retire(self._current)
            log.warning("the fork helper has ended: starting another")
            self._current = Helper.start()
            self._use(self._current)
        return self._current

    def renew(self) -> None:
        """Have a new helper take over; running jobs end in the one they were started by."""
        old = self._current
        if old is None or old is self._given or self._closed:
            return
        self._current = Helper.start()
        self._use(self._current)
        self._draining.append(old)
        old.on_learnt.clear()
        old.on_gone.append(lambda: self._retire(old))
        self._changed()
        old.drain()

    def close(self) -> None:
        """End the helpers that were started here, with everything they forked."""
        self._closed = True
        if self._given is not None:
            self._given.on_learnt.remove(self._changed)
            self._given.detach()
        for helper in [*self._draining, self._current]:
            if helper is not None and helper is not self._given:
                self._retire(helper)
        self._draining.clear()
        self._current = None

    def _use(self, helper: Helper) -> None:
        helper.on_learnt.append(self._changed)
        helper.attach()

    def _changed(self) -> None:
        for tell in list(self.on_change):
            tell()

    def _retire(self, helper: Helper) -> None:
        if helper in self._draining:
            self._draining.remove(helper)
        helper.on_gone.clear()
        helper.detach()
        helper.close()
