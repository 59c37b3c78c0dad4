"""One contract for every job store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from ctl.common.errors import StorageError
from ctl.master.jobs import End, Expected, JobRecord, State
from ctl.master.store import JobStore, MemoryJobStore, RepeatedRequest
from ctl.master.store_sqlite import SqliteJobStore

FLEET = Expected.of(f"web{number}" for number in range(3))


@pytest.fixture(params=["memory", "sqlite"])
def store(request: Any, tmp_path: Path) -> Iterator[JobStore]:
    made: JobStore = (
        MemoryJobStore() if request.param == "memory" else SqliteJobStore(tmp_path / "jobs.db", tmp_path / "bodies")
    )
    yield made
    made.close()


def record(number: int = 1, **changes: Any) -> JobRecord:
    base = JobRecord(
        jid=f"2026010100000000{number:04d}", log_off=number, created_ms=number * 1000, expires_ms=number * 9000,
        fun="test.ping", tgt="*", tgt_type="glob", delimiter=":", user="root", expected=FLEET, payload=b"payload",
        timeout=1.5, metadata=b"meta", progress=True, request_id=f"request-{number}",
    )  # fmt: skip
    return replace(base, **changes)


def end(minion: str = "web0", **changes: Any) -> End:
    base = End(minion, State.RETURNED, "", False, "test.ping", 0, True, "nested", False, 4, b"true", None, stored_ms=5)
    return replace(base, **changes)


def test_a_job_is_read_back_as_it_was_written(store: JobStore) -> None:
    store.add_job(record()).result()
    assert store.job(record().jid) == record()
    assert store.job("2" * 20) is None


def test_minions_whose_end_is_known_come_with_the_job(store: JobStore) -> None:
    absent = end(state=State.NOT_DELIVERED, inferred=True, reason="Not connected", payload=b"")
    store.add_job(record(), [absent]).result()
    assert store.ends(record().jid) == [absent]


def test_a_request_makes_one_job_however_often_it_comes(store: JobStore) -> None:
    store.add_job(record(1)).result()
    with pytest.raises(RepeatedRequest) as caught:
        store.add_job(record(2, request_id="request-1")).result()
    assert caught.value.jid == record(1).jid
    assert store.job(record(2).jid) is None


def test_jobs_without_a_request_id_do_not_clash(store: JobStore) -> None:
    for number in (1, 2):
        store.add_job(record(number, request_id="")).result()
    assert store.job(record(2).jid) is not None


def test_the_first_stated_end_stays(store: JobStore) -> None:
    store.add_job(record()).result()
    assert store.add_end(record().jid, end()).result() is True
    assert store.add_end(record().jid, end(payload=b"other")).result() is False
    assert store.add_ends(record().jid, [end(inferred=True, state=State.NOT_DELIVERED)]).result() == 0
    assert store.end(record().jid, "web0") == end()


def test_an_inferred_end_gives_way(store: JobStore) -> None:
    store.add_job(record()).result()
    guess = end(inferred=True, state=State.NOT_DELIVERED, payload=b"")
    assert store.add_ends(record().jid, [guess]).result() == 1
    assert store.add_end(record().jid, end()).result() is True
    assert store.ends(record().jid) == [end()]


def test_a_large_body_is_stored_by_its_digest_and_read_in_parts(store: JobStore) -> None:
    payload = bytes(range(256)) * 4096
    digest = store.put_body(payload)
    assert digest == sha256(payload).digest()
    large = end(payload=b"", digest=digest, size=len(payload))
    store.add_job(record()).result()
    store.add_end(record().jid, large).result()
    found = store.end(record().jid, "web0")
    assert found is not None
    assert found.payload == b""
    assert store.body(found) == payload
    assert store.body(found, 256, 3) == b"\0\1\2"
    assert store.body(end(), 1, 2) == b"ru"


def test_a_file_can_be_taken_over_as_a_body(store: JobStore, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(b"large")
    digest = sha256(b"large").digest()
    store.adopt_body(path, digest)
    assert not path.exists()
    assert store.body(end(payload=b"", digest=digest)) == b"large"


def test_a_body_that_is_gone_is_an_error(store: JobStore) -> None:
    with pytest.raises(StorageError):
        store.body(end(payload=b"", digest=bytes(32)))


def test_jobs_are_listed_newest_first(store: JobStore) -> None:
    for number in (1, 2, 3):
        payload = b"x" * 10_000 if number == 3 else b"payload"
        store.add_job(record(number, fun="test.ping" if number != 2 else "cmd.run", payload=payload)).result()
    store.add_end(record(3).jid, end()).result()
    found = store.list_jobs(10)
    assert [(entry.record.jid, entry.ended) for entry in found] == [
        (record(3).jid, 1),
        (record(2).jid, 0),
        (record(1).jid, 0),
    ]
    assert [entry.record.payload for entry in found] == [b"", b"payload", b"payload"]
    assert [end.payload for end in store.ends(record(3).jid, payloads=False)] == [b""]
    assert [entry.record.jid for entry in store.list_jobs(1)] == [record(3).jid]
    assert [entry.record.jid for entry in store.list_jobs(5, fun="cmd.run")] == [record(2).jid]
    assert len(store.list_jobs(5, minion="web1")) == 3
    assert store.list_jobs(5, minion="db1") == []


def test_open_jobs_come_with_what_is_known_of_them(store: JobStore) -> None:
    for number in (2, 1):
        store.add_job(record(number)).result()
    store.add_end(record(1).jid, end()).result()
    store.add_acks([(record(1).jid, "web1"), (record(1).jid, "web1")]).result()
    store.close_job(record(2).jid).result()
    (entry,) = store.open_jobs()
    assert entry.record == record(1)
    assert entry.ends == (end(payload=b""),)
    assert entry.acknowledged == {"web1"}


def test_the_end_of_the_log_outlives_its_jobs(store: JobStore) -> None:
    assert store.last() == (0, "", 0)
    for number in (1, 2):
        store.add_job(record(number)).result()
    store.add_job(record(3, log_off=-3)).result()
    assert store.last() == (2, record(3).jid, 3000)
    store.expire(1_000_000).result()
    assert store.last()[0] == 2


def test_old_jobs_and_their_bodies_are_forgotten(store: JobStore) -> None:
    shared, only = store.put_body(b"shared" * 100_000), store.put_body(b"only" * 100_000)
    for number in (1, 2, 3):
        store.add_job(record(number)).result()
    store.add_end(record(1).jid, end("web0", digest=shared, payload=b"")).result()
    store.add_end(record(1).jid, end("web1", digest=only, payload=b"")).result()
    store.put_body(b"shared" * 100_000)
    store.add_end(record(2).jid, end("web0", digest=shared, payload=b"")).result()
    assert store.expire(1500).result() == 1
    assert store.job(record(1).jid) is None
    assert store.ends(record(1).jid) == []
    assert store.body(end(payload=b"", digest=shared))[:6] == b"shared"
    with pytest.raises(StorageError):
        store.body(end(payload=b"", digest=only))
    # its request may come again
    store.add_job(record(4, request_id="request-1")).result()


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    first = SqliteJobStore(tmp_path / "jobs.db", tmp_path / "bodies")
    first.add_job(record()).result()
    first.add_end(record().jid, end()).result()
    first.close()
    second = SqliteJobStore(tmp_path / "jobs.db", tmp_path / "bodies")
    assert second.job(record().jid) == record()
    assert second.ends(record().jid) == [end()]
    second.close()


def test_bodies_are_private_and_named_by_nothing_but_their_digest(tmp_path: Path) -> None:
    """S30: nothing that a minion chose is part of a path."""
    store = SqliteJobStore(tmp_path / "jobs.db", tmp_path / "bodies")
    digest = store.put_body(b"x" * 300_000)
    store.close()
    files = [path for path in (tmp_path / "bodies").rglob("*") if path.is_file()]
    assert [path.name for path in files] == [digest.hex()]
    assert files[0].stat().st_mode & 0o077 == 0
