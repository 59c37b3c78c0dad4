"""Which states may run and when: disabled ones, requested runs, what a run leaves behind in its job."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def tree(minion: Any) -> None:
    minion.write(one="a: probe.changed\nb: {probe.nop: [{require: [{probe: a}]}]}\n", web__nginx="n: probe.nop\n")
    minion.file("top.sls", "base:\n  '*': [one]\n")

    def setval(key: str, value: Any) -> None:
        minion.context.grains = {**minion.context.grains, key: value}

    kept = minion.context.functions
    names = (
        "apply sls highstate disable enable list_disabled request run_request check_request clear_request test single"
    )
    minion.context.functions = {f"state.{name}": kept[f"state.{name}"] for name in names.split()}
    minion.context.functions["grains.setval"] = setval


def test_what_is_disabled_does_not_run_until_it_is_enabled(minion: Any) -> None:
    assert minion.call("state.disable", "highstate,web.*") == {
        "res": True,
        "msg": "Info: highstate state disabled.\nInfo: web.* state disabled.",
    }
    assert minion.call("state.list_disabled") == ["highstate", "web.*"]
    assert minion.call("state.apply") == [
        'The state file "highstate" is currently disabled, to re-enable, run state.enable highstate.'
    ]
    assert minion.retcode == 1
    assert minion.call("state.sls", "web.nginx")[0].startswith('The state file "web.nginx" is currently disabled by')
    assert isinstance(minion.call("state.sls", "one"), dict)
    assert minion.call("state.disable", "highstate")["msg"] == "Info: highstate state already disabled."
    assert minion.call("state.enable", ["highstate", "web.*", "x"])["msg"].endswith("x state already enabled.")
    assert isinstance(minion.call("state.apply"), dict)


def test_a_disabled_function_fails_its_states_and_what_requires_them(minion: Any) -> None:
    minion.call("state.disable", "probe.ch*")
    found = minion.call("state.sls", "one")
    assert found["probe_|-a_|-a_|-changed"]["result"] is False
    assert 'is currently disabled by "probe.ch*"' in found["probe_|-a_|-a_|-changed"]["comment"]
    assert found["probe_|-b_|-b_|-nop"]["result"] is False


def test_a_request_is_shown_kept_and_run(minion: Any) -> None:
    shown = minion.call("state.request", "one", pillar={"x": 1})
    assert shown["probe_|-a_|-a_|-changed"]["result"] is None
    assert minion.call("state.check_request")["default"]["mods"] == "one"
    assert minion.call("state.check_request", "default")["kwargs"] == {"pillar": {"x": 1}}
    found = minion.call("state.run_request")
    assert found["probe_|-a_|-a_|-changed"]["result"] is True
    assert minion.daemon.asked[-1]["override"] == {"x": 1}
    assert minion.call("state.check_request") == {}
    assert minion.call("state.run_request") == {}


def test_requests_have_names_and_are_cleared(minion: Any) -> None:
    minion.call("state.request", "one", name="mine")
    minion.call("state.request", "web.nginx")
    assert minion.call("state.clear_request", "nosuch") is False
    assert minion.call("state.clear_request", "mine") is True
    assert list(minion.call("state.check_request")) == ["default"]
    assert minion.call("state.clear_request") is True
    assert minion.call("state.clear_request") is True


def test_test_is_a_dry_run_and_ends_with_it(minion: Any) -> None:
    assert minion.call("state.test", "one")["probe_|-a_|-a_|-changed"]["result"] is None
    assert minion.call("state.sls", "one")["probe_|-a_|-a_|-changed"]["result"] is True


def test_single_takes_conditions_and_controls(minion: Any) -> None:
    found = minion.call("state.single", "probe.changed", "x", unless=[True], pillar={"a": 1})
    assert found["probe_|-x_|-x_|-changed"]["comment"] == "unless condition is true"
