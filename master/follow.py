"""What one client is told of one job, as it happens.

Glues the pure wait (`waiting`) to a job's news and to the client's stream. What waits to be written is bounded: a large
return waits on disk, not in memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from .joblog import JobLog
from .jobs import End, Job, Mark
from .presence import Presence
from .store import settled
from .waiting import Absent, Policy, Waiter, end_reason

MAX_HELD_BYTES = 64 * 1024
MAX_HELD_TOTAL_BYTES = 16 * 1024 * 1024
MAX_PROGRESS_QUEUED = 10_000
PART_BYTES = 4 * 1024 * 1024


class Stream(Protocol):
    """Where a client's items go; waits while the client reads slowly."""

    @property
    def closed(self) -> bool: ...

    async def send(self, kind: str, data: Any) -> None: ...


@dataclass(slots=True, eq=False)
class Follower:
    """One client that follows one job; `run` returns the result."""

    joblog: JobLog
    presence_of: Presence
    job: Job
    waiter: Waiter
    progress: bool
    now: Callable[[], float]
    _items: deque[tuple[str, Any]] = field(default_factory=deque)
    _held: int = 0
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _returned: list[str] = field(default_factory=list)
    _missing: dict[str, str] = field(default_factory=dict)

    # -- news, in the order it happens

    def acknowledged(self, minion: str, mark: Mark) -> None:
        """A minion has the job."""
        self.waiter.heard(minion, mark.state, self.now())
        self._put("ack", {"id": minion})

    def alive(self, minion: str, mark: Mark) -> None:
        """A minion runs the job."""
        self.waiter.heard(minion, mark.state, self.now())

    def ended(self, end: End, stored: Future[bool]) -> None:
        """The job ended on a minion; what is small goes on before it is stored, the rest once it is."""
        self.waiter.heard(end.id, end.state, self.now())
        if end.inferred:
            self._give_up([Absent(end.id, end.reason, end.state)])
            return
        if len(end.payload) <= MAX_HELD_BYTES and self._held + len(end.payload) <= MAX_HELD_TOTAL_BYTES:
            self._held += len(end.payload)
            self._put("return", (end, None))
        else:
            self._put("return", (replace(end, payload=b""), stored))

    def progressed(self, minion: str, kind: str, data: bytes) -> None:
        """A minion reports progress; a client that cannot keep up misses some."""
        fits = len(self._items) < MAX_PROGRESS_QUEUED and self._held + len(data) <= MAX_HELD_TOTAL_BYTES
        if self.progress and fits:
            self._held += len(data)
            self._put("progress", {"id": minion, "kind": kind, "data": data})

    def presence(self, minion: str, connected: bool) -> None:
        """A minion's connection began or ended."""
        if connected:
            self.waiter.back(minion, self.now())
        else:
            self._give_up(self.waiter.lost(minion, self.now()))
        self._ready.set()

    def _put(self, kind: str, data: Any) -> None:
        self._items.append((kind, data))
        self._ready.set()

    def _give_up(self, absent: list[Absent]) -> None:
        for one in absent:
            if one.id not in self._missing:
                self._missing[one.id] = one.reason
                self._put("absent", {"id": one.id, "reason": one.reason, "state": one.state})

    # -- telling it

    async def run(self, stream: Stream, first: tuple[str, Any]) -> dict[str, Any]:
        """Tell `stream` what is known and what happens, until nobody is waited for; return the result.

        `first` goes before all else.
        """
        self.joblog.watch(self.job.jid, self)
        try:
            self._put(*first)
            self._begin()
            while not stream.closed:
                await self._tell_all(stream)
                if self.waiter.done:
                    break
                await self._wait()
                self._give_up(self.waiter.tick(self.now()))
        finally:
            self.joblog.unwatch(self.job.jid, self)
        return {
            "jid": self.job.jid,
            "minions": list(self.job.record.expected.ids),
            "returned": self._returned,
            "missing": self._missing,
        }

    def _begin(self) -> None:
        marks = [(minion, self.job.mark_of(minion)) for minion in self.job.record.expected.ids]
        for minion, mark in marks:
            if mark.ended and mark.inferred:
                self._give_up([Absent(minion, end_reason(mark), mark.state)])
            elif mark.ended:
                self._tell_of_earlier(minion, mark)
        waiting = ((minion, mark, minion in self.presence_of) for minion, mark in marks)
        self._give_up(self.waiter.start(waiting, self.now()))

    def _tell_of_earlier(self, minion: str, mark: Mark) -> None:
        """A minion ended the job before this client began to follow."""
        under_way = self.joblog.being_stored(self.job.jid, minion)
        if under_way is not None:
            self.ended(*under_way)
        else:
            self._put("return", (End(minion, mark.state, mark.reason), settled(True)))

    async def _wait(self) -> None:
        deadline = self.waiter.next_deadline()
        timeout = None if deadline is None else max(0.0, deadline - self.now())
        if not self._items:
            self._ready.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._ready.wait()
            except TimeoutError:
                pass

    async def _tell_all(self, stream: Stream) -> None:
        while self._items:
            kind, data = self._items.popleft()
            if kind == "return":
                await self._tell_return(stream, *data)
                continue
            if kind == "progress":
                self._held = max(0, self._held - len(data["data"]))
            await stream.send(kind, data)

    async def _tell_return(self, stream: Stream, end: End, stored: Future[bool] | None) -> None:
        self._held = max(0, self._held - len(end.payload))
        if stored is not None:
            await asyncio.wrap_future(stored)
            found = await asyncio.to_thread(self.joblog.store.end, self.job.jid, end.id)
            end = found or end
        self._missing.pop(end.id, None)
        self._returned.append(end.id)
        await send_return(stream, self.joblog, self.job.jid, end)


def return_envelope(jid: str, end: End, payload: bytes) -> dict[str, Any]:
    """Return what a client is told of an end."""
    return {
        "id": end.id,
        "jid": jid,
        "fun": end.fun,
        "retcode": end.retcode,
        "success": end.success,
        "out": end.out,
        "state": end.state.value,
        "reason": end.reason,
        "truncated": end.truncated,
        "payload": payload,
        "size": end.size or len(payload),
    }


async def send_return(stream: Stream, joblog: JobLog, jid: str, end: End) -> None:
    """Send one return; a large one in parts."""
    if end.digest is None and len(end.payload) <= PART_BYTES:
        await stream.send("return", return_envelope(jid, end, end.payload))
        return
    size = end.size
    if size <= PART_BYTES:
        payload = await asyncio.to_thread(joblog.store.body, end)
        await stream.send("return", return_envelope(jid, end, payload))
        return
    parts = (size + PART_BYTES - 1) // PART_BYTES
    await stream.send("return", {**return_envelope(jid, end, b""), "size": size, "parts": parts})
    for number in range(parts):
        data = await asyncio.to_thread(joblog.store.body, end, number * PART_BYTES, PART_BYTES)
        await stream.send("part", {"id": end.id, "data": data})


def follower(
    joblog: JobLog, presence: Presence, job: Job, policy: Policy, *, progress: bool, now: Callable[[], float]
) -> Follower:
    """Make a follower of a job that begins to wait now."""
    return Follower(joblog, presence, job, Waiter(policy, now()), progress, now)
