"""The history checker sees what it is there to see: a good history passes, and each kind of bad one is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ctl.tests.durability.history import (
    Answered,
    Cached,
    Called,
    Confirmed,
    End,
    Event,
    Failed,
    Fault,
    Finished,
    Rules,
    Started,
    check,
)

RULES = Rules(
    {
        "interrupted": frozenset({"kill_minion"}),
        "failed": frozenset({"kill_job"}),
        "not delivered": frozenset({"cut", "kill_master"}),
    },
    slack=1.0,
    shadow=5.0,
)
JID = "20260101000000000001"
CALL = Called("t1", 10.0, 8.0)
ANSWER = Answered("t1", 10.1, JID)
CACHED = Cached(JID, "t1", ("m0", "m1"), {"m0": End("returned"), "m1": End("returned")})
GOOD: list[Event] = [
    CALL,
    ANSWER,
    *(Started("t1", minion, 10.2) for minion in ("m0", "m1")),
    *(Finished("t1", minion, 10.5) for minion in ("m0", "m1")),
    *(Confirmed(minion, JID) for minion in ("m0", "m1")),
    CACHED,
]


def _without(*gone: Event) -> list[Event]:
    return [event for event in GOOD if event not in gone]


def _with_end(minion: str, end: End, *more: Event, without: tuple[Event, ...] = ()) -> list[Event]:
    cached = replace(CACHED, ends={**CACHED.ends, minion: end})
    return [*_without(CACHED, *without), cached, *more]


def test_a_good_history_has_no_violation() -> None:
    assert check(GOOD, RULES) == []
    assert check([], RULES) == []


def test_a_call_that_was_never_answered_may_be_a_job_or_none() -> None:
    assert check([CALL, Failed("t1", 11.0, "the master went away")], RULES) == []
    assert check([*_without(ANSWER), Failed("t1", 11.0, "the master went away")], RULES) == []


M1_NEVER = (Started("t1", "m1", 10.2), Finished("t1", "m1", 10.5), Confirmed("m1", JID))
BAD: dict[str, tuple[list[Event], str]] = {
    "a job that was lost": ([CALL, ANSWER], "is not in the job cache"),
    "a jid of another call": ([*_without(ANSWER), Called("t2", 9.0, 8.0), Answered("t2", 9.1, JID)], "and is t1"),
    "a request that became two jobs": ([*GOOD, replace(CACHED, jid="2" * 20)], "is 2 jobs"),
    "a jid that was given twice": (
        [*GOOD, Called("t2", 9.0, 8.0), Answered("t2", 9.1, JID)],
        "was given out 2 times",
    ),
    "a double start": ([*GOOD, Started("t1", "m0", 11.0)], "started 2 times on m0"),
    "a start of a job that is on no disk": (
        [*GOOD, Called("t2", 9.0, 8.0), Started("t2", "m0", 9.2)],
        "no such job is in the job cache",
    ),
    "a start on another minion": ([*GOOD, Started("t1", "m2", 10.2)], "which it was not for"),
    "a late start": (
        [*_without(Started("t1", "m0", 10.2)), Started("t1", "m0", 30.0)],
        "after its delivery window",
    ),
    "no end": (_with_end("m1", End("running")), "has no end on m1"),
    "an end that is missing": (
        [*_without(CACHED), replace(CACHED, ends={"m0": End("returned")})],
        "has no end on m1",
    ),
    "not delivered, but it started": (
        _with_end("m1", End("not delivered", inferred=True), Fault("cut", "m1", 9.0, 12.0)),
        "where it started",
    ),
    "returned, but it never ran": (
        _with_end("m1", End("returned"), without=M1_NEVER),
        "where it never came to its end",
    ),
    "a wrong value": (_with_end("m1", End("returned", good=False)), "another return of m1"),
    "a return that the master made up": (_with_end("m1", End("returned", inferred=True)), "word alone"),
    "interrupted for no reason": (_with_end("m1", End("interrupted")), "nothing had happened there"),
    "interrupted by another minion's fault": (
        _with_end("m1", End("interrupted"), Fault("kill_minion", "m0", 9.0, 11.0)),
        "nothing had happened there",
    ),
    "interrupted by a fault long ago": (
        _with_end("m1", End("interrupted"), Fault("kill_minion", "m1", 1.0, 2.0)),
        "nothing had happened there",
    ),
    "a confirmed return that was lost": (
        _with_end("m1", End("interrupted", inferred=True), Fault("kill_minion", "m1", 9.0, 11.0)),
        "was confirmed to m1 and is not in the job cache",
    ),
    "a confirmed return of a lost job": ([*GOOD, Confirmed("m0", "3" * 20)], "was confirmed to m0"),
}


@pytest.mark.parametrize("name", BAD)
def test_each_kind_of_violation_is_found(name: str) -> None:
    events, wanted = BAD[name]
    found = [str(violation) for violation in check(events, RULES)]
    assert any(wanted in text for text in found), found


@pytest.mark.parametrize(
    ("state", "fault"),
    [("interrupted", "kill_minion"), ("failed", "kill_job"), ("not delivered", "cut")],
)
def test_an_end_that_a_fault_explains_is_none(state: str, fault: str) -> None:
    gone = M1_NEVER if state == "not delivered" else (Finished("t1", "m1", 10.5),)
    events = _with_end("m1", End(state), Fault(fault, "m1", 9.0, 11.0), without=gone)
    assert check(events, RULES) == []
