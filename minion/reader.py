"""Reads a master's publications: in order, without loss, and each job handed over once.

What the subscription did not bring (before it stood, while the connection was cut, after an overflow) comes from
`catch_up`. The offset moves only where nothing is missing before it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from ..common import crypto
from ..common.errors import ForgedPublication, StalePublication, UnknownEpoch, WireError
from ..common.log import Limiter
from ..common.publication import CLOCK_WINDOW_MS, Publication, Receiver
from .clock import monotonic
from .job import Job, read_job

log = logging.getLogger(__name__)

LINE_S = 60.0
MAX_ANNOUNCED = 256
WRONG_EPOCH_PAUSE_S = 1.0

Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]


class Position(Protocol):
    """Where the offset of this master is kept."""

    def get(self, master: bytes) -> int: ...

    def set(self, master: bytes, offset: int) -> None: ...


class Reader:
    """The publications of one master. `on_job` is given each job that expects this minion; `wants` is set when there
    is something to ask the master for (`settle` then does)."""

    def __init__(
        self,
        group: list[Any],
        master_fingerprint: str,
        master: bytes,
        position: Position,
        on_job: Callable[[Job], None],
        on_forged: Callable[[], None],
    ) -> None:
        self._receiver = Receiver(group, master_fingerprint)
        self._master = master
        self._position = position
        self._on_job = on_job
        self._on_forged = on_forged
        self._gaps = 1  # counts what shows that something is missing: at first, everything before the subscription
        self._filled = 0  # how many of those a catch_up has dealt with
        self._seen = 0  # the offset of the last publication since the last gap
        self._unknown_epoch = b""
        self._lines = Limiter(LINE_S, monotonic)
        self._announced: dict[str, bytes] = {}  # private jobs, and the digests of their payloads
        self.stale = False
        self.wants = asyncio.Event()

    @property
    def offset(self) -> int:
        """The job log's offset up to which nothing is missing here."""
        return self._position.get(self._master)

    @property
    def epoch(self) -> bytes:
        """The epoch whose publications can be read."""
        return self._receiver.epoch_id

    def adopt(self, group: list[Any]) -> None:
        """Take the group that a new handshake gave; what was published meanwhile must be asked for."""
        self._receiver.adopt(group)
        self._unknown_epoch = b""
        self.missed()

    def head(self, state: Any) -> None:
        """Take the master's push HEAD, `[epoch, seq, offset]`: the subscription stands from here on."""
        match state:
            case [bytes(epoch), int(), int()] if epoch != self._receiver.epoch_id:
                self._unknown_epoch = epoch
        self.missed()

    def missed(self) -> None:
        """Note that something may be missing."""
        self._gaps += 1
        self._seen = 0
        self.wants.set()

    def take(self, packet: bytes, now_ms: int) -> bool:
        """Take one packet; True where it was good. Raises WireError (SealError, ReplayError) for one to be dropped."""
        try:
            publication = self._receiver.open(packet, now_ms)
        except UnknownEpoch as error:
            self._unknown_epoch = error.epoch_id
            self.missed()
            return False
        except StalePublication as error:
            if self._lines.allows("stale"):
                log.warning("%s: not run from here; asking what is missing", error)
            self.stale = True
            self.missed()
            return False
        except ForgedPublication as error:
            if self._lines.allows("forged"):
                log.critical("%s: an accepted minion attacks this fleet", error)
                self._on_forged()
            return False
        self._handle(publication)
        return True

    def take_push(self, fields: Any, now_ms: int) -> None:
        """Take a job that the master sent to this minion alone, `[ts_ms, body]`; the session has verified it.

        One that was held up on its way is asked for anew: the master says whether it may still begin.
        """
        match fields:
            case [int(ts_ms), bytes(body)]:
                if abs(now_ms - ts_ms) <= CLOCK_WINDOW_MS:
                    self._on_job(read_job(body, self._master))
                    return
                if self._lines.allows("stale"):
                    log.warning("a job came %d ms late: not run from here; asking what is missing", now_ms - ts_ms)
                self.stale = True
                self.missed()
            case _:
                raise WireError("a push JOB is not [ts_ms, body]")

    def _handle(self, publication: Publication) -> None:
        if publication.gap:
            self.missed()
        if publication.heartbeat:
            if publication.log_off > max(self.offset, self._seen):
                self.missed()
            return
        if not self._take_job(publication.body):
            self.missed()
            return
        self._seen = publication.log_off
        if self._filled == self._gaps:
            self._position.set(self._master, publication.log_off)

    def _take_job(self, body: bytes) -> bool:
        """Hand over a published job; False where only the master can say whether it is for us."""
        try:
            job = read_job(body, self._master)
        except WireError as error:
            log.error("a publication of the master cannot be read: %s", error)
            return True
        if job.epoch != self._receiver.epoch_id:
            return False
        if not job.expects(self._receiver.slot):
            return True
        if job.digest:  # a private job, which is told over the session
            self._announced[job.jid] = job.digest
            if len(self._announced) > MAX_ANNOUNCED:
                self._announced.pop(next(iter(self._announced)))
            return False
        self._on_job(job)
        return True

    async def settle(self, ask: Ask) -> None:
        """Ask the master for what is missing, until nothing is."""
        self.wants.clear()
        if self._unknown_epoch:
            wanted, self._unknown_epoch = self._unknown_epoch, b""
            self._receiver.adopt(await ask("group_get", {}))
            if self._receiver.epoch_id != wanted:
                await self._wrong_epoch()
        while self._filled != self._gaps:
            gaps = self._gaps
            head = await self._catch_up(ask)
            if gaps == self._gaps:
                self._filled = gaps
                self._position.set(self._master, max(head, self._seen))

    async def _wrong_epoch(self) -> None:
        """The header of a publication cannot be verified before its epoch is known: a forged one must cost little."""
        if self._lines.allows("epoch"):
            log.warning("a publication was dropped: the master has no epoch of the name it gives")
        await asyncio.sleep(WRONG_EPOCH_PAUSE_S)

    async def _catch_up(self, ask: Ask) -> int:
        position = self.offset
        while True:
            reply = await ask("catch_up", {"offset": position})
            head, jobs = int(reply["head"]), reply["jobs"]
            if position > head:
                log.warning("the master's job log ends at %d, before our offset %d: reading from there", head, position)
                self._position.set(self._master, head)
            for offset, body in jobs:
                self._take_caught(body)
                position = int(offset)
            if not reply.get("more") or not jobs:
                return head

    def _take_caught(self, body: bytes) -> None:
        try:
            job = read_job(body, self._master)
            digest = self._announced.pop(job.jid, None)
            if digest is not None and crypto.sha256(job.payload) != digest:
                raise WireError(f"job {job.jid} is not the one that was announced")
            self._on_job(job)
        except WireError as error:
            log.error("a job of the master cannot be read: %s", error)
