"""Command states: what they run, what counts as success, and what a stateful command says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ctl.states._command_state import environment, read_report


def test_a_command_is_only_run_for_real(machine: Any) -> None:
    mark = machine.root / "mark"
    dry = machine.dry("cmd.run", name=f"touch {mark}")
    assert (dry.result, dry.certain, dict(dry.changes)) == (None, False, {})
    assert not mark.exists()
    outcome = machine.run("cmd.run", name=f"touch {mark}; echo done; echo oops >&2")
    assert outcome.result is True
    assert mark.exists()
    assert {key: outcome.changes[key] for key in ("retcode", "stdout", "stderr")} == {
        "retcode": 0,
        "stdout": "done",
        "stderr": "oops",
    }
    assert outcome.changes["pid"] > 0


def test_a_command_that_fails_fails(machine: Any) -> None:
    outcome = machine.run("cmd.run", name="echo no; exit 3")
    assert (outcome.result, outcome.changes["retcode"]) == (False, 3)
    assert machine.run("cmd.run", name="exit 3", success_retcodes=[3]).result is True
    assert machine.run("cmd.run", name="echo fine; exit 3", success_stdout=["fine"]).result is True


def test_where_and_with_what_it_runs(machine: Any) -> None:
    outcome = machine.run(
        "cmd.run", name="pwd; echo $WORD", cwd=str(machine.root), env=[{"WORD": "hello"}], umask="077"
    )
    assert outcome.changes["stdout"] == f"{machine.root}\nhello"


def test_a_timeout_fails_unless_it_may_be(machine: Any) -> None:
    assert machine.run("cmd.run", name="sleep 20", timeout=0.2).result is False
    assert machine.run("cmd.run", name="sleep 20", timeout=0.2, ignore_timeout=True).result is True


@pytest.mark.parametrize(
    ("text", "changed", "comment"),
    [
        ("working\nchanged=yes comment='it did' size=5\n", True, "it did"),
        ("changed=no comment=nothing", False, "nothing"),
        ('{"changed": true, "comment": "json", "size": 5}', True, "json"),
        ('noise\n{"changed": false}\n', False, ""),
    ],
)
def test_what_a_stateful_command_says(text: str, changed: bool, comment: str) -> None:
    report = read_report(text)
    assert report is not None
    assert (report.changed, report.comment) == (changed, comment)


@pytest.mark.parametrize("text", ["", "done", "a=b", "[1]", "'unbalanced"])
def test_what_says_nothing_of_the_kind(text: str) -> None:
    assert read_report(text) is None


def test_a_stateful_command_decides_on_its_changes(machine: Any) -> None:
    outcome = machine.run("cmd.run", name="echo \"changed=yes comment='it did' size=5\"", stateful=True)
    assert (outcome.result, outcome.comment, outcome.changes["size"]) == (True, "it did", "5")
    outcome = machine.run("cmd.run", name="echo changed=no", stateful=True)
    assert (outcome.result, outcome.changes) == (True, {})
    assert machine.run("cmd.run", name="echo hello", stateful=True).result is False


def test_a_stateful_command_can_answer_in_a_dry_run(machine: Any) -> None:
    given = {"name": "false", "stateful": [{"test_name": "echo changed=no comment=quiet"}]}
    plan = machine.dry("cmd.run", **given)
    assert (plan.result, plan.comment) == (True, "quiet")
    given["stateful"] = [{"test_name": "echo changed=yes"}]
    assert machine.dry("cmd.run", **given).result is None


def test_wait_runs_only_when_watched(machine: Any) -> None:
    assert machine.plan("cmd.wait", name="false").result is True
    outcome = machine.run("cmd.mod_watch", name="echo now", sfun="wait")
    assert outcome.changes["stdout"] == "now"
    assert machine.run("cmd.mod_watch", name="x", sfun="other").result is False


def test_a_script_comes_from_the_tree(machine: Any) -> None:
    url = machine.source("s.sh", "#!/bin/sh\necho got $1 $2\n")
    outcome = machine.run("cmd.script", name="try", source=url, args="a b")
    assert outcome.changes["stdout"] == "got a b"
    outcome = machine.run("cmd.script", name=f"{url} x y")
    assert outcome.changes["stdout"] == "got x y"
    assert machine.run("cmd.script", name="salt://nothing.sh").result is False


def test_a_script_can_be_a_template(machine: Any) -> None:
    url = machine.source("s.sh", "#!/bin/sh\necho {{ word }} {{ grains.os }}\n")
    outcome = machine.run("cmd.script", name=url, template="jinja", context={"word": "on"})
    assert outcome.changes["stdout"] == "on Debian"
    outcome = machine.run("cmd.mod_watch", name=url, sfun="wait_script", template="jinja", context={"word": "w"})
    assert outcome.changes["stdout"] == "w Debian"


def test_a_background_command_is_not_waited_for(machine: Any) -> None:
    mark = Path(machine.root) / "mark"
    outcome = machine.run("cmd.run", name=f"touch {mark}", bg=True)
    assert outcome.result is True
    assert outcome.changes["pid"] > 0


def test_a_function_can_be_called(machine: Any) -> None:
    outcome = machine.run("cmd.call", name="x", func="test.echo", args=["hello"])
    assert outcome.changes == {"ret": "hello"}


@pytest.mark.parametrize(
    ("env", "wanted"),
    [
        (None, {}),
        ({"A": 1, "B": None}, {"A": "1", "B": ""}),
        ([{"A": "1"}, {"B": "2"}], {"A": "1", "B": "2"}),
        (["A=1=2"], {"A": "1=2"}),
    ],
)
def test_environments_have_many_forms(env: Any, wanted: dict[str, str]) -> None:
    assert environment(env) == wanted
