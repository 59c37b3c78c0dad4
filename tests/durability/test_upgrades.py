"""Upgrades (F28): databases of an earlier version open and keep what they hold; those of a later one are refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ctl.common.crypto import SigningKey
from ctl.common.errors import StorageError
from ctl.master.jobs import State
from ctl.master.keys import KeyTable
from ctl.master.store_sqlite import SqliteJobStore
from ctl.minion.ledger import Ledger
from ctl.minion.store import open_store

EARLIER = Path(__file__).parents[1] / "data" / "databases"


def _earlier(name: str, path: Path) -> None:
    """Make the database that an earlier version left: `jobs-1` is what version 1 of the job cache wrote."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript((EARLIER / f"{name}.sql").read_text())
    connection.close()


def test_f28_the_job_cache_of_version_1(tmp_path: Path) -> None:
    _earlier("jobs-1", tmp_path / "jobs.db")
    for _ in range(2):
        store = SqliteJobStore(tmp_path / "jobs.db", tmp_path / "bodies")
        assert [entry.record.fun for entry in store.list_jobs(10)] == ["test.ping", "test.echo"]
        assert [(end.id, end.state) for end in store.ends("20260101000000000001")] == [
            ("m1", State.RETURNED),
            ("m2", State.NOT_DELIVERED),
        ]
        (left,) = store.open_jobs()
        assert left.acknowledged == {"m1"}
        assert left.record.queued
        assert store.last()[:2] == (2, "20260101000000000002")
        store.close()


def test_f28_the_keys_of_version_1(tmp_path: Path) -> None:
    _earlier("keys-1", tmp_path / "keys.db")
    table = KeyTable(tmp_path / "keys.db")
    assert table.accepted_ids() == ("Web1",)
    table.preseed("web2", SigningKey(bytes(32)).public)
    table.close()
    table = KeyTable(tmp_path / "keys.db")
    assert table.accepted_ids() == ("Web1", "web2")
    table.close()


def test_f28_the_ledger_of_version_1(tmp_path: Path) -> None:
    _earlier("minion-1", tmp_path / "minion.db")
    database = open_store(tmp_path)
    ledger = Ledger(database)
    assert "20260101000000000001" in ledger
    assert [left.jid for left in ledger.unfinished()] == ["20260101000000000002"]
    database.close()


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("jobs", lambda path: SqliteJobStore(path, path.parent / "bodies")),
        ("keys", KeyTable),
        ("minion", lambda path: open_store(path.parent)),
    ],
)
def test_f28_a_later_version_is_refused_with_a_sentence(
    name: str, read: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / f"{name}.db"
    _earlier(f"{name}-1", path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    content = path.read_bytes()
    with pytest.raises(
        StorageError, match=rf"{name}\.db has version 99, and this ctl knows versions up to \d+ .*newer"
    ):
        read(path)
    assert path.read_bytes() == content
