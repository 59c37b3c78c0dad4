"""Run a job on a few minions at a time: a window that is filled again as minions return.

`Window` decides, and knows neither sockets nor clocks; `run` carries out what it decides, one job for each filling.
"""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..common.errors import NoMinions
from . import job
from .connection import Pool

NOT_CONNECTED = "Not connected"
NO_LONGER_MATCHES = "No longer matches"
STOPPED = "Not run: an earlier minion failed"


class Size(NamedTuple):
    """How many minions run at once: a number, or a share of them in percent."""

    number: float
    percent: bool = False

    @classmethod
    def parse(cls, text: str | int) -> Size:
        """Read `5` or `10%`; raises `ValueError` for anything else."""
        words = str(text).strip()
        digits = words.removesuffix("%")
        if not digits.replace(".", "", 1).isdecimal():
            raise ValueError(f"{text!r} is no size of a batch")
        size = cls(float(digits), words.endswith("%"))
        if size.number <= 0 or not (size.percent or size.number.is_integer()):
            raise ValueError(f"{text!r} is no size of a batch")
        return size

    def of(self, count: int) -> int:
        """Return the number of minions at once out of `count`; at least one."""
        return max(1, int(count * self.number / 100 if self.percent else self.number))


class Window:
    """Which minions are due: at most `size` at once, each slot resting `wait` seconds before it is used again."""

    def __init__(self, minions: Iterable[str], size: int, wait: float = 0.0) -> None:
        self._due = deque(minions)
        self._free = size
        self._wait = wait
        self._resting: deque[float] = deque()
        self.running: set[str] = set()

    @property
    def finished(self) -> bool:
        """Whether every minion is done."""
        return not self._due and not self.running

    def take(self, now: float) -> list[str]:
        """Return the minions to start now; they are running from here on."""
        while self._resting and self._resting[0] <= now:
            self._resting.popleft()
            self._free += 1
        started = [self._due.popleft() for _ in range(min(self._free, len(self._due)))]
        self._free -= len(started)
        self.running.update(started)
        return started

    def done(self, minion: str, now: float) -> None:
        """A minion has returned, or is waited for no longer."""
        if minion in self.running:
            self.running.remove(minion)
            self._resting.append(now + self._wait)

    def next_start(self) -> float | None:
        """Return when a resting slot is free again, where somebody waits for one."""
        return self._resting[0] if self._resting and self._due else None

    def stop(self) -> list[str]:
        """Start nobody any more; return those who are left out."""
        left, self._due = list(self._due), deque()
        return left


def run(pool: Pool, request: job.Request, size: Size, wait: float = 0.0, failhard: bool = False) -> Iterator[job.Event]:
    """Run `request` in batches and yield its events, as those of one job with an empty jid at first.

    Minions that are not connected are reported and skipped. With `failhard` the first that fails ends the batch:
    those that run are waited for, nobody else is started. Raises as `job.publish` does.
    """
    minions = job.targets(pool, request)
    if not minions:
        raise NoMinions("no minion matches the target")
    yield job.Published("", minions)
    yield from (job.Absent(minion, NOT_CONNECTED, "sent") for minion, there in minions if not there)
    connected = [minion for minion, there in minions if there]
    batch = _Batch(pool, request, Window(connected, size.of(len(minions)), wait))
    try:
        for event in batch.events():
            yield event
            if failhard and not (isinstance(event, job.Return) and event.good):
                yield from (job.Absent(minion, STOPPED) for minion in batch.window.stop())
    finally:
        batch.close()
    yield job.Finished("")


class _Batch:
    """The jobs of a batch that are under way."""

    def __init__(self, pool: Pool, request: job.Request, window: Window) -> None:
        self.window = window
        self._pool = pool
        self._request = request
        self._streams: dict[int, tuple[job.Stream, set[str]]] = {}

    def events(self) -> Iterator[job.Return | job.Absent]:
        """Start minions as slots come free; yield how each ended."""
        while not self.window.finished:
            if started := self.window.take(time.monotonic()):
                yield from self._start(started)
            for descriptor in self._wait():
                for event in self._drain(descriptor):
                    self.window.done(event.id, time.monotonic())
                    yield event

    def close(self) -> None:
        """Stop following; jobs that run go on."""
        for stream, _ in self._streams.values():
            stream.close()
        self._streams.clear()

    def _start(self, minions: list[str]) -> Iterator[job.Absent]:
        try:
            stream = job.publish(self._pool, self._request._replace(tgt=minions, tgt_type="list", window=0.0, subset=0))
        except NoMinions:
            yield from self._missing(minions)
            return
        self._streams[stream.fileno()] = (stream, set(minions))

    def _missing(self, minions: Iterable[str]) -> Iterator[job.Absent]:
        for minion in sorted(minions):
            self.window.done(minion, time.monotonic())
            yield job.Absent(minion, NO_LONGER_MATCHES)

    def _wait(self) -> list[int]:
        """Wait until something arrives or a slot comes free; return the descriptors with something to read."""
        if held := [descriptor for descriptor, (stream, _) in self._streams.items() if stream.ready(0.0)]:
            return held
        poller = select.poll()
        for descriptor in self._streams:
            poller.register(descriptor, select.POLLIN)
        start = self.window.next_start()
        timeout = None if start is None else max(0.0, start - time.monotonic()) * 1000
        return [descriptor for descriptor, _ in poller.poll(timeout)]

    def _drain(self, descriptor: int) -> Iterator[job.Return | job.Absent]:
        """Yield what has arrived on one stream; what it never told of is missing once it ends."""
        stream, open_minions = self._streams[descriptor]
        while stream.ready(0.0):
            event = next(stream, None)
            if isinstance(event, job.Return | job.Absent):
                open_minions.discard(event.id)
                yield event
            elif event is None or isinstance(event, job.Finished):
                del self._streams[descriptor]
                yield from self._missing(open_minions & self.window.running)
                return
