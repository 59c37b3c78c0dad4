"""Why a state runs or not: each requisite, each condition, and the last run."""

from __future__ import annotations

from typing import Any

TREE = """
conf: probe.changed
calm: probe.nop
bad: probe.failed
svc:
  probe.nop:
    - name: the-service
    - watch: [{probe: conf}]
    - require: [{probe: calm}]
lazy: {probe.nop: [{onchanges: [{probe: calm}]}]}
doomed: {probe.nop: [{require: [{probe: bad}]}]}
kept:
  probe.nop:
    - unless: ['true', 'false']
    - onlyif: 'false'
    - creates: /
ear: {probe.nop: [{listen: [{probe: conf}]}]}
"""


def _explain(minion: Any, id_: str) -> dict[str, Any]:
    minion.write(main=TREE)
    (found,) = minion.call("state.explain", id_, "main").values()
    return dict(found)


def test_each_requisite_is_told_with_its_place(minion: Any) -> None:
    found = _explain(minion, "svc")
    assert found["requisites"] == [
        "require probe: calm [main.sls:3]: it is as wanted and would change nothing",
        "watch probe: conf [main.sls:2]: it would change something",
    ]
    assert found["verdict"].startswith("it would run and change something; what it watches would change")
    assert found["source"] == "main.sls:6"
    assert "last_run" not in found
    assert minion.retcode == 0


def test_a_state_is_found_by_its_name(minion: Any) -> None:
    assert _explain(minion, "the-service")["function"] == "probe.nop"


def test_what_keeps_a_state_from_running(minion: Any) -> None:
    assert _explain(minion, "lazy")["verdict"] == (
        "it would not run: State was not run because none of the onchanges reqs changed"
    )
    doomed = _explain(minion, "doomed")
    assert doomed["verdict"] == "it would not run: One or more requisite failed: main.bad"
    assert doomed["requisites"] == ["require probe: bad [main.sls:4]: it would fail"]


def test_each_condition_is_told(minion: Any) -> None:
    minion.context.functions = {
        **{name: minion.context.functions[name] for name in ("state.explain", "cmd.retcode")},
    }
    found = _explain(minion, "kept")
    assert found["conditions"] == [
        "onlyif 'false': false",
        "unless 'true': true",
        "unless 'false': false",
        "creates /: true",
    ]
    assert found["verdict"].startswith("it would not run: onlyif condition is false")


def test_what_a_state_listens_to(minion: Any) -> None:
    assert _explain(minion, "ear")["listens_to"] == ["probe: conf [main.sls:2]"]


def test_the_last_run_is_told(minion: Any) -> None:
    minion.write(main=TREE)
    minion.call("state.sls", "main")
    assert _explain(minion, "svc")["last_run"]["did"] == "it changed something"
    assert _explain(minion, "doomed")["last_run"]["did"] == "it was not run"
    assert _explain(minion, "bad")["last_run"]["did"] == "it failed"
    minion.write(other="x: probe.nop")
    minion.call("state.sls", "other")
    assert "not part of that run" in _explain(minion, "svc")["last_run"]["did"]


def test_explaining_changes_nothing_and_leaves_no_test_mode_behind(minion: Any) -> None:
    _explain(minion, "svc")
    assert minion.context.test is False
    assert not minion.data.exists()


def test_an_id_that_is_not_there(minion: Any) -> None:
    minion.write(main=TREE)
    assert minion.call("state.explain", "svcc", "main") == [
        "there is no state with the ID or name 'svcc' (did you mean 'svc'?)"
    ]
    assert minion.retcode == 1
    minion.file("top.sls", "base: {'*': [main]}")
    assert list(minion.call("state.explain", "calm")) == ["probe_|-calm_|-calm_|-nop"]
