"""States of one module that go together do their work at the turn of the first."""

from __future__ import annotations

from typing import Any

import pytest

from ctl.common.state.low import tag_of


class Bulk:
    """A user's module in Salt's manner: mod_aggregate puts the names of its mates into `many`."""

    def __init__(self) -> None:
        self.done: list[list[str]] = []

    def run(self, name: str, many: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        known = [one for batch in self.done for one in batch]
        fresh = [one for one in many or [name] if one not in known]
        if fresh:
            self.done.append(fresh)
        return {"name": name, "result": True, "changes": dict.fromkeys(fresh, "done"), "comment": ""}

    def mod_aggregate(self, low: dict[str, Any], chunks: list[dict[str, Any]], running: Any) -> dict[str, Any]:
        names = [low["name"]]
        for chunk in chunks:
            if tag_of(chunk) not in running and "__agg__" not in chunk:
                names.append(chunk["name"])
                chunk["__agg__"] = True
        low["many"] = names
        return low


@pytest.fixture
def bulk(minion: Any) -> Bulk:
    made = Bulk()
    minion.states(
        bulk__run=made.run,
        bulk__mod_aggregate=made.mod_aggregate,
        other__run=lambda name, **kwargs: {"name": name, "result": True, "changes": {}, "comment": ""},
        other__fail=lambda name: {"name": name, "result": False, "changes": {}, "comment": ""},
    )
    return made


TREE = "a: bulk.run\nx: other.run\nb: {bulk.run: [{require: [{other: x}]}]}\nc: bulk.run\nd: bulk.run\n"


def test_a_users_module_is_not_asked_unless_that_is_said(minion: Any, bulk: Bulk) -> None:
    minion.apply(TREE)
    assert bulk.done == [["a"], ["b"], ["c"], ["d"]]


@pytest.mark.parametrize("option", [True, ["bulk"]])
def test_the_configuration_lets_states_go_together(minion: Any, bulk: Bulk, option: Any) -> None:
    minion.context.config["state_aggregate"] = option
    results = minion.apply(TREE)
    assert bulk.done == [["a", "c", "d"], ["b"]]
    assert results["a"]["changes"] == {"a": "done", "c": "done", "d": "done"}
    assert list(results) == ["a", "x", "b", "c", "d"]


def test_other_modules_are_left_alone(minion: Any, bulk: Bulk) -> None:
    minion.context.config["state_aggregate"] = ["pkg"]
    minion.apply(TREE)
    assert len(bulk.done) == 4


def test_a_state_says_it_for_itself(minion: Any, bulk: Bulk) -> None:
    minion.apply("a: {bulk.run: [{aggregate: true}]}\nb: bulk.run\nc: {bulk.run: [{aggregate: true}]}\n")
    assert bulk.done == [["a", "c"], ["b"]]


def test_a_state_with_a_condition_or_a_failed_requisite_waits_for_its_turn(minion: Any, bulk: Bulk) -> None:
    minion.context.config["state_aggregate"] = True
    results = minion.apply(
        "bad: other.fail\na: bulk.run\nb: {bulk.run: [{require: [{other: bad}]}]}\n"
        "c: {bulk.run: [{unless: [true]}]}\nd: {bulk.run: [{aggregate: false}]}\n"
    )
    assert bulk.done == [["a"], ["d"]]
    assert results["b"]["result"] is False
    assert results["c"]["comment"] == "unless condition is true"


def test_a_hook_that_fails_leaves_each_state_to_itself(minion: Any, bulk: Bulk) -> None:
    def broken(low: Any, chunks: Any, running: Any) -> Any:
        raise RuntimeError("broken")

    minion.states(bulk__run=bulk.run, bulk__mod_aggregate=broken)
    minion.context.config["state_aggregate"] = True
    minion.apply("a: bulk.run\nb: bulk.run\n")
    assert bulk.done == [["a"], ["b"]]


def test_what_watches_a_state_sees_the_change_that_was_made_for_it(minion: Any, bulk: Bulk) -> None:
    minion.context.config["state_aggregate"] = True
    results = minion.apply(
        "a: bulk.run\nb: bulk.run\nc: {other.run: [{onchanges: [{bulk: b}]}]}\nd: {other.run: [{watch: [{bulk: b}]}]}\n"
    )
    assert results["b"]["changes"] == {}
    assert results["c"].get("__state_ran__", True) is True
    assert minion.call("state.pending") == {}
    results = minion.apply("a: bulk.run\nb: bulk.run\nc: {other.run: [{onchanges: [{bulk: b}]}]}\n")
    assert results["c"]["__state_ran__"] is False
