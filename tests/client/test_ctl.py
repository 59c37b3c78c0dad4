"""The program `ctl`, run in this process against the fake master."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from ctl.client.cli import ctl, program

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(master: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `ctl` with words; return its exit code and what it printed."""
    monkeypatch.setenv("CTL_CONFIG_DIR", str(master.config.parent))

    def call(*words: str) -> tuple[int, str, str]:
        code = ctl.main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_each_return_is_printed_below_its_minion(run: Run) -> None:
    code, out, err = run("*", "test.ping")
    assert (code, sorted(out.splitlines()), err) == (0, ["    True", "    True", "web1:", "web2:"], "")


def test_words_are_read_as_yaml_reads_them(run: Run, master: Any) -> None:
    master.functions["test.any"] = lambda *args, **kwargs: None
    run("web1", "test.any", "5", "text", "[1, a]", "{b: yes}", "x=3", "y=a b", "z={k: 1}", "--no-parse", "x")
    assert master.published()[0] == {
        "fun": "test.any",
        "arg": [5, "text", [1, "a"], {"b": True}],
        "kwarg": {"x": "3", "y": "a b", "z": {"k": 1}},
    }


def test_options_may_stand_anywhere(run: Run, master: Any) -> None:
    assert run("-L", "web1,web2", "-t", "7", "test.echo", "--out", "json", "hi", "--no-queue")[0] == 0
    request = master.of("publish")[0]
    assert (request["tgt"], request["tgt_type"], request["timeout"], request["window"]) == (
        "web1,web2",
        "list",
        7.0,
        0.0,
    )


@pytest.mark.parametrize(
    ("option", "kind"),
    [("-E", "pcre"), ("--list", "list"), ("-G", "grain"), ("-P", "grain_pcre"), ("-I", "pillar"),
     ("-J", "pillar_pcre"), ("-S", "ipcidr"), ("-N", "nodegroup"), ("-C", "compound")],
)  # fmt: skip
def test_kinds_of_targets(run: Run, master: Any, option: str, kind: str) -> None:
    run(option, "web1", "test.ping", "--delimiter", "|")
    assert (master.requests[0]["tgt_type"], master.requests[0]["delimiter"]) == (kind, "|")


def test_several_functions_take_arguments_between_separators(run: Run, master: Any) -> None:
    assert run("web1", "test.echo,test.ping", "a", ",")[0] == 0
    assert master.published()[0] == {"fun": ["test.echo", "test.ping"], "arg": [["a"], []], "kwarg": {}}
    run("web1", "test.echo,test.echo", "text=a,b", "/", "c", "--args-separator", "/")
    assert master.published()[1]["arg"] == [[{"__kwarg__": True, "text": "a,b"}], ["c"]]


def test_too_many_groups_of_arguments_are_an_error(run: Run) -> None:
    assert run("web1", "test.ping,test.ping", ",", ",")[0] == 2


def test_a_minion_that_is_away_is_named_at_once_and_makes_the_exit_code_1(run: Run, master: Any) -> None:
    master.minions["web2"] = False
    code, out, err = run("*", "test.ping")
    assert code == 1
    assert out == "web2:\n    Minion did not return. [Not connected]\nweb1:\n    True\n"
    assert err == "web2: not connected; runs if back within 60 s\n"


def test_ids_of_a_list_that_nobody_has_are_named(run: Run, master: Any) -> None:
    code, out, _ = run("-L", "web1, web9", "test.ping", "--summary")
    assert code == 1
    assert "web9:\n    Minion did not return. [No accepted key has this id]" in out
    assert "Targeted:       2" in out
    code, out, _ = run("-L", "web1,web9", "test.ping", "--out", "json", "--static")
    assert (code, json.loads(out)) == (
        1,
        {"web1": True, "web9": "Minion did not return. [No accepted key has this id]"},
    )
    assert run("-L", "web1,web9", "test.ping", "--subset", "1")[0] == 0


def test_a_command_is_text(run: Run, master: Any) -> None:
    master.functions["cmd.run"] = lambda *args, **kwargs: None
    run("web1", "cmd.run", "[ -f /etc/passwd ]", "timeout=3")
    assert master.published()[0] == {"fun": "cmd.run", "arg": ["[ -f /etc/passwd ]"], "kwarg": {"timeout": 3}}


def test_hidden_minions_still_count(run: Run, master: Any) -> None:
    master.minions["web2"] = False
    code, out, _ = run("*", "test.ping", "--hide-timeout")
    assert (code, out) == (1, "web1:\n    True\n")
    assert json.loads(run("*", "test.ping", "--hide-timeout", "--static", "--out", "json")[1]) == {"web1": True}


def test_without_a_queue_nothing_is_promised(run: Run, master: Any) -> None:
    master.minions["web2"] = False
    assert run("*", "test.ping", "--no-queue")[2] == "web2: not connected\n"


def test_a_function_that_fails_makes_the_exit_code_1(run: Run, master: Any) -> None:
    master.functions["test.fail"] = lambda: master.reply("no", retcode=1)
    assert run("web1", "test.fail")[:2] == (1, "web1:\n    no\n")


def test_json_is_one_document_for_each_return_and_one_in_all_with_static(run: Run, master: Any) -> None:
    code, out, err = run("*", "test.ping", "--out", "json", "--out-indent=-1", "-v", "--summary")
    assert sorted(out.splitlines()) == ['{"web1": true}', '{"web2": true}']
    assert "jid: 2024" in err
    master.minions["web2"] = False
    code, out, err = run("*", "test.ping", "--out", "json", "--static")
    assert json.loads(out) == {"web1": True, "web2": "Minion did not return. [Not connected]"}
    assert (code, err) == (1, "")


def test_yaml_static(run: Run) -> None:
    assert yaml.safe_load(run("*", "test.ping", "--out", "yaml", "-s")[1]) == {"web1": True, "web2": True}


def test_static_sorts_by_minion(run: Run, master: Any) -> None:
    master.functions["test.each"] = lambda: {"web1": master.reply(1, delay=0.1), "web2": master.reply(2)}
    assert run("*", "test.each", "--static")[1] == "web1:\n    1\nweb2:\n    2\n"


def test_state_runs_print_as_states(run: Run, master: Any) -> None:
    chunk = {"name": "a", "changes": {}, "result": True, "comment": "", "__run_num__": 0, "__id__": "a"}
    master.functions["state.apply"] = lambda *_: {"test_|-a_|-a_|-nop": chunk}
    out = run("web1", "state.apply", "--state-output=terse")[1]
    assert "  Name: a - Function: test.nop - Result: Clean\n" in out
    assert "Summary for web1" in out
    assert run("web1", "state.apply", "--state-verbose=false")[1].startswith("web1:\n\nSummary")


def test_nothing_matching_is_exit_code_2(run: Run) -> None:
    code, out, err = run("db*", "test.ping")
    assert (code, out, err) == (2, "", "ctl: no minion matches the target\n")


def test_a_mistaken_target_shows_its_place(run: Run) -> None:
    code, _, err = run("-C", "(", "test.ping")
    assert code == 2
    assert err == "ctl: a parenthesis is not closed\n  (\n  ^\n"


USAGE = [
    ([], "a target and a function are needed"),
    (["*"], "a function is needed after the target '*'"),
    (["*", "test.ping", "--stati"], "did you mean --static?"),
    (["*", "test.ping", "-t", "soon"], "takes a time in seconds, not 'soon'"),
    (["*", "test.ping", "-t", "-1"], "takes a time in seconds"),
    (["*", "test.ping", "-b", "x"], "takes a number of minions or a share of them"),
    (["*", "test.ping", "--subset", "0"], "takes a number from 1 on"),
    (["*", "test.ping", "--out", "jsn"], "did you mean json?"),
    (["*", "test.ping", "-a", "pam"], "there is no terminal to ask for a password on"),
    (["*", "test.ping", "--return_config", "mysql"], "the minion's configuration"),
    (["*", "test.ping", "--async", "-b", "1"], "do not go together"),
    (["*", "test.ping", "--failhard"], "--failhard is for batches"),
    (["*", "test.ping", "--state-verbose", "maybe"], "takes true or false"),
    (["*", "test.ping", "--state-output", "tarse_id"], "did you mean terse?"),
    (["*", "test.ping", "--wait", "--no-queue"], "do not go together"),
    (["*", "test.ping", "--zzzz"], "--help lists the options"),
    (["*", "test.ping", "-c", "/no/such/place"], "there is no directory /no/such/place"),
]


@pytest.mark.parametrize(("words", "sentence"), USAGE)
def test_usage_errors_are_exit_code_2_and_say_what_is_wrong(run: Run, words: Sequence[str], sentence: str) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.startswith("ctl: ")
    assert err.count("\n") == 1


def test_an_error_of_the_system_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def work(words: list[str]) -> int:
        raise PermissionError(13, "Permission denied", "/etc/ctl")

    assert program.run("ctl-call", work, ["test.ping"]) == 2
    assert capsys.readouterr().err == "ctl-call: /etc/ctl: Permission denied\n"
    with pytest.raises(PermissionError):
        program.run("ctl-call", work, ["--hard-crash"])


def test_no_master_is_exit_code_2(run: Run, tmp_path: Path) -> None:
    code, _, err = run("*", "test.ping", "-c", str(tmp_path))
    assert code == 2
    assert "no master" in err


def test_async_prints_the_jid_and_does_not_wait(run: Run, master: Any) -> None:
    code, out, _ = run("*", "test.ping", "--async")
    assert (code, out) == (0, "Executed command with job ID: 20240101000000000001\n")
    assert master.of("publish")[0]["follow"] is False
    found = json.loads(run("*", "test.ping", "--async", "--out", "json")[1])
    assert found == {"jid": "20240101000000000002", "minions": ["web1", "web2"]}


def test_the_jid_is_shown_where_it_is_asked_for(run: Run) -> None:
    assert run("web1", "test.ping", "--show-jid")[1].startswith("jid: 2024")
    assert run("web1", "test.ping", "-v")[1].splitlines()[1] == "minions: web1"


def test_a_batch_reports_all_and_skips_who_is_away(run: Run, master: Any) -> None:
    master.minions = {"m1": True, "m2": True, "m3": True, "away": False}
    code, out, err = run("*", "test.ping", "-b", "1", "--out", "json", "-s")
    assert json.loads(out) == {"m1": True, "m2": True, "m3": True, "away": "Minion did not return. [Not connected]"}
    assert (code, err) == (1, "")
    assert [request["tgt"] for request in master.of("publish")] == [["m1"], ["m2"], ["m3"]]


def test_a_batch_with_failhard_names_who_was_not_run(run: Run, master: Any) -> None:
    master.functions["test.fail"] = lambda: master.reply("no", retcode=1)
    code, out, _ = run("*", "test.fail", "-b", "1", "--failhard")
    assert (code, out) == (1, "web1:\n    no\nweb2:\n    Minion did not return. [Not run: an earlier minion failed]\n")


def test_many_minions_are_batched_where_that_is_asked_for(run: Run, master: Any) -> None:
    assert run("*", "test.ping", "--batch-safe-limit", "2", "--batch-safe-size", "1")[0] == 0
    assert len(master.of("publish")) == 2
    assert run("*", "test.ping", "--batch-safe-limit", "3")[0] == 0
    assert len(master.of("publish")) == 3


def test_a_preview_runs_nothing(run: Run, master: Any) -> None:
    master.minions["web2"] = False
    assert run("*", "--preview-target")[:2] == (0, "- web1\n- web2\n")
    assert run("*", "--preview-target", "-v")[1] == "web1:\n    connected\nweb2:\n    not connected\n"
    assert json.loads(run("*", "--preview-target", "--out", "json")[1]) == ["web1", "web2"]
    assert run("db*", "--preview-target")[0] == 2
    assert not master.of("publish")


def test_documentation_is_printed_once(run: Run, master: Any) -> None:
    master.functions["sys.doc"] = lambda *names: dict.fromkeys(names, "\n    Say hello.\n\n    More.\n")
    code, out, _ = run("*", "-d", "test.ping")
    assert (code, out) == (0, "test.ping:\n\n        Say hello.\n\n        More.\n\n")
    assert [job["arg"] for job in master.published()] == [["test.ping"]]
    assert json.loads(run("web1", "sys.doc", "test.ping", "--out", "json")[1])["web1"]["test.ping"]


def test_where_no_documentation_is_that_is_said(run: Run, master: Any) -> None:
    master.functions["sys.doc"] = lambda *names: {}
    code, out, err = run("*", "-d", "test.pign")
    assert (code, out) == (0, "")
    assert "no documentation for 'test.pign'" in err


def test_a_summary_counts(run: Run, master: Any) -> None:
    master.minions["web2"] = False
    out = run("*", "test.ping", "--summary")[1]
    assert "Targeted:       2\nReturned:       1\nFailed:         0\nDid not return: 1 (web2)\n" in out


def test_more_words_come_from_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch, master: Any) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("two words\n--out=json\n"))
    assert json.loads(run("web1", "test.echo", "--args-stdin")[1]) == {"web1": "two words"}


def test_results_go_to_a_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "out"
    assert run("web1", "test.ping", "--out-file", str(file))[1] == ""
    run("web2", "test.ping", "--out-file", str(file), "--out-file-append", "--force-color")
    assert file.read_text() == "web1:\n    True\n\x1b[0;36mweb2\x1b[0m:\n    \x1b[0;1;33mTrue\x1b[0m\n"
    assert run("web1", "test.ping", "--out-file", str(tmp_path / "no" / "out"))[0] == 2


def test_what_a_minion_sends_cannot_drive_the_terminal(run: Run, master: Any) -> None:
    master.functions["test.evil"] = lambda: "\x1b]0;owned\x07"
    assert run("web1", "test.evil")[1] == "web1:\n    \\x1b]0;owned\\x07\n"


def test_quiet_prints_nothing(run: Run, master: Any) -> None:
    master.minions["web2"] = False
    assert run("*", "test.ping", "--out", "quiet", "-v") == (1, "", "")


def test_progress_does_nothing_where_no_terminal_is(run: Run, master: Any) -> None:
    assert run("web1", "test.ping", "-p") == (0, "web1:\n    True\n", "")
    assert master.of("publish")[0]["progress"] is True


def test_metadata_is_kept_with_the_job(run: Run, master: Any) -> None:
    from ctl.common.payload import unpack_payload

    run("web1", "test.ping", "--metadata", "{ticket: 7}")
    assert unpack_payload(master.of("publish")[0]["metadata"]) == {"ticket": 7}


def test_the_configuration_can_be_dumped(run: Run) -> None:
    assert yaml.safe_load(run("--config-dump")[1])["publish_port"] == 4605


@pytest.mark.parametrize("words", [["--version"], ["--version", "-v"]])
def test_version(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = ctl.main(words)
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 0
    assert capsys.readouterr().out.startswith("ctl ")


def test_versions_report(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        ctl.main(["-V"])
    out = capsys.readouterr().out
    assert "Python:" in out
    assert "msgpack:" in out


def test_help_lists_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        ctl.main(["--help"])
    assert stop.value.code == 0
    assert "--batch-wait" in capsys.readouterr().out


def _spawn(master: Any, *words: str, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "CTL_CONFIG_DIR": str(master.config.parent)}
    command = [sys.executable, "-m", "ctl.client.cli.ctl", *words]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def test_ctrl_c_says_how_to_look_the_job_up(master: Any) -> None:
    master.functions["test.each"] = lambda: {"web1": master.reply(1), "web2": master.reply(2, never=True)}
    with _spawn(master, "*", "test.each") as process:
        assert process.stdout is not None
        assert [process.stdout.readline(), process.stdout.readline()] == ["web1:\n", "    1\n"]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert out == ""
    assert "The job 20240101000000000001 goes on" in err
    assert "ctl-run jobs.lookup_jid 20240101000000000001" in err


def test_a_master_that_ends_meanwhile_leaves_the_jid(master: Any) -> None:
    master.functions["test.each"] = lambda: {"web1": master.reply(1), "web2": master.reply(2, never=True)}
    with _spawn(master, "*", "test.each", "--out", "json") as process:
        assert process.stdout is not None
        assert "".join(process.stdout.readline() for _ in range(3)) == '{\n    "web1": 1\n}\n'
        master.close()
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    assert "closed the connection" in err
    assert "ctl-run jobs.lookup_jid 20240101000000000001" in err


def test_a_reader_that_goes_away_is_no_error(master: Any) -> None:
    master.functions["test.slow"] = lambda: master.reply("x" * 100_000, delay=0.2)
    with _spawn(master, "*", "test.slow") as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=20)
    assert err == ""
    assert process.returncode == 1


def test_an_answer_takes_no_longer_than_it_must(master: Any) -> None:
    started = time.monotonic()
    with _spawn(master, "*", "test.ping") as process:
        process.communicate(timeout=20)
    assert process.returncode == 0
    assert time.monotonic() - started < 2.0
