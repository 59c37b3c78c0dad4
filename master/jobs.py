"""What becomes of a job on each minion that is expected to run it.

Pure: data in, data out, time passed in. Per expected minion a job goes
`sent -> acknowledged -> running -> returned | failed | interrupted | refused | not delivered`. An end that the minion
itself stated stands; an end that the master only inferred (nobody came for the job, nobody speaks of it any more) gives
way to whatever the minion says later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256

from .clock import Uptime

MAX_TARGET_CHARS = 16 * 1024
LISTED_PAYLOAD_BYTES = 2048
JID = re.compile(r"[0-9]{20}", re.ASCII)


class State(StrEnum):
    """Where a job stands on one minion."""

    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    RUNNING = "running"
    RETURNED = "returned"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    REFUSED = "refused"
    NOT_DELIVERED = "not delivered"


UNDER_WAY = frozenset({State.ACKNOWLEDGED, State.RUNNING})
END_STATES = frozenset({State.RETURNED, State.FAILED, State.INTERRUPTED, State.REFUSED, State.NOT_DELIVERED})
# What a minion may say of its own job.
STATED_ENDS = frozenset({State.RETURNED, State.FAILED, State.INTERRUPTED, State.REFUSED})


class Heard(StrEnum):
    """What the master learns of a job on one minion, short of its end."""

    ACK = "ack"  # the minion has it
    ALIVE = "alive"  # a keepalive or progress names it
    EXPIRED = "expired"  # its delivery window closed
    LOST = "lost"  # the minion is there and does not speak of it any more


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a job stands on one minion; `at` is when the minion was last heard of it (monotonic seconds)."""

    state: State
    at: float
    reason: str = ""
    inferred: bool = False

    @property
    def ended(self) -> bool:
        """Whether this is an end state."""
        return self.state in END_STATES


_ON_HEARD: dict[Heard, tuple[State, frozenset[State]]] = {
    Heard.ACK: (State.ACKNOWLEDGED, frozenset({State.SENT})),
    Heard.ALIVE: (State.RUNNING, frozenset({State.SENT, State.ACKNOWLEDGED, State.RUNNING})),
    Heard.EXPIRED: (State.NOT_DELIVERED, frozenset({State.SENT})),
    Heard.LOST: (State.INTERRUPTED, frozenset({State.ACKNOWLEDGED, State.RUNNING})),
}
_EVIDENCE = frozenset({Heard.ACK, Heard.ALIVE})


def heard(mark: Mark, what: Heard, now: float, reason: str = "") -> Mark | None:
    """Return the mark that follows when `what` is heard, or None where it changes nothing."""
    target, sources = _ON_HEARD[what]
    if mark.inferred and mark.ended and what in _EVIDENCE:
        return Mark(target, now)
    if mark.state not in sources:
        return None
    if what in _EVIDENCE:
        return Mark(target, now)
    return Mark(target, mark.at, reason, inferred=True)


def stated(mark: Mark, end: State, now: float, reason: str = "") -> Mark | None:
    """Return the mark that follows when the minion states the end of the job; None where an end stands already."""
    if mark.ended and not mark.inferred:
        return None
    return Mark(end, now, reason)


@dataclass(frozen=True, slots=True)
class Expected:
    """The minions that a job is for. Jobs with the same target share one."""

    ids: tuple[str, ...]
    members: frozenset[str]
    digest: bytes

    @classmethod
    def of(cls, ids: Iterable[str]) -> Expected:
        """Make one from ids in any order."""
        ordered = tuple(sorted(set(ids)))
        return cls(ordered, frozenset(ordered), sha256("\n".join(ordered).encode()).digest())


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What the job log keeps of a job. `payload` is the packed function and arguments, unparsed."""

    jid: str
    log_off: int
    created_ms: int
    expires_ms: int  # end of the delivery window, by the master's clock
    fun: str
    tgt: str
    tgt_type: str
    delimiter: str
    user: str
    expected: Expected
    payload: bytes
    timeout: float = 0.0  # the job's own limit, 0 for none
    metadata: bytes | None = None
    progress: bool = False
    request_id: str = ""
    queued: bool = True  # whether it waits for minions that are away
    private: bool = False  # only minions that are expected may read the payload
    hidden: bytes | None = None  # the true payload, until the job is over, where secrets in `payload` are masked
    made: Uptime = Uptime()  # noqa: RUF009 - it is frozen

    def is_older(self, than_ms: int, than: Uptime) -> bool:
        """Whether it was made before then, by the wall clock and, in the same run of the machine, by its uptime."""
        left = than.since(self.made)
        return self.created_ms < than_ms and (left is None or left > 0)

    def body(self, *, slots: bytes, epoch: bytes, expires_ms: int) -> dict[str, object]:
        """Return what minions are sent: the record without what is the master's own business.

        A long target that needs ids only is left out: who is meant, the master's list says.
        """
        plain = len(self.tgt) > MAX_TARGET_CHARS and self.tgt_type in ("glob", "pcre", "list")
        return {
            "v": 1,
            "jid": self.jid,
            "log_off": self.log_off,
            "tgt": "*" if plain else self.tgt,
            "tgt_type": "glob" if plain else self.tgt_type,
            "delimiter": self.delimiter,
            "slots": slots,
            "epoch": epoch,
            "expires_ms": expires_ms,
            "timeout": self.timeout,
            "user": self.user,
            "metadata": self.metadata,
            "progress": self.progress,
            "secret": self.hidden is not None,
            "payload": self.true_payload,
        }

    def announcement(self, *, slots: bytes, epoch: bytes, expires_ms: int) -> dict[str, object]:
        """Return what of a private job all minions may read: whom it is for, and the digest of what those will get."""
        body = self.body(slots=slots, epoch=epoch, expires_ms=expires_ms)
        return {**body, "metadata": None, "payload": b"", "digest": sha256(self.true_payload).digest()}

    @property
    def true_payload(self) -> bytes:
        """What the minions run."""
        return self.payload if self.hidden is None else self.hidden


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended on one minion, with what it returned. A large payload is a file named by `digest`."""

    id: str
    state: State
    reason: str = ""
    inferred: bool = False
    fun: str = ""
    retcode: int = 1
    success: bool = False
    out: str | None = None
    truncated: bool = False
    size: int = 0
    payload: bytes = b""
    digest: bytes | None = None
    stored_ms: int = 0


@dataclass(slots=True)
class Job:
    """A job that is not over yet: its record, and a mark for each minion that is past `sent`."""

    record: JobRecord
    started: float  # monotonic seconds
    deadline: float  # when its delivery window closes, monotonic seconds
    marks: dict[str, Mark] = field(default_factory=dict)
    ended: int = 0
    expired: bool = False
    progressed: int = 0

    @property
    def jid(self) -> str:
        """The job's id."""
        return self.record.jid

    @property
    def complete(self) -> bool:
        """Whether every expected minion has an end state."""
        return self.ended >= len(self.record.expected.ids)

    def mark_of(self, minion: str) -> Mark:
        """Return where the job stands on a minion."""
        return self.marks.get(minion) or Mark(State.SENT, self.started)

    def hear(self, minion: str, what: Heard, now: float, reason: str = "") -> Mark | None:
        """Take in what was heard of a minion; return the new mark, or None where nothing changed."""
        return self._put(minion, heard(self.mark_of(minion), what, now, reason))

    def end(self, minion: str, state: State, now: float, reason: str = "") -> Mark | None:
        """Take in the end that a minion states; None where an end stands already."""
        return self._put(minion, stated(self.mark_of(minion), state, now, reason))

    def restore(self, minion: str, mark: Mark) -> None:
        """Put a mark back, as read from the store or because a write of its successor failed."""
        self._put(minion, mark)

    def _put(self, minion: str, mark: Mark | None) -> Mark | None:
        if mark is None:
            return None
        before = self.marks.get(minion)
        self.ended += mark.ended - (before is not None and before.ended)
        self.marks[minion] = mark
        return mark

    def outstanding(self) -> Iterator[tuple[str, Mark]]:
        """Yield each minion without an end state."""
        for minion in self.record.expected.ids:
            mark = self.mark_of(minion)
            if not mark.ended:
                yield minion, mark

    def states(self) -> dict[str, str]:
        """Return the state of each expected minion, as words."""
        return {minion: str(self.mark_of(minion).state) for minion in self.record.expected.ids}


def for_a_list(record: JobRecord) -> JobRecord:
    """Return the record without a payload that is not small."""
    return record if len(record.payload) <= LISTED_PAYLOAD_BYTES else replace(record, payload=b"")


class JobIds:
    """Makes job ids: 20 digits of UTC, each greater than the one before, also across restarts and clock steps."""

    def __init__(self, last: str = "") -> None:
        self._last_us = _microseconds(last) if JID.fullmatch(last) else 0

    def next(self, now_ms: int) -> str:
        """Return a new id for a job that starts at `now_ms`."""
        self._last_us = max(self._last_us + 1, now_ms * 1000)
        seconds, rest = divmod(self._last_us, 1_000_000)
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%d%H%M%S") + f"{rest:06d}"


def _microseconds(jid: str) -> int:
    moment = datetime.strptime(jid[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000 + int(jid[14:])
