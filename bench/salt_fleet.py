"""Salt 3008.3 from a virtual environment of its own, laid out like a fleet of ours: what the bench compares with."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import fleet

MASTER = "master"


class SaltFleet:
    """A Salt master and minions on the loopback, below `directory`, with every key accepted by itself."""

    def __init__(self, venv: Path, directory: Path, tree: Path) -> None:
        self.bin = venv / "bin"
        self.directory = directory
        self.publish_port, self.request_port = fleet.free_ports(2)
        self.config_dir = directory / "master"
        self.minions: list[str] = []
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.config_dir.mkdir(parents=True)
        (self.config_dir / "master").write_text(
            f"root_dir: {directory}/m\nuser: root\ninterface: 127.0.0.1\npublish_port: {self.publish_port}\n"
            f"ret_port: {self.request_port}\nauto_accept: true\nfile_roots: {{base: [{tree}]}}\n"
        )

    def start(self) -> None:
        """Start the master."""
        self._spawn(MASTER, self.bin / "salt-master", "-c", self.config_dir)

    def add_minion(self, name: str) -> None:
        """Start one more minion."""
        home = self.directory / name
        home.mkdir()
        (home / "minion").write_text(
            f"root_dir: {home}\nuser: root\nid: {name}\nmaster: 127.0.0.1\nmaster_port: {self.request_port}\n"
            f"publish_port: {self.publish_port}\n"
        )
        self.minions.append(name)
        self.start_minion(name)

    def start_minion(self, name: str) -> None:
        """Start a minion that has been stopped."""
        self._spawn(name, self.bin / "salt-minion", "-c", self.directory / name)

    def wait(self) -> None:
        """Wait until every minion answers."""
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            done = self.run("salt", "*", "test.ping", "--out", "txt")
            if done.stdout.count(": True") == len(self.minions):
                return
            time.sleep(0.5)
        raise TimeoutError("Salt's minions did not all answer")

    def run(self, program: str, *words: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run one of Salt's programs."""
        return subprocess.run(
            [self.bin / program, "-c", self.config_dir, *words],
            capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def pid(self, name: str = MASTER) -> int:
        """Return the process id of the master or of a minion."""
        return self._processes[name].pid

    def end(self, name: str = MASTER, number: int = signal.SIGTERM) -> None:
        """End the master or a minion with all its processes, and wait for it."""
        process = self._processes.pop(name)
        _signal_group(process, number)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            _signal_group(process, signal.SIGKILL)
            process.wait()
        _signal_group(process, signal.SIGKILL)  # what did not end with it

    def stop(self) -> None:
        """End everything that was started."""
        for name in reversed(list(self._processes)):
            self.end(name)

    def _spawn(self, name: str, *words: str | Path) -> None:
        log = (self.directory / "log").open("ab")
        with log:
            self._processes[name] = subprocess.Popen(
                [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
