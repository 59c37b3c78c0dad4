"""The database: migrations, group commit, one failing write among good ones."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from ctl.common.database import Cursor, Database, quick_check
from ctl.common.errors import StorageError

SCHEMA = ["CREATE TABLE t (n INTEGER PRIMARY KEY)"]


def test_a_write_is_there_when_its_future_is_done(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "a.db", SCHEMA)

    def insert(number: int) -> Callable[[Cursor], int]:
        return lambda cursor: cursor.execute("INSERT INTO t VALUES (?)", (number,)).rowcount

    futures = [database.write(insert(number)) for number in range(500)]
    assert [future.result(timeout=10) for future in futures] == [1] * 500
    assert database.read("SELECT count(*) FROM t") == [(500,)]
    assert quick_check(database) == []
    assert stat.S_IMODE((tmp_path / "a.db").stat().st_mode) == 0o600
    database.close()


def test_a_failing_write_is_undone_alone(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "a.db", SCHEMA)
    good = database.write(lambda c: c.execute("INSERT INTO t VALUES (1)").rowcount)
    bad = database.write(lambda c: c.execute("INSERT INTO t VALUES (1)").rowcount)
    after = database.write(lambda c: c.execute("INSERT INTO t VALUES (2)").rowcount)
    assert good.result(timeout=10) == after.result(timeout=10) == 1
    with pytest.raises(sqlite3.IntegrityError):
        bad.result(timeout=10)
    assert database.read("SELECT n FROM t ORDER BY n") == [(1,), (2,)]
    database.close()


def test_migrations_run_once_and_a_newer_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    Database.open(path, SCHEMA).close()
    newer = Database.open(path, [*SCHEMA, "ALTER TABLE t ADD COLUMN m"])
    newer.write_now(lambda c: c.execute("INSERT INTO t VALUES (1, 2)"))
    newer.close()
    with pytest.raises(StorageError, match="has version 2"):
        Database.open(path, SCHEMA)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"this is no database, and long enough to be looked at" * 40)
    with pytest.raises(StorageError, match=r"a\.db"):
        Database.open(path, SCHEMA)


def test_writes_after_closing_fail(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "a.db", SCHEMA)
    database.close()
    with pytest.raises(StorageError, match="closed"):
        database.write(lambda c: c.execute("SELECT 1")).result(timeout=1)
