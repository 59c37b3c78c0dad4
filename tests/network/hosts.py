"""A master and a minion on two hosts: network namespaces with a wire between them that can be broken in many ways."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from ctl.client import job
from ctl.client.local import LocalClient
from ctl.common.errors import CtlError
from ctl.tests.durability.arena import COMMON, Program, lines

MINION = "m0"
PORTS = {"publish_port": 4605, "ret_port": 4606}
WORKLOAD = Path(__file__).parents[1] / "durability" / "workload"
NOWHERE = "02:00:00:00:00:01"  # a hardware address that nobody has: what is sent to it is lost without a word


def missing(*, netem: bool = False) -> str:
    """Say what is missing here to make namespaces, or to impair a wire; empty where nothing is."""
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    if shutil.which("ip") is None or shutil.which("tc") is None:
        return "iproute2 is not installed here"
    name = f"ctl-try-{os.getpid()}"
    if (tried := _ip("netns", "add", name)).returncode != 0:
        return f"network namespaces cannot be made here: {tried.stderr.strip()}"
    try:
        return _impair(name, "lo", "delay", "1ms") if netem else ""
    finally:
        _ip("netns", "delete", name)


def _impair(namespace: str, device: str, *how: str) -> str:
    """Have what a device sends delayed, lost, doubled (words of `tc netem`); return why that cannot be done."""
    done = subprocess.run(
        ["tc", "-n", namespace, "qdisc", "replace", "dev", device, "root", "netem", *how],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return f"netem is missing here: {done.stderr.strip()}" if done.returncode != 0 else ""


def _ip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=False)


class Hosts:
    """Two namespaces with a wire, the master in one and the minion in the other; clients reach the master's socket."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._names = {side: f"ctl-{os.getpid()}-{side}" for side in ("master", MINION)}
        self.addresses = {"master": "10.213.0.1", MINION: "10.213.0.2"}
        self._stack = contextlib.ExitStack()
        self._number = 0
        self.programs: dict[str, Program] = {}

    def __enter__(self) -> Hosts:
        with contextlib.ExitStack() as stack:
            for name in self._names.values():
                self._do("netns", "add", name)
                stack.callback(_ip, "netns", "delete", name)
            master, minion = self._names["master"], self._names[MINION]
            self._do("link", "add", "wire", "netns", master, "type", "veth", "peer", "name", "wire", "netns", minion)
            for side, name in self._names.items():
                self._do("-n", name, "address", "add", f"{self.addresses[side]}/24", "dev", "wire")
                self._do("-n", name, "link", "set", "wire", "up")
            self._start(stack)
            self.client = stack.enter_context(LocalClient(self.programs["master"].home / "etc"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    def _start(self, stack: contextlib.ExitStack) -> None:
        master = {
            "interface": self.addresses["master"], "auto_accept": True, "trusted_networks": ["10.213.0.0/16"],
            "delivery_window": 30.0, "timeout": 2.0, "publication_heartbeat_seconds": 1.0, **PORTS, **COMMON,
        }  # fmt: skip
        minion = {
            "id": MINION, "master": self.addresses["master"], "master_port": PORTS["ret_port"], "reconnect_max": 1.0,
            "module_dirs": [str(WORKLOAD)], "durable_notes": str(self.directory / "executions"), **COMMON,
        }  # fmt: skip
        for side, settings in (("master", master), (MINION, minion)):
            program = self.programs[side] = Program(side, self.directory / side, settings, {})
            program.prefix = ["ip", "netns", "exec", self._names[side]]
            program.start()
            stack.callback(program.end)

    @staticmethod
    def _do(*words: str) -> None:
        done = _ip(*words)
        if done.returncode != 0:
            raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")

    # -- the wire

    def lose(self, *sides: str) -> None:
        """Lose all that these sides send, without a word to anybody."""
        for side in sides:
            other = self.addresses["master" if side == MINION else MINION]
            self._do("-n", self._names[side], "neigh", "replace", other, "lladdr", NOWHERE, "dev", "wire", "nud",
                     "permanent")  # fmt: skip

    def mend(self) -> None:
        """Let everything through again."""
        for side, name in self._names.items():
            other = self.addresses["master" if side == MINION else MINION]
            _ip("-n", name, "neigh", "delete", other, "dev", "wire")

    def move(self, address: str) -> None:
        """Give the minion's host another address; its connections are not told."""
        name = self._names[MINION]
        self._do("-n", name, "address", "flush", "dev", "wire")
        self._do("-n", name, "address", "add", f"{address}/24", "dev", "wire")
        self.addresses[MINION] = address

    def impair(self, *how: str) -> None:
        """Have what both sides send delayed, lost, doubled: words of `tc netem`."""
        for name in self._names.values():
            if why := _impair(name, "wire", *how):
                raise OSError(why)

    # -- clients

    def connected(self) -> bool:
        """Whether the master counts the minion as connected."""
        with contextlib.suppress(CtlError):
            return (MINION, True) in job.targets(self.client.pool, job.Request(MINION, ""))
        return False

    def ask(self, seconds: float = 0.0) -> str:
        """Publish a job; return its jid."""
        self._number += 1
        given = {"mark": f"job-{self._number}", "seconds": seconds}
        asked = job.Request([MINION], "durable.work", kwarg=given, tgt_type="list", timeout=2.0, window=30.0)
        with job.publish(self.client.pool, asked, follow=False) as stream:
            return next(event.jid for event in stream if isinstance(event, job.Published))

    def state(self, jid: str) -> str:
        """Return where a job stands on the minion."""
        found: dict[str, Any] = self.client.pool.call("returns", jid=jid)
        return str(found["states"][MINION])

    def starts(self) -> list[str]:
        """List what began on the minion, by the workload's own notes."""
        return [mark for what, mark, _ in lines(self.directory / "executions") if what == "start"]

    def sessions(self) -> int:
        """Count the sessions that the minion has had."""
        return (self.programs[MINION].home / "log").read_text(errors="replace").count("a session with the master")


def pause(seconds: float) -> None:
    """Let a fault last."""
    time.sleep(seconds)
