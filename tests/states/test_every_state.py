"""What holds for every built-in state: a dry run touches nothing, and what was applied needs no second run."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctl.common import arguments
from ctl.common.loader import Loader
from ctl.common.state.applying import finish
from ctl.common.state.plan import Plan


def _load(name: str) -> Any:
    """Import a file that stands beside this one."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec
    assert spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


table = _load("every_state")
ALL = sorted(Loader("states", "ctl.states"))
STATES = [name for name in ALL if name.partition(".")[2] not in table.STEERING]
ACCOUNTS = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/localtime", "/etc/timezone")
PACKAGES = ("/var/lib/dpkg/status", "/var/lib/apt/extended_states")


def _machine_wide() -> dict[str, Any]:
    """Describe the files of this machine that states about accounts, packages and the like change."""
    found: dict[str, Any] = {}
    for path in map(Path, ACCOUNTS + PACKAGES):
        if path.exists():
            status = path.lstat()
            found[str(path)] = (status.st_ino, status.st_mtime_ns, status.st_size)
    return found


def _set_up(machine: Any) -> None:
    """Make the sandbox anew."""
    for name, content in table.TREE.items():
        machine.source(name, content)
    machine.context.scratch.clear()
    shutil.rmtree(machine.root)
    shutil.rmtree(machine.context.config["cachedir"])
    Path(machine.context.config["cachedir"]).mkdir()
    for name, content in table.BEFORE.items():
        path = machine.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())
    (machine.root / "empty").mkdir()


def _placed(value: Any, root: Path) -> Any:
    """Put the sandbox's path in the place of each `@`."""
    if isinstance(value, str):
        return str(root) if value == "@" else value.replace("@/", f"{root}/")
    if isinstance(value, list):
        return [_placed(item, root) for item in value]
    if isinstance(value, Mapping):
        return {key: _placed(item, root) for key, item in value.items()}
    return value


@pytest.mark.parametrize("name", STATES)
def test_a_dry_run_touches_nothing(name: str, machine: Any) -> None:
    assert name in table.DRY, f"{name} needs an entry in tests/states/every_state.py"
    for case in table.DRY[name]:
        _set_up(machine)
        before = _machine_wide()
        plan = machine.dry(name, **_placed(case, machine.root))  # compares the sandbox itself
        assert isinstance(plan, Plan), case
        assert _machine_wide() == before, case


def test_the_tables_name_only_states_that_there_are() -> None:
    assert set(table.DRY) == set(STATES)
    tables = [table.STRATEGIES, table.GUARDED, table.DEBIAN, table.EXCUSED]
    assert sorted(name for one in tables for name in one) == sorted(STATES), "each state belongs in one table"


@pytest.mark.parametrize("name", sorted(table.STRATEGIES))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(data=st.data())
def test_what_was_applied_needs_no_second_run(
    name: str, machine: Any, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    monkeypatch.setenv("CTL_TEST_PROPERTY", "")
    _set_up(machine)
    case = data.draw(table.STRATEGIES[name])
    kwargs = _placed(case, machine.root)
    function = machine.context.states[name]
    arguments.bind(function, [], kwargs, name)
    plan = machine.plan(name, **kwargs)
    if plan.result is False:
        return  # it refuses, and says why
    ret = finish(plan, "", test=False)
    assert ret["result"] is True, ret["comment"]
    again = machine.plan(name, **kwargs)
    assert (again.result, dict(again.changes), again.steps) == (True, {}, ()), again
    leftovers = list(machine.root.rglob(".ctl-*"))
    assert not leftovers


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in table.GUARDED.items() for case in cases])
def test_what_a_condition_guards_runs_once(name: str, case: dict[str, Any], machine: Any) -> None:
    _set_up(machine)
    state, _, function = name.partition(".")
    low = {**_placed(case, machine.root), "state": state, "fun": function, "__id__": "x"}
    before = machine.snapshot()
    assert machine.states(low, test=True)["result"] is not False
    assert machine.snapshot() == before, "a dry run changed something"
    first, second = machine.states(low), machine.states(low)
    assert first["result"] is True, first["comment"]
    assert second["result"] is True, second["comment"]
    assert second["changes"] == {}
    assert bool(first["changes"]) is (machine.snapshot() != before)
