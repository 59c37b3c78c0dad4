"""Failed attempts are counted from their beginning, so many at once are not more than one after another."""

from __future__ import annotations

from ctl.master.failures import MAX_SUBJECTS, Failures


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_so_many_a_minute_for_each_subject() -> None:
    clock = Clock()
    failures = Failures(5, clock)
    assert [failures.begin(["a"]) for _ in range(7)] == [True] * 5 + [False] * 2
    assert failures.begin(["b"])
    assert not failures.begin(["b", "a"])
    clock.now += 59.9
    assert not failures.begin(["a"])
    clock.now += 0.2
    assert failures.begin(["a"])


def test_success_takes_its_own_attempt_back_and_no_other() -> None:
    failures = Failures(2, Clock())
    for _ in range(10):
        assert failures.begin(["a", "b"])
        failures.succeeded(["a", "b"])
    assert failures.begin(["a"])
    assert failures.begin(["a"])
    failures.succeeded(["a"])
    assert failures.begin(["a"])
    assert not failures.begin(["a"])


def test_its_memory_is_bounded() -> None:
    failures = Failures(1, Clock())
    for number in range(MAX_SUBJECTS * 2):
        failures.begin([number])
    assert len(failures._times) == MAX_SUBJECTS
