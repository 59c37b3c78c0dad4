"""One run: a real master, real minions behind proxies, clients that call, and the faults of a schedule.

`run(schedule, directory)` gives a `Report`. Everything that a run leaves (logs, databases, notes) stays below its
directory.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctl.client.local import LocalClient
from ctl.common.database import query_file
from ctl.common.errors import CtlError
from ctl.common.wire import unpack_payload
from ctl.master.store_sqlite import SqliteJobStore
from ctl.tests.durability import caller
from ctl.tests.durability.history import (
    Answered,
    Cached,
    Called,
    Confirmed,
    End,
    Event,
    Failed,
    Fault,
    Finished,
    Rules,
    Started,
    Violation,
    check,
)
from ctl.tests.durability.schedule import Planned, Schedule
from ctl.tests.programs.proxy import Proxy

MINIONS = caller.MINIONS
CALLERS = 2
WINDOW_SECONDS = 8.0
SETTLE_SECONDS = 100.0  # a minion that was rejected asks again after a minute
START_SECONDS = 40.0
STOP_SECONDS = 20.0
RESTART_SECONDS = 0.3
DELAY_SECONDS = 0.1
TRANSIT_SECONDS = 10.0  # how long a job that is not queued may be on its way to a minion that seems connected
CRASH_SECONDS = 600.0
KEY_SECONDS = 20.0

# These numbers are an hour's worth of patience pressed into seconds.
COMMON = {"keepalive_seconds": 1.0, "heartbeat_seconds": 1.0, "heartbeat_timeout_seconds": 3.0}
_ANY_MINION = frozenset({"kill_minion", "stop_minion", "crash_minion", "key_delete", "key_reject"})
_NETWORK = frozenset({"pause_minion", "cut", "hold", "hold_up", "hold_down", "delay"})
_MASTER = frozenset({"kill_master", "stop_master", "pause_master", "crash_master", "clock_master"})
RULES = Rules(
    {
        "interrupted": _ANY_MINION,
        "failed": frozenset({"kill_job", "kill_helper", "stop_minion"}),
        "refused": frozenset(),
        "not delivered": _ANY_MINION | _NETWORK | _MASTER,
    },
    slack=6.0,  # a job that was taken in time waits for its process on a machine that is busy with twenty others
    shadow=20.0,
)


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a run."""

    seed: int
    violations: list[Violation]
    jobs: int
    executions: int
    ends: dict[str, int]
    confirmed: int
    faults: dict[str, int]
    settle_seconds: float


class Program:
    """A daemon that is started again where it dies, unless it is meant to be down."""

    def __init__(self, name: str, home: Path, settings: dict[str, Any], environment: dict[str, str]) -> None:
        self.name = name
        self.home = home
        self.wanted = False
        self.died: list[int] = []
        self.prefix: list[str] = []  # what runs it, such as `ip netns exec NAME`
        self._program = "master" if name == "master" else "minion"
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._armed = False
        (home / "etc").mkdir(parents=True)
        self._module = [f"ctl.{self._program}.cli"]
        lines = [f"{key}: {json.dumps(value)}\n" for key, value in {"root_dir": str(home), **settings}.items()]
        (home / "etc" / self._program).write_text("".join(lines))

    def use(self, *module: str) -> None:
        """Start this module, with these arguments, instead of the daemon's own."""
        self._module = list(module)

    def start(self, crash_at: str = "") -> None:
        """Start it; with a crash point it dies there."""
        self.wanted = True
        self._started = time.monotonic()
        self._armed = bool(crash_at)
        more = {"CTL_TEST_BUILD": "1", "CTL_CRASH_AT": crash_at} if crash_at else {}
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self.prefix, sys.executable, "-P", "-m", *self._module, "-c", self.home / "etc", "-l", "info"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **self._environment, **more},
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """The process's id, 0 while there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    @property
    def excused(self) -> list[int]:
        """The exit codes on SIGTERM that are nobody's fault."""
        young = time.monotonic() - self._started < STOP_SECONDS + 2.0
        return [-signal.SIGKILL] * self._armed + [-signal.SIGTERM] * young

    def send(self, number: int) -> None:
        """Send a signal, if it runs."""
        if self.pid and self._process is not None:
            self._process.send_signal(number)

    def end(self, number: int = signal.SIGKILL) -> int:
        """End it and wait for that; return its exit code."""
        self.wanted = False
        if self._process is None:
            return 0
        self.send(number)
        self.send(signal.SIGCONT)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return -1

    def revive(self) -> None:
        """Start it again where it died by itself."""
        if self.wanted and self._process is not None and (code := self._process.poll()) is not None:
            self.died.append(code)
            self.start()

    def children(self) -> list[int]:
        """List the processes right below it."""
        with contextlib.suppress(OSError):
            return [int(word) for word in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]
        return []


def _children_of(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@dataclass(slots=True)
class Arena:
    """A fleet in a directory, its clients, and what was done to it."""

    directory: Path
    seed: int
    library: str = ""  # `faults.c`, built; or nothing
    recorded: bool = False  # whether what the daemons write is recorded
    settings: dict[str, Any] = field(default_factory=dict)  # more of them, for master and minions
    minions: tuple[str, ...] = MINIONS
    ports: list[int] = field(default_factory=list)  # of publications, of requests
    faults: list[Fault] = field(default_factory=list)
    programs: dict[str, Program] = field(default_factory=dict)
    proxies: dict[str, Proxy] = field(default_factory=dict)
    callers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    changes: list[threading.Thread] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> Arena:
        with contextlib.ExitStack() as stack:
            stack.callback(self._end_all)
            self.ports = ports = _free_ports(2)
            self._make("master", {
                "interface": "127.0.0.1", "publish_port": ports[0], "ret_port": ports[1], "auto_accept": True,
                "trusted_networks": ["127.0.0.0/8"], "pending_per_source": 1000, "delivery_window": WINDOW_SECONDS,
                "timeout": 2.0, "publication_heartbeat_seconds": 1.0, **COMMON,
            })  # fmt: skip
            for number, name in enumerate(self.minions):
                host = f"127.{os.getpid() % 200 + 20}.{number + 1}.{self.seed % 200 + 2}"
                self.proxies[name] = stack.enter_context(Proxy(ports, host))
                self._make(name, {
                    "id": name, "master": host, "master_port": ports[1], "reconnect_max": 1.0, "shutdown_seconds": 2.0,
                    "module_dirs": [str(Path(__file__).with_name("workload"))],
                    "durable_notes": str(self.directory / f"executions-{name}"), **COMMON,
                })  # fmt: skip
            for program in self.programs.values():
                program.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _make(self, name: str, settings: dict[str, Any]) -> None:
        home = self.directory / name
        environment = {
            "LD_PRELOAD": self.library,
            "CTL_TEST_CLOCK": str(self.clock_file(name)),
            "CTL_TEST_DISK": str(self.disk_file(name)),
            "CTL_TEST_ROOT": str(home / "var"),
        }
        if self.recorded:
            environment["CTL_TEST_TRACE"] = str(self.directory / f"trace-{name}")
        self.programs[name] = Program(name, home, {**settings, **self.settings}, environment if self.library else {})
        if self.recorded and name != "master":
            self.programs[name].use("ctl.tests.durability.recording_minion", str(self.directory / f"confirmed-{name}"))

    def _end_all(self) -> None:
        for process in self.callers:
            process.kill()
            process.wait()
        for program in self.programs.values():
            program.end()
        for thread in self.changes:
            thread.join()

    def clock_file(self, name: str) -> Path:
        """Return the file that says how far a program's wall clock is off."""
        return self.directory / f"clock-{name}"

    def disk_file(self, name: str) -> Path:
        """Return the file that says what is wrong with a program's disk."""
        return self.directory / f"disk-{name}"

    def calls(self) -> list[list[Any]]:
        """Return what the clients have noted so far."""
        return [line for path in sorted(self.directory.glob("calls-*")) for line in lines(path)]

    @property
    def master_home(self) -> Path:
        """Where the master's data is."""
        return self.directory / "master"

    # -- clients

    def add_caller(self) -> None:
        """Start a client."""
        number = next(self._numbers)
        with (self.directory / "callers.log").open("ab") as log:
            self.callers.append(
                subprocess.Popen(
                    [sys.executable, "-P", "-m", "ctl.tests.durability.caller", self.master_home / "etc",
                     self.directory / f"calls-{number}", str(self.seed * 100 + number), str(WINDOW_SECONDS)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )
            )  # fmt: skip

    def end_callers(self) -> None:
        """End the clients where they are."""
        for process in self.callers:
            process.kill()
            process.wait()
        self.callers.clear()

    # -- faults

    def begin(self, fault: Planned, choose: random.Random) -> None:
        """Break something."""
        now = time.monotonic()
        lasting = CRASH_SECONDS if fault.kind.startswith("crash_") else fault.seconds  # it dies when it gets there
        self.faults.append(Fault(fault.kind, fault.target, now, now + lasting))
        getattr(self, f"_{fault.kind.partition('_')[0]}")(fault, choose)

    def over(self, fault: Planned) -> None:
        """Undo what `begin` did, where that is not over by itself."""
        kind, _, _ = fault.kind.partition("_")
        program = self.programs.get(fault.target)
        if kind == "pause" and program is not None:
            program.send(signal.SIGCONT)
        elif kind in ("kill", "stop") and fault.kind.endswith(("_master", "_minion")) and program is not None:
            if not program.pid:
                program.start()
        elif kind in ("cut", "hold", "delay"):
            self.proxies[fault.target].mend()
        elif fault.kind == "key_reject":
            self._change_key("accept", fault.target, ["rejected"])

    def _kill(self, fault: Planned, choose: random.Random) -> None:
        if fault.kind == "kill_client":
            self.callers.pop(0).kill()
            self.add_caller()
        elif fault.kind in ("kill_job", "kill_helper", "kill_worker"):
            below = self.programs[fault.target].children()
            if fault.kind == "kill_job":
                below = [pid for helper in below for pid in _children_of(helper)]
            if below:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(choose.choice(below), signal.SIGKILL)
        else:
            self.programs[fault.target].end(signal.SIGKILL)

    def _stop(self, fault: Planned, choose: random.Random) -> None:
        self.programs[fault.target].end(signal.SIGTERM)

    def _pause(self, fault: Planned, choose: random.Random) -> None:
        self.programs[fault.target].send(signal.SIGSTOP)

    def _crash(self, fault: Planned, choose: random.Random) -> None:
        program = self.programs[fault.target]
        program.end(signal.SIGKILL)
        program.start(fault.detail)

    def _cut(self, fault: Planned, choose: random.Random) -> None:
        self.proxies[fault.target].cut()

    def _hold(self, fault: Planned, choose: random.Random) -> None:
        way = fault.kind.partition("_")[2]
        self.proxies[fault.target].hold(*([way] if way else []))

    def _delay(self, fault: Planned, choose: random.Random) -> None:
        self.proxies[fault.target].slow(DELAY_SECONDS)

    def _clock(self, fault: Planned, choose: random.Random) -> None:
        if self.library:
            replace_text(self.clock_file(fault.target), fault.detail)

    def _key(self, fault: Planned, choose: random.Random) -> None:
        if fault.kind == "key_delete":
            self._change_key("delete", fault.target, [])
        else:
            self._change_key("reject", fault.target, ["accepted", "pending"])

    def _change_key(self, act: str, minion: str, include: list[str]) -> None:
        """Change a key beside everything else: the master may be paused just now, or down."""

        def work() -> None:
            until = time.monotonic() + (KEY_SECONDS if act == "accept" else 0.0)
            while True:
                with contextlib.suppress(CtlError), LocalClient(self.master_home / "etc") as client:
                    client.pool.call(f"key.{act}", match=minion, include=include)
                    return
                if time.monotonic() >= until:
                    return
                time.sleep(0.1)

        self.changes.append(threading.Thread(target=work, name=f"{act} {minion}"))
        self.changes[-1].start()

    # -- waiting

    def wait_for_fleet(self) -> None:
        """Wait until every minion is connected."""
        deadline = time.monotonic() + START_SECONDS
        while not self._connected():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the fleet did not start within {START_SECONDS:g} s")
            time.sleep(0.05)

    def _connected(self) -> bool:
        log = self.master_home / "log"
        text = log.read_text(errors="replace") if log.exists() else ""
        return all(f"minion {name} is connected" in text for name in self.minions)

    def open_work(self) -> list[str]:
        """Say what is not over yet, by the databases of the master and the minions."""
        found = []
        for path, sql in (
            (self.master_home / "var/lib/ctl/master/jobs.db", "SELECT jid FROM jobs WHERE open"),
            *((self._ledger(name), "SELECT jid FROM outbox UNION SELECT jid FROM ledger WHERE state='started'")
              for name in self.minions),
        ):  # fmt: skip
            try:
                found += [f"{path.parents[4].name}: {jid}" for (jid,) in query_file(path, sql, ())[1]]
            except CtlError as error:
                found.append(str(error))
        return found

    def _ledger(self, name: str) -> Path:
        return self.directory / name / "var/lib/ctl/minion/minion.db"

    def settle(self) -> tuple[float, list[str]]:
        """Wait until all is over; return how long that took, and what was still open in the end."""
        began = time.monotonic()
        quiet = 0
        while True:
            for program in self.programs.values():
                program.revive()
            work = self.open_work()
            quiet = 0 if work else quiet + 1
            if quiet >= 3 or time.monotonic() - began > SETTLE_SECONDS:
                return time.monotonic() - began, work
            time.sleep(0.2)

    # -- what happened

    def events(self) -> Iterator[Event]:
        """Gather the history from the notes and the databases; the programs have ended."""
        yield from self.faults
        yield from (event for line in self.calls() if (event := of_call(line)) is not None)
        for name in self.minions:
            for what, token, at in lines(self.directory / f"executions-{name}"):
                yield (Started if what == "start" else Finished)(token, name, at)
            sql = "SELECT jid FROM ledger WHERE state='ended' AND jid NOT IN (SELECT jid FROM outbox)"
            yield from (Confirmed(name, jid) for (jid,) in query_file(self._ledger(name), sql, ())[1])
        yield from self._cached()

    def _cached(self) -> Iterator[Cached]:
        return cached(self.master_home / "var/lib/ctl/master")


def cached(data: Path) -> Iterator[Cached]:
    """Yield what the job cache in a master's data directory holds; nobody else has it open."""
    store = SqliteJobStore(data / "jobs.db", data / "bodies")
    try:
        for summary in store.list_jobs(100_000):
            record = summary.record
            asked = unpack_payload(record.payload)["kwarg"]
            ends = {
                end.id: End(str(end.state), end.inferred, _good(store, end, asked["mark"], asked["size"]), end.reason)
                for end in store.ends(record.jid)
            }
            yield Cached(record.jid, asked["mark"], record.expected.ids, ends)
    finally:
        store.close()


def _good(store: SqliteJobStore, end: Any, token: str, size: int) -> bool:
    return end.state != "returned" or bool(unpack_payload(store.body(end)) == {"mark": token, "filler": "x" * size})


def of_call(line: list[Any]) -> Event | None:
    """Make an event of what a client noted."""
    what, token, at, *more = line
    if what == "call":
        return Called(token, at, more[0] or TRANSIT_SECONDS)
    if what == "answer":
        return Answered(token, at, more[0])
    return Failed(token, at, more[0]) if what == "fail" else None


def lines(path: Path) -> list[list[Any]]:
    """Read a file of JSON lines; nothing where there is none."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def replace_text(path: Path, text: str) -> None:
    """Give a file a new content at once."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in socks]


def run(schedule: Schedule, directory: Path, library: str = "") -> Report:
    """Carry out a schedule and check what happened."""
    directory.mkdir(parents=True)
    problems: list[Violation] = []
    with Arena(directory, schedule.seed, library) as arena:
        arena.wait_for_fleet()
        for _ in range(CALLERS):
            arena.add_caller()
        _break(arena, schedule)
        arena.end_callers()
        took, work = arena.settle()
        if work:
            problems.append(Violation("b", f"after {took:.0f} s not over: {', '.join(work[:8])}"))
        for name, program in arena.programs.items():
            # one that is only just starting has no handler yet; one that is to crash may do so while it stops
            if (code := program.end(signal.SIGTERM)) not in (0, *program.excused):
                problems.append(Violation("-", f"{name} ended with exit code {code} on SIGTERM"))
        events = list(arena.events())
        problems += [*check(events, RULES), *_tracebacks(arena)]
    return _report(schedule, events, problems, took)


def _break(arena: Arena, schedule: Schedule) -> None:
    choose = random.Random(schedule.seed)
    began = time.monotonic()
    due: list[tuple[float, int, bool, Planned]] = []
    for number, fault in enumerate(schedule.faults):
        heapq.heappush(due, (fault.at, number, False, fault))
    revive_at = began + RESTART_SECONDS
    while (now := time.monotonic()) < began + schedule.seconds or due:
        if now >= revive_at:
            revive_at = now + RESTART_SECONDS
            for program in arena.programs.values():
                program.revive()
        if due and began + due[0][0] <= now:
            at, number, ending, fault = heapq.heappop(due)
            if ending:
                arena.over(fault)
                continue
            arena.begin(fault, choose)
            heapq.heappush(due, (at + fault.seconds, number, True, fault))
        else:
            time.sleep(0.02)


def _tracebacks(arena: Arena) -> list[Violation]:
    found = []
    for name, program in arena.programs.items():
        text = (program.home / "log").read_text(errors="replace")
        if "Traceback (most recent call last)" in text:
            last = text.rpartition("Traceback (most recent call last)")[2]
            error = next((line for line in last.splitlines()[1:] if line and not line.startswith(" ")), "")
            found.append(Violation("-", f"a traceback in the log of {name}: {error}"))
        bad = [code for code in program.died if code != -signal.SIGKILL]
        if bad:
            found.append(Violation("-", f"{name} ended by itself with {bad}"))
    return found


def _report(schedule: Schedule, events: list[Event], problems: list[Violation], took: float) -> Report:
    ends: dict[str, int] = {}
    kinds: dict[str, int] = {}
    for event in events:
        if isinstance(event, Cached):
            for end in event.ends.values():
                ends[end.state] = ends.get(end.state, 0) + 1
        elif isinstance(event, Fault):
            kinds[event.kind] = kinds.get(event.kind, 0) + 1
    count = {kind: sum(isinstance(event, kind) for event in events) for kind in (Cached, Started, Confirmed)}
    return Report(schedule.seed, problems, count[Cached], count[Started], ends, count[Confirmed], kinds, took)
