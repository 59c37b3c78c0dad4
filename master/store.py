"""The job cache: what a job was, whom it was for, how it ended on each of them.

`JobStore` is what the master asks of it. Writes return futures that hold once the write is on disk; reads are plain
calls that may touch the disk, so the master makes them in a thread. `MemoryJobStore` keeps everything in memory, for
tests and as the shortest description of the contract; `store_sqlite.SqliteJobStore` is the real one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..common.errors import StorageError
from .clock import Uptime
from .jobs import END_STATES, End, JobRecord, for_a_list

T = TypeVar("T")

# A body larger than this is a file of its own.
INLINE_BYTES = 256 * 1024


class RepeatedRequest(Exception):
    """A job was to be added whose request already made one; `jid` is that one."""

    def __init__(self, jid: str) -> None:
        super().__init__(jid)
        self.jid = jid


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job that was not over when it was read: its record, its ends so far, who acknowledged it."""

    record: JobRecord
    ends: tuple[End, ...]
    acknowledged: frozenset[str]


@dataclass(frozen=True, slots=True)
class Summary:
    """A line of the list of jobs."""

    record: JobRecord
    ended: int


class JobStore(Protocol):
    """What the master asks of a job cache."""

    def add_job(self, record: JobRecord, ends: Sequence[End] = ()) -> Future[None]:
        """Add a job, with minions whose end is known already. The future raises `RepeatedRequest` for a request
        id that was seen before, and `StorageError`."""
        ...

    def add_end(self, jid: str, end: End) -> Future[bool]:
        """Add an end; the first that a minion states stays, an inferred one gives way. Holds whether it was new."""
        ...

    def add_ends(self, jid: str, ends: Sequence[End]) -> Future[int]:
        """Add many ends of one job; holds how many were new."""
        ...

    def add_acks(self, acks: Sequence[tuple[str, str]]) -> Future[None]:
        """Note which (jid, minion) were acknowledged."""
        ...

    def close_job(self, jid: str) -> Future[None]:
        """Note that a job is over on every minion."""
        ...

    def put_body(self, payload: bytes) -> bytes:
        """Store a large body durably and return its digest."""
        ...

    def adopt_body(self, path: Path, digest: bytes) -> None:
        """Take over a file whose content has this digest."""
        ...

    def abandon_body(self, digest: bytes | None) -> None:
        """A body that was put or adopted will not be named by an end after all."""
        ...

    def body(self, end: End, offset: int = 0, length: int | None = None) -> bytes:
        """Return an end's payload, or a part of it."""
        ...

    def job(self, jid: str) -> JobRecord | None: ...

    def ends(self, jid: str, *, payloads: bool = True) -> list[End]:
        """Return every end of a job; large payloads (`digest` is set), or all of them, are left out."""
        ...

    def end(self, jid: str, minion: str) -> End | None: ...

    def list_jobs(self, limit: int, *, minion: str = "", fun: str = "") -> list[Summary]:
        """List jobs, newest first, without payloads that are not small; of one function where `fun` is given."""
        ...

    def open_jobs(self) -> list[OpenJob]:
        """Return the jobs that are not over, oldest first."""
        ...

    def last(self) -> tuple[int, str, int]:
        """Return the last offset of the log, the last jid, and when the last job was made (0, "", 0 where empty).

        Negative offsets are of jobs that were never published."""
        ...

    def expire(self, before_ms: int, before: Uptime = Uptime()) -> Future[int]:  # noqa: B008 - it is frozen
        """Forget jobs made before then (the last of the log stays); holds how many.

        One that was made in the same run of the machine as `before` must be older than that, too: wall clocks leap.
        """
        ...

    def close(self) -> None: ...


def settled(value: T) -> Future[T]:
    """Return a future that already holds a value."""
    future: Future[T] = Future()
    future.set_result(value)
    return future


def broken(error: BaseException) -> Future[Any]:
    """Return a future that already failed."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def part(payload: bytes, offset: int, length: int | None) -> bytes:
    """Cut a part out of a payload."""
    return payload[offset:] if length is None else payload[offset : offset + length]


class MemoryJobStore:
    """A job cache that lives as long as its process."""

    def __init__(self) -> None:
        self._jobs: dict[str, JobRecord] = {}
        self._ends: dict[str, dict[str, End]] = {}
        self._acks: dict[str, set[str]] = {}
        self._requests: dict[str, str] = {}
        self._open: set[str] = set()
        self._bodies: dict[bytes, bytes] = {}

    def add_job(self, record: JobRecord, ends: Sequence[End] = ()) -> Future[None]:
        """Add a job."""
        if record.request_id and (earlier := self._requests.get(record.request_id)):
            return broken(RepeatedRequest(earlier))
        if record.jid in self._jobs:
            return broken(StorageError(f"job {record.jid} is there already"))
        self._jobs[record.jid] = record
        self._ends[record.jid] = {end.id: end for end in ends}
        self._open.add(record.jid)
        if record.request_id:
            self._requests[record.request_id] = record.jid
        return settled(None)

    def add_end(self, jid: str, end: End) -> Future[bool]:
        """Add an end."""
        return settled(self._add(jid, end))

    def add_ends(self, jid: str, ends: Sequence[End]) -> Future[int]:
        """Add many ends."""
        return settled(sum(self._add(jid, end) for end in ends))

    def _add(self, jid: str, end: End) -> bool:
        ends = self._ends.get(jid)
        if ends is None:
            return False
        before = ends.get(end.id)
        if before is not None and (end.inferred or not before.inferred):
            return False
        ends[end.id] = end
        return True

    def add_acks(self, acks: Sequence[tuple[str, str]]) -> Future[None]:
        """Note acknowledgements."""
        for jid, minion in acks:
            self._acks.setdefault(jid, set()).add(minion)
        return settled(None)

    def close_job(self, jid: str) -> Future[None]:
        """Note that a job is over."""
        self._open.discard(jid)
        if (record := self._jobs.get(jid)) is not None:
            self._jobs[jid] = replace(record, hidden=None)
        return settled(None)

    def put_body(self, payload: bytes) -> bytes:
        """Store a large body."""
        digest = sha256(payload).digest()
        self._bodies[digest] = payload
        return digest

    def adopt_body(self, path: Path, digest: bytes) -> None:
        """Take over a file."""
        self._bodies[digest] = path.read_bytes()
        path.unlink()

    def abandon_body(self, digest: bytes | None) -> None:
        """Forget a body that nothing names."""
        if digest is not None and not any(
            end.digest == digest for ends in self._ends.values() for end in ends.values()
        ):
            self._bodies.pop(digest, None)

    def body(self, end: End, offset: int = 0, length: int | None = None) -> bytes:
        """Return an end's payload."""
        if end.digest is None:
            return part(end.payload, offset, length)
        if end.digest not in self._bodies:
            raise StorageError(f"the body of the return of {end.id} is missing")
        return part(self._bodies[end.digest], offset, length)

    def job(self, jid: str) -> JobRecord | None:
        """Return a job's record."""
        return self._jobs.get(jid)

    def ends(self, jid: str, *, payloads: bool = True) -> list[End]:
        """Return the ends of a job."""
        found = [end for _, end in sorted(self._ends.get(jid, {}).items())]
        return found if payloads else [replace(end, payload=b"") for end in found]

    def end(self, jid: str, minion: str) -> End | None:
        """Return one end."""
        return self._ends.get(jid, {}).get(minion)

    def list_jobs(self, limit: int, *, minion: str = "", fun: str = "") -> list[Summary]:
        """List jobs, newest first."""
        records: Iterable[JobRecord] = sorted(self._jobs.values(), key=lambda record: record.jid, reverse=True)
        chosen = [
            record
            for record in records
            if (not fun or record.fun == fun) and (not minion or minion in record.expected.members)
        ]
        return [Summary(for_a_list(record), self._count(record.jid)) for record in chosen[:limit]]

    def _count(self, jid: str) -> int:
        return sum(end.state in END_STATES for end in self._ends[jid].values())

    def open_jobs(self) -> list[OpenJob]:
        """Return the jobs that are not over."""
        records = sorted((self._jobs[jid] for jid in self._open), key=lambda record: record.log_off)
        return [
            OpenJob(
                record,
                tuple(self.ends(record.jid, payloads=False)),
                frozenset(self._acks.get(record.jid, ())),
            )
            for record in records
        ]

    def last(self) -> tuple[int, str, int]:
        """Return the end of the log."""
        if not self._jobs:
            return 0, "", 0
        records = self._jobs.values()
        return (
            max(0, *(record.log_off for record in records)),
            max(self._jobs),
            max(record.created_ms for record in records),
        )

    def expire(self, before_ms: int, before: Uptime = Uptime()) -> Future[int]:  # noqa: B008 - it is frozen
        """Forget old jobs."""
        head = self.last()[0]
        old = [
            jid for jid, record in self._jobs.items() if record.is_older(before_ms, before) and record.log_off < head
        ]
        for jid in old:
            self._requests.pop(self._jobs.pop(jid).request_id, None)
            del self._ends[jid]
            self._acks.pop(jid, None)
            self._open.discard(jid)
        used = {end.digest for ends in self._ends.values() for end in ends.values()}
        self._bodies = {digest: body for digest, body in self._bodies.items() if digest in used}
        return settled(len(old))

    def close(self) -> None:
        """Nothing to close."""
