"""The front of a daemon's program, on a minion whose master is away: background, pid files, log files."""

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

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Run `ctl-minion` below the test's directory; what it left running is ended at the end."""
    config = tmp_path / "etc"
    config.mkdir()
    (config / "minion").write_text(f"id: m1\nroot_dir: {tmp_path}/root\nmaster: 127.0.0.1\nmaster_port: 1\n")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ctl.minion.cli", "-c", str(config), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    yield run
    lock = tmp_path / "root/var/lib/ctl/minion/lock"
    if lock.exists() and lock.read_text().strip():
        end(int(lock.read_text()))


def end(pid: int) -> None:
    """End a daemon and wait until it is gone."""
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 15
    while psutil.pid_exists(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not psutil.pid_exists(pid)


def test_in_the_background_it_has_a_log_file_and_a_pid_file(run: Run, tmp_path: Path) -> None:
    done = run("-d", "-l", "info")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pid_file = tmp_path / "root/run/ctl/ctl-minion.pid"
    pid = int(pid_file.read_text())
    assert "minion m1 started" in (tmp_path / "root/var/log/ctl/minion").read_text()
    end(pid)
    assert not pid_file.exists()


def test_a_second_one_leaves_the_pid_file_alone(run: Run, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    assert run("-d", "--pid-file", str(pid_file)).returncode == 0
    pid = pid_file.read_text()
    for words in (["-d"], []):
        done = run(*words, "--pid-file", str(pid_file))
        assert done.returncode == 2
        assert f"another ctl-minion (pid {pid.strip()}) runs on" in done.stderr.splitlines()[-1]
        assert pid_file.read_text() == pid


def test_what_prevents_it_is_said_before_it_goes_to_the_background(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("-d", "--log-file", str(tmp_path / "file/log"))
    assert done.returncode == 2
    assert done.stderr.startswith("ctl-minion: log_file: ")
    assert done.stderr.count("\n") == 1
    done = run("-c", str(tmp_path / "nowhere"))
    assert (done.returncode, done.stderr) == (2, f"ctl-minion: -c: there is no directory {tmp_path}/nowhere\n")
    done = run("-d", "--pid-file", str(tmp_path / "file/pid"))
    assert done.returncode == 2
    assert "pidfile: " in done.stderr
    assert "cannot be written" in done.stderr
