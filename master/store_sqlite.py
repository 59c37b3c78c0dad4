"""The job cache in SQLite, with bodies over 256 KiB in files named by digest.

Nothing that a peer chose becomes part of a file's name. A body is on disk before the row that names it is committed.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from ..common import crash
from ..common.database import Cursor, Database
from ..common.errors import StorageError
from .clock import Uptime
from .jobs import LISTED_PAYLOAD_BYTES, End, Expected, JobRecord, State
from .store import OpenJob, RepeatedRequest, Summary, part

MIGRATIONS = (
    """
    CREATE TABLE expected (digest BLOB PRIMARY KEY, ids TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE jobs (
        log_off INTEGER PRIMARY KEY, jid TEXT NOT NULL UNIQUE, created_ms INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL, fun TEXT NOT NULL, tgt TEXT NOT NULL, tgt_type TEXT NOT NULL,
        delimiter TEXT NOT NULL, user TEXT NOT NULL, expected BLOB NOT NULL, payload BLOB NOT NULL,
        timeout REAL NOT NULL, metadata BLOB, progress INTEGER NOT NULL, request_id TEXT,
        open INTEGER NOT NULL DEFAULT 1
    );
    CREATE UNIQUE INDEX jobs_request ON jobs (request_id) WHERE request_id IS NOT NULL;
    CREATE INDEX jobs_open ON jobs (log_off) WHERE open;
    CREATE INDEX jobs_created ON jobs (created_ms);
    CREATE INDEX jobs_fun ON jobs (fun, jid);
    CREATE TABLE ends (
        jid TEXT NOT NULL, id TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, inferred INTEGER NOT NULL,
        fun TEXT NOT NULL, retcode INTEGER NOT NULL, success INTEGER NOT NULL, out TEXT, truncated INTEGER NOT NULL,
        size INTEGER NOT NULL, payload BLOB NOT NULL, digest BLOB, stored_ms INTEGER NOT NULL,
        PRIMARY KEY (jid, id)
    );
    CREATE INDEX ends_digest ON ends (digest) WHERE digest IS NOT NULL;
    CREATE TABLE acks (jid TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (jid, id)) WITHOUT ROWID;
    """,
    """
    ALTER TABLE jobs ADD COLUMN queued INTEGER NOT NULL DEFAULT 1;
    ALTER TABLE jobs ADD COLUMN boot TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN boot_ms INTEGER NOT NULL DEFAULT 0;
    """,
    "CREATE TABLE hidden (jid TEXT PRIMARY KEY, payload BLOB NOT NULL) WITHOUT ROWID",
)

_JOB = (
    "j.jid, j.log_off, j.created_ms, j.expires_ms, j.fun, j.tgt, j.tgt_type, j.delimiter, j.user, j.expected, "
    "j.payload, j.timeout, j.metadata, j.progress, j.request_id, j.queued, j.boot, j.boot_ms"
)
_JOB_LIGHT = _JOB.replace("j.payload", f"iif(length(j.payload) <= {LISTED_PAYLOAD_BYTES}, j.payload, x'')")
_END = "id, state, reason, inferred, fun, retcode, success, out, truncated, size, payload, digest, stored_ms"
_END_LIGHT = _END.replace("payload", "x''")
_ADD_JOB = (
    "INSERT INTO jobs (jid, log_off, created_ms, expires_ms, fun, tgt, tgt_type, delimiter, user, expected, payload, "
    "timeout, metadata, progress, request_id, queued, boot, boot_ms) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)
_ADD_END = (
    f"INSERT INTO ends (jid, {_END}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?) "  # noqa: S608 - constant column names
    "ON CONFLICT (jid, id) DO UPDATE SET state=excluded.state, reason=excluded.reason, inferred=excluded.inferred, "
    "fun=excluded.fun, retcode=excluded.retcode, success=excluded.success, out=excluded.out, "
    "truncated=excluded.truncated, size=excluded.size, payload=excluded.payload, digest=excluded.digest, "
    "stored_ms=excluded.stored_ms WHERE ends.inferred AND NOT excluded.inferred"
)


class SqliteJobStore:
    """A job cache in the database file `path`, bodies in the directory `bodies`."""

    def __init__(self, path: Path, bodies: Path) -> None:
        self._bodies = Bodies(bodies)
        self._database = Database.open(path, MIGRATIONS)
        self._sets: dict[bytes, Expected] = {}

    def add_job(self, record: JobRecord, ends: Sequence[End] = ()) -> Future[None]:
        """Add a job."""

        def work(cursor: Cursor) -> None:
            crash.at("master.job.in_commit")
            if record.request_id:
                found = cursor.execute("SELECT jid FROM jobs WHERE request_id=?", (record.request_id,)).fetchone()
                if found:
                    raise RepeatedRequest(found[0])
            self._add_expected(cursor, record.expected)
            cursor.execute(_ADD_JOB, _job_row(record))
            if record.hidden is not None:
                cursor.execute("INSERT INTO hidden (jid, payload) VALUES (?,?)", (record.jid, record.hidden))
            cursor.executemany(_ADD_END, [(record.jid, *_end_row(end)) for end in ends])

        return self._database.write(work)

    @staticmethod
    def _add_expected(cursor: Cursor, expected: Expected) -> None:
        if not cursor.execute("SELECT 1 FROM expected WHERE digest=?", (expected.digest,)).fetchone():
            ids = "\n".join(expected.ids)
            cursor.execute("INSERT INTO expected (digest, ids) VALUES (?,?)", (expected.digest, ids))

    def add_end(self, jid: str, end: End) -> Future[bool]:
        """Add an end."""

        def work(cursor: Cursor) -> bool:
            crash.at("master.return.in_commit")
            try:
                return cursor.execute(_ADD_END, (jid, *_end_row(end))).rowcount > 0
            finally:
                self._bodies.settle(end.digest)

        return self._database.write(work)

    def add_ends(self, jid: str, ends: Sequence[End]) -> Future[int]:
        """Add many ends of one job."""
        rows = [(jid, *_end_row(end)) for end in ends]
        return self._database.write(lambda cursor: cursor.executemany(_ADD_END, rows).rowcount)

    def add_acks(self, acks: Sequence[tuple[str, str]]) -> Future[None]:
        """Note acknowledgements."""

        def work(cursor: Cursor) -> None:
            cursor.executemany("INSERT OR IGNORE INTO acks (jid, id) VALUES (?,?)", acks)

        return self._database.write(work)

    def close_job(self, jid: str) -> Future[None]:
        """Note that a job is over."""

        def work(cursor: Cursor) -> None:
            cursor.execute("UPDATE jobs SET open=0 WHERE jid=?", (jid,))
            cursor.execute("DELETE FROM acks WHERE jid=?", (jid,))
            cursor.execute("DELETE FROM hidden WHERE jid=?", (jid,))

        return self._database.write(work)

    def put_body(self, payload: bytes) -> bytes:
        """Store a large body and return its digest."""
        return self._bodies.put(payload)

    def adopt_body(self, path: Path, digest: bytes) -> None:
        """Take over a file whose content has this digest."""
        self._bodies.adopt(path, digest)

    def abandon_body(self, digest: bytes | None) -> None:
        """Remove a body that nothing names."""
        if digest is None:
            return

        def work(cursor: Cursor) -> None:
            self._bodies.settle(digest)
            self._remove_unnamed(cursor, [digest])

        self._database.write(work)

    def _remove_unnamed(self, cursor: Cursor, digests: Iterable[bytes]) -> None:
        self._bodies.remove(
            digest
            for digest in digests
            if not cursor.execute("SELECT 1 FROM ends WHERE digest=? LIMIT 1", (digest,)).fetchone()
        )

    def body(self, end: End, offset: int = 0, length: int | None = None) -> bytes:
        """Return an end's payload, or a part of it."""
        if end.digest is None:
            return part(end.payload, offset, length)
        return self._bodies.read(end.digest, offset, length)

    def job(self, jid: str) -> JobRecord | None:
        """Return a job's record."""
        rows = self._database.read(f"SELECT {_JOB} FROM jobs j WHERE jid=?", (jid,))  # noqa: S608 - constant columns
        return self._record(rows[0]) if rows else None

    def ends(self, jid: str, *, payloads: bool = True) -> list[End]:
        """Return the ends of a job, in the order of ids."""
        columns = _END if payloads else _END_LIGHT
        rows = self._database.read(f"SELECT {columns} FROM ends WHERE jid=? ORDER BY id", (jid,))  # noqa: S608 - constant
        return [_end(row) for row in rows]

    def end(self, jid: str, minion: str) -> End | None:
        """Return one end of a job."""
        rows = self._database.read(f"SELECT {_END} FROM ends WHERE jid=? AND id=?", (jid, minion))  # noqa: S608
        return _end(rows[0]) if rows else None

    def list_jobs(self, limit: int, *, minion: str = "", fun: str = "") -> list[Summary]:
        """List jobs, newest first."""
        sql = f"SELECT {_JOB_LIGHT}, (SELECT count(*) FROM ends e WHERE e.jid=j.jid) FROM jobs j"  # noqa: S608
        where, values = ("WHERE fun=?", [fun]) if fun else ("", [])
        bound: list[Any] = [*values, -1 if minion else limit]
        rows = self._database.read(f"{sql} {where} ORDER BY jid DESC LIMIT ?", bound)
        found = (Summary(self._record(row[:-1]), row[-1]) for row in rows)
        return [entry for entry in found if not minion or minion in entry.record.expected.members][:limit]

    def open_jobs(self) -> list[OpenJob]:
        """Return the jobs that are not over, oldest first."""
        rows = self._database.read(f"SELECT {_JOB} FROM jobs j WHERE open ORDER BY log_off")  # noqa: S608 - constant
        return [self._open_job(self._record(row)) for row in rows]

    def _open_job(self, record: JobRecord) -> OpenJob:
        ends = self.ends(record.jid, payloads=False)
        acks = self._database.read("SELECT id FROM acks WHERE jid=?", (record.jid,))
        hidden = self._database.read("SELECT payload FROM hidden WHERE jid=?", (record.jid,))
        record = replace(record, hidden=hidden[0][0]) if hidden else record
        return OpenJob(record, tuple(ends), frozenset(row[0] for row in acks))

    def last(self) -> tuple[int, str, int]:
        """Return the end of the log."""
        rows = self._database.read("SELECT max(log_off), max(jid), max(created_ms) FROM jobs")
        log_off, jid, created_ms = rows[0]
        return max(0, log_off or 0), jid or "", created_ms or 0

    def expire(self, before_ms: int, before: Uptime = Uptime()) -> Future[int]:  # noqa: B008 - it is frozen
        """Forget old jobs, and bodies that nothing names any more."""

        def work(cursor: Cursor) -> int:
            rows = cursor.execute(
                "SELECT jid FROM jobs WHERE created_ms < ? AND log_off < (SELECT max(log_off) FROM jobs) "
                "AND (boot = '' OR boot <> ? OR boot_ms < ?)",
                (before_ms, before.boot, before.ms),
            ).fetchall()
            digests: set[bytes] = set()
            for (jid,) in rows:
                digests.update(
                    row[0] for row in cursor.execute("SELECT digest FROM ends WHERE jid=?", (jid,)) if row[0]
                )
                cursor.execute("DELETE FROM ends WHERE jid=?", (jid,))
                cursor.execute("DELETE FROM acks WHERE jid=?", (jid,))
                cursor.execute("DELETE FROM hidden WHERE jid=?", (jid,))
                cursor.execute("DELETE FROM jobs WHERE jid=?", (jid,))
            if rows:
                cursor.execute("DELETE FROM expected WHERE digest NOT IN (SELECT expected FROM jobs)")
            self._remove_unnamed(cursor, digests)
            return len(rows)

        return self._database.write(work)

    def close(self) -> None:
        """Finish what is queued, then close."""
        self._database.close()

    def _record(self, row: tuple[Any, ...]) -> JobRecord:
        (jid, log_off, created, expires, fun, tgt, tgt_type, delimiter, user, expected, payload, timeout, metadata,
         progress, request_id, queued, boot, boot_ms) = row  # fmt: skip
        return JobRecord(
            jid=jid, log_off=log_off, created_ms=created, expires_ms=expires, fun=fun, tgt=tgt,
            tgt_type=tgt_type, delimiter=delimiter, user=user, expected=self._expected(expected), payload=payload,
            timeout=timeout, metadata=metadata, progress=bool(progress), request_id=request_id or "",
            queued=bool(queued), made=Uptime(boot, boot_ms),
        )  # fmt: skip

    def _expected(self, digest: bytes) -> Expected:
        known = self._sets.get(digest)
        if known is None:
            rows = self._database.read("SELECT ids FROM expected WHERE digest=?", (digest,))
            ids = rows[0][0].split("\n") if rows and rows[0][0] else []
            known = Expected.of(ids)
            if len(self._sets) >= 256:
                self._sets.clear()
            self._sets[digest] = known
        return known


class Bodies:
    """Files named by the digest of their content, in 256 directories."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._expected_soon: Counter[bytes] = Counter()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in directory.glob("new-*"):
            left.unlink(missing_ok=True)  # from a master that was killed

    def put(self, payload: bytes) -> bytes:
        """Write a body durably and return its digest; raises `StorageError`."""
        digest = sha256(payload).digest()
        try:
            with tempfile.NamedTemporaryFile(dir=self._directory, prefix="new-", delete=False) as file:
                path = Path(file.name)
                try:
                    file.write(payload)
                except BaseException:
                    path.unlink()
                    raise
        except OSError as error:
            raise _not_stored(self._directory, error) from error
        self.adopt(path, digest)
        return digest

    def adopt(self, path: Path, digest: bytes) -> None:
        """Take over a file whose content has this digest; it is kept at least until `settle`.

        Raises `StorageError`; the file is gone then.
        """
        with self._lock:
            self._expected_soon[digest] += 1
        target = self._path(digest)
        try:
            target.parent.mkdir(exist_ok=True, mode=0o700)
            _sync(path)
            os.replace(path, target)
            _sync(target.parent)
            _sync(self._directory)
        except OSError as error:
            path.unlink(missing_ok=True)
            self.settle(digest)
            raise _not_stored(self._directory, error) from error

    def settle(self, digest: bytes | None) -> None:
        """The row that names a body was written, or never will be."""
        if digest is None:
            return
        with self._lock:
            self._expected_soon[digest] -= 1
            if self._expected_soon[digest] <= 0:
                del self._expected_soon[digest]

    def read(self, digest: bytes, offset: int = 0, length: int | None = None) -> bytes:
        """Read a body, or a part of it; raises `StorageError` where it is gone or, seen with its start, damaged."""
        path = self._path(digest)
        try:
            with path.open("rb") as file:
                if offset == 0 and file_digest(file, "sha256").digest() != digest:
                    raise StorageError(f"the stored return {path} is damaged")
                file.seek(offset)
                return file.read(-1 if length is None else length)
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(f"a stored body cannot be read: {error}") from error

    def remove(self, digests: Any) -> None:
        """Delete bodies, but for those that a row is about to name."""
        with self._lock:
            for digest in digests:
                if digest not in self._expected_soon:
                    self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self._directory / name[:2] / name


def _not_stored(directory: Path, error: OSError) -> StorageError:
    return StorageError(f"a return cannot be stored in {directory}: {error.strerror or error}")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _job_row(record: JobRecord) -> tuple[Any, ...]:
    return (
        record.jid, record.log_off, record.created_ms, record.expires_ms, record.fun, record.tgt,
        record.tgt_type, record.delimiter, record.user, record.expected.digest, record.payload, record.timeout,
        record.metadata, record.progress, record.request_id or None, record.queued,
        record.made.boot, record.made.ms,
    )  # fmt: skip


def _end_row(end: End) -> tuple[Any, ...]:
    return (
        end.id, end.state.value, end.reason, end.inferred, end.fun, end.retcode, end.success, end.out, end.truncated,
        end.size, end.payload, end.digest, end.stored_ms,
    )  # fmt: skip


def _end(row: tuple[Any, ...]) -> End:
    minion, state, reason, inferred, fun, retcode, success, out, truncated, size, payload, digest, stored_ms = row
    return End(
        minion, State(state), reason, bool(inferred), fun, retcode, bool(success), out, bool(truncated), size, payload,
        digest, stored_ms,
    )  # fmt: skip
