"""What the rows play on: a fleet of ours and, where there is one, a fleet of Salt, both on this machine."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fleet
import trees
from floors import Floors
from salt_fleet import SaltFleet

SCRIPT = Path(__file__).parent / "client_script.py"
MANY_MINIONS = 20
SCRIPT_TIMEOUT_S = 900

Call = Callable[[], float]
Pair = tuple[float, float | None]


def seconds(*words: str | Path, code: int = 0, shows: str = "") -> float:
    """Run a command, which must end with `code` and print `shows`; return its wall time."""
    started = time.perf_counter()
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    took = time.perf_counter() - started
    if done.returncode != code or shows not in done.stdout:
        raise SystemExit(f"{words} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return took


class Stage:
    """Both fleets, with one minion `m0` each to begin with."""

    def __init__(self, directory: Path, salt: Path | None) -> None:
        self.directory = directory
        self.tree = directory / "srv"
        self.outputs = directory / "out"
        trees.write(self.tree, self.outputs)
        self.floors = Floors(directory / "floors")
        self.ctl = fleet.Fleet(directory, master={"file_roots": {"base": [str(self.tree)]}})
        self.salt = SaltFleet(salt, directory / "salt", self.tree) if salt else None

    def start(self) -> None:
        """Start both with one minion each."""
        self.ctl.add_minion("m0")
        self.ctl.start()
        if self.salt:
            self.salt.start()
            self.salt.add_minion("m0")
            self.salt.wait()

    def grow(self, count: int) -> None:
        """Have at least `count` minions each."""
        for number in range(len(self.ctl.minions), count):
            self.ctl.add_minion(f"m{number}").start()
        self.ctl.accept()
        if self.salt:
            for number in range(len(self.salt.minions), count):
                self.salt.add_minion(f"m{number}")
            self.salt.wait()

    def stop(self) -> None:
        """Stop both."""
        try:
            self.ctl.stop()
        finally:
            if self.salt:
                self.salt.stop()

    # -- runs

    def ctl_run(self, *words: str, code: int = 0, shows: str = "") -> Call:
        """Make a timed call of `ctl` against our master."""
        return lambda: seconds(fleet.BIN / "ctl", "-c", self.ctl.config_dir, *words, code=code, shows=shows)

    def salt_run(self, *words: str, code: int = 0, shows: str = "") -> Call | None:
        """Make a timed call of `salt` against its master."""
        salt = self.salt
        if salt is None:
            return None
        return lambda: seconds(salt.bin / "salt", "-c", salt.config_dir, *words, code=code, shows=shows)

    def run(self, *words: str, runs: int = 7, salt_runs: int | None = None) -> Pair:
        """Time the same command line with `ctl` and with `salt`."""
        return in_turn(self.ctl_run(*words), self.salt_run(*words), runs, salt_runs)

    def states(self, name: str, turn: int | None = None) -> tuple[Call, Call | None]:
        """Make timed calls that apply a tree of states; with `turn`, the one of that round."""

        def sls(kind: str) -> str:
            return name if turn is None else f"{name}-{kind}-{turn}"

        # quiet: neither side's printing of a thousand results is measured
        ours = self.ctl_run("m0", "state.apply", sls("ctl"), "--out=quiet")
        return ours, self.salt_run("m0", "state.apply", sls("salt"), "--out=quiet", "--timeout=600")

    # -- the client script

    def script(self, *words: str | int, salt_words: Sequence[str | int] | None = None) -> list[dict[str, Any]]:
        """Run the client script with each fleet in turn; `salt_words` where Salt is asked for less."""
        found = [self._script([sys.executable, SCRIPT, "ctl.client", self.ctl.config_dir / "master", *words])]
        if self.salt:
            mine = words if salt_words is None else salt_words
            python, config = self.salt.bin / "python", self.salt.config_dir / "master"
            found.append(self._script([python, SCRIPT, "salt.client", config, *mine]))
        return found

    def until(self, kind: str, what: str, start: Callable[[], object]) -> float:
        """Return the time from `start` until a client of `kind` sees `what`: "answer" of m0, or "publish"."""
        words: list[str | Path] = [sys.executable, SCRIPT, "ctl.client", self.ctl.config_dir / "master", what]
        if kind == "salt":
            assert self.salt is not None
            words = [self.salt.bin / "python", SCRIPT, "salt.client", self.salt.config_dir / "master", what]
        with subprocess.Popen(
            [str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as script:
            assert script.stdin is not None
            assert script.stdout is not None
            script.stdout.readline()  # it has imported its libraries
            started = time.monotonic()
            start()
            output, _ = script.communicate("go\n", timeout=120)
        return float(json.loads(output.splitlines()[-1])) - started

    def _script(self, words: Sequence[str | int | Path]) -> dict[str, Any]:
        done = subprocess.run(
            [str(word) for word in words], capture_output=True, text=True, check=False, timeout=SCRIPT_TIMEOUT_S
        )
        if done.returncode:
            raise SystemExit(f"{words} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result


def in_turn(ctl: Call, salt: Call | None, runs: int = 7, salt_runs: int | None = None) -> Pair:
    """Take runs in turn, of which the first of each warms up; return the medians."""
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(runs + 1):
        ours.append(ctl())
        if salt and number <= (runs if salt_runs is None else salt_runs):
            theirs.append(salt())
    return statistics.median(ours[1:]), statistics.median(theirs[1:] or theirs) if theirs else None
