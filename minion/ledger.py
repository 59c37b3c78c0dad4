"""The ledger: a jid starts at most once on this minion, whatever is sent again and whenever it was stopped.

A row is on disk before its job starts and stays until ten minutes after the job's expiry, when no master would hand
the job out any more. Beside it: how far each master's job log was read without a gap, which may lag behind the rows
and never lead.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..common import crash
from ..common.database import Cursor, Database
from .job import Job
from .store import ENDED, STARTED

KEEP_MS = 10 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A job that was started before this daemon was, and that nothing is known of since."""

    jid: str
    fun: str
    master: bytes


class Ledger:
    """Which jobs were started here."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = dict[str, int](database.read("SELECT jid, keep_until_ms FROM ledger"))

    def __contains__(self, jid: str) -> bool:
        return jid in self._known

    def __len__(self) -> int:
        return len(self._known)

    def begin(self, job: Job, fun: str) -> asyncio.Future[None] | None:
        """Enter a job; the future is done once that is on disk, or fails with StorageError. None: it was there before.

        The write is queued before this returns, so an offset that is written later cannot lead.
        """
        if job.jid in self._known:
            return None
        crash.at("minion.job.before_ledger")
        keep = job.expires_ms + KEEP_MS
        self._known[job.jid] = keep

        def insert(cursor: Cursor) -> None:
            cursor.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?)", (job.jid, fun, job.master, STARTED, keep))

        return asyncio.wrap_future(self._database.write(insert))

    def unfinished(self) -> list[Unfinished]:
        """List the jobs that were started and have no return; for the start of the daemon, before it takes any."""
        rows = self._database.read("SELECT jid, fun, master FROM ledger WHERE state=? ORDER BY jid", (STARTED,))
        return [Unfinished(*row) for row in rows]

    def forget_old(self, now_ms: int) -> None:
        """Remove the rows of jobs that no master hands out any more; `now_ms` is the master's time.

        A master's clock may leap. So a job is only forgotten once the master has confirmed its end: it does not hand
        that one out again, whatever the time is.
        """
        if not any(keep < now_ms for keep in self._known.values()):
            return

        def forget(cursor: Cursor) -> list[str]:
            ended = "FROM ledger WHERE keep_until_ms < ? AND state=? AND jid NOT IN (SELECT jid FROM outbox)"
            jids = [jid for (jid,) in cursor.execute(f"SELECT jid {ended}", (now_ms, ENDED))]
            cursor.execute(f"DELETE {ended}", (now_ms, ENDED))
            return jids

        asyncio.wrap_future(self._database.write(forget)).add_done_callback(self._forgotten)

    def _forgotten(self, done: asyncio.Future[list[str]]) -> None:
        if not done.cancelled() and done.exception() is None:
            for jid in done.result():
                self._known.pop(jid, None)


class Offsets:
    """How far each master's job log was read; written after the ledger's rows, and not each time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read: dict[bytes, int] = {
            bytes(master): offset for master, offset in database.read("SELECT master, log_off FROM offsets")
        }
        self._unwritten: set[bytes] = set()

    def get(self, master: bytes) -> int:
        """Return the last offset up to which nothing was missed."""
        return self._read.get(master, 0)

    def set(self, master: bytes, offset: int) -> None:
        """Move on (or, after the master was restored from a backup, back)."""
        if self._read.get(master) != offset:
            self._read[master] = offset
            self._unwritten.add(master)

    def flush(self) -> None:
        """Write what changed, behind every ledger row that was asked for before."""
        if not self._unwritten:
            return
        rows = [(master, self._read[master]) for master in self._unwritten]
        self._unwritten.clear()
        self._database.write(lambda cursor: cursor.executemany("INSERT OR REPLACE INTO offsets VALUES (?, ?)", rows))
