"""Start and stop a master and minions as real processes in one directory: for the demo, the bench and the tests."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
START_SECONDS = 30.0
STOP_SECONDS = 15.0


def free_ports(count: int) -> list[int]:
    """Find ports of the loopback that nothing listens on."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            sock = stack.enter_context(socket.socket())
            sock.bind(("127.0.0.1", 0))
            found.append(sock.getsockname()[1])
        return found


def process_start(pid: int) -> str | None:
    """Return when a process started, as the kernel counts it; None where it is gone. A pid alone may be another's."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


class Daemon:
    """One daemon that runs from a configuration directory below `home`."""

    def __init__(self, home: Path, program: str, settings: Mapping[str, Any]) -> None:
        self.home = home
        self.program = program
        self.config_dir = home / "etc"
        self.log = home / "log"
        self.pid = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.config_dir.mkdir(parents=True, exist_ok=True)
        name = program.removeprefix("ctl-")
        # JSON is YAML, too
        lines = [f"{key}: {json.dumps(value)}\n" for key, value in {"root_dir": str(home), **settings}.items()]
        (self.config_dir / name).write_text("".join(lines))

    def start(self, *options: str) -> None:
        """Start it; its output goes to the file `log`."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [BIN / self.program, "-c", self.config_dir, "-l", "info", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        """Ask it to stop (or kill it, with SIGKILL), wait, and return its exit code."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        self._process = None
        return code


class Fleet:
    """One master and minions on the loopback, each with a home of its own below `directory`."""

    def __init__(self, directory: Path, *, master: Mapping[str, Any] | None = None) -> None:
        self.directory = directory
        self.publish_port, self.request_port = free_ports(2)
        settings = {
            "interface": "127.0.0.1",
            "publish_port": self.publish_port,
            "ret_port": self.request_port,
            "trusted_networks": ["127.0.0.0/8"],
            "pending_per_source": 1000,
            "file_roots": {"base": [str(directory / "srv")]},
            "pillar_roots": {"base": [str(directory / "pillar")]},
        }
        self.master = Daemon(directory / "master", "ctl-master", {**settings, **(master or {})})
        self.minions: dict[str, Daemon] = {}

    @property
    def config_dir(self) -> Path:
        """The master's configuration directory: what `ctl -c` wants."""
        return self.master.config_dir

    def add_minion(self, name: str, settings: Mapping[str, Any] | None = None) -> Daemon:
        """Make the configuration of a minion; `start()` it to have it run."""
        own = {"id": name, "master": "127.0.0.1", "master_port": self.request_port, **(settings or {})}
        self.minions[name] = Daemon(self.directory / name, "ctl-minion", own)
        return self.minions[name]

    def run(self, *words: str | Path, timeout: float = 60.0, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program of ctl against this master (`ctl`, `ctl-key`, `ctl-run`) and return what it printed."""
        program, *rest = words
        return subprocess.run(
            [BIN / program, "-c", self.config_dir, *rest],
            capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL, **options,
        )  # fmt: skip

    def wait_for_master(self) -> None:
        """Wait until the master answers its clients."""
        self._wait(lambda: self.run("ctl-run", "manage.up").returncode == 0, "the master to answer")

    def fingerprints(self) -> dict[str, str]:
        """Ask each minion's own side for the fingerprint of its key."""
        found = {}
        for name, daemon in self.minions.items():
            self._wait((daemon.home / "etc/ctl/pki/minion.pem").exists, f"the key of {name}")
            printed = subprocess.run(
                [BIN / "ctl-call", "-c", daemon.config_dir, "--local", "key.finger", "--out", "json"],
                capture_output=True, text=True, timeout=30, check=True,
            )  # fmt: skip
            found[name] = json.loads(printed.stdout)["local"]
        return found

    def accept(self) -> None:
        """Accept every minion's key by its fingerprint, once it has asked, and wait until all are connected."""
        for name, fingerprint in self.fingerprints().items():
            self._wait(functools.partial(self._accepted, name, fingerprint), f"the key of {name} to be accepted")
        self.wait_connected(list(self.minions))

    def _accepted(self, name: str, fingerprint: str) -> bool:
        self.run("ctl-key", "--yes", "--accept", "*", "--fingerprint", fingerprint)
        return name in json.loads(self.run("ctl-key", "-L", "--out", "json").stdout)["minions"]

    def wait_connected(self, names: Sequence[str]) -> None:
        """Wait until the master names these minions as connected."""

        def connected() -> bool:
            up = self.run("ctl-run", "manage.up", "--out", "json")
            return up.returncode == 0 and set(names) <= set(json.loads(up.stdout))

        self._wait(connected, f"{', '.join(names)} to connect")

    def start(self) -> None:
        """Start everything, accept the keys, and wait until all minions are connected."""
        self.master.start()
        for daemon in self.minions.values():
            daemon.start()
        self.wait_for_master()
        self.accept()

    def stop(self) -> None:
        """Stop everything that runs; minions first."""
        for daemon in [*self.minions.values(), self.master]:
            daemon.stop()

    def write_pids(self) -> None:
        """Note which processes belong to this fleet, so that another program can stop them."""
        daemons = [*self.minions.values(), self.master]
        pids = [[daemon.pid, process_start(daemon.pid)] for daemon in daemons]
        (self.directory / "pids.json").write_text(json.dumps(pids))

    def _wait(self, condition: Any, what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                logs = "".join(f"\n--- {d.home.name}\n{_tail(d.log)}" for d in [self.master, *self.minions.values()])
                raise TimeoutError(f"waited {START_SECONDS:.0f} s in vain for {what}{logs}")
            time.sleep(0.02)


def _tail(path: Path, lines: int = 20) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


def stop_noted(directory: Path) -> int:
    """Stop the processes that `write_pids` noted, if they are still the same ones; return how many there were."""
    note = directory / "pids.json"
    if not note.exists():
        return 0
    same = [pid for pid, started in json.loads(note.read_text()) if started and process_start(pid) == started]
    for pid in same:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while any(process_start(pid) for pid in same) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in same:
        if process_start(pid):
            os.kill(pid, signal.SIGKILL)
    note.unlink()
    return len(same)
