"""The table of sessions, slots and presence: pure parts with the time passed in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctl.common.session import MAX_SECONDS, MasterSession, SessionKeys
from ctl.master.jobs import Expected
from ctl.master.presence import Presence
from ctl.master.sessions import MAX_AGENT_SESSIONS, MAX_CALL_SESSIONS, OLD_SESSION_SECONDS, Session, SessionTable
from ctl.master.slots import Slots

_numbers = iter(range(1, 1_000_000))


def session(minion: str = "web1", kind: str = "agent", created: float = 0.0, **fields: Any) -> Session:
    keys = SessionKeys(bytes(32), bytes(32), bytes(32), next(_numbers).to_bytes(16, "big"))
    made = Session(MasterSession(keys), minion, kind, b"k" * 32, 1, "10.0.0.1", b"r", created, created)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def use(table: SessionTable, one: Session, now: float) -> None:
    table.use(one, b"r", "10.0.0.1", now)


def test_the_newest_agent_session_wins_once_it_is_used() -> None:
    table = SessionTable()
    old, new = session(), session()
    table.add(old, 0.0)
    use(table, old, 1.0)
    assert table.add(new, 2.0).previous is old
    assert table.agent("web1") is new
    assert table.expired(2.0) == []
    use(table, new, 3.0)
    assert table.expired(3.0 + OLD_SESSION_SECONDS - 0.1) == []
    assert table.expired(3.0 + OLD_SESSION_SECONDS) == [old]


def test_an_old_session_that_is_used_again_does_not_end_the_new_one() -> None:
    table = SessionTable()
    old, new = session(), session()
    for one in (old, new):
        table.add(one, 0.0)
    use(table, old, 1.0)
    assert new.dies_at == 0.0


def test_silent_and_worn_sessions_end() -> None:
    table = SessionTable(idle_seconds=900.0)
    silent, busy = session("a"), session("b")
    for one in (silent, busy):
        table.add(one, 0.0)
    use(table, busy, 901.0)
    assert table.expired(901.0) == [silent]
    use(table, busy, MAX_SECONDS + 1)
    assert busy in table.expired(MAX_SECONDS + 1)


def test_calls_take_nothing_over_and_are_few() -> None:
    table = SessionTable()
    agent = session()
    table.add(agent, 0.0)
    calls = [session(kind="call") for _ in range(MAX_CALL_SESSIONS + 1)]
    for one in calls:
        table.add(one, 0.0)
        use(table, one, 0.0)
    assert agent.dies_at == 0.0
    assert calls[0].closed
    assert len(table) == MAX_CALL_SESSIONS + 1


def test_agent_sessions_of_one_minion_are_few_and_the_newest_stays() -> None:
    table = SessionTable()
    made = [session() for _ in range(50)]
    for one in made:
        table.add(one, 0.0)
    assert len(table) == MAX_AGENT_SESSIONS
    assert table.agent("web1") is made[-1]


def test_takeovers_of_a_live_session_are_counted() -> None:
    table = SessionTable()
    verdicts = [table.add(session(subscriptions=1), float(now)).cloned for now in range(6)]
    assert verdicts == [False, False, False, False, True, True]
    table.forget_takeovers(10_000.0)
    assert not table._takeovers


def test_takeovers_that_are_far_apart_or_of_a_dead_session_are_rekeys() -> None:
    table = SessionTable()
    assert not any(table.add(session(subscriptions=1), hour * 3600.0).cloned for hour in range(20))
    assert not any(table.add(session("b"), float(now)).cloned for now in range(20))


def test_presence_needs_subscription_and_grains_of_the_newest_session() -> None:
    presence, told = Presence(), []
    presence.listen(lambda minion, connected: told.append((minion, connected)))
    old, new = session(created=1.0), session(created=2.0)
    presence.update(old)
    assert "web1" not in presence
    for one in (old, new):
        one.subscriptions, one.registered = 1, True
        presence.update(one)
    assert presence.session("web1") is new
    presence.update(old)
    assert presence.session("web1") is new
    presence.lost(old)
    assert presence.ids() == ["web1"]
    presence.lost(new)
    assert told == [("web1", True), ("web1", False)]


def test_a_closed_or_call_session_is_no_presence() -> None:
    presence = Presence()
    for one in (session(closed=True), session(kind="call")):
        one.subscriptions, one.registered = 1, True
        presence.update(one)
    assert len(presence) == 0


def bits(bitmap: bytes) -> set[int]:
    return {number for number in range(len(bitmap) * 8) if bitmap[number // 8] >> number % 8 & 1}


@pytest.mark.parametrize(
    ("slots", "bitmap"), [([], b""), ([0], b"\x01"), ([0, 1], b"\x03"), ([7], b"\x80"), ([8], b"\0\x01")]
)
def test_a_bitmap_counts_from_the_lowest_bit(slots: list[int], bitmap: bytes) -> None:
    table = Slots()
    for number in range(10):
        assert table.take(f"m{number}") == number
    assert table.bitmap(Expected.of(f"m{slot}" for slot in slots)) == bitmap


def test_a_slot_is_stable_within_an_epoch_and_free_in_the_next() -> None:
    slots = Slots()
    assert [slots.take(name) for name in "aba"] == [0, 1, 0]
    slots.renew({"b"})
    assert slots.take("b") == 1
    assert slots.take("c") == 0
    assert len(slots) == 2


@given(st.lists(st.one_of(st.sampled_from("abcdefgh"), st.frozensets(st.sampled_from("abcdefgh"))), max_size=40))
def test_slots_are_distinct_and_bitmaps_name_exactly_the_expected(steps: list[Any]) -> None:
    slots = Slots()
    for step in steps:
        if isinstance(step, frozenset):
            slots.renew(step)
        else:
            slots.take(step)
        known = dict(slots._slots)
        assert len(set(known.values())) == len(known)
        for expected in (Expected.of("abcd"), Expected.of("aefgh")):
            assert bits(slots.bitmap(expected)) == {known[name] for name in expected.ids if name in known}
