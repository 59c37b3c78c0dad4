"""`make abuse`: what hostile peers cost a real master, a row for each kind of abuse, with its budget.

Each row: memory that the master grew by at its worst; how long an honest minion's requests took before and meanwhile,
and for how much of the time the master had work but no CPU (above 20 %, times are not judged); how long a new handshake
took; how soon all was as before; whether that is within the budget. The honest minion asks a hundred times a second all
the while; an accepted newcomer shakes hands once a second, from an address of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import fleet
from abuse_rows import INSIDERS
from attackers import Peer, Ports

from ctl.common import ipc

MIB = 1024 * 1024
FLOOR_MS = 25.0  # latencies below this are the machine's, not the attack's
SECONDS = float(os.environ.get("ABUSE_SECONDS", "10"))
HANDSHAKE_SECONDS = 2.0
STARVED = 20.0  # percent of the time that the master waited for a CPU: above it, times say nothing about the master
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Row:
    """One kind of abuse: which flood or insider, and how much memory the master may grow by, in MiB."""

    number: str
    what: str
    name: str
    budget: float
    cpu: float = 100.0  # percent of one core, at most


ROWS = (
    Row("B01", "10,000 silent connections, one source", "silent", 64, 50),
    Row("B01", "10,000 silent connections, 100 sources", "silent_many", 64, 50),
    Row("B02", "10,000 idle peers, 1000 sources", "idle", 64),
    Row("B03", "messages that do not end, 20 connections", "endless", 32),
    Row("B03", "a million empty frames of one message", "empties", 128),
    Row("B03", "one byte a second inside a frame", "loris", 32),
    Row("B04", "frames that claim 2^63 bytes", "claims", 16),
    Row("B05", "HELLOs, one source", "hellos", 64),
    Row("B05", "HELLOs, 1000 sources", "hellos_many", 64),
    Row("B06", "whole handshakes with new keys, 200 sources", "strangers", 64),
    Row("B07", "200,000 subscriptions and unsubscribe storms", "subscriptions", 64),
    Row("B08", "flipped bits, truncated and swapped frames", "tampered", 32),
    Row("B10", "msgpack bombs inside a session", "bombs", 48),
    Row("B11", "1 MiB requests at line rate", "heavy", 96),
    Row("B11", "every method at 1000/s", "busy", 64),
    Row("B12", "returns that nobody expects", "returns", 32),
    Row("B13", "files and grains without end", "hoard", 64),
    Row("B14", "recorded frames replayed", "replay", 32),
    Row("B15", "a revoked minion that goes on", "revoked", 32),
    Row("B21", "expressions that explode, huge targets", "targets", 64),
    Row("B22", "line breaks and controls in what is logged", "lines", 32),
)

_COLUMNS = "{:50} {:>5} {:>6} {:>6} {:>7} {:>7} {:>6} {:>4} {:>6}"
TITLES = "\n".join(
    _COLUMNS.format(*words)
    for words in (
        ("", "MiB", "grew", "before", "during", "no CPU", "shake", "CPU", "calm"),
        ("", "most", "MiB", "p99 ms", "p99 ms", "%", "s", "%", "after s"),
    )
)


def resident(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / MIB


def cpu_seconds(pid: int) -> float:
    """Return how much CPU a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def waited_seconds(pid: int) -> dict[str, float]:
    """Return for how long each thread of a process was ready to run and did not."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found[task.name] = int((task / "schedstat").read_text().split()[1]) / 1e9
    return found


def p99(values: list[float]) -> float:
    """Return the 99th percentile, in the unit of the values."""
    return statistics.quantiles(values, n=100)[98] if len(values) > 2 else max(values, default=float("nan"))


@dataclass
class Honest:
    """The honest minion and the newcomer, each in a thread: how long they had to wait, in seconds."""

    ports: Ports
    peer: Peer
    newcomer: Peer
    asked: list[float] = field(default_factory=list)
    shaken: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin."""
        self.peer.open()
        self.threads = [threading.Thread(target=work) for work in (self._ask, self._shake)]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """End."""
        self.over.set()
        for thread in self.threads:
            thread.join()
        for peer in (self.peer, self.newcomer):
            peer.close()

    def _ask(self) -> None:
        while not self.over.wait(0.01):
            began = time.perf_counter()
            try:
                if self.peer.raw is None:
                    self.peer.open()
                if not isinstance(self.peer.ask("keepalive", jids=[]), dict):
                    self.failures.append("a request was refused")
            except OSError as error:
                self.failures.append(f"a request: {type(error).__name__}")
                self._again(self.peer)
            self.asked.append(time.perf_counter() - began)

    def _shake(self) -> None:
        while not self.over.wait(1.0):
            began = time.perf_counter()
            while not self._joins() and not self.over.wait(0.1):
                if time.perf_counter() - began > 10.0:
                    self.failures.append("a handshake did not get through")
                    break
            self.shaken.append(time.perf_counter() - began)

    def _joins(self) -> bool:
        try:
            return self.newcomer.open().shake(10.0) == "accepted"
        except OSError:  # cut by chance among many: it comes again, as a minion does
            return False

    @staticmethod
    def _again(peer: Peer) -> None:
        time.sleep(0.1)
        try:
            peer.open()
        except OSError:
            peer.close()


@dataclass
class Sampler:
    """Watches the master's memory and CPU in a thread."""

    pid: int
    peak: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Sampler:
        self.base = self.peak = resident(self.pid)
        self._cpu, self._began = cpu_seconds(self.pid), time.monotonic()
        self._waited = waited_seconds(self.pid)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def _run(self) -> None:
        while not self.over.wait(0.02):
            self.peak = max(self.peak, resident(self.pid))

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._thread.join()
        took = time.monotonic() - self._began
        self.cpu = 100.0 * (cpu_seconds(self.pid) - self._cpu) / took
        waited = waited_seconds(self.pid).items()
        self.starved = 100.0 * max(seconds - self._waited.get(task, 0.0) for task, seconds in waited) / took


class Abuse:
    """The master, those who are honest to it, and the table."""

    def __init__(self, directory: Path) -> None:
        settings = {"trusted_networks": [], "file_recv": True, "file_recv_quota": 64, "log_level": "info"}
        self.fleet = fleet.Fleet(directory, master=settings)
        self.ports = Ports(self.fleet.request_port, self.fleet.publish_port)
        self.failed = 0
        self._guests: list[Peer] = []

    def start(self) -> None:
        """Start the master and have the honest ones accepted."""
        self.fleet.master.start()
        self.fleet.wait_for_master()
        self.honest = Honest(self.ports, self.accepted("honest", "127.0.0.1"), self.accepted("newcomer", "127.250.0.1"))
        self.honest.start()

    def call(self, op: str, **arguments: Any) -> Any:
        """Do one operation of the clients' socket."""
        with ipc.connect(self.fleet.master.home / "run" / "ctl" / "master" / "ctl.sock", timeout=60) as client:
            return client.call(op, **arguments)

    def accepted(self, name: str, address: str) -> Peer:
        """Return a minion with an accepted key and a session, connected to the request port."""
        peer = Peer(self.ports, name, address)
        self.call("key.preseed", id=name, public=peer.identity.public)
        self._guests.append(peer)
        assert peer.open().shake() == "accepted", peer.status
        return peer

    def insider(self, name: str, seconds: float) -> dict[str, Any]:
        """Do what wants a session; whoever came for it leaves."""
        known = len(self._guests)
        try:
            return INSIDERS[name](self, seconds)
        finally:
            for peer in self._guests[known:]:
                peer.close()
            del self._guests[known:]

    @property
    def log(self) -> str:
        """What the master has logged."""
        return self.fleet.master.log.read_text(errors="replace")

    def row(self, row: Row) -> None:
        """Do one kind of abuse and print what came of it."""
        pid, honest = self.fleet.master.pid, self.honest
        quiet = self._quiet(2.0)
        lines_before = self.log.count("\n")
        honest.asked, honest.shaken, honest.failures = [], [], []
        problem = ""
        with Sampler(pid) as sampler:
            try:
                seen = self.insider(row.name, SECONDS) if row.name in INSIDERS else self._flood(row.name)
            except AssertionError as error:
                seen, problem = {}, f"not as it should be: {error}"
        asked, shaken, failures = list(honest.asked), list(honest.shaken), list(honest.failures)
        recovery = self._recovery(sampler.base, quiet)
        grown, during = sampler.peak - sampler.base, p99(asked) * 1000
        lines = self.log.count("\n") - lines_before
        problems = [problem] if problem else []
        problems += [f"memory {grown:.0f} MiB"] if grown > row.budget else []
        if sampler.starved < STARVED:
            problems += [f"p99 {during:.0f} ms"] if during > max(2 * quiet, FLOOR_MS) else []
            problems += [f"handshake {max(shaken):.1f} s"] if shaken and max(shaken) > HANDSHAKE_SECONDS else []
        problems += [f"CPU {sampler.cpu:.0f} %"] if sampler.cpu > row.cpu else []
        problems += sorted(set(failures))
        problems += ["a traceback in the log"] if "Traceback" in self.log else []
        problems += [f"{lines} lines in the log"] if lines > 200 else []
        self.failed += bool(problems)
        print(
            f"{row.number} {row.what:46} {row.budget:5.0f} {grown:6.1f} {quiet:6.1f} {during:7.1f} "
            f"{sampler.starved:7.0f} {max(shaken, default=0):6.2f} {sampler.cpu:4.0f} {recovery:6.1f}  "
            f"{'pass' if not problems else 'FAIL: ' + '; '.join(problems)}  {json.dumps(seen)}",
            flush=True,
        )

    def _flood(self, name: str) -> dict[str, Any]:
        words = [sys.executable, Path(__file__).parent / "attackers.py", name, self.ports.request, self.ports.publish]
        done = subprocess.run(
            [*map(str, words), str(SECONDS)], capture_output=True, text=True, timeout=SECONDS + 120, check=False
        )
        assert done.returncode == 0, done.stderr[-500:]
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _quiet(self, seconds: float) -> float:
        """Return the p99 of an honest request while nothing else happens, in milliseconds."""
        self.honest.asked = []
        time.sleep(seconds)
        return p99(self.honest.asked) * 1000

    def _recovery(self, base: float, quiet: float) -> float:
        """Wait until requests are as quick as before and memory is near where it was; return how long that took."""
        began = time.monotonic()
        while time.monotonic() - began < 30.0:
            self.honest.asked = []
            time.sleep(0.3)
            quick = bool(self.honest.asked) and max(self.honest.asked) * 1000 < max(3 * quiet, FLOOR_MS)
            if quick and resident(self.fleet.master.pid) < base + 32:
                return time.monotonic() - began
        return float("inf")


def main(argv: list[str]) -> int:
    """Print the table; return 1 where a row is over its budget."""
    wanted = set(argv)
    with tempfile.TemporaryDirectory(prefix="ctl-abuse-") as directory:
        abuse = Abuse(Path(directory))
        try:
            abuse.start()
            print(TITLES, flush=True)
            for row in ROWS:
                if not wanted or row.number in wanted or row.name in wanted:
                    abuse.row(row)
        finally:
            if not abuse.fleet.master.running():
                print(f"the master ended:\n{abuse.log[-4000:]}")
            if hasattr(abuse, "honest"):
                abuse.honest.stop()
            abuse.fleet.stop()
    return 1 if abuse.failed else 0


Insider = Callable[[Abuse, float], dict[str, Any]]

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
