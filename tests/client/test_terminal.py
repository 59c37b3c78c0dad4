"""`ctl` at a terminal: colours, and live progress that leaves nothing behind."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from typing import Any

import pytest
from rich.console import Console

from ctl.client import job
from ctl.client.cli import progress


def _at_a_terminal(master: Any, *words: str, **variables: str) -> tuple[int, str]:
    """Run `ctl` with its output on a pseudo-terminal; return its exit code and what arrived there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "CTL_CONFIG_DIR": str(master.config.parent), "TERM": "xterm", **variables}
    environment.pop("NO_COLOR", None) if "NO_COLOR" not in variables else None
    command = [sys.executable, "-m", "ctl.client.cli.ctl", *words]
    with subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        text = b""
        try:
            while data := os.read(ours, 65536):
                text += data
        except OSError:  # the terminal's other end is closed
            pass
        os.close(ours)
    return process.returncode, text.decode()


def test_colours_are_for_terminals(master: Any) -> None:
    assert "\x1b[0;36mweb1\x1b[0m:" in _at_a_terminal(master, "web1", "test.ping")[1]


@pytest.mark.parametrize(
    ("words", "variables"), [(["--no-color"], {}), ([], {"NO_COLOR": "1"}), ([], {"TERM": "dumb"})]
)
def test_colours_can_be_turned_off(master: Any, words: list[str], variables: dict[str, str]) -> None:
    assert _at_a_terminal(master, "web1", "test.ping", *words, **variables)[1] == "web1:\r\n    True\r\n"


def test_progress_shows_the_minions_and_leaves_the_results(master: Any) -> None:
    master.functions["test.slow"] = lambda: master.reply("done", delay=0.3)
    code, text = _at_a_terminal(master, "*", "test.slow", "-p")
    assert code == 0
    assert "minions" in text
    assert "web1: step one True" in text
    assert text.count("done") == 2


def test_a_job_s_rows_come_and_go() -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=100)
    with progress.show(console) as take:
        take(job.Published("1", (("web1", True), ("web2", False))))
        take(job.Progress("web1", "state", {"name": "[red]\x1b[31mx", "result": True}))
        take(job.Progress("web1", "output", "a line"))
        take(job.Return("web1", "1", "f", True))
        take(job.Absent("web2", "Not connected"))
    assert "2/2" in text.getvalue()
    assert "\x1b[31mx" not in text.getvalue()


@pytest.mark.parametrize(
    ("news", "words"), [({"name": "a", "result": False}, "a False"), ({"line": "x"}, "x"), ("text", "text"), (5, "5")]
)
def test_news_in_a_few_words(news: Any, words: str) -> None:
    assert progress.describe(news) == words
