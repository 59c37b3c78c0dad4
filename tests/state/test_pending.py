"""A trigger that a failure prevented is kept, and fires at the next run."""

from __future__ import annotations

from typing import Any

import pytest

from ctl.common.errors import CommandExecutionError
from ctl.common.state.plan import Plan, Step, change, refuse, same

TREE = """
conf: demo.change
gate: demo.gate
svc: {demo.same: [{watch: [{demo: conf}]}, {require: [{demo: gate}]}]}
"""
SVC = "demo_|-svc_|-svc_|-same"


class World:
    """What states change, and whether the gate is open and a restart works."""

    def __init__(self) -> None:
        self.changed = False
        self.open = False
        self.works = True
        self.log: list[str] = []

    def change(self, name: str) -> Plan:
        if self.changed:
            return same("as wanted")

        def apply() -> dict[str, Any]:
            self.changed = True
            return {name: "new"}

        return change("to be changed", {name: "new"}, Step("change", apply))

    def gate(self, name: str) -> Plan:
        return same("open") if self.open else refuse("closed")

    def mod_watch(self, name: str, sfun: str = "", **kwargs: Any) -> Plan:
        def apply() -> dict[str, Any]:
            if not self.works:
                raise CommandExecutionError("it does not start")
            self.log.append(f"restart {name}")
            return {name: "restarted"}

        return change("to be restarted", {name: "restart"}, Step("restart", apply), done="restarted")


@pytest.fixture
def world(minion: Any) -> World:
    made = World()
    minion.states(
        demo__change=made.change,
        demo__gate=made.gate,
        demo__same=lambda name, **kwargs: same("running"),
        demo__mod_watch=made.mod_watch,
    )
    return made


def test_a_watch_that_a_failure_prevented_fires_at_the_next_run(minion: Any, world: World) -> None:
    minion.apply(TREE)
    assert world.log == []
    assert list(minion.call("state.pending")) == [SVC]
    assert minion.call("state.pending")[SVC]["because"] == ["demo_|-conf_|-conf_|-change"]
    world.open = True
    results = minion.apply(TREE)
    assert world.log == ["restart svc"]
    assert results["svc"]["changes"] == {"svc": "restarted"}
    assert "when demo: conf changed" in results["svc"]["comment"]
    assert minion.call("state.pending") == {}
    minion.apply(TREE)
    assert world.log == ["restart svc"]


def test_a_restart_that_fails_is_due_again(minion: Any, world: World) -> None:
    world.open, world.works = True, False
    assert minion.apply(TREE)["svc"]["result"] is False
    world.works = True
    minion.apply(TREE)
    assert world.log == ["restart svc"]


def test_a_dry_run_shows_what_is_due_and_keeps_it(minion: Any, world: World) -> None:
    minion.apply(TREE)
    world.open = True
    results = minion.apply(TREE, test=True)
    assert results["svc"]["result"] is None
    assert results["svc"]["changes"] == {"svc": "restart"}
    assert list(minion.call("state.pending")) == [SVC]


def test_a_dry_run_leaves_nothing_to_be_done(minion: Any, world: World) -> None:
    minion.apply(TREE, test=True)
    assert minion.call("state.pending") == {}
    assert not minion.data.exists()


def test_a_listener_whose_run_ended_early_fires_at_the_next(minion: Any, world: World) -> None:
    tree = "conf: demo.change\near: {demo.same: [{listen: [{demo: conf}]}]}\n"
    world.works = False
    minion.apply(tree)
    assert list(minion.call("state.pending")) == ["demo_|-listener_ear_|-ear_|-mod_watch"]
    world.works = True
    results = minion.apply(tree)
    assert world.log == ["restart ear"]
    assert "due since" in results["listener_ear"]["comment"]
    assert minion.call("state.pending") == {}


def test_a_run_of_other_states_leaves_triggers_alone(minion: Any, world: World) -> None:
    minion.apply(TREE)
    world.open = True
    minion.apply("other: demo.same")
    assert list(minion.call("state.pending")) == [SVC]


def test_failhard_keeps_the_trigger_of_a_state_whose_turn_never_came(minion: Any, world: World) -> None:
    tree = "conf: demo.change\ngate: {demo.gate: [{failhard: true}]}\nsvc: {demo.same: [{watch: [{demo: conf}]}]}\n"
    assert "svc" not in minion.apply(tree)
    world.open = True
    minion.apply(tree)
    assert world.log == ["restart svc"]


def test_clear_pending_forgets(minion: Any, world: World) -> None:
    minion.apply(TREE)
    assert minion.call("state.clear_pending", "nosuch") == []
    assert minion.call("state.clear_pending", "svc") == [SVC]
    world.open = True
    minion.apply(TREE)
    assert world.log == []


def test_a_broken_file_is_no_trigger(minion: Any, world: World) -> None:
    minion.apply(TREE)
    (file,) = (minion.data / "minion" / "pending").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("{")
    assert minion.call("state.pending") == {}


def test_a_directory_that_cannot_be_read_is_no_reason_to_fail(minion: Any, world: World) -> None:
    (minion.data / "minion").mkdir(parents=True)
    (minion.data / "minion" / "pending").write_text("in the way")
    world.open = True
    assert minion.apply(TREE)["svc"]["result"] is True
