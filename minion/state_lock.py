"""Whose turn it is to run states on this machine: one run at a time, over the daemon and every `ctl-call`.

The turn is a lock on a file in the data directory, which the kernel gives back when its holder ends. Runs of one
process that queue get it in the order in which they asked.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections import deque
from pathlib import Path
from typing import Any

POLL_S = 0.25
FILE = "states.lock"


class StateLock:
    """The turn, as one process sees it. Keys are whatever identifies a holder: a job's jid."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._fd: int | None = None
        self._holder: tuple[str, dict[str, Any]] | None = None
        self._queue: deque[str] = deque()
        self._free = asyncio.Condition()

    async def take(self, key: str, info: dict[str, Any], queue: bool | int, concurrent: bool) -> dict[str, Any] | None:
        """Take the turn; None when it is `key`'s, else what holds it.

        `queue` waits for it (a number: where at most so many wait already); `concurrent` does without it.
        """
        if concurrent or (self._holder is not None and self._holder[0] == key):
            return None
        if not self._queue and self._try(key, info):
            return None
        most = queue if type(queue) is int else None
        if not queue or (most is not None and len(self._queue) >= most):
            return self._read_holder()
        await self._wait(key, info)
        return None

    async def _wait(self, key: str, info: dict[str, Any]) -> None:
        self._queue.append(key)
        try:
            while self._queue[0] != key or not self._try(key, info):
                try:
                    async with asyncio.timeout(POLL_S), self._free:
                        await self._free.wait()
                except TimeoutError:
                    continue
        finally:
            self._queue.remove(key)

    async def release(self, key: str) -> None:
        """Give the turn back, if it is `key`'s."""
        if self._holder is None or self._holder[0] != key:
            return
        self._let_go()
        async with self._free:
            self._free.notify_all()

    def close(self) -> None:
        """Give the turn back, whoever has it."""
        self._let_go()

    def _let_go(self) -> None:
        self._holder = None
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None

    def _try(self, key: str, info: dict[str, Any]) -> bool:
        if self._holder is not None:
            return False
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(info).encode(), 0)
        self._fd = fd
        self._holder = (key, info)
        return True

    def _read_holder(self) -> dict[str, Any]:
        if self._holder is not None:
            return dict(self._holder[1])
        try:
            return dict(json.loads(self._path.read_bytes()))
        except (OSError, ValueError):
            return {"jid": "", "fun": "another process"}
