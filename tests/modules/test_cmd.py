"""`cmd`: what is run, by whom, with which environment, and what comes back."""

from __future__ import annotations

import inspect
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ctl.common.context import Context
from ctl.common.errors import ArgumentError, CommandExecutionError, CommandNotFoundError
from ctl.modules import _command, cmd

Call = Callable[..., Any]


def test_run_returns_both_streams_without_the_last_newline(call: Call) -> None:
    assert call("cmd.run", "echo out; echo err >&2", python_shell=True) == "out\nerr"
    assert call("cmd.run", "echo out", rstrip=False) == "out\n"


def test_run_all_keeps_the_streams_apart_and_sets_the_jobs_exit_code(call: Call, context: Context) -> None:
    result = call("cmd.run_all", "echo out; echo err >&2; exit 3", python_shell=True)
    assert result.pop("pid") > 0
    assert result == {"retcode": 3, "stdout": "out", "stderr": "err"}
    assert context.scratch["retcode"] == 3


def test_stdout_stderr_and_retcode_alone(call: Call) -> None:
    words = ["sh", "-c", "echo out; echo err >&2; exit 3"]
    assert call("cmd.run_stdout", words) == "out"
    assert call("cmd.run_stderr", words) == "err"
    assert call("cmd.retcode", words) == 3
    assert call("cmd.run_all", words, redirect_stderr=True)["stdout"] == "out\nerr"


def test_a_text_from_a_plugin_is_split_into_words_not_run_by_a_shell(call: Call, tmp_path: Path) -> None:
    assert call("cmd.run", f"echo 'a b' ; touch {tmp_path}/x $(id)") == f"a b ; touch {tmp_path}/x $(id)"
    assert not (tmp_path / "x").exists()


def test_a_text_that_a_person_published_is_run_by_a_shell(call: Call, context: Context) -> None:
    context.fun = "cmd.run"
    assert call("cmd.run", "echo a | tr a b") == "b"
    assert call("cmd.run", "echo a | tr a b", python_shell=False) == "a | tr a b"
    context.fun = ["test.ping", "cmd.run"]
    assert call("cmd.run", "echo a | tr a b") == "b"
    context.fun = "mymodule.work"
    assert call("cmd.run", "echo a | tr a b") == "a | tr a b"


def test_shell_always_uses_one_and_a_list_never_needs_one(call: Call, context: Context) -> None:
    context.fun = "cmd.run"
    assert call("cmd.shell", "echo a | tr a b") == "b"
    assert call("cmd.run", ["echo", "$HOME;", "x"]) == "$HOME; x"
    assert call("cmd.run", ["echo", "$HOME;", "x"], python_shell=True) == "$HOME; x"


def test_the_word_true_is_a_command(call: Call) -> None:
    assert call("cmd.retcode", True) == 0
    assert call("cmd.retcode", False) == 1


def test_environment_is_added_or_replaces(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    text = 'echo "$KEPT-$GIVEN-$NUMBER-$EMPTY-$NOTIFY_SOCKET"'
    env = [{"GIVEN": "a b"}, {"NUMBER": 7}, {"EMPTY": None}]
    assert call("cmd.shell", text, env=env) == "1-a b-7--"
    assert call("cmd.shell", text, env={"GIVEN": "x"}, clean_env=True) == "-x---"
    assert call("cmd.shell", "echo $PATH", prepend_path="/opt/bin").startswith("/opt/bin:")


def test_the_locale_is_neutral_unless_chosen(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    text = 'echo "$LC_ALL,$LANG,$LC_TIME"'
    assert call("cmd.shell", text) == ",C.UTF-8,C.UTF-8"
    assert call("cmd.shell", text, env={"LANG": "fr_FR.UTF-8"}) == ",fr_FR.UTF-8,"
    assert call("cmd.shell", text, reset_system_locale=False).startswith("de_DE.UTF-8,")


def test_directory_umask_input_and_encoding(call: Call, tmp_path: Path) -> None:
    assert call("cmd.run", "pwd", cwd=tmp_path) == str(tmp_path)
    assert call("cmd.shell", "umask", umask="027") == "0027"
    assert call("cmd.shell", "umask", umask=27) == "0027"
    assert call("cmd.run", "cat", stdin="given") == "given"
    assert call("cmd.run", ["printf", r"\344"], output_encoding="latin-1") == "ä"
    assert call("cmd.run", ["printf", r"\344"]) == "\N{REPLACEMENT CHARACTER}"


def test_the_output_is_limited_by_configuration(call: Call, context: Context) -> None:
    context.config = {"output_max_bytes": 100}
    output = call("cmd.run", ["seq", "1000"])
    assert output.startswith("1\n2\n")
    assert output.endswith("999\n1000")
    assert "bytes left out, the limit is 100 bytes" in output


def test_success_can_be_more_than_zero(call: Call, context: Context) -> None:
    for given in ({"success_retcodes": [3]}, {"success_stdout": "out"}, {"success_stderr": ["x", "err"]}):
        result = call("cmd.run_all", ["sh", "-c", "echo out; echo err >&2; exit 3"], **given)
        assert result["retcode"] == 0
        assert context.scratch["retcode"] == 0
    assert call("cmd.retcode", ["sh", "-c", "exit 3"], ignore_retcode=True) == 3
    assert context.scratch["retcode"] == 0


def test_raise_err_carries_the_commands_words(call: Call) -> None:
    with pytest.raises(CommandExecutionError, match="exit code 3: why"):
        call("cmd.run", ["sh", "-c", "echo why >&2; exit 3"], raise_err=True)
    with pytest.raises(CommandExecutionError, match="its output is hidden"):
        call("cmd.run", ["sh", "-c", "echo why >&2; exit 3"], raise_err=True, hide_output=True)


def test_a_timeout_stops_the_group_and_says_so(call: Call, context: Context) -> None:
    result = call("cmd.run_all", "echo begun; sleep 300 & sleep 300", python_shell=True, timeout=0.3)
    assert result["stdout"] == "begun\nTimed out after 0.3 seconds"
    assert result["retcode"] == context.scratch["retcode"] == _command.TIMED_OUT_RETCODE


def test_in_the_background_only_the_pid_comes_back(call: Call, tmp_path: Path) -> None:
    for name in ("cmd.run", "cmd.run_all", "cmd.run_bg"):
        more = {} if name == "cmd.run_bg" else {"bg": True}
        pid = call(name, f"sleep 0.1; echo done >>{tmp_path}/mark", python_shell=True, **more)["pid"]
        assert psutil.Process(pid).ppid() != os.getpid()
    deadline = time.monotonic() + 10
    while not (tmp_path / "mark").exists() or (tmp_path / "mark").read_text() != "done\n" * 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_secrets_stay_out_of_the_log(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    call("cmd.run", ["echo", "canary-arg"], env={"X": "canary-env"}, stdin="canary-stdin")
    with pytest.raises(CommandNotFoundError):
        call("cmd.run", ["no-such-program", "canary-arg"])
    assert "canary" not in caplog.text
    call("cmd.run", ["echo", "asked for"], output_loglevel="info")
    assert "asked for" in caplog.text
    assert call("cmd.run_all", ["echo", "x"], hide_output=True)["stdout"] == ""


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        (("echo 'open",), {}, "cannot be split into words"),
        ((" ",), {}, "empty"),
        (("pwd",), {"cwd": "relative"}, "not an absolute path"),
        (("pwd",), {"cwd": "/no/such/place"}, "does not exist"),
        (("pwd",), {"umask": "999"}, "octal"),
        (("pwd",), {"runas": "nobody-such"}, "no user"),
        (("pwd",), {"shell": "/bin/nosuchsh", "python_shell": True}, "shell /bin/nosuchsh"),
        (("pwd",), {"output_encoding": "klingon"}, "klingon"),
    ],
)
def test_a_wrong_option_is_explained(call: Call, args: Any, kwargs: Any, words: str) -> None:
    with pytest.raises(CommandExecutionError, match=words):
        call("cmd.run", *args, **kwargs)


def test_an_unknown_option_is_named_before_anything_runs(call: Call, context: Context) -> None:
    with pytest.raises(ArgumentError, match="did you mean 'runas'"):
        call("cmd.run", "true", runa="x")
    with pytest.raises(ArgumentError, match=r"no option runa \(did you mean runas"):
        context.call("cmd.run", "true", runa="x")


def test_every_option_is_in_the_signature() -> None:
    parameters = inspect.signature(cmd.run).parameters
    assert list(parameters)[:5] == ["cmd", "cwd", "stdin", "runas", "bg"]
    assert {"timeout", "success_retcodes", "prepend_path"} < set(parameters)
    assert not any(p.kind is p.VAR_KEYWORD for p in parameters.values())


@pytest.mark.root
def test_runas_has_the_users_groups_home_and_names(call: Call) -> None:
    assert call("cmd.run", "id -un; id -G", runas="nobody", python_shell=True) == "nobody\n65534"
    text = 'echo "$HOME $USER $LOGNAME"; pwd'
    assert call("cmd.shell", text, runas="nobody") == "/nonexistent nobody nobody\n/"
    assert call("cmd.run", "id -gn", runas="nobody", group="daemon") == "daemon"


@pytest.mark.root
def test_a_script_runs_as_another_user(call: Call, tree: Path) -> None:
    (tree / "who.sh").write_text("#!/bin/sh\nid -un; pwd\n")
    assert call("cmd.script", tree / "who.sh", runas="nobody")["stdout"].startswith("nobody\n")


def test_a_script_gets_its_arguments_and_its_interpreter(call: Call, tree: Path) -> None:
    (tree / "a.sh").write_text('#!/bin/sh\necho "$1|$2"; exit 4\n')
    assert call("cmd.script", tree / "a.sh", args='one "two words"')["stdout"] == "one|two words"
    assert call("cmd.script", tree / "a.sh", ["one", "$(id)"])["stdout"] == "one|$(id)"
    assert call("cmd.script_retcode", str(tree / "a.sh")) == 4
    (tree / "plain").write_text("echo plain $0\n")
    assert call("cmd.script", tree / "plain")["stdout"].startswith("plain /")
    with pytest.raises(CommandExecutionError, match="there is no script /no/such"):
        call("cmd.script", "/no/such")


def test_a_script_of_the_tree_is_fetched(call: Call, context: Context, tree: Path) -> None:
    (tree / "b.sh").write_text("echo from the tree\n")
    asked = []

    def cache_file(source: str, saltenv: str) -> str:
        asked.append((source, saltenv))
        return str(tree / "b.sh")

    context.functions = {**{name: context.functions[name] for name in ("cmd.script",)}, "cp.cache_file": cache_file}
    assert call("cmd.script", "salt://b.sh")["stdout"] == "from the tree"
    assert asked == [("salt://b.sh", "base")]


def test_code_is_run_by_its_interpreter(call: Call) -> None:
    assert call("cmd.exec_code", "python3", "import sys\nprint(sys.argv[1])", args="x") == "x"
    result = call("cmd.exec_code_all", "sh", ["echo out", "exit 3"])
    assert (result["stdout"], result["retcode"]) == ("out", 3)


@pytest.mark.root
def test_chroot_runs_inside_of_the_new_root(call: Call) -> None:
    assert call("cmd.run_chroot", "/", "pwd", cwd="/etc")["stdout"] == "/etc"
    with pytest.raises(CommandExecutionError, match="does not exist"):
        call("cmd.run_chroot", "/no/such/root", "pwd")


def test_programs_and_shells_are_found(call: Call) -> None:
    assert call("cmd.which", "sh").endswith("/sh")
    assert call("cmd.which", "no-such-program") is None
    assert call("cmd.which_bin", ["no-such-program", "sh"]).endswith("/sh")
    assert call("cmd.has_exec", "sh")
    assert not call("cmd.has_exec", "no-such-program")
    assert cmd._parse_shells("# comment\n\n/bin/sh\n/bin/bash\n") == ["/bin/sh", "/bin/bash"]
    assert "/bin/sh" in call("cmd.shells")
