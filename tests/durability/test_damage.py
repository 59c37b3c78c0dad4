"""A file of ours that changed while it was closed (F16): it is refused with its name, never read in part."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctl.common.crypto import IdentityKey, SigningKey
from ctl.common.database import Database
from ctl.common.errors import ConfigError, CtlError, StorageError
from ctl.common.seal import path_of
from ctl.master.grains_cache import GrainsCache
from ctl.master.jobs import End, Expected, JobRecord, State
from ctl.master.keys import MIGRATIONS as KEYS
from ctl.master.keys import KeyTable
from ctl.master.store_sqlite import SqliteJobStore
from ctl.minion.store import open_store
from ctl.minion.trust import Trust

FLIPS = 60
RECORD = JobRecord(
    jid="20260101000000000001", log_off=1, created_ms=1, expires_ms=2, fun="test.ping", tgt="*", tgt_type="glob",
    delimiter=":", user="root", expected=Expected.of(["m1"]), payload=b"\xa3abc",
)  # fmt: skip


def _jobs(path: Path) -> SqliteJobStore:
    return SqliteJobStore(path, path.parent / "bodies")


def _make_jobs(path: Path) -> None:
    store = _jobs(path)
    store.add_job(RECORD).result()
    store.add_end(RECORD.jid, End("m1", State.RETURNED, payload=b"x" * 5000)).result()
    store.close()


def _make_keys(path: Path) -> None:
    table = KeyTable(path)
    for number in range(20):
        table.preseed(f"m{number}", SigningKey(bytes([number]) * 32).public)
    table.close()


def _make_ledger(path: Path) -> None:
    database = open_store(path.parent)
    database.write_now(lambda cursor: cursor.execute("INSERT INTO ledger VALUES ('1', 'f', x'00', 'started', 5)"))
    database.close()


def _make_grains(path: Path) -> None:
    cache = GrainsCache(path)
    cache.put("m1", b"\x81\xa1a\x01")
    cache.close()


DATABASES: dict[str, tuple[Callable[[Path], None], Callable[[Path], object]]] = {
    "jobs.db": (_make_jobs, _jobs),
    "keys.db": (_make_keys, KeyTable),
    "minion.db": (_make_ledger, lambda path: open_store(path.parent)),
    "cache.db": (_make_grains, GrainsCache),
}


def _damages(content: bytes, count: int) -> Iterator[bytes]:
    """Yield a content with one flipped bit, or cut short."""
    choose = random.Random(7)
    for _ in range(count):
        place = choose.randrange(len(content))
        yield content[:place] + bytes([content[place] ^ (1 << choose.randrange(8))]) + content[place + 1 :]
    yield from (content[: choose.randrange(len(content))] for _ in range(count // 4))


def _attempt(work: Callable[[], object]) -> tuple[object, str]:
    """Return what work gives, or why it was refused."""
    try:
        return work(), ""
    except ConfigError as error:
        return None, str(error)


@pytest.mark.parametrize("name", DATABASES)
def test_f16_a_database_that_changed_while_it_was_closed_is_refused_by_name(name: str, tmp_path: Path) -> None:
    make, read = DATABASES[name]
    path = tmp_path / "data" / name
    make(path)
    content, sealed = path.read_bytes(), path_of(path).read_bytes()
    for damaged in _damages(content, FLIPS):
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match=name):
            read(path)
        assert path.read_bytes() == damaged, "what is refused is not touched"
    path.write_bytes(content)
    assert path_of(path).read_bytes() == sealed
    read(path).close()  # type: ignore[attr-defined]


def test_f16_keys_that_are_damaged_are_refused_without_a_seal_too(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    _make_keys(path)
    database = Database.open(path, KEYS)
    database.write_now(lambda cursor: cursor.execute("UPDATE keys SET state='accepteD' WHERE id='m3'"))
    database.close()
    with pytest.raises(StorageError, match=r"keys\.db"):
        KeyTable(path)


@pytest.mark.parametrize("name", ["master.pem", "minion.pem"])
def test_f16_a_damaged_key_is_refused_by_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    key = IdentityKey.load_or_create(path)
    content = path.read_bytes()
    for damaged in _damages(content, FLIPS):
        path.write_bytes(damaged)
        found, why = _attempt(lambda: IdentityKey.load_or_create(path).public)
        # what is no part of the key may change: a dash, an end of line
        assert name in why or found == key.public
    path.write_bytes(content.partition(b"-----BEGIN PUBLIC")[0])
    assert IdentityKey.load(path).public == key.public, "one without its public half is an older one"


def test_f16_damaged_trust_is_refused_by_name(tmp_path: Path) -> None:
    trust = Trust(tmp_path)
    trust.checker("master:4606")(bytes(32), ())
    path = tmp_path / "trust.json"
    content = path.read_bytes()
    for damaged in _damages(content, FLIPS):
        path.write_bytes(damaged)
        _, why = _attempt(lambda: Trust(tmp_path))
        assert not why or "trust.json" in why


def test_f16_a_damaged_return_is_refused_by_name(tmp_path: Path) -> None:
    store = _jobs(tmp_path / "jobs.db")
    payload = random.Random(1).randbytes(300_000)
    end = End("m1", State.RETURNED, size=len(payload), digest=store.put_body(payload))
    (path,) = (tmp_path / "bodies").glob("*/*")
    for damaged in _damages(payload, 10):
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match=path.name):
            store.body(end)
    path.write_bytes(payload)
    assert store.body(end) == payload
    store.close()


def test_a_database_that_somebody_else_still_reads_is_not_sealed(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    first = Database.open(path, ["CREATE TABLE t (n INTEGER)"])
    other = Database.open(path, ["CREATE TABLE t (n INTEGER)"])
    other.read("SELECT n FROM t")
    first.write_now(lambda cursor: cursor.execute("INSERT INTO t VALUES (1)"))
    first.close()
    assert not path_of(path).exists()
    other.close()
    assert path_of(path).exists()
    Database.open(path, ["CREATE TABLE t (n INTEGER)"]).close()


def test_a_refusal_says_how_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    Database.open(path, ["CREATE TABLE t (n INTEGER)"]).close()
    shutil.copy(path, tmp_path / "backup")
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(CtlError, match=r"restore it from a backup; remove .*a\.db\.seal if it was changed on purpose"):
        Database.open(path, ["CREATE TABLE t (n INTEGER)"])
    path_of(path).unlink()
    shutil.copy(tmp_path / "backup", path)
    Database.open(path, ["CREATE TABLE t (n INTEGER)"]).close()
