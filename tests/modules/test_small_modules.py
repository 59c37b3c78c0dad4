"""`test`, `environ`, `hashutil`, `random`."""

from __future__ import annotations

import inspect
import os
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.common.context import Context
from ctl.common.errors import CommandExecutionError

Call = Callable[..., Any]

OURS = (
    *("test", "cmd", "file", "pkg", "service", "network", "status", "disk", "ps", "user", "group", "shadow"),
    *("timezone", "environ", "hashutil", "random"),
)


def test_every_public_function_has_a_manual_with_an_example_and_types(context: Context) -> None:
    names = [name for name in context.functions if name.partition(".")[0] in OURS]
    assert len(names) > 250
    for name in names:
        function = context.functions[name]
        manual = inspect.getdoc(function) or ""
        module = name.partition(".")[0]
        assert f"ctl '*' {module}." in manual, name
        for parameter in inspect.signature(function).parameters.values():
            assert parameter.annotation is not parameter.empty, f"{name}({parameter.name})"


def test_answers(call: Call) -> None:
    assert call("test.ping") is True
    assert call("test.echo", "x") == "x"
    assert call("test.true") is True
    assert call("test.false") is False
    assert call("test.outputter", {"a": 1}) == {"a": 1}
    assert call("test.arg", 1, "two", three=3) == {"args": [1, "two"], "kwargs": {"three": 3}}
    assert call("test.arg_clean", 1, __pub_jid="x") == {"args": [1], "kwargs": {}}
    assert call("test.arg_repr", 1)["args"] == "(1,)"
    assert call("test.arg_type", 1, x="y") == {"args": ["<class 'int'>"], "kwargs": {"x": "<class 'str'>"}}
    assert call("test.kwarg", a=1) == {"a": 1}
    assert call("test.fib", 10)[0] == 55
    assert call("test.collatz", 3)[0] == [3, 10, 5, 16, 8, 4, 2]
    assert call("test.sleep", 0) is True
    assert call("test.rand_sleep", 0) is True
    assert len(call("test.rand_str")) == 64
    assert "test_small_modules" in call("test.stack")
    assert call("test.get_opts") == {"id": "minion"}


def test_failures_and_exit_codes(call: Call, context: Context) -> None:
    assert call("test.retcode", 3) is True
    assert context.scratch["retcode"] == 3
    with pytest.raises(Exception, match="Oh noes"):
        call("test.exception", "Oh noes")
    with pytest.raises(AssertionError):
        call("test.assertion", "no")
    call("test.assertion", True)
    assert call("test.try", "file.read", path="/no/such") is False
    assert "cannot read /no/such" in call("test.try", "file.read", return_try_exception=True, path="/no/such")
    for function, wrong in (("fib", -1), ("collatz", 0)):
        with pytest.raises(CommandExecutionError):
            call(f"test.{function}", wrong)


def test_versions_and_what_is_loaded(call: Call) -> None:
    assert call("test.version")
    report = call("test.versions")
    assert report.startswith("CTL Version:\n    ctl: ")
    assert "pyzmq" in report
    assert call("test.provider", "cmd") == "cmd"
    assert call("test.provider", "file") == "file, file_attributes, file_change, file_edit"
    assert set(call("test.not_loaded")) <= set(call("test.providers")) | {"service", "pkg", "user", "group"}
    assert "test.ping" in call("test.module_report")["functions"]
    with pytest.raises(CommandExecutionError, match="no module 'nope'"):
        call("test.provider", "nope")


def test_variables_are_set_and_told(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    assert call("environ.setval", "CTL_X", "1") == "1"
    assert call("environ.get", "CTL_X") == "1"
    assert call("environ.has_value", "CTL_X", "1")
    assert not call("environ.has_value", "CTL_X", "2")
    assert call("environ.item", "CTL_X") == {"CTL_X": "1"}
    assert call("environ.setenv", {"CTL_X": 2, "CTL_Y": False}, false_unsets=True) == {"CTL_X": "2", "CTL_Y": None}
    assert "CTL_Y" not in call("environ.items")
    assert call("environ.setval", "CTL_X", False) == ""
    assert not call("environ.has_value", "CTL_X")
    assert call("environ.get", "CTL_NONE", "x") == "x"
    call("environ.setenv", {"ONLY": "1"}, clear_all=True, false_unsets=True)
    assert call("environ.items") == {"ONLY": "1"}
    with pytest.raises(CommandExecutionError, match="no name of a variable"):
        call("environ.setval", "A=B", "x")


def test_hashes_and_encodings(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("get salted")
    assert call("hashutil.digest", "get salted") == call("hashutil.md5_digest", "get salted")
    for form in ("sha256", "sha512"):
        assert call("hashutil.digest_file", path, form) == call(f"hashutil.{form}_digest", "get salted")
    assert call("hashutil.base64_b64encode", "get salted") == "Z2V0IHNhbHRlZA=="
    assert call("hashutil.base64_b64decode", "Z2V0IHNhbHRlZA==") == "get salted"
    assert call("hashutil.base64_b64decode", "/w==") == b"\xff"
    assert call("hashutil.base64_decodestring", call("hashutil.base64_encodestring", "a" * 100)) == "a" * 100
    encoded = call("hashutil.base64_encodefile", path)
    assert call("hashutil.base64_decodefile", encoded, tmp_path / "g") is True
    assert (tmp_path / "g").read_text() == "get salted"
    signature = "eBWf9bstXg+NiP5AOwppB5HMvZiYMPzEM9W5YMm/AmQ="
    assert call("hashutil.hmac_signature", "get salted", "shared secret", signature)
    assert not call("hashutil.hmac_signature", "get salted", "another secret", signature)
    assert not call("hashutil.hmac_signature", "get salted", "shared secret", "abc")
    assert len(call("hashutil.hmac_compute", "get salted", "shared secret")) == 64
    assert not call("hashutil.github_signature", "x", "shared secret", "sha1=00")
    assert not call("hashutil.github_signature", "x", "shared secret", "md5=00")
    for function, wrong in (("digest", ("x", "md99")), ("base64_b64decode", ("abc",))):
        with pytest.raises(CommandExecutionError):
            call(f"hashutil.{function}", *wrong)


def test_random_texts_and_numbers(call: Call) -> None:
    assert len(call("random.get_str")) == 20
    assert set(call("random.get_str", 200, chars="ab")) == {"a", "b"}
    assert set(call("random.get_str", 500, punctuation=False)) <= set(string.ascii_letters + string.digits)
    assert 1 <= call("random.rand_int") <= 10
    assert call("random.rand_int", 1, 1000, seed="x") == call("random.rand_int", 1, 1000, seed="x")
    assert call("random.seed", 60) == call("random.seed", 60) == call("random.seed", 60, hash="minion")
    assert call("random.hash", "x", "md5") == "9dd4e461268c8034f5c8564e155c67a6"
    assert call("random.str_encode", "x") == "eA==\n"
    assert call("random.str_encode", "x", "hex") == "78"
    assert call("random.str_encode", "x", "rot13") == "k"
    assert call("random.shadow_hash").startswith("$6$")
    for function, wrong in (
        ("get_str", (0,)),
        ("rand_int", (2, 1)),
        ("hash", ("x", "md99")),
        ("str_encode", ("x", "nope")),
    ):
        with pytest.raises(CommandExecutionError):
            call(f"random.{function}", *wrong)
    kinds = dict.fromkeys(("lowercase", "uppercase", "digits", "punctuation"), False)
    with pytest.raises(CommandExecutionError, match="no kind of character"):
        call("random.get_str", **kinds)
