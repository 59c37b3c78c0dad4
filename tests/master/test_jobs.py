"""The state of a job on one minion, as a table, and under any order of news."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctl.master.jobs import (
    END_STATES,
    STATED_ENDS,
    Expected,
    Heard,
    Job,
    JobIds,
    JobRecord,
    Mark,
    State,
    heard,
    stated,
)

INFERRED = {State.NOT_DELIVERED, State.INTERRUPTED}


@pytest.mark.parametrize(
    ("state", "what", "after"),
    [
        (State.SENT, Heard.ACK, State.ACKNOWLEDGED),
        (State.SENT, Heard.ALIVE, State.RUNNING),
        (State.SENT, Heard.EXPIRED, State.NOT_DELIVERED),
        (State.SENT, Heard.LOST, None),
        (State.ACKNOWLEDGED, Heard.ACK, None),
        (State.ACKNOWLEDGED, Heard.ALIVE, State.RUNNING),
        (State.ACKNOWLEDGED, Heard.EXPIRED, None),
        (State.ACKNOWLEDGED, Heard.LOST, State.INTERRUPTED),
        (State.RUNNING, Heard.ACK, None),
        (State.RUNNING, Heard.ALIVE, State.RUNNING),
        (State.RUNNING, Heard.EXPIRED, None),
        (State.RUNNING, Heard.LOST, State.INTERRUPTED),
        *((state, what, None) for state in END_STATES for what in Heard),
    ],
)
def test_what_is_heard_leads_to(state: State, what: Heard, after: State | None) -> None:
    mark = heard(Mark(state, 1.0), what, 2.0)
    assert (mark.state if mark else None) == after


@pytest.mark.parametrize("state", sorted(INFERRED))
@pytest.mark.parametrize(("what", "after"), [(Heard.ACK, State.ACKNOWLEDGED), (Heard.ALIVE, State.RUNNING)])
def test_an_inferred_end_gives_way_to_the_minion(state: State, what: Heard, after: State) -> None:
    mark = heard(Mark(state, 1.0, "no word", inferred=True), what, 2.0)
    assert mark == Mark(after, 2.0)


@pytest.mark.parametrize("end", sorted(STATED_ENDS))
@pytest.mark.parametrize("state", sorted(State))
def test_the_first_stated_end_stands(state: State, end: State) -> None:
    mark = stated(Mark(state, 1.0), end, 2.0, "why")
    assert mark == (None if state in END_STATES else Mark(end, 2.0, "why"))


@pytest.mark.parametrize("end", sorted(STATED_ENDS))
def test_a_stated_end_takes_the_place_of_an_inferred_one(end: State) -> None:
    assert stated(Mark(State.NOT_DELIVERED, 1.0, inferred=True), end, 2.0) == Mark(end, 2.0)


def record(*minions: str, **changes: object) -> JobRecord:
    fields: dict[str, object] = {
        "jid": "20260101000000000001", "log_off": 1, "created_ms": 1000, "expires_ms": 61_000, "fun": "test.ping",
        "tgt": "*", "tgt_type": "glob", "delimiter": ":", "user": "root", "expected": Expected.of(minions),
        "payload": b"p",
    }  # fmt: skip
    return JobRecord(**{**fields, **changes})  # type: ignore[arg-type]


news = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.one_of(st.sampled_from(sorted(Heard)), st.sampled_from(sorted(STATED_ENDS))),
    )
)


@given(news)
def test_any_news_in_any_order_keep_the_count_and_never_take_back_a_stated_end(happens: list[tuple[str, str]]) -> None:
    job = Job(record("a", "b", "c"), 0.0, 60.0)
    ends: dict[str, State] = {}
    for now, (minion, what) in enumerate(happens):
        if isinstance(what, Heard):
            job.hear(minion, what, now)
        elif job.end(minion, State(what), now) is not None:
            assert minion not in ends
            ends[minion] = State(what)
        assert job.ended == sum(job.mark_of(one).ended for one in "abc")
        assert all(job.mark_of(one).state is state for one, state in ends.items())
    assert {minion for minion, _ in job.outstanding()} == {one for one in "abc" if not job.mark_of(one).ended}
    assert job.complete == (not list(job.outstanding()))


def test_a_return_that_could_not_be_stored_can_be_taken_back() -> None:
    job = Job(record("a"), 0.0, 60.0)
    before = job.mark_of("a")
    job.end("a", State.RETURNED, 1.0)
    ended = job.complete
    job.restore("a", before)
    assert (ended, job.complete) == (True, False)
    assert job.states() == {"a": "sent"}


def test_job_ids_are_twenty_digits_of_utc() -> None:
    assert JobIds().next(1_767_268_800_123) == "20260101120000123000"


@given(st.lists(st.integers(0, 4_000_000_000_000), min_size=2))
def test_job_ids_only_grow_whatever_the_clock_does(times: list[int]) -> None:
    ids = JobIds("20260101120000123000")
    made = ["20260101120000123000", *(ids.next(now) for now in times)]
    assert all(len(jid) == 20 and jid.isdecimal() for jid in made)
    assert all(first < second for first, second in itertools.pairwise(made))


def test_the_body_for_minions_says_nothing_of_other_minions() -> None:
    body = record("a", "b", request_id="r").body(slots=b"\x03", epoch=b"e" * 8, expires_ms=5)
    assert set(body) == {
        "v", "jid", "log_off", "tgt", "tgt_type", "delimiter", "slots", "epoch", "expires_ms", "timeout", "user",
        "metadata", "progress", "payload", "secret",
    }  # fmt: skip
    assert (body["expires_ms"], body["slots"]) == (5, b"\x03")


def test_a_very_long_list_is_not_published() -> None:
    ids = ",".join(f"minion-{number}" for number in range(5000))
    body = record("a", tgt=ids, tgt_type="list").body(slots=b"", epoch=b"", expires_ms=0)
    assert (body["tgt"], body["tgt_type"]) == ("*", "glob")
