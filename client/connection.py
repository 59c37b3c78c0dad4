"""Connections to the master: one for each running call, kept for the next one; safe to use from many threads."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..common import ipc
from ..common.errors import MasterUnavailable

MAX_IDLE = 8


class Pool:
    """Connections to one master's socket. A process that forks starts with an empty one of its own.

    `auth` goes with every request: the credentials of whoever does not want to be who the kernel says.
    """

    def __init__(self, path: Path, auth: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self.auth = auth
        self._idle: list[ipc.Client] = []
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def take(self, fresh: bool = False) -> tuple[ipc.Client, bool]:
        """Return a connection, and whether it was used before; `fresh` asks for a new one.

        Raises `MasterUnavailable` where no master answers.
        """
        while not fresh and (client := self._pop()) is not None:
            if _is_alive(client):
                return client, True
            client.close()
        return ipc.connect(self.path), False

    def give(self, client: ipc.Client) -> None:
        """Take back a connection whose last request was answered to its end."""
        with self._lock:
            if self._pid == os.getpid() and len(self._idle) < MAX_IDLE:
                self._idle.append(client)
                return
        client.close()

    def call(self, op: str, **arguments: Any) -> Any:
        """Send one request and return its result; what streams before it is passed over."""
        with Exchange(self, op, arguments) as exchange:
            result = None
            for _kind, data in exchange:
                result = data
            return result

    def close(self) -> None:
        """Close the connections that are idle; running calls keep theirs to their end."""
        with self._lock:
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()

    def _pop(self) -> ipc.Client | None:
        with self._lock:
            if self._pid != os.getpid():
                # the parent's connections: closing ours leaves the parent's open
                stale, self._idle, self._pid = self._idle, [], os.getpid()
                for client in stale:
                    client.close()
            return self._idle.pop() if self._idle else None


def _is_alive(client: ipc.Client) -> bool:
    """Say whether an idle connection is still open: a master that closed it left an end of file to read."""
    return not client.buffered() and not _readable(client, 0.0)


def _readable(client: ipc.Client, timeout: float | None) -> bool:
    poller = select.poll()  # select() itself cannot watch descriptors past 1023
    poller.register(client.fileno(), select.POLLIN)
    return bool(poller.poll(None if timeout is None else max(0.0, timeout) * 1000))


class Exchange:
    """One request and the frames that answer it. Its connection is its own until the final frame.

    A connection that was kept from an earlier call may turn out dead when it is used again: the request is then
    repeated once on a new one. So it must be safe to repeat until something of the answer has come.
    """

    def __init__(self, pool: Pool, op: str, arguments: dict[str, Any]) -> None:
        self._pool = pool
        self._op = op
        self._arguments = {"auth": pool.auth, **arguments} if pool.auth else arguments
        self._client: ipc.Client | None = None
        self._frames: Iterator[tuple[str, Any]] = iter(())
        self._first: tuple[str, Any] | None = None
        self._begin()

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return self

    def __next__(self) -> tuple[str, Any]:
        if self._first is not None:
            frame, self._first = self._first, None
        elif self._client is None:
            raise StopIteration
        else:
            frame = self._next_frame()
        if frame[0] == "result" and self._client is not None:
            self._pool.give(self._client)
            self._client = None
        return frame

    def ready(self, timeout: float | None) -> bool:
        """Wait until the next frame has at least begun to arrive, or for `timeout` seconds; say whether it has."""
        if self._first is not None or self._client is None or self._client.buffered():
            return True
        return _readable(self._client, timeout)

    def fileno(self) -> int:
        """Return the descriptor to wait on; -1 where there is nothing to wait for."""
        return self._client.fileno() if self._client is not None else -1

    def close(self) -> None:
        """Give up what has not been answered; the master sees the connection end."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _begin(self) -> None:
        self._client, used = self._pool.take()
        try:
            self._first = self._send(self._client)
        except MasterUnavailable:
            if not used:
                raise
            self._client, _ = self._pool.take(fresh=True)
            self._first = self._send(self._client)

    def _send(self, client: ipc.Client) -> tuple[str, Any]:
        self._frames = client.request(self._op, **self._arguments)
        return self._next_frame()

    def _next_frame(self) -> tuple[str, Any]:
        try:
            return next(self._frames)
        except BaseException:
            self.close()
            raise
