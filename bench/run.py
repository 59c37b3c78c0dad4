"""`make bench`: a table of times and memory; with SALT=path/to/venv the same work on Salt, in turn, and the ratio.

Machines are noisy: each row's runs are taken in turn (ctl, Salt, ctl, Salt), and their medians are compared.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))
import fleet
from salt_fleet import SaltFleet

RUNS = 7
MANY_FILES = 1000
BIG_FILE_MB = 200
SCRIPT = Path(__file__).parent / "client_script.py"


@dataclass(frozen=True)
class Row:
    """One line of the table; `unit` s, ms and MiB are better small, jobs/s and MB/s better large."""

    name: str
    unit: str
    ctl: float
    salt: float | None

    @property
    def ratio(self) -> str:
        """How many times better ctl is."""
        if not self.salt or not self.ctl:
            return ""
        better = self.salt / self.ctl if self.unit in ("s", "ms", "MiB") else self.ctl / self.salt
        return f"{better:.1f}x"


def seconds(*words: str | Path, env: dict[str, str] | None = None) -> float:
    """Run a command, which must succeed, and return its wall time."""
    started = time.perf_counter()
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=env
    )
    took = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{words} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return took


def memory(pid: int) -> float:
    """Sum the proportional memory of a process and all its children, in MiB."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(member.memory_full_info().pss for member in family) / 2**20


class Bench:
    """Both fleets and the table."""

    def __init__(self, directory: Path, salt: Path | None) -> None:
        self.directory = directory
        self.tree = directory / "srv"
        self.tree.mkdir()
        self.rows: list[Row] = []
        self.ctl = fleet.Fleet(directory, master={"file_roots": {"base": [str(self.tree)]}})
        self.salt = SaltFleet(salt, directory / "salt", self.tree) if salt else None
        self._write_tree()

    def _write_tree(self) -> None:
        for kind in ("ctl", "salt"):
            target = self.directory / f"out-{kind}"
            target.mkdir()
            lines = "".join(
                f"{target}/{n}:\n  file.managed:\n    - source: salt://files/{n % 10}.txt\n" for n in range(MANY_FILES)
            )
            (self.tree / f"many-{kind}.sls").write_text(lines)
        (self.tree / "files").mkdir()
        for n in range(10):
            (self.tree / "files" / f"{n}.txt").write_text(f"file {n}\n" * 20)
        with (self.tree / "big").open("wb") as big:
            for _ in range(BIG_FILE_MB):
                big.write(os.urandom(1_000_000))

    def add(self, name: str, unit: str, ctl: float, salt: float | None) -> None:
        """Add a row, and print it at once."""
        self.rows.append(Row(name, unit, ctl, salt))
        row = self.rows[-1]
        shown = f"{row.salt:10.3f}" if row.salt is not None else " " * 10
        print(f"{name:52} {row.ctl:10.3f} {shown} {unit:7} {row.ratio:>8}", flush=True)

    def timed(self, name: str, ctl: Callable[[], float], salt: Callable[[], float] | None, runs: int = RUNS) -> None:
        """Take runs in turn and add the medians."""
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(runs + 1):
            ours.append(ctl())
            if self.salt and salt:
                theirs.append(salt())
        ours, theirs = ours[1:], theirs[1:]  # the first of each warms up
        self.add(name, "s", statistics.median(ours), statistics.median(theirs) if theirs else None)

    def ctl_run(self, program: str, *words: str) -> Callable[[], float]:
        """Make a timed call of one of our programs against the master."""
        return lambda: seconds(fleet.BIN / program, "-c", self.ctl.config_dir, *words)

    def salt_run(self, program: str, *words: str) -> Callable[[], float] | None:
        """Make a timed call of one of Salt's programs against its master."""
        salt = self.salt
        return (lambda: seconds(salt.bin / program, "-c", salt.config_dir, *words)) if salt else None

    def clients(self, count: int, burst: int) -> Iterator[dict[str, float]]:
        """Run the client script with each fleet."""
        ctl = [sys.executable, SCRIPT, "ctl.client", self.ctl.config_dir / "master", str(count), str(burst)]
        yield json.loads(subprocess.run([str(w) for w in ctl], capture_output=True, text=True, check=True).stdout)
        if self.salt:
            # 200 at once take Salt minutes: fewer give the same rate
            words = [self.salt.bin / "python", SCRIPT, "salt.client", self.salt.config_dir / "master"]
            words += [str(min(count, 30)), str(min(burst, 25))]
            done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=True)
            yield json.loads(done.stdout.splitlines()[-1])

    def start(self) -> None:
        """Start both with one minion each."""
        self.ctl.add_minion("m0")
        self.ctl.start()
        if self.salt:
            self.salt.start()
            self.salt.add_minion("m0")
            self.salt.wait()

    def grow(self) -> None:
        """Nine more minions each."""
        for number in range(1, 10):
            self.ctl.add_minion(f"m{number}").start()
        self.ctl.accept()
        if self.salt:
            for number in range(1, 10):
                self.salt.add_minion(f"m{number}")
            self.salt.wait()

    def programs(self) -> None:
        """Whole processes."""
        self.timed("ctl --version", self.ctl_run("ctl", "--version"), self.salt_run("salt", "--version"))
        local_ctl = fleet.BIN / "ctl-call"
        config = self.ctl.minions["m0"].config_dir
        salt = self.salt
        self.timed(
            "ctl-call --local test.ping",
            lambda: seconds(local_ctl, "-c", config, "--local", "test.ping"),
            (lambda: seconds(salt.bin / "salt-call", "-c", salt.directory / "m0", "--local", "test.ping"))
            if salt
            else None,
        )
        self.timed(
            "ctl '*' test.ping, 1 minion",
            self.ctl_run("ctl", "*", "test.ping"),
            self.salt_run("salt", "*", "test.ping"),
        )

    def latencies(self) -> None:
        """LocalClient."""
        results = list(self.clients(200, 200))
        salt = results[1] if len(results) > 1 else {}
        for key, name, unit in (
            ("median_ms", "LocalClient.cmd, 1 minion, median", "ms"),
            ("p95_ms", "LocalClient.cmd, 1 minion, p95", "ms"),
            ("one_after_another", "jobs one after another", "jobs/s"),
            ("at_once", "200 jobs at once", "jobs/s"),
        ):
            self.add(name, unit, results[0][key], salt.get(key))

    def sizes(self) -> None:
        """Idle memory, all processes of a daemon together."""
        time.sleep(2)
        salt_master, salt_minions = self.salt.pids() if self.salt else (0, [0])
        self.add(
            "idle minion, memory",
            "MiB",
            memory(self.ctl.minions["m0"].pid),
            memory(salt_minions[0]) if self.salt else None,
        )
        self.add("idle master, memory", "MiB", memory(self.ctl.master.pid), memory(salt_master) if self.salt else None)

    def states(self) -> None:
        """1,000 managed files, through the master; then a large file."""
        ctl, salt = (
            self.ctl_run("ctl", "m0", "state.apply", "many-ctl"),
            self.salt_run("salt", "m0", "state.apply", "many-salt"),
        )
        self.timed("1,000 file.managed, first", self._emptied("ctl", ctl), self._emptied("salt", salt), runs=3)
        self.timed("1,000 file.managed, unchanged", ctl, salt, runs=3)

        def fetch(run: Callable[..., Callable[[], float] | None], program: str, kind: str) -> float:
            target = self.directory / f"big-{kind}"
            target.unlink(missing_ok=True)
            call = run(program, "m0", "cp.get_file", "salt://big", str(target), "--timeout=120")
            took = call() if call else 0.0
            assert target.stat().st_size == BIG_FILE_MB * 1_000_000
            return BIG_FILE_MB / took

        ours = fetch(self.ctl_run, "ctl", "ctl")
        self.add("cp.get_file of 200 MB", "MB/s", ours, fetch(self.salt_run, "salt", "salt") if self.salt else None)

    def _emptied(self, kind: str, run: Callable[[], float] | None) -> Callable[[], float]:
        def call() -> float:
            target = self.directory / f"out-{kind}"
            shutil.rmtree(target)
            target.mkdir()
            return run() if run else 0.0

        return call

    def ten(self) -> None:
        """The same with ten minions."""
        self.grow()
        self.timed(
            "ctl '*' test.ping, 10 minions",
            self.ctl_run("ctl", "*", "test.ping"),
            self.salt_run("salt", "*", "test.ping"),
        )
        results = list(self.clients(50, 0))
        self.add(
            "LocalClient.cmd, 10 minions, median", "ms", results[0]["median_ms"],
            results[1]["median_ms"] if len(results) > 1 else None,
        )  # fmt: skip

    def run(self) -> None:
        """Measure everything."""
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; medians")
        print(f"{'':52} {'ctl':>10} {'Salt' if self.salt else '':>10}", flush=True)
        try:
            self.start()
            self.programs()
            self.sizes()
            self.latencies()
            self.states()
            self.ten()
        finally:
            self.ctl.stop()
            if self.salt:
                self.salt.stop()


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program has its bytecode
    with tempfile.TemporaryDirectory(prefix="ctl-bench-") as name:
        Bench(Path(name), Path(os.environ["SALT"]) if os.environ.get("SALT") else None).run()
