"""The audit log: who asked for what, of which minions, and what became of it; refusals too. Only ever appended to.

One record is one line of JSON. Its last member, `hash`, is the SHA-256 of the hash before it (64 zeros at first) and of
the line without this member, so a line that is changed, put in or taken out breaks the chain there. How far the chain
goes is kept in the master's database beside it: lines that are missing at the end are missed, too. Arguments are not in
it, only a digest with a key of this master: equal digests are equal arguments, and nobody can try them out.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..common import database
from ..common.calls import Call
from ..common.database import Database
from ..common.errors import StorageError
from ..common.wire import pack_payload

log = logging.getLogger(__name__)

START: Final = "0" * 64
MAX_LINE_BYTES = 64 * 1024
MAX_TEXT_CHARS = 400
MAX_LISTED = 50
SYNC_SECONDS = 1.0
KEY_BYTES = 32
# Refusals of one user of this machine that are recorded for themselves in a minute; more are counted.
MAX_REFUSALS = 60
REFUSALS_SECONDS = 60.0

MIGRATION: Final = """
CREATE TABLE audit (
    one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL, hash TEXT NOT NULL, key BLOB NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Head:
    """How far a chain goes: the number of its last record and that one's hash."""

    number: int = 0
    hash: str = START


def encode(record: Mapping[str, Any], before: str) -> tuple[bytes, str]:
    """Return the line of a record that follows the hash `before`, and its own hash."""
    body = json.dumps(record, separators=(",", ":"), ensure_ascii=True)
    own = hashlib.sha256(before.encode() + body.encode()).hexdigest()
    return f'{body[:-1]},"hash":"{own}"}}\n'.encode(), own


def check_line(line: bytes, head: Head) -> tuple[Head, str]:
    """Return the head after a line, and what is wrong with it (empty: nothing)."""
    body, _, tail = line.rstrip(b"\n").rpartition(b',"hash":"')
    try:
        record = json.loads(line)
        number, own = record["n"], record["hash"]
    except (ValueError, KeyError, TypeError):
        return head, "it is no record"
    if not isinstance(number, int) or tail != f'{own}"}}'.encode():
        return head, "it is no record"
    if number != head.number + 1:
        return Head(number, own), f"record {number} comes after record {head.number}"
    if hashlib.sha256(head.hash.encode() + body + b"}").hexdigest() != own:
        return Head(number, own), "it was changed, or what comes before it was"
    return Head(number, own), ""


def verify(path: Path, end: Head | None = None) -> dict[str, Any]:
    """Check a chain from its first line on; name the first broken link. `end` is how far it must go, at least."""
    head = Head()
    lines = 0
    for lines, line in enumerate(_lines(path), 1):
        if not line.endswith(b"\n"):
            return _broken(lines, head, "its end is missing")
        head, wrong = check_line(line, head)
        if not wrong and end is not None and head.number == end.number and head.hash != end.hash:
            wrong = "it is not the record that the master wrote"
        if wrong:
            return _broken(lines, head, wrong)
    if end is not None and head.number < end.number:
        return _broken(lines + 1, head, f"records {head.number + 1} to {end.number} are missing at the end")
    return {"valid": True, "records": head.number, "hash": head.hash}


def _broken(line: int, head: Head, why: str) -> dict[str, Any]:
    return {"valid": False, "line": line, "problem": f"line {line}: {why}", "records": head.number}


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE_BYTES):
                yield line
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"the audit log {path} cannot be read: {error.strerror}") from error


class AuditLog:
    """The audit log of one master. `record` writes at once; `head` has it reach the disk."""

    def __init__(
        self,
        path: Path,
        base: Database,
        *,
        now_ms: Callable[[], int],
        now: Callable[[], float],
        random: Callable[[int], bytes],
    ) -> None:
        self.path = path
        self._base = base
        self._now_ms = now_ms
        self._now = now
        self._head = Head()
        self._synced = Head()
        self._refusals: dict[int, tuple[float, int]] = {}
        self._key = self._open_database(random)
        self._descriptor = self._open_file()

    def record(self, **fields: Any) -> int:
        """Append a record; return its number. Raises `StorageError`: what cannot be recorded must not be done."""
        number = self._head.number + 1
        stamp = datetime.fromtimestamp(self._now_ms() / 1000, UTC).isoformat(timespec="milliseconds")
        line, own = encode({"n": number, "time": stamp, **fields}, self._head.hash)
        try:
            written = os.write(self._descriptor, line)
            if written < len(line):
                os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
                raise StorageError(f"the audit log {self.path} takes no more: no space left on the device")
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"the audit log {self.path} cannot be written: {error.strerror}") from error
        self._head = Head(number, own)
        return number

    def refuse(self, uid: int, **fields: Any) -> None:
        """Record a refusal; of one that asks without end, only how often."""
        since, count = self._refusals.get(uid, (self._now(), 0))
        self._refusals[uid] = (since, count + 1)
        if count < MAX_REFUSALS:
            self.record(uid=uid, **fields)

    def count_refusals(self) -> None:
        """Record how many refusals had no record of their own, where a minute is over."""
        for uid, (since, count) in list(self._refusals.items()):
            if self._now() - since >= REFUSALS_SECONDS:
                del self._refusals[uid]
                if count > MAX_REFUSALS:
                    self.record(op="audit", uid=uid, outcome=f"{count - MAX_REFUSALS} more refusals were not recorded")

    def digest(self, calls: Sequence[Call]) -> str:
        """Return what stands for arguments in a record."""
        given = [[call.fun, list(call.args), dict(call.kwargs or {})] for call in calls]
        return hmac.digest(self._key, pack_payload(given), "sha256").hex()[:32]

    def head(self) -> Head:
        """Bring what is written to the disk; return how far the log goes. Blocks."""
        head = self._head
        if head != self._synced:
            os.fsync(self._descriptor)
            self._base.write_now(lambda cursor: self._anchor(cursor, head))
            self._synced = head
        return head

    def close(self) -> None:
        """Bring what is written to the disk, and close."""
        try:
            self.head()
        finally:
            os.close(self._descriptor)

    # -- start

    def _open_database(self, random: Callable[[int], bytes]) -> bytes:
        rows = self._base.read("SELECT number, hash, key FROM audit")
        if rows:
            self._synced = Head(rows[0][0], rows[0][1])
            return bytes(rows[0][2])
        key = random(KEY_BYTES)

        def work(cursor: database.Cursor) -> None:
            cursor.execute("INSERT INTO audit VALUES (1, 0, ?, ?)", (START, key))

        self._base.write_now(work)
        return key

    def _open_file(self) -> int:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StorageError(f"the audit log {self.path} cannot be opened: {error.strerror}") from error
        self._descriptor = descriptor
        torn = self._cut_torn_end()
        self._head = self._last()
        if self._head.number < self._synced.number:
            self._report_loss()
        if torn:
            self.record(op="audit", outcome=f"a torn record of {torn} bytes was cut off at the end")
        return descriptor

    def _cut_torn_end(self) -> int:
        """Cut off a record that a power failure left half written; return its size."""
        whole = size = os.fstat(self._descriptor).st_size
        while size:
            start = max(0, size - MAX_LINE_BYTES)
            if end := os.pread(self._descriptor, size - start, start).rfind(b"\n") + 1:
                size = start + end
                break
            size = start
        if size < whole:
            os.ftruncate(self._descriptor, size)
        return whole - size

    def _last(self) -> Head:
        size = os.fstat(self._descriptor).st_size
        tail = os.pread(self._descriptor, 2 * MAX_LINE_BYTES, max(0, size - 2 * MAX_LINE_BYTES))
        if not tail:
            return Head()
        try:
            record = json.loads(tail.rstrip(b"\n").rpartition(b"\n")[2])
            return Head(int(record["n"]), str(record["hash"]))
        except (ValueError, KeyError, TypeError):
            return Head()

    def _report_loss(self) -> None:
        found, self._head = self._head, self._synced
        log.error(
            "the audit log %s ends with record %d, and record %d was written",
            self.path,
            found.number,
            self._head.number,
        )
        outcome = f"the log was found to end with record {found.number}"
        self.record(op="audit", outcome=outcome)

    @staticmethod
    def _anchor(cursor: database.Cursor, head: Head) -> None:
        cursor.execute("UPDATE audit SET number=?, hash=?", (head.number, head.hash))


def short(text: object) -> str:
    """Return a text as records hold it."""
    words = str(text)
    return words if len(words) <= MAX_TEXT_CHARS else words[:MAX_TEXT_CHARS] + "…"


def listed(minions: Sequence[str]) -> dict[str, Any]:
    """Return minions as records hold them: how many, the first of them, and a digest of all where there are more."""
    found: dict[str, Any] = {"count": len(minions), "minions": list(minions[:MAX_LISTED])}
    if len(minions) > MAX_LISTED:
        found["all"] = hashlib.sha256("\n".join(sorted(minions)).encode()).hexdigest()
    return found
