"""`ctl-minion` as a real process: start, signals, a second instance, the background."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

PROGRAM = Path(sys.executable).parent / "ctl-minion"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    directory = tmp_path / "etc"
    directory.mkdir()
    (directory / "minion").write_text(f"id: m1\nroot_dir: {tmp_path}/root\nmaster: 127.0.0.1\nmaster_port: 1\n")
    return directory


@pytest.fixture
def start(config: Path) -> Iterator[Start]:
    processes: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [PROGRAM, "-c", config, "-l", "info", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        with process:
            process.kill()


def _wait_for(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if text in line:
            return seen
    pytest.fail(f"it ended without saying {text!r}: {seen}")


def test_the_first_signal_ends_it_cleanly_with_all_its_processes(start: Start) -> None:
    process = start()
    _wait_for(process, "started")
    below = psutil.Process(process.pid).children(recursive=True)
    assert below
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    _gone, alive = psutil.wait_procs(below, timeout=5)
    assert not alive


def test_a_kill_leaves_nothing_that_stops_the_next_start(start: Start) -> None:
    process = start()
    _wait_for(process, "started")
    below = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait(10)
    assert not psutil.wait_procs(below, timeout=5)[1]
    _wait_for(start(), "started")


def test_a_second_one_is_refused_with_one_line(start: Start) -> None:
    process = start()
    _wait_for(process, "started")
    second = start("-l", "warning")
    output, _ = second.communicate(timeout=20)
    assert second.returncode == 2
    assert f"another ctl-minion (pid {process.pid}) runs on" in output
    assert output.count("\n") == 1


def test_a_configuration_mistake_is_one_line(config: Path) -> None:
    (config / "minion").write_text("id: m1\nmaster_prot: 1\n")
    done = subprocess.run([PROGRAM, "-c", config], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert "minion:2" in done.stderr
    assert "master_port" in done.stderr
    assert done.stderr.count("\n") == 1


def test_it_runs_in_the_background_with_a_pid_file(config: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    log_file = tmp_path / "log"
    command: list[str | Path] = [
        PROGRAM,
        "-c",
        config,
        "-d",
        "--pid-file",
        pid_file,
        "--log-file",
        log_file,
        "--log-file-level",
        "info",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    pid = int(pid_file.read_text())
    assert os.getsid(pid) != os.getsid(0)
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not psutil.pid_exists(pid)
    assert not pid_file.exists()
    assert "stops: a signal came" in log_file.read_text()


def test_the_version_is_printed() -> None:
    done = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.startswith("ctl-minion ")
