"""S18: a call needs rights for every function that it would run, however deep they are."""

from __future__ import annotations

from typing import Any

import pytest

from ctl.common.calls import Call
from ctl.master.nested import ANYTHING, flatten


def names(fun: Any, /, *args: Any, **kwargs: Any) -> list[str]:
    return [call.fun for call in flatten(Call(fun, args, kwargs))]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (names("test.ping"), ["test.ping"]),
        (names("test.try", "cmd.run", cmd="id"), ["test.try", "cmd.run"]),
        (names("test.try", module="cmd.run"), ["test.try", "cmd.run"]),
        (names("test.try", "module=cmd.run", "cmd=id"), ["test.try", "cmd.run"]),
        (names("test.try_", module="cmd.run"), ["test.try_", "cmd.run"]),
        (names("test.try", module="test.try", **{"x": 1}), ["test.try", "test.try", "*"]),
        (names("test.try"), ["test.try", "*"]),
        (names("test.try", "cmd.run", "module=test.ping"), ["test.try", "*"]),
        (names("test.try", ["cmd.run"]), ["test.try", "*"]),
        (names("state.single", "test.nop", "x"), ["state.single", "test.nop"]),
        (names("state.single", "fun=cmd.run", "name=id"), ["state.single", "cmd.run"]),
        (names("state.single", fun="module.run", name="x", **{"cmd.run": [{"cmd": "id"}]}),
         ["state.single", "module.run", "cmd.run"]),
        (names("state.single", "module.run", "cmd.run", cmd="id"), ["state.single", "module.run", "cmd.run"]),
        (names("state.single", "module.run", "x"), ["state.single", "module.run", "*"]),
        (names("state.single", "test.nop", "x", onlyif="id > /tmp/x"), ["state.single", "test.nop", "cmd.retcode"]),
        (names("state.single", "test.nop", "x", unless=[{"fun": "file.remove", "args": ["/x"]}]),
         ["state.single", "test.nop", "file.remove"]),
        (names("state.single", "test.nop", "x", check_cmd=[3]), ["state.single", "test.nop", "*"]),
        (names("state.single", "test.nop", "x", a={"b": ["__slot__:salt:cmd.run(id)"]}), ["state.single", "*"]),
        (names("state.low", {"state": "cmd", "fun": "run", "name": "id"}), ["state.low", "cmd.run"]),
        (names("state.low", 'data={"state": "cmd", "fun": "run", "name": "id"}'), ["state.low", "cmd.run"]),
        (names("state.low", {"state": "cmd.run", "fun": "x"}), ["state.low", "*"]),
        (names("state.low", {"fun": "run"}), ["state.low", "*"]),
        (names("state.high", {"x": {"cmd": ["run"]}}), ["state.high", "*"]),
        (names("state.template_str", "x: cmd.run"), ["state.template_str", "*"]),
        (names("state.run_request"), ["state.run_request", "state.apply"]),
        (names("saltutil.cmd", "*", "cmd.run", ["id"]), ["saltutil.cmd", "cmd.run"]),
        (names("saltutil.cmd", "*", "test.ping,cmd.run"), ["saltutil.cmd", "test.ping", "cmd.run"]),
        (names("saltutil.cmd", "*", ["test.ping", "cmd.run"]), ["saltutil.cmd", "test.ping", "cmd.run"]),
        (names("saltutil.cmd", "*", [b"cmd.run"]), ["saltutil.cmd", "*"]),
        (names("publish.publish", "*", "cmd.run"), ["publish.publish", "cmd.run"]),
        (names("saltutil.runner", "manage.up"), ["saltutil.runner", "*"]),
        (names("mine.send", "x", mine_function="cmd.run"), ["mine.send", "cmd.run"]),
        (names("mine.send", "cmd.run", "id"), ["mine.send", "cmd.run"]),
        (names("schedule.add", "x", function="cmd.run", job_args=["id"]), ["schedule.add", "cmd.run"]),
        (names("schedule.modify", "x", seconds=3), ["schedule.modify", "*"]),
        (names("slsutil.renderer", string="{{ 1 }}"), ["slsutil.renderer", "*"]),
        (names("cp.get_file", "salt://x", "/x"), ["cp.get_file"]),
        (names("cp.get_file", "{{ 1 }}", "/x", template="jinja"), ["cp.get_file", "*"]),
        (names("cp.get_file", "{{ 1 }}", "/x", "template=jinja"), ["cp.get_file", "*"]),
        (names("cp.get_dir", "{{ 1 }}", "/x", None, "jinja"), ["cp.get_dir", "*"]),
        (names(b"cmd.run"), [b"cmd.run", "*"]),
        (names("ping"), ["ping", "*"]),
        (names("test.ping,cmd.run"), ["test.ping,cmd.run", "*"]),
        (names("test.ping\n"), ["test.ping\n", "*"]),
    ],
)  # fmt: skip
def test_s18_what_is_inside_is_found(given: list[Any], expected: list[Any]) -> None:
    assert given == expected


def test_s18_wrappers_within_each_other_end_somewhere() -> None:
    call = Call("test.try", ("cmd.run",))
    for _ in range(20):
        call = Call("saltutil.cmd", ("*", "saltutil.cmd", ["*", call.fun, list(call.args)]))
    found = list(flatten(call))
    assert found[-1] is ANYTHING
    assert len(found) < 20


def test_what_a_wrapped_function_is_given_goes_with_it() -> None:
    inner = list(flatten(Call("test.try", ("file.remove",), {"path": "/x", "return_try_exception": True})))[1]
    assert (inner.fun, dict(inner.kwargs or {})) == ("file.remove", {"path": "/x"})
