"""States that reach no machine: test, module, environ, timezone."""

from __future__ import annotations

import os
from typing import Any

import pytest


def test_nothing_succeeds_and_failure_fails(machine: Any) -> None:
    assert machine.plan("test.nop", name="x", anything=1).result is True
    assert machine.plan("test.succeed_without_changes", name="x").result is True
    assert machine.plan("test.fail_without_changes", name="x", comment="no").comment == "no"
    for dry in (machine.dry, machine.plan):
        assert dry("test.fail_without_changes", name="x").result is False


def test_changes_are_pretended(machine: Any) -> None:
    outcome = machine.run("test.succeed_with_changes", name="x")
    assert (outcome.result, list(outcome.changes)) == (True, ["testing"])
    dry = machine.dry("test.succeed_with_changes", name="x")
    assert (dry.result, list(dry.changes)) == (None, ["testing"])
    outcome = machine.run("test.fail_with_changes", name="x")
    assert (outcome.result, list(outcome.changes)) == (False, ["testing"])


@pytest.mark.parametrize(
    ("given", "result", "changed"),
    [
        ({}, True, True),
        ({"changes": False}, True, False),
        ({"result": False}, False, True),
        ({"changes": False, "result": False}, False, False),
        ({"changes": {"a": 1}}, True, True),
    ],
)
def test_a_configurable_state(machine: Any, given: dict[str, Any], result: bool, changed: bool) -> None:
    outcome = machine.run("test.configurable_test_state", name="x", comment="said", **given)
    assert (outcome.result, bool(outcome.changes), outcome.comment) == (result, changed, "said")


def test_a_configurable_state_warns_and_can_be_random(machine: Any) -> None:
    plan = machine.plan("test.configurable_test_state", name="x", warnings="careful", result="Random")
    assert plan.warnings == ("careful",)
    assert machine.plan("test.configurable_test_state", name="x", changes="maybe").result is False


def test_a_notification_and_pillar_checks(machine: Any) -> None:
    assert machine.plan("test.show_notification", name="x", text="hello").comment == "hello"
    assert machine.plan("test.show_notification", name="x").result is False
    machine.context.pillar["app"] = {"port": 80, "on": True, "url": "x", "l": [], "d": {}}
    good = {"present": ["app:url"], "integer": ["app:port"], "boolean": ["app:on"], "string": ["app:url"]}
    assert machine.plan("test.check_pillar", name="x", listing=["app:l"], dictionary=["app:d"], **good).result is True
    bad = machine.plan("test.check_pillar", name="x", present=["no"], integer=["app:on"])
    assert bad.result is False
    assert "no is not there" in bad.comment
    assert "app:on is no integer" in bad.comment


def test_a_watch_says_so(machine: Any) -> None:
    outcome = machine.run("test.mod_watch", name="x", sfun="nop")
    assert outcome.comment == "Watch statement fired."
    assert outcome.changes


def test_functions_are_called_in_the_new_form(machine: Any) -> None:
    given = {"test.echo": [{"text": "hello"}], "test.true": []}
    machine.replace(test_true=lambda: True)
    outcome = machine.run("module.run", name="call them", **given)
    assert (outcome.result, outcome.changes) == (True, {"test.echo": "hello", "test.true": True})
    assert machine.run("module.run", name="x", **{"test.echo": ["plain"]}).changes == {"test.echo": "plain"}
    dry = machine.dry("module.run", name="call them", **given)
    assert (dry.result, dry.certain) == (None, False)


@pytest.mark.parametrize(
    "given",
    [{"text": "hello"}, {"args": ["hello"]}, {"kwargs": {"text": "hello"}}, {"args": "hello"}],
)
def test_functions_are_called_in_the_old_form(machine: Any, given: dict[str, Any]) -> None:
    outcome = machine.run("module.run", name="test.echo", **given)
    assert outcome.changes == {"ret": "hello"}


def test_the_old_form_names_the_functions_own_name(machine: Any) -> None:
    machine.replace(test_hello=lambda name, times=1: f"hello {name}" * times)
    assert machine.run("module.run", name="test.hello", m_name="anne").changes == {"ret": "hello anne"}


def test_a_function_that_fails_or_is_not_there(machine: Any) -> None:
    machine.replace(test_no=lambda: False)
    assert machine.run("module.run", name="test.no").result is False
    assert machine.run("module.run", name="x", **{"test.no": []}).result is False
    assert machine.run("module.run", name="nothing.here").result is False
    assert machine.dry("module.run", name="nothing.here").certain is False
    assert machine.run("module.run", name="test.echo", colour="red").result is False


def test_module_wait(machine: Any) -> None:
    assert machine.plan("module.wait", name="test.echo", text="x").result is True
    assert machine.run("module.mod_watch", name="test.echo", text="x", sfun="wait").changes == {"ret": "x"}


def test_variables(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTL_ONE", "1")
    monkeypatch.delenv("CTL_TWO", raising=False)
    assert machine.plan("environ.setenv", name="CTL_ONE", value="1").result is True
    outcome = machine.settle("environ.setenv", name="x", value={"CTL_ONE": "1", "CTL_TWO": 2})
    assert outcome.changes == {"CTL_TWO": "2"}
    assert os.environ["CTL_TWO"] == "2"
    machine.settle("environ.setenv", name="CTL_TWO", value=False, false_unsets=True)
    assert "CTL_TWO" not in os.environ
    assert machine.plan("environ.setenv", name="x", value=["a"]).result is False


def test_a_time_zone(machine: Any) -> None:
    zone = ["UTC"]
    machine.replace(
        timezone_zone_compare=lambda name: zone[0] == name,
        timezone_set_zone=lambda name: zone.__setitem__(0, name) or True,
        timezone_get_hwclock=lambda: "UTC",
    )
    outcome = machine.settle("timezone.system", name="Europe/Vienna")
    assert outcome.changes == {"timezone": "Europe/Vienna"}
