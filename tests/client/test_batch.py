"""The window of a batch: pure decisions, with time passed in."""

from __future__ import annotations

import pytest

from ctl.client.batch import Size, Window


@pytest.mark.parametrize(
    ("text", "count", "size"),
    [("5", 20, 5), (3, 20, 3), ("10%", 20, 2), ("10%", 5, 1), ("100%", 7, 7), ("33%", 10, 3), ("2.5%", 100, 2)],
)
def test_sizes(text: str | int, count: int, size: int) -> None:
    assert Size.parse(text).of(count) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "x", "1.5", "%", "0%", "nan%"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Size.parse(text)


def test_a_slot_is_filled_again_when_its_minion_is_done() -> None:
    window = Window("abcd", 2)
    assert window.take(0) == ["a", "b"]
    assert window.take(0) == []
    window.done("b", 1)
    assert window.take(1) == ["c"]
    window.done("a", 2)
    window.done("c", 2)
    assert window.take(2) == ["d"]
    assert not window.finished
    window.done("d", 3)
    assert window.finished


def test_a_slot_rests_where_that_is_asked_for() -> None:
    window = Window("ab", 1, wait=10)
    assert window.take(0) == ["a"]
    window.done("a", 5)
    assert window.take(6) == []
    assert window.next_start() == 15
    assert window.take(15) == ["b"]
    assert window.next_start() is None


def test_done_counts_once() -> None:
    window = Window("abc", 1)
    window.take(0)
    window.done("a", 0)
    window.done("a", 0)
    assert window.take(0) == ["b"]


def test_stopping_leaves_out_those_who_wait() -> None:
    window = Window("abc", 1)
    window.take(0)
    assert window.stop() == ["b", "c"]
    assert not window.finished
    window.done("a", 1)
    assert window.finished
