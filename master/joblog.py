"""The job log: publishes jobs in order, keeps those that are not over in memory, and sees each to a stated end.

Decisions about a job are made in `jobs`; this carries them out: the store, the publication, those who watch. A job id
is given out only once the job is on disk.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..common import crash, wire
from ..common.errors import JobError, NoMinions, WireError
from ..common.log import Limiter
from .clock import Uptime, uptime
from .events import EventBus
from .jobs import UNDER_WAY, End, Expected, Heard, Job, JobIds, JobRecord, Mark, State
from .presence import Presence
from .store import JobStore, RepeatedRequest, settled

log = logging.getLogger(__name__)

MAX_PAYLOAD_BYTES = 512 * 1024
MAX_JOB_BYTES = MAX_PAYLOAD_BYTES + 128 * 1024
CATCH_UP_BYTES = 512 * 1024
CATCH_UP_JOBS = 256
# How long after its window a job may still be acknowledged by a minion that got it in time.
SETTLE_SECONDS = 5.0
# A job that is not queued for minions that are away must still reach those that are not.
TRANSIT_SECONDS = 10.0
ACK_BATCH_SECONDS = 0.05
KEEPALIVES_MISSED = 3
# When a job that was sent to few minions is looked at again for the first time; each time after twice as long.
REPEAT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Request:
    """A job to be published, its target resolved. Times in seconds; `window` 0 is for connected minions only."""

    expected: Sequence[str]
    tgt: str
    tgt_type: str
    delimiter: str
    fun: str
    payload: bytes
    user: str
    window: float
    timeout: float = 0.0
    metadata: bytes | None = None
    progress: bool = False
    request_id: str = ""
    private: bool = False
    hidden: bytes | None = None  # the payload, where `payload` has its secrets masked


class Sender(Protocol):
    """What brings jobs to minions."""

    def publish(self, record: JobRecord) -> None: ...

    def is_direct(self, record: JobRecord) -> bool: ...

    def send_to(self, record: JobRecord, minions: Iterable[str]) -> None: ...


class Watcher(Protocol):
    """Somebody who follows a job."""

    def acknowledged(self, minion: str, mark: Mark) -> None: ...

    def alive(self, minion: str, mark: Mark) -> None: ...

    def ended(self, end: End, stored: Future[bool]) -> None: ...

    def progressed(self, minion: str, kind: str, data: bytes) -> None: ...

    def presence(self, minion: str, connected: bool) -> None: ...


class JobLog:
    """The jobs of this master."""

    def __init__(
        self,
        store: JobStore,
        *,
        sender: Sender,
        presence: Presence,
        events: EventBus,
        now_ms: Callable[[], int],
        now: Callable[[], float],
        keepalive: float,
        uptime: Callable[[], Uptime] = uptime,
    ) -> None:
        self.store = store
        self._uptime = uptime
        self._began = now(), now_ms()
        self.active: dict[str, Job] = {}
        self._sender = sender
        self._presence = presence
        self._events = events
        self._now_ms = now_ms
        self._now = now
        self._silence = keepalive * KEEPALIVES_MISSED
        self._ids = JobIds()
        self._offset = 0
        self.head = 0
        self._uncommitted: deque[tuple[Job, asyncio.Future[None]]] = deque()
        self._log: OrderedDict[int, Job] = OrderedDict()  # jobs whose window is open, by offset
        self._windows: list[tuple[float, str]] = []
        self._watchers: dict[str, set[Watcher]] = {}
        self._unqueued: set[str] = set()  # active jobs that must not wait for minions that are away
        self._under_way: dict[str, set[str]] = {}  # per minion, the jids it acknowledged and has not ended
        self._being_stored: dict[tuple[str, str], tuple[End, Future[bool]]] = {}
        self._acks: list[tuple[str, str]] = []
        self._ack_timer: asyncio.TimerHandle | None = None
        self._sets: OrderedDict[int, tuple[Sequence[str], Expected]] = OrderedDict()
        self._limiter = Limiter()
        presence.listen(self._presence_changed)

    # -- start and stop

    def recover(self) -> None:
        """Read what was under way when the master stopped. Reads the disk: call it before the loop serves anybody."""
        self._offset, last, _ = self.store.last()
        self.head = self._offset
        self._ids = JobIds(last)
        now, now_ms, up = self._now(), self._now_ms(), self._uptime()
        for entry in self.store.open_jobs():
            record = entry.record
            age = up.since(record.made)
            if age is None:  # the machine was started anew: only the wall clock knows
                age = max(0, now_ms - record.created_ms)
            job = Job(record, now, now + (record.expires_ms - record.created_ms - age) / 1000)
            for minion in entry.acknowledged & entry.record.expected.members:
                job.hear(minion, Heard.ACK, now)
                self._under_way.setdefault(minion, set()).add(job.jid)
            for end in entry.ends:
                job.restore(end.id, Mark(end.state, now, end.reason, end.inferred))
                self._forget_under_way(end.id, job.jid)
            if not entry.record.queued:  # nobody is connected now, and it does not wait for them
                self._unqueued.add(job.jid)
                if absent := self._end_for_absent(job):
                    self.store.add_ends(job.jid, absent)
            self._admit(job)
            self._close_if_complete(job)

    def close(self) -> None:
        """Hand what is noted to the store."""
        if self._ack_timer is not None:
            self._ack_timer.cancel()
            self._store_acks()

    # -- publishing

    def expected(self, ids: Sequence[str]) -> Expected:
        """Return the set of these ids; the same object for the same tuple."""
        known = self._sets.get(id(ids))
        if known is not None and known[0] is ids:
            return known[1]
        made = Expected.of(ids)
        self._sets[id(ids)] = (ids, made)
        if len(self._sets) > 16:
            self._sets.popitem(last=False)
        return made

    async def publish(self, request: Request) -> Job:
        """Write a job to the log and publish it; returns once it is on disk. A repeated request gives its first job."""
        if not request.expected:
            raise NoMinions("no minion matches the target")
        if (size := len(request.hidden or request.payload)) > MAX_PAYLOAD_BYTES:
            raise JobError(f"the arguments take {size} bytes; the limit is {MAX_PAYLOAD_BYTES}")
        crash.at("master.job.before_commit")
        job = self._make(request)
        absent: list[End] = []
        if request.window <= 0:
            absent = self._end_for_absent(job)
            self._unqueued.add(job.jid)
        committed = asyncio.wrap_future(self.store.add_job(job.record, absent))
        self._uncommitted.append((job, committed))
        committed.add_done_callback(lambda _: self._flush())
        try:
            await asyncio.shield(committed)  # whoever asked may go away; the job goes its way
        except RepeatedRequest as error:
            return await self._repeated(error.jid)
        return job

    def next_jid(self) -> str:
        """Return an id for a job that is not published (a runner)."""
        return self._ids.next(self._now_ms())

    def _make(self, request: Request) -> Job:
        record = self._record(request, self._offset + 1)
        size = len(wire.pack(record.body(slots=b"", epoch=b"", expires_ms=0)))  # refuse here what could not be sent
        if size > MAX_JOB_BYTES:
            raise JobError(f"the job takes {size} bytes; the limit is {MAX_JOB_BYTES}")
        self._offset += 1
        now = self._now()
        return Job(record, now, now + (record.expires_ms - record.created_ms) / 1000)

    def _record(self, request: Request, log_off: int) -> JobRecord:
        now_ms = self._now_ms()
        window = request.window if request.window > 0 else TRANSIT_SECONDS
        return JobRecord(
            jid=self._ids.next(now_ms),
            log_off=log_off,
            created_ms=now_ms,
            expires_ms=now_ms + int(window * 1000),
            fun=request.fun,
            tgt=request.tgt,
            tgt_type=request.tgt_type,
            delimiter=request.delimiter,
            user=request.user,
            expected=self.expected(request.expected),
            payload=request.payload,
            timeout=request.timeout,
            metadata=request.metadata,
            progress=request.progress,
            request_id=request.request_id,
            queued=request.window > 0,
            private=request.private,
            hidden=request.hidden,
            made=self._uptime(),
        )

    def _end_for_absent(self, job: Job) -> list[End]:
        now, why = self._now(), "Not connected"
        return [
            self._inferred(minion, State.NOT_DELIVERED, why)
            for minion in job.record.expected.ids
            if minion not in self._presence and job.hear(minion, Heard.EXPIRED, now, why) is not None
        ]

    async def _repeated(self, jid: str) -> Job:
        if (job := self.active.get(jid)) is not None:
            return job
        return await self.load(jid)

    def _flush(self) -> None:
        """Publish what is committed, in the order of the log."""
        while self._uncommitted and self._uncommitted[0][1].done():
            job, committed = self._uncommitted.popleft()
            if committed.cancelled() or committed.exception() is not None:
                self._unqueued.discard(job.jid)
                if not self._uncommitted and self._offset == job.record.log_off:
                    self._offset -= 1  # nobody has seen it: leave no gap
                continue
            self._admit(job)
            self.head = job.record.log_off
            crash.at("master.job.before_publish")
            self._send(job)
            crash.at("master.job.after_publish")
            self._fire_new(job)
            self._close_if_complete(job)

    def _send(self, job: Job) -> None:
        self._sender.publish(job.record)
        if self._sender.is_direct(job.record):
            self._look_later(job, REPEAT_SECONDS)

    def _look_later(self, job: Job, pause: float) -> None:
        asyncio.get_running_loop().call_later(pause, self._send_again, job, pause)

    def _send_again(self, job: Job, pause: float) -> None:
        """Send a job again to connected minions that do not say they have it.

        Pushes are not numbered as publications are, so a minion does not notice that one was lost.
        """
        if job.jid not in self.active or job.deadline <= self._now():
            return
        late = [minion for minion, mark in job.outstanding() if mark.state is State.SENT and minion in self._presence]
        if late:
            self._sender.send_to(job.record, late)
        self._look_later(job, 2 * pause)

    def _admit(self, job: Job) -> None:
        self.active[job.jid] = job
        self._log[job.record.log_off] = job
        due = max(job.deadline + SETTLE_SECONDS, self._now() + SETTLE_SECONDS)
        heapq.heappush(self._windows, (due, job.jid))

    def _fire_new(self, job: Job) -> None:
        record = job.record

        def data() -> dict[str, Any]:
            missing = [minion for minion in record.expected.ids if minion not in self._presence]
            arguments = wire.unpack_payload(record.payload)
            return {
                "jid": record.jid, "tgt": record.tgt, "tgt_type": record.tgt_type, "fun": record.fun,
                "arg": arguments.get("arg", []), "user": record.user, "minions": list(record.expected.ids),
                "missing": missing,
            }  # fmt: skip

        self._events.fire(f"salt/job/{record.jid}/new", data)

    # -- what minions say

    def catch_up(self, minion: str, offset: int) -> dict[str, Any]:
        """Return the jobs after `offset` that expect this minion and may still begin, oldest first."""
        found: list[list[Any]] = []
        size, more, now, now_ms = 0, False, self._now(), self._now_ms()
        for log_off, job in self._after(offset):
            if job.deadline <= now or minion not in job.record.expected.members:
                continue
            if job.mark_of(minion).state is not State.SENT:  # it has the job on its disk, or that is over
                continue
            left_ms = int((job.deadline - now) * 1000)
            body = wire.pack(job.record.body(slots=b"", epoch=b"", expires_ms=now_ms + left_ms))
            if found and (size + len(body) > CATCH_UP_BYTES or len(found) >= CATCH_UP_JOBS):
                more = True
                break
            found.append([log_off, body])
            size += len(body)
        return {"jobs": found, "head": self.head, "more": more}

    def _after(self, offset: int) -> list[tuple[int, Job]]:
        found = list(itertools.takewhile(lambda entry: entry[0] > offset, reversed(self._log.items())))
        found.reverse()
        return found

    def acknowledged(self, minion: str, jids: Iterable[str]) -> None:
        """A minion has these jobs."""
        for jid in jids:
            if (mark := self._hear(minion, jid, Heard.ACK)) is not None:
                self._note_ack(jid, minion)
                for watcher in self._watching(jid):
                    watcher.acknowledged(minion, mark)

    def alive(self, minion: str, jids: Sequence[str]) -> None:
        """A minion names the jobs it runs. One that it does not name any more, nor ever ended, is interrupted."""
        self.running(minion, jids)
        named, now = frozenset(jids), self._now()
        for jid in [jid for jid in self._under_way.get(minion, ()) if jid not in named]:
            job = self.active.get(jid)
            if job is not None and now - job.mark_of(minion).at > self._silence:
                self._infer(job, [minion], Heard.LOST, "The minion does not know this job any more")

    def running(self, minion: str, jids: Iterable[str]) -> None:
        """A minion has begun these jobs."""
        for jid in jids:
            if (mark := self._hear(minion, jid, Heard.ALIVE)) is not None:
                for watcher in self._watching(jid):
                    watcher.alive(minion, mark)

    def progressed(self, minion: str, jid: str, kind: str, data: bytes) -> None:
        """A minion reports progress of a job."""
        if (mark := self._hear(minion, jid, Heard.ALIVE)) is None:
            return
        job = self.active[jid]
        job.progressed += 1
        for watcher in self._watching(jid):
            watcher.alive(minion, mark)
            watcher.progressed(minion, kind, data)
        self._events.fire(
            f"salt/job/{jid}/prog/{minion}/{job.progressed}",
            lambda: {"id": minion, "kind": kind, "data": _unpacked(data) if data else None},
        )

    def _hear(self, minion: str, jid: str, what: Heard) -> Mark | None:
        job = self.active.get(jid)
        if job is None or minion not in job.record.expected.members:
            return None
        before = job.mark_of(minion)
        mark = job.hear(minion, what, self._now())
        if mark is not None:
            if before.inferred and before.ended:
                log.info("minion %s speaks of job %s, which had been given up there: %s", minion, jid, before.reason)
            self._under_way.setdefault(minion, set()).add(jid)
        return mark

    def ended(self, job: Job, end: End) -> Future[bool] | None:
        """A minion states the end of a job. Watchers hear at once; the future holds once it is on disk.

        None where an end stands already.
        """
        before = job.mark_of(end.id)
        if job.end(end.id, end.state, self._now(), end.reason) is None:
            return None
        self._forget_under_way(end.id, job.jid)
        crash.at("master.return.before_commit")
        stored = self.store.add_end(job.jid, end)
        self._being_stored[job.jid, end.id] = (end, stored)
        for watcher in self._watching(job.jid):
            watcher.ended(end, stored)
        asyncio.wrap_future(stored).add_done_callback(lambda done: self._stored(job, end, before, done))
        self._fire_return(job, end)
        return stored

    def being_stored(self, jid: str, minion: str) -> tuple[End, Future[bool]] | None:
        """Return an end that is on its way to the disk, and the future of its being there."""
        return self._being_stored.get((jid, minion))

    def _stored(self, job: Job, end: End, before: Mark, done: asyncio.Future[bool]) -> None:
        self._being_stored.pop((job.jid, end.id), None)
        if done.cancelled():
            return
        if done.exception() is not None:
            # it is not on disk, so it did not happen: the minion keeps it and sends it again
            if self._limiter.allows("store"):
                log.error("a return could not be stored, and is not confirmed: %s", done.exception())
            job.restore(end.id, before)
            if before.state in UNDER_WAY:
                self._under_way.setdefault(end.id, set()).add(job.jid)
            return
        self._close_if_complete(job)

    def _fire_return(self, job: Job, end: End) -> None:
        def data() -> dict[str, Any]:
            return {
                "id": end.id, "jid": job.jid, "fun": end.fun, "retcode": end.retcode, "success": end.success,
                "return": _unpacked(end.payload) if end.payload else None, "out": end.out,
                "state": end.state.value, "cmd": "_return",
            }  # fmt: skip

        self._events.fire(f"salt/job/{job.jid}/ret/{end.id}", data)

    # -- ends that the master states

    def _infer(self, job: Job, minions: Sequence[str], what: Heard, reason: str) -> None:
        ends = []
        for minion in minions:
            mark = job.hear(minion, what, self._now(), reason)
            if mark is not None:
                self._forget_under_way(minion, job.jid)
                ends.append(self._inferred(minion, mark.state, reason))
        if not ends:
            return
        stored = self.store.add_ends(job.jid, ends)
        confirmed = settled(True)
        for watcher in self._watching(job.jid):
            for end in ends:
                watcher.ended(end, confirmed)
        asyncio.wrap_future(stored).add_done_callback(lambda done: self._inferred_stored(job, done))

    def _inferred_stored(self, job: Job, done: asyncio.Future[int]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._close_if_complete(job)

    def _inferred(self, minion: str, state: State, reason: str) -> End:
        return End(minion, state, reason, inferred=True, stored_ms=self._now_ms())

    def forget_minion(self, minion: str, reason: str) -> None:
        """A minion's key was taken away: what it has not ended is over."""
        for job in list(self.active.values()):
            if minion in job.record.expected.members:
                mark = job.mark_of(minion)
                what = Heard.EXPIRED if mark.state is State.SENT else Heard.LOST
                self._infer(job, [minion], what, reason)

    def sweep(self) -> None:
        """Close the windows whose time has come."""
        now = self._now()
        while self._windows and self._windows[0][0] <= now:
            _, jid = heapq.heappop(self._windows)
            job = self.active.get(jid)
            if job is None or job.expired:
                continue
            job.expired = True
            self._log.pop(job.record.log_off, None)
            late = [minion for minion, mark in job.outstanding() if mark.state is State.SENT]
            self._infer(job, late, Heard.EXPIRED, "Not delivered within its window")

    async def expire(self, keep_seconds: float) -> int:
        """Forget jobs that are older than this; what is still open in them is over first.

        A wall clock that leaps makes no job old.
        """
        began, began_ms = self._began
        before_ms = began_ms + int((self._now() - began - keep_seconds) * 1000)
        up = self._uptime()
        before = replace(up, ms=up.ms - int(keep_seconds * 1000))
        for job in [job for job in self.active.values() if job.record.is_older(before_ms, before)]:
            late = [minion for minion, _ in job.outstanding()]
            self._infer(job, late, Heard.LOST, "No word from the minion while the job was kept")
            self._infer(job, late, Heard.EXPIRED, "Not delivered")
            self._retire(job)
        return await asyncio.wrap_future(self.store.expire(before_ms, before))

    # -- the jobs in memory

    async def load(self, jid: str) -> Job:
        """Return a job, from memory or from the store; raises `JobError` for one that is not known."""
        if (job := self.active.get(jid)) is not None:
            return job
        record = await asyncio.to_thread(self.store.job, jid)
        if record is None:
            raise JobError(f"there is no job {jid} in the job cache")
        job = Job(record, self._now(), self._now(), expired=True)
        for end in await asyncio.to_thread(self.store.ends, jid, payloads=False):
            job.restore(end.id, Mark(end.state, self._now(), end.reason, end.inferred))
        return self.active.get(jid) or job

    def _close_if_complete(self, job: Job) -> None:
        if job.complete and job.jid in self.active:
            self._retire(job)
            self.store.close_job(job.jid)

    def _retire(self, job: Job) -> None:
        self.active.pop(job.jid, None)
        self._unqueued.discard(job.jid)
        self._log.pop(job.record.log_off, None)

    def _forget_under_way(self, minion: str, jid: str) -> None:
        jids = self._under_way.get(minion)
        if jids is not None:
            jids.discard(jid)
            if not jids:
                del self._under_way[minion]

    def _note_ack(self, jid: str, minion: str) -> None:
        self._acks.append((jid, minion))
        if self._ack_timer is None:
            self._ack_timer = asyncio.get_running_loop().call_later(ACK_BATCH_SECONDS, self._store_acks)

    def _store_acks(self) -> None:
        acks, self._acks, self._ack_timer = self._acks, [], None
        self.store.add_acks([(jid, minion) for jid, minion in acks if jid in self.active])

    # -- those who follow

    def watch(self, jid: str, watcher: Watcher) -> None:
        """Tell `watcher` what becomes of a job."""
        self._watchers.setdefault(jid, set()).add(watcher)

    def unwatch(self, jid: str, watcher: Watcher) -> None:
        """Stop telling."""
        watchers = self._watchers.get(jid, set())
        watchers.discard(watcher)
        if not watchers:
            self._watchers.pop(jid, None)

    def _watching(self, jid: str) -> tuple[Watcher, ...]:
        return tuple(self._watchers.get(jid, ()))

    def _presence_changed(self, minion: str, connected: bool) -> None:
        for jid in () if connected else tuple(self._unqueued):
            job = self.active.get(jid)
            if job is not None and minion in job.record.expected.members:
                self._infer(job, [minion], Heard.EXPIRED, "Not connected")
        for jid in tuple(self._watchers):
            for watcher in self._watching(jid):
                watcher.presence(minion, connected)

    # -- results that come without a job

    async def record_call(self, minion: str, end: End, arguments: bytes, user: str) -> str:
        """Put the result of a function that a minion ran by itself (`ctl-call`) into the job cache."""
        request = Request([minion], minion, "list", ":", end.fun, arguments, user, window=TRANSIT_SECONDS)
        # it was never published, so it takes no place in the log that minions follow: its offset is negative
        record = self._record(request, 0)
        record = replace(record, log_off=-int(record.jid[2:]))
        closed = replace(end, stored_ms=self._now_ms())
        await asyncio.wrap_future(self.store.add_job(record, [closed]))
        await asyncio.wrap_future(self.store.close_job(record.jid))
        return record.jid


def _unpacked(payload: bytes) -> Any:
    """Return what a minion packed, or what is wrong with it: an event must not fail because of it."""
    try:
        return wire.unpack_payload(payload)
    except WireError as error:
        return f"<{error}>"
