"""The program `ctl-run` and RunnerClient against the fake master."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ctl.client import RunnerClient
from ctl.client.cli import run as program

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(master: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `ctl-run` with words; return its exit code and what it printed."""
    monkeypatch.setenv("CTL_CONFIG_DIR", str(master.config.parent))
    master.runners.update(
        {
            "manage.up": lambda: ["web1", "web2"],
            "test.arg": lambda *args, **kwargs: {"args": list(args), "kwargs": kwargs},
            "test.fail": lambda: master.reply("no", retcode=1),
        }
    )

    def call(*words: str) -> tuple[int, str, str]:
        code = program.main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_return_is_printed_bare_and_progress_beside_it(run: Run) -> None:
    assert run("manage.up") == (0, "- web1\n- web2\n", "----------\nstep:\n    1\n")


def test_a_program_reads_only_the_document(run: Run) -> None:
    code, out, err = run("test.arg", "1", "a=b", "--out", "json")
    assert (code, json.loads(out), err) == (0, {"args": [1], "kwargs": {"a": "b"}}, "")


def test_a_failure_is_exit_code_1(run: Run) -> None:
    assert run("test.fail")[0] == 1
    assert run("test.fail", "--quiet") == (1, "", "")


def test_async_prints_the_jid(run: Run) -> None:
    assert run("manage.up", "--async")[1] == "Executed command with job ID: 20240101000000000099\n"
    assert json.loads(run("manage.up", "--async", "--out", "json")[1]) == {"jid": "20240101000000000099"}


def test_documentation(run: Run, master: Any) -> None:
    master.runners["sys.doc"] = lambda *names: dict.fromkeys(names, "Say it.\n")
    assert run("-d", "manage.up")[1] == "manage.up:\n\n    Say it.\n\n"


def test_salts_way_of_naming_an_outputter_is_understood(run: Run, master: Any) -> None:
    chunk = {"name": "a", "changes": {}, "result": True, "comment": "", "__run_num__": 0, "__id__": "a"}
    run_data = {"test_|-a_|-a_|-nop": chunk}
    master.runners["state.orch"] = lambda: {"outputter": "highstate", "data": {"master": run_data}}
    assert "Summary for master" in run("state.orch")[1]


@pytest.mark.parametrize("words", [[], ["-t", "x", "manage.up"], ["manage.up", "--jid", "5"]])
def test_usage_errors_are_exit_code_2(run: Run, words: list[str]) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("ctl-run: ")


def test_the_client_runs_runners(run: Run, master: Any) -> None:
    seen: list[Any] = []
    with RunnerClient(str(master.config)) as client:
        assert client.cmd("manage.up", on_progress=seen.append) == ["web1", "web2"]
        assert client.cmd("test.arg", [1], {"a": 2}) == {"args": [1], "kwargs": {"a": 2}}
        assert client.cmd("test.fail", full_return=True)["retcode"] == 1
        assert client.cmd_sync({"fun": "test.arg", "arg": [1], "b": 3}) == {"args": [1], "kwargs": {"b": 3}}
        assert client.cmd_async({"fun": "manage.up"}) == {
            "jid": "20240101000000000099",
            "tag": "run/20240101000000000099",
        }
        assert client.cmd_async("manage.up")["jid"]
    assert seen == [{"step": 1}]


def test_the_client_takes_settings_in_place_of_a_file(run: Run, master: Any) -> None:
    with RunnerClient({"sock_dir": str(master.socket.parent.parent)}) as client:
        assert client.cmd("manage.up") == ["web1", "web2"]


def test_events_are_printed_as_they_happen(run: Run, master: Any) -> None:
    master.events = [("salt/job/1/new", {"a": 1}), ("minion/web1/x", {"b": "\n"}), ("salt/job/1/ret/web1", {})]
    assert run("state.event", "salt/*", "count=2") == (0, 'salt/job/1/new\t{"a": 1}\nsalt/job/1/ret/web1\t{}\n', "")
    assert run("state.event", "^minion/w.b[0-9]", "count=1")[1] == 'minion/web1/x\t{"b": "\\n"}\n'
    assert run("state.event", "count=3", "quiet=True") == (0, "", "")
    assert run("state.event", "minion/*", "count=1", "pretty=True")[1] == 'minion/web1/x\t{\n    "b": "\\n"\n}\n'


def test_an_argument_that_state_event_has_not_is_named(run: Run) -> None:
    code, out, err = run("state.event", "tagmach=x")
    assert (code, out) == (2, "")
    assert "tagmach" in err
