"""`make swarm`: thousands of minions on one master, all on this machine; a table for each number of them.

The minions are `swarm_minions.py`: the real protocol with real keys and sessions, in a few processes. The master and
the programs are the real ones. `swarm.py [COUNT ...]`; without counts 1,000, 5,000 and as many as the limit on open
files allows, up to 10,000 (each minion is two connections of the master's process).
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))
import fleet

from ctl.client import LocalClient

PER_PROCESS = 2500
SPARE_DESCRIPTORS = 300
PATIENCE_S = 180.0
SUSTAINED_S = 10.0
FETCHES = 500
MINIONS = Path(__file__).parent / "swarm_minions.py"


class Swarm:
    """The processes with minions."""

    def __init__(self, count: int, port: int, log: Path) -> None:
        self.count = count
        self._processes = []
        for first in range(0, count, PER_PROCESS):
            words: list[str | Path] = [
                sys.executable,
                MINIONS,
                str(first),
                str(min(PER_PROCESS, count - first)),
                str(port),
            ]
            with log.open("ab") as output:
                self._processes.append(
                    subprocess.Popen(
                        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True,
                        start_new_session=True,
                    )
                )  # fmt: skip

    def status(self) -> Counter[str]:
        """Add up what each process counts; `epochs` is how many there are among the connected."""
        total: Counter[str] = Counter()
        epochs: set[str] = set()
        for answer in self._ask("status"):
            epochs.update(answer.pop("epochs"))
            total.update(answer)
        total["epochs"] = len(epochs)
        return total

    def fetch(self, count: int, path: str) -> list[float]:
        """Have `count` minions ask for pillar and a file at once; return each one's wait in seconds."""
        share = count // len(self._processes)
        return [wait for answer in self._ask(f"fetch {share} {path}") for wait in answer]

    def _ask(self, command: str) -> list[Any]:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(command + "\n")
            process.stdin.flush()
        answers = []
        for process in self._processes:
            assert process.stdout is not None
            answers.append(json.loads(process.stdout.readline()))
        return answers

    def wait(self, what: str, key: str, value: int) -> float:
        """Wait until a count has a value; return how long it took, in seconds."""
        started = time.monotonic()
        while (status := self.status())[key] != value:
            if time.monotonic() - started > PATIENCE_S:
                raise TimeoutError(f"waited {PATIENCE_S:.0f} s in vain for {what}: {dict(status)}")
            time.sleep(0.1)
        return time.monotonic() - started

    def stop(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            process.wait()
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


class Trial:
    """One number of minions on one master."""

    def __init__(self, count: int, directory: Path) -> None:
        srv, pillar = directory / "srv", directory / "pillar"
        srv.mkdir()
        pillar.mkdir()
        (srv / "file").write_text("content\n" * 100)
        (pillar / "top.sls").write_text("base:\n  '*':\n    - common\n")
        (pillar / "common.sls").write_text("name: {{ grains['id'] }}\nrole: {{ grains['role'] }}\n")
        self.count = count
        self.fleet = fleet.Fleet(directory, master={"auto_accept": True, "max_pending": count + 1000})
        self.config = str(self.fleet.config_dir / "master")
        self.fleet.master.start()
        self.fleet.wait_for_master()
        self.empty_mib = self.memory()
        self.swarm = Swarm(count, self.fleet.request_port, directory / "swarm.log")
        self.master = self.fleet.master

    def memory(self) -> float:
        """Return the master's proportional memory with all its processes, in MiB."""
        master = psutil.Process(self.fleet.master.pid)
        return sum(p.memory_full_info().pss for p in [master, *master.children(recursive=True)]) / 2**20

    def run(self) -> Iterator[tuple[str, str]]:
        """Measure; yields what and how much as it is known."""
        started = time.monotonic()
        self.swarm.wait("all to connect", "connected", self.count)
        yield "enrolled, accepted and connected (new keys)", f"{time.monotonic() - started:.1f} s"
        yield "master's memory (PSS), without and with them", f"{self.empty_mib:.0f}, {self.memory():.0f} MiB"
        yield from self._everybody()
        yield from self._meanwhile()
        yield from self._sustained()
        yield from self._fan_out()
        yield from self._revocation()
        yield from self._restart()
        yield "master's memory (PSS) at the end", f"{self.memory():.0f} MiB"
        yield "odd things that minions counted", str(_odd(self.swarm.status()))

    def _ping_all(self) -> tuple[float, float, int]:
        """Run `ctl '*' test.ping`; return when the first return was printed, when it ended, and how many there were."""
        started = time.monotonic()
        words: list[str | Path] = [fleet.BIN / "ctl", "-c", self.fleet.config_dir, "*", "test.ping"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            assert process.stdout is not None
            first, count = 0.0, 0
            for line in process.stdout:
                first = first or time.monotonic() - started
                count += bool(re.match(r"swarm-\d+:", line))
        return first, time.monotonic() - started, count

    def _everybody(self) -> Iterator[tuple[str, str]]:
        runs = [self._ping_all() for _ in range(4)][1:]
        assert all(count == self.count for _, _, count in runs), runs
        firsts, whole = (statistics.median(times) for times in zip(*[run[:2] for run in runs], strict=True))
        yield "ctl '*' test.ping, first line and whole", f"{firsts:.2f}, {whole:.2f} s"

    def _meanwhile(self) -> Iterator[tuple[str, str]]:
        """Ask one minion, first alone and then while all are asked again and again."""
        yield "a job to one minion, alone: median, p99", _latency(self._one_by_one(threading.Event(), 200))
        stop = threading.Event()
        everybody = threading.Thread(target=self._ping_until, args=(stop,))
        everybody.start()
        try:
            times = self._one_by_one(stop, 200)
        finally:
            stop.set()
            everybody.join()
        yield "a job to one minion while all are pinged", _latency(times)

    def _ping_until(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._ping_all()

    def _one_by_one(self, stop: threading.Event, count: int) -> list[float]:
        times = []
        with LocalClient(self.config) as client:
            for number in range(count):
                name = f"swarm-{number * 7919 % self.count:05}"
                started = time.monotonic()
                assert client.cmd(name, "test.ping") == {name: True}
                times.append(time.monotonic() - started)
        return times

    def _sustained(self) -> Iterator[tuple[str, str]]:
        """Keep the master busy with returns for a while."""
        before, started = self.swarm.status()["jobs"], time.monotonic()
        with LocalClient(self.config) as client:
            while time.monotonic() - started < SUSTAINED_S:
                for _ in range(4):
                    client.cmd_async("*", "test.ping")
                self.swarm.wait("the returns to be confirmed", "unconfirmed", 0)
        took = time.monotonic() - started
        yield "returns into the job cache, sustained", f"{(self.swarm.status()['jobs'] - before) / took:.0f}/s"

    def _fan_out(self) -> Iterator[tuple[str, str]]:
        waits = sorted(self.swarm.fetch(min(FETCHES, self.count), "file"))
        yield (
            f"{len(waits)} ask for pillar and a file at once: median, p99, last",
            f"{statistics.median(waits):.2f}, {waits[int(len(waits) * 0.99) - 1]:.2f}, {waits[-1]:.2f} s",
        )

    def _revocation(self) -> Iterator[tuple[str, str]]:
        started = time.monotonic()
        self.fleet.run("ctl-key", "--yes", "--delete", "swarm-00001", timeout=120)
        deleted = time.monotonic() - started
        yield "ctl-key --delete returned after", f"{deleted:.2f} s"
        # as a new key it is accepted again at once here: what counts is that all have the new epoch
        self.swarm.wait("the new epoch to be everywhere", "epochs", 1)
        yield "all others had the new epoch after", f"{time.monotonic() - started:.1f} s"
        self.swarm.wait("all to be connected again", "connected", self.count)

    def _restart(self) -> Iterator[tuple[str, str]]:
        self.master.stop(signal.SIGKILL)
        started = time.monotonic()
        self.master.start()
        self.fleet.wait_for_master()
        answering = time.monotonic() - started
        self.swarm.wait("all to be back", "connected", self.count)
        back = time.monotonic() - started
        yield "master killed and restarted: answers, all back", f"{answering:.1f}, {back:.1f} s"
        _, _, count = self._ping_all()
        yield "the first job after that reached", f"{count} of {self.count}"

    def stop(self) -> None:
        """End everything."""
        self.swarm.stop()
        self.fleet.stop()


def _latency(times: list[float]) -> str:
    ordered = sorted(times)
    return f"{statistics.median(ordered) * 1000:.1f}, {ordered[int(len(ordered) * 0.99) - 1] * 1000:.1f} ms"


def _odd(status: Counter[str]) -> dict[str, int]:
    usual = ("connected", "epochs", "jobs", "handshakes", "hellos", "verified", "unconfirmed")
    return {key: count for key, count in status.items() if key not in usual}


def main(counts: list[int]) -> None:
    """Print a table for each count."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    largest = min(10_000, (most - SPARE_DESCRIPTORS) // 2)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {most} open files at most"
    )
    for count in counts or [1000, 5000, largest]:
        if count > largest:
            print(f"\n{count} minions: not possible here, {most} open files carry {largest}")
            continue
        print(f"\n{count} minions", flush=True)
        with tempfile.TemporaryDirectory(prefix="ctl-swarm-") as name:
            trial = Trial(count, Path(name))
            try:
                for what, how_much in trial.run():
                    print(f"  {what:58} {how_much}", flush=True)
            except BaseException:
                sys.stderr.write(fleet._tail(trial.master.log, 40) + "\n" + fleet._tail(Path(name) / "swarm.log", 40))
                raise
            finally:
                trial.stop()


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    main([int(word) for word in sys.argv[1:]])
