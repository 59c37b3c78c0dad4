"""How long a client waits: silence is bounded, work is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ctl.master.jobs import END_STATES, Mark, State
from ctl.master.waiting import (
    CONNECTION_LOST,
    NO_RESPONSE,
    NOT_CONNECTED,
    STILL_RUNNING,
    Absent,
    Policy,
    Waiter,
    end_reason,
)


def waiter(*minions: tuple[str, State, bool], **policy: object) -> tuple[Waiter, list[Absent]]:
    made = Waiter(Policy(**policy), 0.0)  # type: ignore[arg-type]
    return made, made.start([(name, Mark(state, 0.0), there) for name, state, there in minions], 0.0)


def test_who_is_not_connected_is_named_at_once() -> None:
    wait, absent = waiter(("a", State.SENT, True), ("b", State.SENT, False))
    assert absent == [Absent("b", NOT_CONNECTED, "sent")]
    assert not wait.done


def test_a_connected_minion_that_does_not_acknowledge_is_given_up_after_the_timeout() -> None:
    wait, _ = waiter(("a", State.SENT, True), timeout=5.0)
    assert wait.next_deadline() == 5.0
    assert wait.tick(4.9) == []
    assert wait.tick(5.0) == [Absent("a", NO_RESPONSE, "sent")]
    assert wait.done
    assert wait.next_deadline() is None


def test_a_job_that_runs_is_waited_for_as_long_as_it_is_named() -> None:
    wait, _ = waiter(("a", State.SENT, True), timeout=5.0, keepalive=20.0)
    wait.heard("a", State.ACKNOWLEDGED, 1.0)
    for now in range(20, 100_000, 20):
        assert wait.tick(float(now)) == []
        wait.heard("a", State.RUNNING, float(now))
    assert wait.tick(100_000.0 + 60.0) == [Absent("a", NO_RESPONSE, "running")]


def test_an_end_ends_the_wait() -> None:
    wait, _ = waiter(("a", State.SENT, True))
    wait.heard("a", State.RETURNED, 1.0)
    assert wait.done


def test_max_time_ends_every_wait() -> None:
    wait, _ = waiter(("a", State.SENT, True), ("b", State.SENT, True), timeout=100.0, max_time=10.0)
    wait.heard("a", State.RUNNING, 1.0)
    assert wait.next_deadline() == 10.0
    assert wait.tick(10.0) == [Absent("a", STILL_RUNNING, "running"), Absent("b", NO_RESPONSE, "sent")]


def test_a_connection_that_drops_before_the_acknowledgement_is_not_waited_for() -> None:
    wait, _ = waiter(("a", State.SENT, True))
    assert wait.lost("a", 1.0) == [Absent("a", NOT_CONNECTED, "sent")]
    assert wait.done


def test_a_connection_that_drops_during_the_job_may_come_back() -> None:
    wait, _ = waiter(("a", State.SENT, True), timeout=5.0)
    wait.heard("a", State.RUNNING, 1.0)
    assert wait.lost("a", 2.0) == []
    wait.back("a", 6.0)
    assert wait.tick(7.0) == []
    wait.lost("a", 8.0)
    assert wait.tick(13.0) == [Absent("a", CONNECTION_LOST, "running")]


def test_wait_waits_out_the_delivery_window() -> None:
    wait, absent = waiter(("a", State.SENT, False), wait=True)
    assert absent == []
    assert wait.next_deadline() is None
    assert wait.tick(1000.0) == []
    wait.heard("a", State.NOT_DELIVERED, 1001.0)
    assert wait.done


def test_a_minion_that_comes_back_in_time_is_waited_for_again() -> None:
    wait, _ = waiter(("a", State.SENT, False), wait=True, timeout=5.0)
    wait.back("a", 30.0)
    assert wait.next_deadline() == 35.0


def test_who_ended_already_is_not_waited_for() -> None:
    wait, absent = waiter(*((state, state, True) for state in END_STATES))
    assert absent == []
    assert wait.done


def test_news_of_others_change_nothing() -> None:
    wait, _ = waiter(("a", State.SENT, True))
    wait.heard("x", State.RETURNED, 1.0)
    wait.back("x", 1.0)
    assert wait.lost("x", 1.0) == []
    assert list(wait.waiting) == ["a"]


def test_the_reason_of_an_end_is_the_one_that_was_given_or_the_state() -> None:
    assert end_reason(Mark(State.NOT_DELIVERED, 0.0, "Not connected")) == "Not connected"
    assert end_reason(Mark(State.INTERRUPTED, 0.0)) == "Interrupted"


happenings = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.one_of(st.sampled_from(sorted(State)), st.sampled_from(["lost", "back", "tick"])),
        st.floats(0.0, 30.0),
    )
)


@given(happenings, st.booleans(), st.floats(0.1, 20.0))
def test_whatever_happens_each_minion_is_given_up_at_most_once_and_the_wait_ends(
    happens: list[tuple[str, str, float]], patient: bool, timeout: float
) -> None:
    wait = Waiter(Policy(timeout=timeout, wait=patient, max_time=1000.0), 0.0)
    absent = wait.start([(name, Mark(State.SENT, 0.0), name != "c") for name in "abc"], 0.0)
    now = 0.0
    for minion, what, later in happens:
        now += later
        if what == "lost":
            absent += wait.lost(minion, now)
        elif what == "back":
            wait.back(minion, now)
        elif what == "tick":
            absent += wait.tick(now)
        else:
            wait.heard(minion, State(what), now)
        deadline = wait.next_deadline()
        assert (deadline is not None) or wait.done
    absent += wait.tick(max(now, 1000.0))
    assert wait.done
    assert len({one.id for one in absent}) == len(absent)
