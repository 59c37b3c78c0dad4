"""A job's payload as it may be shown."""

from __future__ import annotations

from typing import Any

import pytest

from ctl.common.secret import MASK, Secret
from ctl.common.secret_arguments import builtin, masked


def log_in(name: str, password: Secret[str], where: str = "") -> None:
    """A function with a secret."""


def find(fun: str) -> Any:
    return log_in if fun == "app.log_in" else None


def job(fun: Any, arg: Any = (), kwarg: Any = None) -> dict[str, Any]:
    return {"fun": fun, "arg": list(arg), "kwarg": kwarg or {}}


@pytest.mark.parametrize(
    ("payload", "marked", "arg", "kwarg"),
    [
        (job("app.log_in", ["me", "x"]), (), ["me", MASK], {}),
        (job("app.log_in", ["me"], {"password": "x"}), (), ["me"], {"password": MASK}),
        (job("app.log_in", ["me", {"__kwarg__": True, "password": "x"}]), (),
         ["me", {"__kwarg__": True, "password": MASK}], {}),
        (job("app.log_in", ["me", "x", "password=y"]), (), ["me", MASK, f"password={MASK}"], {}),
        (job("none.such", ["a", "x"], {"db_password": 7, "n": 1}), (), ["a", "x"], {"db_password": MASK, "n": 1}),
        (job("none.such", ["a", "x"], {"n": 1, "m": 2}), ("1", "m"), ["a", MASK], {"n": 1, "m": MASK}),
        (job("none.such", ["n=1"]), ("n",), [f"n={MASK}"], {}),
        (job("state.single", ["user.present"], {"pillar": {"a": [{"token": "x"}]}}), (),
         ["user.present"], {"pillar": {"a": [{"token": MASK}]}}),
        (job(["test.ping", "app.log_in"], [[], ["me", "x"]]), (), [[], ["me", MASK]], {}),
    ],
)  # fmt: skip
def test_what_is_secret_is_masked(payload: Any, marked: Any, arg: Any, kwarg: Any) -> None:
    shown = masked(payload, marked, find)
    assert shown == {**payload, "arg": arg, "kwarg": kwarg}


@pytest.mark.parametrize(
    "payload",
    [
        job("test.ping"),
        job("app.log_in", ["me"]),
        job("none.such", ["password", "x=1"], {"n": [1, {"b": 2}]}),
        job(["test.ping", "none.such"], [[], ["a"]]),
    ],
)
def test_what_has_no_secret_stays_what_it_is(payload: Any) -> None:
    assert masked(payload, (), find) is None


def test_annotations_of_built_in_functions_count() -> None:
    shown = masked(job("shadow.set_password", ["root", "$6$x"]))
    assert shown is not None
    assert shown["arg"] == ["root", MASK]
    assert builtin("no.such") is None
