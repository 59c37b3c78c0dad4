"""The table of enrolment tokens: uses, expiry and revocation, also when many come at once and after a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ctl.common.errors import KeyTableError
from ctl.master.autosign import parse_list
from ctl.master.keys import KeyState, KeyTable


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reopen(tmp_path: Path, clock: Clock) -> Iterator[Callable[[], KeyTable]]:
    opened: list[KeyTable] = []

    def make() -> KeyTable:
        for table in opened:
            table.close()
        opened.append(KeyTable(tmp_path / "keys.db", now=clock, pending_per_source=1e6))
        return opened[-1]

    yield make
    for table in opened:
        table.close()


def enrol(table: KeyTable, token: bytes, minion: str) -> bool:
    """Claim an id with a key of its own, and have the token accept it; say whether it did."""
    claimed = table.claim(minion, minion.encode().ljust(32, b"x"), "10.0.0.1")
    assert claimed.key is not None
    try:
        written, _ = table.settle(claimed.key, KeyState.ACCEPTED, token)
        written.result()
    except KeyTableError:
        return False
    return True


def test_of_many_at_once_no_more_are_enrolled_than_the_token_has_uses(reopen: Callable[[], KeyTable]) -> None:
    table = reopen()
    token = table.tokens.create("*", 5, 60.0, "root", "").id
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: enrol(table, token, f"web{number}"), range(20)))
    assert sum(done) == 5
    assert len(table.accepted_ids()) == 5
    again = reopen()
    assert [row.used for row in again.tokens.rows()] == [5]
    assert len(again.accepted_ids()) == 5


def test_a_token_ends_in_its_time_and_a_clock_that_goes_back_does_not_revive_it(
    reopen: Callable[[], KeyTable], clock: Clock
) -> None:
    table = reopen()
    token = table.tokens.create("*", 9, 60.0, "", "").id
    clock.now += 59
    assert enrol(table, token, "a")
    clock.now += 1
    assert not enrol(table, token, "b")
    table.tokens.create("*", 1, 1.0, "", "")  # puts the time down
    clock.now -= 3600
    assert not enrol(table, token, "c")
    assert not enrol(reopen(), token, "d")


def test_a_revoked_token_is_gone_for_good(reopen: Callable[[], KeyTable]) -> None:
    table = reopen()
    token = table.tokens.create("*", 9, 60.0, "", "")
    name = token.id.hex()[:16]
    with pytest.raises(KeyTableError, match="too short"):
        table.tokens.revoke(name[:4])
    assert [row.name for row in table.tokens.revoke(name[:8])] == [name]
    assert table.tokens.revoke(name) == []
    assert not enrol(table, token.id, "a")
    assert reopen().tokens.rows() == []


def test_the_secret_is_not_in_the_database(reopen: Callable[[], KeyTable], tmp_path: Path) -> None:
    table = reopen()
    token = table.tokens.create("*", 9, 60.0, "", "")
    table.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert token.id in stored
    assert token.secret not in stored


def test_a_rejected_or_accepted_key_is_left_alone_and_a_use_that_was_not_written_is_given_back(
    reopen: Callable[[], KeyTable],
) -> None:
    table = reopen()
    token = table.tokens.create("web*", 3, 60.0, "", "").id
    assert not enrol(table, token, "db1")
    table.claim("web1", b"r" * 32, "10.0.0.1")
    table.reject("web1")
    key = table.known("web1", b"r" * 32)
    assert key is not None
    with pytest.raises(KeyTableError, match="does not wait"):
        table.settle(key, KeyState.ACCEPTED, token)
    claimed = table.claim("web2", b"w" * 32, "10.0.0.1").key
    assert claimed is not None
    written, undo = table.settle(claimed, KeyState.ACCEPTED, token)
    written.result()
    assert [row.used for row in table.tokens.rows()] == [1]
    undo()
    assert [row.used for row in table.tokens.rows()] == [0]
    assert table.accepted("web2") is None


def test_lists_of_ids_are_globs_or_expressions_with_networks() -> None:
    entries = parse_list("# a\n\nweb*  10.0.0.0/8 2001:db8::/32 # b\ndb[0-9]{2}\nonly1\n[broken\n")
    assert [len(entry.networks) for entry in entries] == [2, 0, 0, 0]

    def matches(minion: str, address: str) -> bool:
        return any(entry.matches(minion, address) for entry in entries)

    assert matches("web1", "10.1.2.3")
    assert matches("WEB1", "2001:db8::1")
    assert not matches("web1", "192.0.2.1")
    assert not matches("web1", "nonsense")
    assert matches("db17", "192.0.2.1")
    assert not matches("db170", "192.0.2.1")
    assert matches("only1", "")
    with pytest.raises(ValueError, match="does not appear"):
        parse_list("web* 10.0.0.0/99")
