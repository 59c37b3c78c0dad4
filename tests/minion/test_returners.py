"""Returners of users: what they are given, what they find, and that they cannot take longer than they may."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from ctl.common.calls import parse_returners
from ctl.common.context import Context
from ctl.common.extmods import load_directories
from ctl.common.loader import load_plugins
from ctl.common.wire import pack_payload
from ctl.minion.execute import Outcome
from ctl.minion.returners import hand_over

KEEP = """
def __virtual__():
    return "keep" if __opts__["mine"] == 1 else False


def returner(ret):
    ret["fun"] = ret["fun"] + "!"
    __context__.setdefault("kept", []).append((__grains__["os"], __salt__["test.ping"](), ret))
"""
DECLINED = "def __virtual__():\n    return False, 'no driver'\n\n\ndef returner(ret):\n    pass\n"
SLOW = "import time\n\n\ndef returner(ret):\n    time.sleep(30)\n"


@pytest.fixture
def context(tmp_path: Path) -> Context:
    config = {"cachedir": str(tmp_path), "mine": 1}
    directory = Path(load_directories(config)["returners"][-1])
    directory.mkdir(parents=True)
    for name, text in {"mine": KEEP, "declined": DECLINED, "slow": SLOW}.items():
        (directory / f"{name}.py").write_text(text)
    nobody: Any = None
    made = Context(id="m1", config=config, grains={"os": "Debian"}, pillar={}, files=nobody, daemon=nobody, jid="1")
    return load_plugins(made)


def _hand_over(context: Context, *names: str, out: str = "", **options: Any) -> Any:
    given = {"fun": "cmd.run", "arg": ["ls"], "kwarg": {"password": "hunter2"}}
    outcome = Outcome([1], 3, False, out)
    hand_over(context, names, given, outcome, pack_payload([1]), **{"for_master": True, **options})
    return context.scratch.get("kept", [])


def test_a_returner_has_salts_names_and_gets_salts_shape(context: Context) -> None:
    ((system, pinged, ret),) = _hand_over(context, "keep", out="highstate")
    assert (system, pinged) == ("Debian", True)
    assert ret == {
        "jid": "1",
        "id": "m1",
        "fun": "cmd.run!",
        "fun_args": ["ls", {"password": "**********"}],
        "return": [1],
        "retcode": 3,
        "success": False,
        "out": "highstate",
    }


def test_no_argument_of_a_secret_job_is_shown(context: Context) -> None:
    ((_, _, ret),) = _hand_over(context, "keep", secret=True)
    assert ret["fun_args"] == ["**********", {"password": "**********"}]


def test_one_that_is_named_twice_is_called_once(context: Context) -> None:
    context.config = {**context.config, "return": ["keep"]}
    assert len(_hand_over(context, "keep", "keep")) == 1


def test_one_that_declines_or_takes_too_long_keeps_no_other_waiting(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        assert len(_hand_over(context, "declined", "slow", "keep", seconds=0.2)) == 1
    declined, slow = (record.getMessage() for record in caplog.records)
    assert declined.startswith("the returner declined was not called: ")
    assert declined.endswith("no driver")
    assert slow == "the returner slow failed: TimeoutError: it took longer than 0.2 s"


@pytest.mark.parametrize("names", ["a", [1], ["x"] * 33, {"a": 1}])
def test_what_are_no_names_is_refused(names: Any) -> None:
    with pytest.raises(ValueError, match="at most 32 names"):
        parse_returners({"ret": names})
