"""Ledger, offsets and outbox: what is on disk when."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.common import wire
from ctl.common.database import Database
from ctl.common.errors import MasterUnavailable, RemoteError, StorageError
from ctl.minion.job import Job
from ctl.minion.ledger import KEEP_MS, Ledger, Offsets
from ctl.minion.outbox import INTERRUPTED, Outbox, Return, failure
from ctl.minion.store import open_store

from .conftest import until

MASTER = b"m" * 32


def _job(jid: str, expires_ms: int = 1000) -> Job:
    return Job(jid, 1, "*", "glob", ":", b"", b"", expires_ms, 0.0, "root", False, b"", MASTER)


def _with_store(path: Path, work: Callable[[Database], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        database = open_store(path)
        try:
            return await work(database)
        finally:
            database.close()

    return asyncio.run(main())


def test_a_jid_is_entered_once_and_remembered_over_restarts(tmp_path: Path) -> None:
    async def first(database: Database) -> None:
        ledger = Ledger(database)
        entered = ledger.begin(_job("1"), "test.ping")
        assert entered is not None
        await entered
        assert ledger.begin(_job("1"), "test.ping") is None
        assert "1" in ledger

    async def second(database: Database) -> None:
        ledger = Ledger(database)
        assert ledger.begin(_job("1"), "test.ping") is None
        assert [(left.jid, left.fun, left.master) for left in ledger.unfinished()] == [("1", "test.ping", MASTER)]

    _with_store(tmp_path, first)
    _with_store(tmp_path, second)


def test_rows_are_kept_ten_minutes_past_expiry_and_longer_without_a_return(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        ledger = Ledger(database)
        for jid in ("1", "2"):
            entered = ledger.begin(_job(jid), "test.ping")
            assert entered is not None
            await entered
        database.write_now(lambda cursor: cursor.execute("UPDATE ledger SET state='ended' WHERE jid='1'"))
        ledger.forget_old(1000 + KEEP_MS)
        assert len(ledger) == 2
        ledger.forget_old(1001 + KEEP_MS)
        async with asyncio.timeout(10):
            while "1" in ledger:
                await asyncio.sleep(0.001)
        assert "2" in ledger
        assert database.read("SELECT jid FROM ledger") == [("2",)]

    _with_store(tmp_path, work)


def test_a_ledger_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        database = open_store(tmp_path)
        ledger = Ledger(database)
        database.close()
        entered = ledger.begin(_job("1"), "test.ping")
        assert entered is not None
        with pytest.raises(StorageError):
            await entered

    asyncio.run(main())


def test_offsets_are_kept_for_each_master(tmp_path: Path) -> None:
    async def first(database: Database) -> None:
        offsets = Offsets(database)
        assert offsets.get(MASTER) == 0
        offsets.set(MASTER, 7)
        offsets.set(b"other", 3)
        offsets.flush()

    async def second(database: Database) -> None:
        offsets = Offsets(database)
        assert (offsets.get(MASTER), offsets.get(b"other")) == (7, 3)

    _with_store(tmp_path, first)
    _with_store(tmp_path, second)


class Sent:
    """A master for the outbox: what it was asked, and what it answers."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.gate = asyncio.Event()
        self.ready = asyncio.Event()
        self.ready.set()
        self.error: Exception | None = None

    async def ask(self, method: str, args: dict[str, Any]) -> Any:
        self.heard.append((method, args))
        if self.error is not None:
            raise self.error
        await self.gate.wait()
        return {"stored": True}

    async def wait_for_master(self, master: bytes) -> None:
        await self.ready.wait()


def _outbox(database: Database, sent: Sent, max_bytes: int = 1_000_000) -> Outbox:
    return Outbox(database, sent.ask, sent.wait_for_master, max_bytes=max_bytes, now_ms=lambda: 1)


def _return(jid: str, value: Any = True) -> Return:
    payload = wire.pack_payload(value)
    return Return(jid, "test.ping", MASTER, payload, len(payload))


def test_a_return_confirmed_at_once_never_reaches_the_disk(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        sent = Sent()
        sent.gate.set()
        outbox = _outbox(database, sent)
        outbox.put(_return("1"))
        assert await outbox.flush(5)
        assert [method for method, _ in sent.heard] == ["return"]
        assert database.read("SELECT count(*) FROM outbox") == [(0,)]
        await outbox.close()

    _with_store(tmp_path, work)


def test_a_return_not_confirmed_in_time_is_on_disk_and_leaves_with_the_confirmation(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        sent = Sent()
        outbox = _outbox(database, sent)
        outbox.put(_return("1"))
        await until(lambda: database.read("SELECT count(*) FROM outbox") == [(1,)])
        sent.gate.set()
        await until(lambda: database.read("SELECT count(*) FROM outbox") == [(0,)])
        assert len(outbox) == 0
        await outbox.close()

    _with_store(tmp_path, work)


def test_what_a_run_left_is_sent_by_the_next(tmp_path: Path) -> None:
    async def first(database: Database) -> None:
        sent = Sent()
        sent.ready.clear()
        outbox = _outbox(database, sent)
        outbox.put(_return("1", {"large": "x" * 100_000}))
        outbox.put(failure("2", "state.apply", MASTER, INTERRUPTED, "stopped"))
        assert not await outbox.flush(0.01)
        await outbox.close()
        assert sent.heard == []

    async def second(database: Database) -> None:
        sent = Sent()
        sent.gate.set()
        outbox = _outbox(database, sent)
        outbox.resume()
        assert await outbox.flush(5)
        found = {args["jid"]: args for _, args in sent.heard}
        assert wire.unpack_payload(found["1"]["payload"]) == {"large": "x" * 100_000}
        assert (found["2"]["state"], found["2"]["fun"]) == (INTERRUPTED, "state.apply")
        await outbox.close()

    _with_store(tmp_path, first)
    _with_store(tmp_path, second)


def test_the_masters_last_word_ends_it_and_anything_else_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctl.minion.outbox.RETRY_MIN_S", 0.01)

    async def work(database: Database) -> None:
        sent = Sent()
        sent.gate.set()
        sent.error = RemoteError("Refused", "not yours", code="not_expected")
        outbox = _outbox(database, sent)
        outbox.put(_return("1"))
        assert await outbox.flush(5)
        for error in (MasterUnavailable("away"), RemoteError("Storage", "no space", code="storage")):
            sent.error = error
            before = len(sent.heard)
            outbox.put(_return("2"))
            await until(lambda n=before: len(sent.heard) > n + 2)  # type: ignore[misc]
            sent.error = None
            assert await outbox.flush(5)
        await outbox.close()

    _with_store(tmp_path, work)


def test_past_its_limit_the_outbox_keeps_the_fact_and_drops_the_value(tmp_path: Path) -> None:
    async def work(database: Database) -> None:
        sent = Sent()
        sent.ready.clear()
        outbox = _outbox(database, sent, max_bytes=150_000)
        outbox.put(_return("1", "x" * 100_000))
        outbox.put(_return("2", "y" * 100_000))
        sent.ready.set()
        sent.gate.set()
        assert await outbox.flush(5)
        found = {args["jid"]: args for _, args in sent.heard}
        assert found["1"]["success"]
        assert (found["2"]["success"], found["2"]["truncated"]) == (False, True)
        assert "outbox_max_bytes" in wire.unpack_payload(found["2"]["payload"])
        await outbox.close()

    _with_store(tmp_path, work)
