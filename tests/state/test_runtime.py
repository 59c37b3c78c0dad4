"""Plans are made at their chunk's turn and applied; requisites, conditions and controls decide which."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ctl.common.context import current
from ctl.common.errors import CommandExecutionError
from ctl.common.state.plan import Plan, Step, change, opaque, refuse, same, uncertain


class Machine:
    """Something to change: `facts` is what states set, `log` what was done in which order."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.log: list[str] = []

    def set(self, name: str, value: int = 1, **kwargs: Any) -> Plan:
        if self.facts.get(name) == value:
            return same(f"{name} is {value}")

        def apply() -> dict[str, Any]:
            self.facts[name] = value
            self.log.append(f"set {name}")
            return {name: value}

        return change(
            f"{name} is to be {value}", {name: value}, Step(f"set {name}", apply), done=f"{name} is now {value}"
        )

    def run(self, name: str, **kwargs: Any) -> Plan:
        def apply() -> dict[str, Any]:
            self.log.append(f"run {name}")
            return {"stdout": name}

        return opaque(f"{name} would run", apply)

    def fail(self, name: str, **kwargs: Any) -> Plan:
        def apply() -> None:
            raise CommandExecutionError("no space left")

        return change("to be done", {"a": 1}, Step("first", lambda: {"first": 1}), Step("second", apply))

    def mod_watch(self, name: str, sfun: str = "", **kwargs: Any) -> Plan:
        def apply() -> dict[str, Any]:
            self.log.append(f"restart {name}")
            return {name: "restarted"}

        return change(f"{name} is to be restarted", {name: "restart"}, Step("restart", apply), done="restarted")


@pytest.fixture
def machine(minion: Any) -> Machine:
    made = Machine()
    minion.states(
        demo__set=made.set,
        demo__run=made.run,
        demo__fail=made.fail,
        demo__mod_watch=made.mod_watch,
        demo__refuse=lambda name: refuse("it cannot be"),
        demo__open=lambda name: uncertain("perhaps"),
    )
    return made


def test_a_plan_is_applied_and_changes_are_what_its_steps_observed(minion: Any, machine: Machine) -> None:
    results = minion.apply("a: {demo.set: [{value: 2}]}")
    assert machine.facts == {"a": 2}
    assert results["a"]["changes"] == {"a": 2}
    assert results["a"]["comment"] == "a is now 2"
    assert results["a"]["result"] is True
    assert results["a"]["__source__"] == "main.sls:1"
    assert minion.retcode == 0


def test_a_dry_run_shows_plans_and_changes_nothing(minion: Any, machine: Machine) -> None:
    results = minion.apply("a: {demo.set: [{value: 2}]}\nb: demo.run\nc: demo.open\nd: demo.refuse", test=True)
    assert machine.log == []
    assert [results[id_]["result"] for id_ in "abcd"] == [None, None, None, False]
    assert results["a"]["changes"] == {"a": 2}


def test_a_chunk_is_planned_after_earlier_ones_were_applied(minion: Any, machine: Machine) -> None:
    results = minion.apply("a: {demo.set: []}\nb: {demo.set: [{name: a}]}")
    assert results["b"]["comment"] == "a is 1"
    assert results["b"]["changes"] == {}


def test_a_failing_step_keeps_what_was_done_before(minion: Any, machine: Machine) -> None:
    results = minion.apply("a: demo.fail")
    assert results["a"]["result"] is False
    assert results["a"]["changes"] == {"first": 1}
    assert results["a"]["comment"] == "second: no space left"
    assert minion.retcode == 2


CHAIN = """
conf: demo.set
svc:
  demo.set:
    - value: 1
    - watch: [{demo: conf}]
cmd: {demo.run: [{onchanges: [{demo: conf}]}]}
after: {demo.run: [{onchanges: [{demo: cmd}]}]}
ear: {demo.set: [{listen: [{demo: conf}]}, {value: 1}]}
"""


def test_watch_onchanges_and_listen_follow_changes(minion: Any, machine: Machine) -> None:
    machine.facts = {"svc": 1, "ear": 1}
    minion.apply(CHAIN)
    assert machine.log == ["set conf", "restart svc", "run cmd", "run after", "restart ear"]
    machine.log.clear()
    results = minion.apply(CHAIN)
    assert machine.log == []
    assert results["cmd"]["comment"] == "State was not run because none of the onchanges reqs changed"


def test_a_dry_run_follows_predicted_changes(minion: Any, machine: Machine) -> None:
    machine.facts = {"svc": 1, "ear": 1}
    results = minion.apply(CHAIN, test=True)
    assert machine.log == []
    assert {id_: ret["result"] for id_, ret in results.items()} == dict.fromkeys(
        ["conf", "svc", "cmd", "after", "ear", "listener_ear"]
    ) | {"ear": True}
    assert results["svc"]["comment"] == "svc is to be restarted"


def test_prereq_runs_before_what_it_waits_for_would_change(minion: Any, machine: Machine) -> None:
    tree = "deploy: demo.set\nstop: {demo.run: [{prereq: [{demo: deploy}]}]}"
    minion.apply(tree)
    assert machine.log == ["run stop", "set deploy"]
    machine.log.clear()
    results = minion.apply(tree)
    assert machine.log == []
    assert results["stop"]["comment"] == "No changes detected"


def test_a_failing_prereq_state_keeps_the_other_from_running(minion: Any, machine: Machine) -> None:
    results = minion.apply("deploy: demo.set\nstop: {demo.fail: [{prereq: [{demo: deploy}]}]}")
    assert machine.log == []
    assert results["deploy"]["result"] is False
    assert results["deploy"]["comment"] == "One or more requisite failed: main.stop"


def test_an_onfail_state_that_succeeds_makes_up_for_the_failure(minion: Any, machine: Machine) -> None:
    results = minion.apply("bad: demo.fail\nrescue: {demo.run: [{onfail: [{demo: bad}]}]}")
    assert results["rescue"]["result"] is True
    assert minion.retcode == 0


def test_onfail_does_not_fire_in_a_dry_run_for_what_would_succeed(minion: Any, machine: Machine) -> None:
    results = minion.apply("a: demo.set\nrescue: {demo.run: [{onfail: [{demo: a}]}]}", test=True)
    assert results["rescue"]["__state_ran__"] is False


def test_retry_plans_anew_until_it_succeeds(minion: Any, machine: Machine) -> None:
    attempts: list[int] = []

    def flaky(name: str) -> Plan:
        attempts.append(1)
        return refuse("not yet") if len(attempts) < 3 else same("there")

    minion.states(demo__flaky=flaky)
    results = minion.apply("a: {demo.flaky: [{retry: {attempts: 5, interval: 0}}]}")
    assert len(attempts) == 3
    assert results["a"]["result"] is True
    assert results["a"]["comment"].split("\n") == [
        'Attempt 1: Returned a result of "False", with the following comment: "not yet"',
        'Attempt 2: Returned a result of "False", with the following comment: "not yet"',
        "there",
    ]


def test_parallel_states_run_side_by_side_and_requisites_wait(minion: Any, machine: Machine) -> None:
    running: list[str] = []

    def slow(name: str) -> Plan:
        def apply() -> dict[str, Any]:
            running.append(name)
            deadline = time.monotonic() + 5
            while len(running) < 3 and time.monotonic() < deadline:
                time.sleep(0.001)
            machine.log.append(name)
            return {name: len(running)}

        return change("slow", {}, Step("slow", apply))

    minion.states(demo__slow=slow, demo__run=machine.run)
    results = minion.apply(
        "".join(f"{id_}: {{demo.slow: [{{parallel: true}}]}}\n" for id_ in "abc")
        + "last: {demo.run: [{require: [{demo: a}, {demo: c}]}]}\n"
    )
    assert [results[id_]["changes"] for id_ in "abc"] == [{"a": 3}, {"b": 3}, {"c": 3}]
    assert machine.log.index("run last") > max(machine.log.index("a"), machine.log.index("c"))
    assert results["a"]["__parallel__"] is True


def test_failhard_ends_the_run(minion: Any, machine: Machine) -> None:
    results = minion.apply("a: {demo.fail: [{failhard: true}]}\nb: demo.run")
    assert list(results) == ["a"]


def test_runas_and_saltenv_reach_what_runs(minion: Any, machine: Machine) -> None:
    seen: dict[str, Any] = {}

    def look(name: str) -> Plan:
        seen.update(runas=current().scratch.get("runas"), saltenv=current().saltenv)
        return same("seen")

    minion.states(demo__look=look)
    minion.apply("a: {demo.look: [{runas: nobody}, {saltenv: dev}]}")
    assert seen == {"runas": "nobody", "saltenv": "dev"}
    assert "runas" not in minion.context.scratch


def test_mod_init_is_called_once_per_module(minion: Any, machine: Machine) -> None:
    calls: list[str] = []

    def mod_init(low: dict[str, Any]) -> bool:
        calls.append(low["name"])
        return True

    minion.states(demo__run=machine.run, demo__mod_init=mod_init)
    minion.apply("a: demo.run\nb: demo.run")
    assert calls == ["a"]


def test_arguments_that_steer_the_run_do_not_reach_the_function(minion: Any) -> None:
    seen: dict[str, Any] = {}

    def take(name: str, runas: str = "", **kwargs: Any) -> Plan:
        seen.update(kwargs, runas=runas)
        return same("taken")

    minion.states(demo__take=take)
    minion.apply("a: {demo.take: [{own: 1}, {order: 5}, {unless: [false]}, {runas: me}, {failhard: false}]}")
    assert seen == {"own": 1, "runas": "me"}


def test_slots_are_filled_at_the_turn_of_their_state(minion: Any) -> None:
    seen: list[Any] = []

    def take(name: str, text: str = "", many: list[str] | None = None) -> Plan:
        seen.extend([text, many])
        return same("taken")

    minion.states(demo__take=take)
    minion.context.functions = {**minion.context.functions, "x.f": lambda *a, **k: {"a": {"b": f"{a}{k}"}}}
    slot = "__slot__:salt:x.f(1, word, k='v').a.b ~ /end"
    minion.apply(f'a: {{demo.take: [{{text: "{slot}"}}, {{many: ["__slot__:salt:x.f().a.b"]}}]}}')
    assert seen == ["(1, 'word'){'k': 'v'}/end", ["(){}"]]


def test_each_state_is_reported_as_it_finishes(minion: Any, machine: Machine) -> None:
    minion.apply("a: demo.run\nb: demo.set")
    assert [(told["tag"], told["ret"]["result"], told["len"]) for told in minion.daemon.told] == [
        ("demo_|-a_|-a_|-run", True, 2),
        ("demo_|-b_|-b_|-set", True, 2),
    ]


def test_fire_event_sends_the_return(minion: Any, machine: Machine) -> None:
    minion.apply("a: {demo.run: [{fire_event: done/now}]}")
    assert minion.daemon.events[0][0].endswith("/done/now")


def test_users_plugins_call_states_and_get_dicts(minion: Any, machine: Machine) -> None:
    from ctl.common.loader_names import states_as_dicts

    ret = states_as_dicts(minion.context)["demo.set"]("a", value=3)
    assert ret == {"name": "a", "result": True, "changes": {"a": 3}, "comment": "a is now 3"}


def test_a_requisite_on_an_sls_without_states_is_satisfied(minion: Any, machine: Machine) -> None:
    minion.write(empty="{% if false %}\nx: demo.run\n{% endif %}\n")
    results = minion.apply("include: [empty]\na: {demo.run: [{require: [{sls: empty}]}]}")
    assert results["a"]["result"] is True


def test_global_conditions_keep_states_from_being_called(minion: Any, machine: Machine) -> None:
    minion.context.config["global_state_conditions"] = {"demo.set": ["db*", "G@os:Suse"], "demo": "web*"}
    assert minion.apply("a: demo.set")["a"]["result"] is True
    del minion.context.config["global_state_conditions"]["demo"]
    results = minion.apply("b: demo.set\nc: demo.run")
    assert results["b"]["result"] is None
    assert results["b"]["comment"] == "Failed to meet global state conditions. State not called."
    assert results["c"]["result"] is True


def test_reload_grains_shows_later_states_the_new_grains(minion: Any, machine: Machine) -> None:
    seen: list[Any] = []

    def refresh(what: str) -> bool:
        minion.context.grains = {**minion.context.grains, "fresh": what}
        return True

    def look(name: str, value: str = "") -> Plan:
        seen.append((current().grains.get("fresh"), value))
        return same("seen")

    minion.daemon.refresh = refresh
    minion.states(demo__set=machine.set, demo__look=look)
    minion.apply(
        "a: demo.look\nb: {demo.set: [{reload_grains: true}]}\n"
        "c: {demo.look: [{value: '__slot__:salt:grains.get(fresh)'}]}\n"
    )
    assert seen == [(None, ""), ("grains", "grains")]


def test_plugins_are_looked_for_anew_after_a_package_came(minion: Any, machine: Machine) -> None:
    class States(dict[str, Any]):
        """Plugins of which one appears once its package is there."""

        def forget(self) -> None:
            if "a" in machine.facts:
                self["late.run"] = machine.run

    minion.context.states = States({"pkg.installed": machine.set})
    results = minion.apply("a: pkg.installed\nb: late.run")
    assert results["b"]["result"] is True
