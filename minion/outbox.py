"""The outbox: a return leaves it only when the master has confirmed that it is on the master's disk.

A return is sent at once. Where the confirmation takes longer than 50 ms it goes to disk, and is sent again after each
reconnect and each start until it comes. Returns belong to the master whose job they answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from ..common import crash, wire
from ..common.database import Cursor, Database
from ..common.errors import CtlError, RemoteError, StorageError
from .store import ENDED
from .tasks import Tasks

log = logging.getLogger(__name__)

DURABLE_AFTER_S = 0.05
SENT_BYTES_PER_S = 50_000_000  # a large return is given the time to be sent before it is written to disk as well
RETRY_MIN_S = 1.0
RETRY_MAX_S = 60.0
CHUNK_BYTES = 512 * 1024
CHUNK_WINDOW = 4
KEPT_IN_MEMORY_BYTES = 64 * 1024
LARGE_AT_ONCE = 4

RETURNED = "returned"
FAILED = "failed"
INTERRUPTED = "interrupted"
REFUSED = "refused"

# What the master answers when the same return may be good later; anything else is its last word.
_LATER = frozenset(("busy", "storage", "incomplete", "unavailable", "error"))

Ask = Callable[[str, dict[str, Any]], Awaitable[Any]]
Ready = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Return:
    """How a job ended here. `payload` is None where only the copy on disk is kept."""

    jid: str
    fun: str
    master: bytes
    payload: bytes | None
    size: int
    retcode: int = 0
    success: bool = True
    out: str = ""
    truncated: bool = False
    state: str = RETURNED
    reason: str = ""

    def head(self) -> dict[str, Any]:
        """Return what goes into the message beside the payload."""
        return {
            "jid": self.jid,
            "fun": self.fun,
            "retcode": self.retcode,
            "success": self.success,
            "out": self.out or None,
            "truncated": self.truncated,
            "state": self.state,
            "reason": self.reason,
            "size": self.size,
        }


def failure(jid: str, fun: str, master: bytes, state: str, reason: str) -> Return:
    """Make the return of a job that has none of its own; what it says is also its value."""
    payload = wire.pack_payload(reason)
    return Return(jid, fun, master, payload, len(payload), 1, False, "", False, state, reason)


async def deliver(ask: Ask, answer: Return) -> None:
    """Send one return, in chunks where it is large; done when the master has confirmed it."""
    payload = answer.payload or b""
    if len(payload) <= CHUNK_BYTES:
        await ask("return", answer.head() | {"payload": payload})
        return
    starts = range(0, len(payload), CHUNK_BYTES)
    for first in range(0, len(starts), CHUNK_WINDOW):
        window = starts[first : first + CHUNK_WINDOW]
        await asyncio.gather(*(ask("return_chunk", _chunk(answer, payload, start)) for start in window))
    await ask("return", answer.head() | {"payload": b""})


def _chunk(answer: Return, payload: bytes, start: int) -> dict[str, Any]:
    data = payload[start : start + CHUNK_BYTES]
    return {"jid": answer.jid, "offset": start, "size": answer.size, "data": data}


class Outbox:
    """The returns that are on their way. `ask` makes a request; `ready(master)` waits for that master."""

    def __init__(
        self, database: Database, ask: Ask, ready: Ready, *, max_bytes: int, now_ms: Callable[[], int]
    ) -> None:
        self._database = database
        self._ask = ask
        self._ready = ready
        self._max_bytes = max_bytes
        self._now_ms = now_ms
        self._tasks = Tasks()
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._waiting: dict[str, Return] = {}
        self._durable: set[str] = set()
        self._bytes = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, jid: str) -> bool:
        return jid in self._waiting

    def jids(self) -> list[str]:
        """List the jobs whose return is not confirmed yet."""
        return list(self._waiting)

    def resume(self) -> None:
        """Send again what an earlier run of the daemon left."""
        for jid, master, head, size in self._database.read(
            "SELECT jid, master, head, length(payload) FROM outbox ORDER BY stored_ms, jid"
        ):
            fields = wire.unpack(head)
            fields["out"] = fields["out"] or ""
            self._durable.add(jid)
            self._send(Return(master=bytes(master), payload=None, **(fields | {"size": size})))

    def put(self, answer: Return) -> None:
        """Send a return, and keep it until the master has confirmed it."""
        if self._bytes + answer.size > self._max_bytes and answer.size > KEPT_IN_MEMORY_BYTES:
            answer = _without_value(answer, self._max_bytes)
        self._send(answer)

    async def flush(self, timeout: float) -> bool:
        """Wait until everything is confirmed, at most `timeout` seconds; then write the rest to disk."""
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            pass
        for answer in list(self._waiting.values()):
            await self._keep(answer)
        return not self._waiting

    async def close(self) -> None:
        """Stop sending; what is not confirmed is on disk if `flush` was called before."""
        await self._tasks.close()

    def _send(self, answer: Return) -> None:
        if answer.jid in self._waiting:
            return
        self._waiting[answer.jid] = answer
        self._bytes += answer.size
        self._idle.clear()
        self._tasks.start(self._deliver(answer.jid), f"return of {answer.jid}")

    async def _deliver(self, jid: str) -> None:
        keeper: asyncio.TimerHandle | None = None
        if jid not in self._durable:
            loop = asyncio.get_running_loop()
            patience = DURABLE_AFTER_S + self._waiting[jid].size / SENT_BYTES_PER_S
            keeper = loop.call_later(patience, self._keep_soon, jid)
        try:
            await self._until_confirmed(jid)
        finally:
            if keeper is not None:
                keeper.cancel()
        self._done(jid)

    async def _until_confirmed(self, jid: str) -> None:
        pause = RETRY_MIN_S
        while True:
            master = self._waiting[jid].master
            await self._ready(master)
            try:
                await self._send_once(jid)
                crash.at("minion.return.confirmed")
                return
            except RemoteError as error:
                if error.code not in _LATER:
                    log.warning("the master does not take the return of job %s: %s", jid, error)
                    return
                log.info("the return of job %s is sent again later: %s", jid, error)
            except CtlError as error:
                log.info("the return of job %s is sent again later: %s", jid, error)
            await asyncio.sleep(pause)
            pause = min(RETRY_MAX_S, pause * 2)

    async def _send_once(self, jid: str) -> None:
        if self._waiting[jid].size <= CHUNK_BYTES:
            await deliver(self._ask, await self._loaded(jid))
            return
        async with self._large:
            await deliver(self._ask, await self._loaded(jid))

    async def _loaded(self, jid: str) -> Return:
        answer = self._waiting[jid]
        if answer.payload is not None:
            return answer
        rows = await asyncio.to_thread(self._database.read, "SELECT payload FROM outbox WHERE jid=?", (jid,))
        payload = bytes(rows[0][0]) if rows else b""
        return replace(answer, payload=payload, size=len(payload))

    def _keep_soon(self, jid: str) -> None:
        answer = self._waiting.get(jid)
        if answer is not None:
            self._tasks.start(self._keep(answer), f"keeping the return of {jid}")

    async def _keep(self, answer: Return) -> None:
        """Write a return to disk; a large one is then no longer held in memory."""
        if answer.jid in self._durable or answer.payload is None:
            return
        self._durable.add(answer.jid)
        row = (answer.jid, answer.master, wire.pack(answer.head()), answer.payload, self._now_ms())

        def insert(cursor: Cursor) -> None:
            cursor.execute("INSERT OR REPLACE INTO outbox VALUES (?, ?, ?, ?, ?)", row)
            cursor.execute("UPDATE ledger SET state=? WHERE jid=?", (ENDED, answer.jid))

        try:
            await asyncio.wrap_future(self._database.write(insert))
        except StorageError as error:
            self._durable.discard(answer.jid)
            log.error("the return of job %s stays in memory only: %s", answer.jid, error)
            return
        crash.at("minion.return.kept")
        if answer.jid not in self._waiting:
            self._forget_row(answer.jid)
        elif answer.size > KEPT_IN_MEMORY_BYTES:
            self._waiting[answer.jid] = replace(answer, payload=None)

    def _done(self, jid: str) -> None:
        answer = self._waiting.pop(jid)
        self._bytes -= answer.size
        self._forget_row(jid)
        if not self._waiting:
            self._idle.set()

    def _forget_row(self, jid: str) -> None:
        durable = jid in self._durable
        self._durable.discard(jid)

        def forget(cursor: Cursor) -> None:
            if durable:
                cursor.execute("DELETE FROM outbox WHERE jid=?", (jid,))
            cursor.execute("UPDATE ledger SET state=? WHERE jid=?", (ENDED, jid))

        self._database.write(forget)


def _without_value(answer: Return, limit: int) -> Return:
    note = f"[this return of {answer.size} bytes was dropped: outbox_max_bytes is {limit}, and the master is away]"
    log.error("job %s: %s", answer.jid, note)
    payload = wire.pack_payload(note)
    return replace(
        answer, payload=payload, size=len(payload), success=False, retcode=answer.retcode or 1, truncated=True, out=""
    )
