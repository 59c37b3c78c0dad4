"""The transport guard's decisions, without any socket: who may stay, who goes, and that honest peers are spared."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ctl.master.guard import (
    HELLO_SECONDS,
    MIB,
    PUBLISH,
    REQUEST,
    SESSION_SECONDS,
    Connection,
    Guard,
    Limits,
    Stage,
)


def make_guard(**limits: Any) -> Guard:
    return Guard(Limits(**limits), random.Random(1).random)


def come(guard: Guard, number: int, source: str = "192.0.2.1", *, trusted: bool = False, now: float = 0.0) -> Any:
    """Have a connection accepted; return it and who is cut for it."""
    name = (source, number)
    connection = Connection(number, REQUEST, name, source, trusted, now, now + HELLO_SECONDS)
    return connection, guard.accepted(connection)


def gone(guard: Guard, cuts: list[Any]) -> None:
    for cut in cuts:
        guard.closed(cut.connection.port, cut.connection.descriptor)


def test_who_says_nothing_is_cut_after_ten_seconds() -> None:
    guard = make_guard()
    silent, _ = come(guard, 1)
    assert guard.look(HELLO_SECONDS - 0.1, {silent: 64}, drained=True) == []
    (cut,) = guard.look(HELLO_SECONDS, {silent: 64}, drained=True)
    assert cut.connection is silent
    assert guard.look(HELLO_SECONDS + 1, {silent: 64}, drained=True) == []
    assert guard.unknown == 0


def test_a_hello_buys_fifteen_seconds_and_a_session_all_the_time() -> None:
    guard = make_guard()
    greeted, _ = come(guard, 1)
    member, _ = come(guard, 2)
    guard.greeted(greeted, 9.0)
    guard.greeted(greeted, 20.0)  # a second one buys nothing more
    guard.shown(member, "web1")
    assert guard.look(9.0 + SESSION_SECONDS - 0.1, {greeted: 0, member: 0}, drained=True) == []
    (cut,) = guard.look(9.0 + SESSION_SECONDS, {greeted: 0, member: 0}, drained=True)
    assert cut.connection is greeted
    assert guard.look(1e6, {member: 0}, drained=True) == []


def test_a_key_that_waits_for_acceptance_may_stay_for_its_next_attempt() -> None:
    guard = make_guard()
    waiting, _ = come(guard, 1)
    guard.waits(waiting, 1.0)
    assert guard.look(380.0, {waiting: 5000}, drained=True) == []
    assert guard.look(402.0, {waiting: 5000}, drained=True) != []


def test_a_source_has_so_many_and_its_oldest_goes_first() -> None:
    guard = make_guard(per_source=3)
    for number in range(3):
        assert come(guard, number)[1] == []
    assert come(guard, 10, "192.0.2.2")[1] == []
    cuts = come(guard, 3)[1]
    assert [cut.connection.descriptor for cut in cuts] == [0]
    assert "more than 3" in cuts[0].why


def test_members_do_not_count() -> None:
    guard = make_guard(per_source=3, unknown=10)
    for number in range(50):
        connection, cuts = come(guard, number)
        assert cuts == []
        guard.shown(connection, f"m{number}")
    assert guard.unknown == 0


def test_a_trusted_network_may_bring_a_swarm() -> None:
    guard = make_guard(per_source=3, unknown=10, descriptors=100_000)
    for number in range(10_000):
        assert come(guard, number, "127.0.0.1", trusted=True)[1] == []


def test_the_number_of_strangers_is_bounded_and_the_new_ones_have_a_chance() -> None:
    guard = make_guard(unknown=100)
    newest_cut = 0
    for number in range(5000):
        connection, cuts = come(guard, number, f"10.0.{number // 250}.{number % 250}")
        gone(guard, cuts)
        newest_cut += connection.doomed
        assert guard.unknown <= 101
    assert newest_cut < 500


def test_each_accepted_minion_makes_room_for_two_connections() -> None:
    guard = make_guard(unknown=100, descriptors=100_000)
    guard.members = 1000
    cuts = [come(guard, number, f"10.{number % 250}.{number // 250}.1")[1] for number in range(1500)]
    assert not any(cuts)


def test_descriptors_stay_below_four_fifths() -> None:
    guard = make_guard(unknown=10**6, descriptors=100)
    for number in range(1000):
        gone(guard, come(guard, number, f"10.0.{number // 250}.{number % 250}")[1])
        assert len(guard) <= 81


def test_a_message_that_does_not_end_is_cut_once_the_queue_was_seen_empty() -> None:
    guard = make_guard()
    flooder, _ = come(guard, 1)
    honest, _ = come(guard, 2)
    received = {flooder: 3 * MIB, honest: 3 * MIB}
    assert guard.look(1.0, received, drained=True) == []  # what came may be whole messages in the queue
    honest.delivered += 3 * MIB
    assert guard.look(1.2, received, drained=False) == []
    (cut,) = guard.look(1.5, received, drained=True)
    assert cut.connection is flooder
    assert "no whole message" in cut.why


def test_under_pressure_strangers_may_hold_little_and_members_as_much_as_before() -> None:
    guard = make_guard()
    stranger, _ = come(guard, 1)
    member, _ = come(guard, 2)
    guard.shown(member, "web1")
    received = {stranger: MIB, member: MIB}
    assert guard.look(1.0, received, drained=True) == []
    (cut,) = guard.look(1.2, received, drained=False, pressure=True)
    assert cut.connection is stranger
    assert guard.look(1.5, received, drained=True, pressure=True) == []


def test_one_source_may_not_hold_much_over_many_connections() -> None:
    guard = make_guard()
    received = {}
    for number in range(40):
        connection, _ = come(guard, number)
        received[connection] = MIB
    other, _ = come(guard, 99, "192.0.2.9")
    received[other] = MIB
    cuts = guard.look(1.0, received, drained=True)
    assert len(cuts) == 40 - 8
    assert other not in [cut.connection for cut in cuts]


def test_frames_that_lead_nowhere_are_borne_for_a_while() -> None:
    guard = make_guard()
    stranger, _ = come(guard, 1)
    cuts = [guard.strays(stranger, 0.0) for _ in range(200)]
    assert cuts.index(next(cut for cut in cuts if cut)) == 128
    assert sum(cut is not None for cut in cuts) == 1
    member, _ = come(guard, 2)
    guard.shown(member, "web1")
    assert not any(guard.strays(member, 0.0) for _ in range(600))


def test_a_source_that_offends_again_and_again_is_kept_out_for_a_while() -> None:
    guard = make_guard()
    for number in range(9):
        connection, cuts = come(guard, number)
        assert cuts == []
        while not guard.strays(connection, 0.0):
            pass
    late, cuts = come(guard, 20)
    assert [cut.connection for cut in cuts] == [late]
    assert come(guard, 21, "192.0.2.2")[1] == []
    assert come(guard, 22, now=10.1)[1] == []


def test_a_trusted_network_is_not_kept_out_for_what_one_behind_its_address_does() -> None:
    guard = make_guard()
    for number in range(20):
        connection, cuts = come(guard, number, trusted=True)
        assert cuts == []
        while not guard.strays(connection, 0.0):
            pass


def test_a_revoked_minion_loses_its_connections() -> None:
    guard = make_guard()
    mine, _ = come(guard, 1)
    other, _ = come(guard, 2)
    guard.shown(mine, "bad")
    guard.shown(other, "good")
    assert [cut.connection for cut in guard.revoked("bad")] == [mine]


def test_a_descriptor_that_is_used_again_is_another_connection() -> None:
    guard = make_guard()
    first, _ = come(guard, 7)
    second, _ = come(guard, 7, "192.0.2.2")
    assert guard.get(REQUEST, 7) is second
    assert guard.get(PUBLISH, 7) is None
    assert (len(guard), guard.unknown) == (1, 1)
    guard.shown(first, "late")  # a message of the connection before
    assert guard.unknown == 1


@given(st.lists(st.tuples(st.sampled_from("acsgl"), st.integers(0, 12)), max_size=80), st.randoms())
def test_the_tables_agree(steps: list[tuple[str, int]], dice: random.Random) -> None:
    guard = Guard(Limits(per_source=3, unknown=5, descriptors=10), dice.random)
    for now, (what, number) in enumerate(steps):
        connection = guard.get(REQUEST, number)
        if what == "a":
            come(guard, number, f"source{number % 3}", trusted=number % 4 == 0, now=float(now))
        elif connection is None:
            continue
        elif what == "c":
            guard.closed(REQUEST, number)
        elif what == "s":
            guard.shown(connection, "x")
        elif what == "g":
            guard.greeted(connection, float(now))
        else:
            guard.look(float(now), dict.fromkeys(guard.watched(), MIB), drained=True)
        unknown = [one for one in guard.everything() if one.stage < Stage.MEMBER and not one.doomed]
        assert guard.unknown == len(unknown) == len(guard.watched())
