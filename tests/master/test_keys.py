"""The key table: who is pending, accepted, rejected or denied, and what becomes of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctl.common.crypto import MINION, fingerprint
from ctl.common.errors import KeyTableError, StorageError
from ctl.master.keys import KeyState, KeyTable

A, B, C, D, E, F = (bytes([letter]) * 32 for letter in b"ABCDEF")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., KeyTable]]:
    made: list[KeyTable] = []

    def open_table(**options: Any) -> KeyTable:
        table = KeyTable(tmp_path / "keys.db", now=Clock(), **{"pending_per_source": 1000, **options})
        made.append(table)
        return table

    yield open_table
    for table in made:
        table.close()


@pytest.fixture
def table(make: Callable[..., KeyTable]) -> KeyTable:
    return make()


def claim(table: KeyTable, minion: str, public: bytes, address: str = "10.0.0.1") -> KeyState:
    return table.claim(minion, public, address).state


def ids(changes: Any) -> list[str]:
    return [change.before.id for change in changes]


def test_an_unknown_key_waits_until_it_is_accepted(table: KeyTable) -> None:
    assert claim(table, "web1", A) is KeyState.PENDING
    assert table.accepted("web1") is None
    assert ids(table.accept("web*")) == ["web1"]
    assert claim(table, "web1", A) is KeyState.ACCEPTED
    assert table.accepted_ids() == ("web1",)


def test_a_rejected_key_stays_rejected_and_does_not_hold_the_id(table: KeyTable) -> None:
    claim(table, "web1", A)
    table.reject("web1")
    assert claim(table, "web1", A) is KeyState.REJECTED
    assert claim(table, "web1", B) is KeyState.PENDING


@pytest.mark.parametrize("accepted", [True, False])
def test_another_key_for_an_id_is_denied_and_blocks_nobody(table: KeyTable, accepted: bool) -> None:
    claim(table, "web1", A)
    if accepted:
        table.accept("web1")
    assert claim(table, "web1", B, "10.9.9.9") is KeyState.DENIED
    assert claim(table, "web1", A) is (KeyState.ACCEPTED if accepted else KeyState.PENDING)
    rows: Any = table.list()["denied"]["web1"]
    (row,) = rows
    assert row[:2] == [fingerprint(MINION, B), "10.9.9.9"]


def test_at_most_four_candidates_are_kept_and_those_seen_again_stay(table: KeyTable) -> None:
    claim(table, "web1", A)
    for public in (B, C, D, E):
        claim(table, "web1", public)
    table._now.now += 1000  # type: ignore[attr-defined]
    claim(table, "web1", B)
    claim(table, "web1", F)
    kept = {key.public for key in table.all() if key.state is KeyState.DENIED}
    assert len(kept) == 4
    assert {B, F} <= kept


def test_ids_that_differ_in_case_are_one_id(table: KeyTable) -> None:
    claim(table, "Web1", A)
    table.accept("web1")
    assert claim(table, "web1", B) is KeyState.DENIED
    assert claim(table, "web1", A) is KeyState.DENIED
    assert table.accepted_ids() == ("Web1",)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\0", "a\n", "x" * 129, "-rf", "wéb"])
def test_what_is_no_id_is_refused(table: KeyTable, name: str) -> None:
    with pytest.raises(KeyTableError):
        claim(table, name, A)
    with pytest.raises(KeyTableError):
        table.preseed(name, A)
    assert table.all() == []


def test_two_candidates_ask_for_a_fingerprint(table: KeyTable) -> None:
    claim(table, "web1", A)
    claim(table, "web1", B)
    with pytest.raises(KeyTableError, match="--fingerprint"):
        table.accept("web1")
    assert ids(table.accept(fingerprint=fingerprint(MINION, B))) == ["web1", "web1"]
    assert claim(table, "web1", B) is KeyState.ACCEPTED
    assert claim(table, "web1", A) is KeyState.DENIED


def test_a_fingerprint_can_replace_an_accepted_key(table: KeyTable) -> None:
    claim(table, "web1", A)
    table.accept("web1")
    claim(table, "web1", B)
    changes = table.accept(fingerprint=fingerprint(MINION, B))
    assert [(change.before.public, change.after and change.after.state) for change in changes] == [
        (A, KeyState.DENIED),
        (B, KeyState.ACCEPTED),
    ]


def test_an_unknown_fingerprint_or_word_is_an_error(table: KeyTable) -> None:
    with pytest.raises(KeyTableError, match="no key has"):
        table.accept(fingerprint=fingerprint(MINION, A))
    with pytest.raises(KeyTableError, match="fingerprint"):
        table.delete(fingerprint="nonsense")
    with pytest.raises(KeyTableError, match="known:"):
        table.accept("*", include=["nonsense"])


def test_accepting_when_nothing_is_pending_changes_nothing(table: KeyTable) -> None:
    assert table.accept("*") == []


def test_globs_and_states_choose(table: KeyTable) -> None:
    for name, public in (("web1", A), ("web2", B), ("db1", C)):
        claim(table, name, public)
    table.reject("web2")
    assert ids(table.accept("*", dry_run=True)) == ["db1", "web1"]
    assert table.accepted_ids() == ()
    assert ids(table.accept("*", include=["rejected"])) == ["db1", "web1", "web2"]
    assert ids(table.reject("*")) == []
    assert ids(table.reject("db*", include=["accepted"])) == ["db1"]
    assert ids(table.delete("*", include=["rejected"])) == ["db1"]
    assert ids(table.delete("*")) == ["web1", "web2"]
    assert table.all() == []


def test_a_deleted_key_is_new_again(table: KeyTable) -> None:
    claim(table, "web1", A)
    table.accept("web1")
    table.delete("web1")
    assert claim(table, "web1", A) is KeyState.PENDING


def test_a_denied_key_waits_once_the_id_is_free(table: KeyTable) -> None:
    claim(table, "web1", A)
    claim(table, "web1", B)
    table.delete(fingerprint=fingerprint(MINION, A))
    assert claim(table, "web1", B) is KeyState.PENDING


def test_a_key_can_be_accepted_before_its_minion_comes(table: KeyTable) -> None:
    table.preseed("web1", A)
    assert claim(table, "web1", A) is KeyState.ACCEPTED
    with pytest.raises(KeyTableError, match="accepted key already"):
        table.preseed("web1", B)
    with pytest.raises(KeyTableError, match="32 bytes"):
        table.preseed("web2", b"short")
    claim(table, "db1", C)
    table.preseed("db1", D)
    assert claim(table, "db1", D) is KeyState.ACCEPTED
    assert claim(table, "db1", C) is KeyState.DENIED


def test_generations_grow_with_every_change(table: KeyTable) -> None:
    seen = []
    for work in (
        lambda: claim(table, "web1", A),
        lambda: table.accept("web1"),
        lambda: table.reject("web1", include=["accepted"]),
        lambda: table.accept("web1", include=["rejected"]),
    ):
        work()
        seen.append(table.find("web1")[0].generation)
    assert seen == sorted(set(seen))


def test_pending_keys_are_bounded_and_the_ones_never_seen_again_go_first(make: Callable[..., KeyTable]) -> None:
    table = make(max_pending=3)
    for number in range(3):
        claim(table, f"old{number}", bytes([number]) * 32)
    table._now.now += 1000  # type: ignore[attr-defined]
    claim(table, "old0", bytes([0]) * 32)
    for number in range(10):
        claim(table, f"new{number}", bytes([100 + number]) * 32)
    pending = table.list()["pending"]
    assert len(pending) == 3
    assert "old0" in pending


def test_one_source_cannot_bring_more_than_its_rate(make: Callable[..., KeyTable]) -> None:
    table = make(pending_per_source=10)
    for number in range(100):
        assert claim(table, f"x{number}", bytes([number]) * 32, "10.6.6.6") is KeyState.PENDING
    assert len(table.all()) <= 11
    assert claim(table, "web1", A, "10.0.0.1") is KeyState.PENDING
    assert table.find("web1")
    for number in range(100):
        table.claim(f"y{number}", bytes([number]) * 32, "10.6.6.6", trusted=True)
    assert len(table.find("y*")) == 100


def test_everything_is_there_after_a_restart(make: Callable[..., KeyTable]) -> None:
    table = make()
    for name, public in (("web1", A), ("web2", B), ("db1", C)):
        claim(table, name, public)
    table.accept("web1")
    table.reject("web2")
    claim(table, "web1", D)
    before = table.list()
    table.close()
    assert make().list() == before


def test_a_damaged_table_is_refused_by_name(make: Callable[..., KeyTable], tmp_path: Path) -> None:
    table = make()
    for number in range(200):
        claim(table, f"web{number}", bytes([number]) * 32)
    table.close()
    path = tmp_path / "keys.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(path.read_bytes())
    for page in range(4096, len(data), 4096):
        data[page : page + 16] = b"\xff" * 16
    path.write_bytes(data)
    with pytest.raises(StorageError, match=r"keys\.db"):
        make()


def test_the_list_of_ids_is_the_same_object_until_one_changes(table: KeyTable) -> None:
    claim(table, "web1", A)
    table.accept("*")
    first = table.accepted_ids()
    claim(table, "web2", B)
    assert table.accepted_ids() is first
    table.accept("*")
    assert table.accepted_ids() == ("web1", "web2")


operations = st.lists(
    st.tuples(
        st.sampled_from(["claim", "accept", "reject", "delete", "finger"]),
        st.sampled_from(["web1", "WEB1", "db1"]),
        st.sampled_from([A, B, C]),
    ),
    max_size=25,
)


@settings(max_examples=30, deadline=None)
@given(operations)
def test_an_id_never_has_two_holders_and_memory_agrees_with_the_disk(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, bytes]]
) -> None:
    path = tmp_path_factory.mktemp("keys") / "keys.db"
    table = KeyTable(path, now=Clock(), pending_per_source=1000)
    for what, minion, public in steps:
        try:
            if what == "claim":
                table.claim(minion, public, "10.0.0.1")
            elif what == "finger":
                table.accept(fingerprint=fingerprint(MINION, public))
            else:
                getattr(table, what)(minion, include=["accepted", "rejected", "denied", "pending"])
        except KeyTableError:
            pass
        holders = [key.folded for key in table.all() if key.state in (KeyState.ACCEPTED, KeyState.PENDING)]
        assert len(holders) == len(set(holders))
    before = table.all()
    table.close()
    again = KeyTable(path)
    assert again.all() == before
    again.close()
