"""The program ctl-master: starts, says why it does not, stops at a signal, is alone on its directory."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctl.common import ipc


def free_ports() -> list[int]:
    with socket.socket() as one, socket.socket() as two:
        for sock in (one, two):
            sock.bind(("127.0.0.1", 0))
        return [one.getsockname()[1], two.getsockname()[1]]


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "etc"
    directory.mkdir()
    ret_port, publish_port = free_ports()
    (directory / "master").write_text(
        f"root_dir: {tmp_path}\ninterface: 127.0.0.1\nret_port: {ret_port}\npublish_port: {publish_port}\n"
    )
    return directory


@pytest.fixture
def start(config_dir: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def run(*words: str, **environment: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "ctl.master.cli", "-c", str(config_dir), *words]
        process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ping(config_dir: Path) -> Any:
    path = config_dir.parent / "run/ctl/master/ctl.sock"
    if not path.exists():
        return None
    try:
        with ipc.connect(path, timeout=5) as client:
            return client.call("ping")
    except OSError:
        return None


def test_it_serves_until_the_first_signal(start: Any, config_dir: Path, wait_until: Any, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        notified.settimeout(20)
        pid_file = tmp_path / "master.pid"
        process = start("-l", "info", "--pid-file", str(pid_file), NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert notified.recv(1000).decode() == f"READY=1\nMAINPID={process.pid}"
        assert ping(config_dir)["pid"] == process.pid
        assert pid_file.read_text() == f"{process.pid}\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert notified.recv(1000) == b"STOPPING=1"
    assert not pid_file.exists()
    assert ping(config_dir) is None
    assert "ctl-master stops: a signal came" in process.stderr.read()


def test_a_second_one_is_refused_with_one_line(start: Any, config_dir: Path, wait_until: Any) -> None:
    first = start()
    wait_until(lambda: ping(config_dir), 20)
    second = start()
    assert second.wait(20) == 2
    lines = second.stderr.read().splitlines()
    assert len(lines) == 1
    assert f"another ctl-master (pid {first.pid})" in lines[0]
    assert ping(config_dir)["pid"] == first.pid


def test_what_a_killed_one_leaves_does_not_stop_the_next(start: Any, config_dir: Path, wait_until: Any) -> None:
    first = start()
    fingerprint = None
    wait_until(lambda: ping(config_dir), 20)
    fingerprint = ping(config_dir)["fingerprint"]
    first.kill()
    first.wait()
    start()
    wait_until(lambda: (ping(config_dir) or {}).get("fingerprint") == fingerprint, 20)


@pytest.mark.parametrize(
    ("setting", "words"),
    [("timeuot: 5\n", ("timeuot", "timeout", "master:5")), ("ret_port: many\n", ("ret_port",)), ("a: [\n", ("YAML",))],
)
def test_a_mistake_in_the_configuration_is_one_line(
    start: Any, config_dir: Path, setting: str, words: tuple[str, ...]
) -> None:
    path = config_dir / "master"
    text = path.read_text()
    path.write_text((text if "ret_port" not in setting else text.replace("ret_port", "# ")) + setting)
    process = start()
    assert process.wait(20) == 2
    (line,) = process.stderr.read().splitlines()
    assert line.startswith("ctl-master: ")
    assert all(word in line for word in words)


def test_a_port_that_is_taken_is_one_line(start: Any, config_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        path = config_dir / "master"
        path.write_text(path.read_text() + "# \n")
        lines = [line for line in path.read_text().splitlines() if not line.startswith("ret_port")]
        path.write_text("\n".join([*lines, f"ret_port: {taken.getsockname()[1]}"]) + "\n")
        process = start()
        assert process.wait(20) == 1
        (line,) = process.stderr.read().splitlines()
        assert f"port {taken.getsockname()[1]}" in line


def test_it_runs_in_the_background(start: Any, config_dir: Path, wait_until: Any) -> None:
    process = start("-d")
    assert process.wait(30) == 0
    pid = ping(config_dir)["pid"]
    assert pid != process.pid
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2], 20)


def test_version() -> None:
    found = subprocess.run([sys.executable, "-m", "ctl.master.cli", "--version"], capture_output=True, text=True)
    assert found.stdout.startswith("ctl-master ")


def test_its_files_are_private(start: Any, config_dir: Path, wait_until: Any, tmp_path: Path) -> None:
    os.umask(0)
    try:
        start()
        wait_until(lambda: ping(config_dir), 20)
    finally:
        os.umask(0o022)
    for place in (tmp_path / "var/lib/ctl", tmp_path / "etc/ctl/pki"):
        for path in place.rglob("*"):
            assert path.is_dir() or path.stat().st_mode & 0o077 == 0, path
    sock = tmp_path / "run/ctl/master/ctl.sock"
    assert sock.stat().st_mode & 0o777 == 0o660
    assert sock.parent.stat().st_mode & 0o007 == 0
