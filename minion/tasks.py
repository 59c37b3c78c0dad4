"""A group that owns the tasks of a daemon: an error in one is logged and touches no other; `close` ends them all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Tasks:
    """The tasks of one owner. After `close` none can be started."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    def start(self, work: Coroutine[Any, Any, Any], name: str, *, awaited: bool = False) -> asyncio.Task[Any] | None:
        """Run `work` until it ends or the group closes; None where the group is closed already.

        The errors of one that is `awaited` are for whoever awaits it.
        """
        if self._closed:
            work.close()
            return None
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended_awaited if awaited else self._ended)
        return task

    def __len__(self) -> int:
        return len(self._running)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed: %s: %s", task.get_name(), type(error).__name__, error, exc_info=error)

    def _ended_awaited(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # it is seen, also where whoever awaited it was cancelled

    async def close(self) -> None:
        """Cancel what runs and wait until it has ended."""
        self._closed = True
        while self._running:
            for task in list(self._running):
                task.cancel()
            await asyncio.wait(list(self._running))
