"""Caller: the face over what the minion's room runs."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from ctl.client import Caller


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stand in for the minion's half; collect how it is called."""
    found: list[Any] = []

    def call(config: Any, fun: str, args: list[Any], kwargs: dict[str, Any], local: bool) -> dict[str, Any]:
        found.append((config.id, fun, args, kwargs, local))
        return {"return": f"{fun} ran", "retcode": 0, "success": True, "out": ""}

    module = types.ModuleType("ctl.minion.call")
    module.call = call  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ctl.minion.call", module)
    monkeypatch.setattr("ctl.minion.call", module, raising=False)
    return found


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "minion").write_text("id: here\n")
    return tmp_path


def test_a_function_runs_with_this_machine_s_configuration(calls: list[Any], config: Path) -> None:
    caller = Caller(str(config / "minion"))
    assert caller.cmd("test.echo", "a", text="b") == "test.echo ran"
    assert caller.function("test.ping") == "test.ping ran"
    assert calls[0] == ("here", "test.echo", ["a"], {"text": "b"}, False)
    assert caller.call("test.ping")["retcode"] == 0


def test_functions_can_be_had_by_name(calls: list[Any], config: Path) -> None:
    assert Caller(config).functions["test.ping"]() == "test.ping ran"
    assert Caller(config).sminion.functions["test.echo"]("x") == "test.echo ran"


def test_without_a_master_everything_is_local(calls: list[Any], config: Path) -> None:
    with Caller(config, {"file_client": "local"}) as caller:
        caller.cmd("test.ping")
    Caller(config, local=True).cmd("test.ping")
    assert [call[4] for call in calls] == [True, True]
