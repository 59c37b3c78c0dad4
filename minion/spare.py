"""The process that waits for the next job: forked and warmed up ahead of it, so that nobody waits for that.

It is replaced as soon as it is taken, and whenever it is out of date: after the helper has learnt, or been renewed.
"""

from __future__ import annotations

from .helper_process import Generations
from .process import Process


class Spare:
    """Keeps one process ahead of the jobs of one minion."""

    def __init__(self, helpers: Generations, return_max: int) -> None:
        self._helpers = helpers
        self._return_max = return_max
        self._process: Process | None = None
        self._closed = False
        helpers.on_change.append(self._changed)

    def take(self) -> Process:
        """Return a process that waits for a job: the spare one, or where there is none a new one."""
        process, self._process = self._process, None
        if process is not None:
            if self._is_fit(process):
                return process
            process.abandon()
        return Process(self._helpers.current, self._return_max)

    def prepare(self) -> None:
        """Have the next one forked, unless one stands by."""
        if self._closed or (self._process is not None and self._is_fit(self._process)):
            return
        self._drop()
        self._process = Process(self._helpers.current, self._return_max)

    def close(self) -> None:
        """End the one that stands by; there will be no other."""
        self._closed = True
        self._helpers.on_change.remove(self._changed)
        self._drop()

    def _changed(self) -> None:
        """What the helper forks now is more than what stands by."""
        if self._process is not None:
            self.prepare()

    def _is_fit(self, process: Process) -> bool:
        helper = self._helpers.current
        return process.helper is helper and process.lessons == helper.lessons and not process.ended.done()

    def _drop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.abandon()
