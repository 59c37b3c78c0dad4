"""Tokens: S09 (expired is refused the first time, and whatever the clock does), S42 (valid for their whole life)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctl.common.database import Database
from ctl.common.errors import JobError
from ctl.master.access import MIGRATIONS
from ctl.master.tokens import EARLIEST_MS, MAX_PER_ACCOUNT, TokenTable

START = EARLIEST_MS + 1_000_000_000
HOUR = 3_600_000


class Clock:
    def __init__(self) -> None:
        self.ms = START

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_table(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., TokenTable]]:
    """Open the table, anew each time: the master restarts."""
    opened: list[Database] = []

    def make(life: float = 43200.0, idle: float = 0.0) -> TokenTable:
        for base in opened:
            base.close()
        opened[:] = [Database.open(tmp_path / "access.db", MIGRATIONS)]
        return TokenTable(opened[0], life=life, idle=idle, now_ms=clock, random=os.urandom)

    yield make
    for base in opened:
        base.close()


def test_a_token_is_found_by_its_secret_and_its_user_alone(open_table: Any) -> None:
    table = open_table()
    secret, token = table.make("file", "bob", 1000, "stamp")
    assert table.find(secret, 1000) == token
    assert table.find(secret, 1001) is None
    assert table.find(secret[:-1] + bytes([secret[-1] ^ 1]), 1000) is None
    assert [table.find(bad, 1000) for bad in (b"", b"x", secret + b"x", secret[:31])] == [None] * 4
    assert secret not in token.digest
    assert secret.hex() not in repr(table.valid())


def test_s09_an_expired_token_is_refused_the_first_time_and_for_ever(open_table: Any, clock: Clock) -> None:
    table = open_table(life=1.0)
    secret, _ = table.make("file", "bob", 0, "")
    clock.ms += 1000
    assert table.find(secret, 0) is None
    clock.ms -= 10 * HOUR
    assert table.find(secret, 0) is None
    assert open_table(life=1.0).find(secret, 0) is None


def test_s09_setting_the_clock_back_revives_nothing_not_even_with_a_restart(open_table: Any, clock: Clock) -> None:
    table = open_table(life=3600.0)
    secret, _ = table.make("file", "bob", 0, "")
    clock.ms += 2 * HOUR
    table.sweep()  # the token is never used: only that time went by was kept
    clock.ms = START
    table = open_table(life=3600.0)
    assert table.find(secret, 0) is None
    second, made = table.make("file", "bob", 0, "")
    assert made.made_ms >= START + 2 * HOUR
    assert table.find(second, 0) is not None


def test_s09_the_time_of_a_failed_use_is_kept_too(open_table: Any, clock: Clock) -> None:
    table = open_table(life=3600.0)
    secret, _ = table.make("file", "bob", 0, "")
    clock.ms += 2 * HOUR
    assert table.find(bytes(32), 0) is None
    clock.ms = START
    assert open_table(life=3600.0).find(secret, 0) is None


def test_s42_a_token_is_valid_for_its_whole_life_across_sweeps_and_a_restart(open_table: Any, clock: Clock) -> None:
    table = open_table()
    secret, _ = table.make("file", "bob", 0, "")
    for number in range(10):
        clock.ms += 43_199_000 // 10
        table.sweep()
        assert table.find(secret, 0) is not None
        if number == 5:
            table = open_table()
    clock.ms += 1000
    assert table.find(secret, 0) is None


def test_a_token_that_is_not_used_becomes_invalid(open_table: Any, clock: Clock) -> None:
    table = open_table(idle=3600.0)
    used, _ = table.make("file", "bob", 0, "")
    idle, _ = table.make("file", "bob", 0, "")
    for _ in range(3):
        clock.ms += HOUR // 2
        assert table.find(used, 0) is not None
    assert len(table.valid()) == 1
    assert table.find(idle, 0) is None


def test_revoked_tokens_open_nothing(open_table: Any) -> None:
    table = open_table()
    first, one = table.make("file", "bob", 0, "")
    second, two = table.make("file", "bob", 0, "")
    other, three = table.make("pam", "bob", 0, "")
    assert table.revoke(name=one.name) == [one.name]
    assert table.find(first, 0) is None
    assert table.revoke(method="file", user="bob") == [two.name]
    assert (table.find(second, 0), table.find(other, 0)) == (None, three)
    assert table.revoke() == []


def test_no_token_is_made_while_the_clock_is_not_set(open_table: Any, clock: Clock) -> None:
    clock.ms = EARLIEST_MS - 1
    with pytest.raises(JobError, match="clock"):
        open_table().make("file", "bob", 0, "")


def test_an_account_has_so_many_tokens_and_no_more(open_table: Any) -> None:
    table = open_table()
    first, _ = table.make("file", "bob", 0, "")
    for _ in range(MAX_PER_ACCOUNT - 1):
        table.make("file", "bob", 0, "")
    with pytest.raises(JobError, match="revoke"):
        table.make("file", "bob", 0, "")
    table.make("file", "alice", 0, "")
    assert table.find(first, 0) is not None
