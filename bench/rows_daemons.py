"""Rows about the daemons: what they use when idle, how soon they are there, and one that is dead."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median

import meter
from floors import LIBRARIES
from stage import Stage, in_turn
from table import Line

SETTLE_S = 3
IDLE_S = 20
DEAD = "m4"


def memory(stage: Stage) -> Iterator[Line]:
    """Idle memory, all processes of a daemon together; the floor is an interpreter with the same libraries."""
    time.sleep(SETTLE_S)
    floor = _memory_of_libraries()
    for name, goal in (("minion", 40), ("master", 60)):
        ctl, salt = _pids(stage, name)
        yield Line(f"idle {name}, memory", "MiB", meter.memory(ctl), meter.memory(salt) if salt else None, floor, goal)


def _memory_of_libraries() -> float:
    words = [sys.executable, "-c", f"{LIBRARIES}\nprint(flush=True)\ninput()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        used = meter.memory(process.pid)
        process.communicate(b"\n")
    return used


def processor(stage: Stage) -> Iterator[Line]:
    """Processor time while nothing happens."""
    time.sleep(SETTLE_S)
    names = [(name, *_pids(stage, name)) for name in ("minion", "master")]
    used = iter(meter.idle_percent([pid for _name, *pids in names for pid in pids if pid], IDLE_S))
    for name, _ctl, salt in names:
        yield Line(f"idle {name}, processor", "%", next(used), next(used) if salt else None, None, 0.2)


def _pids(stage: Stage, name: str) -> tuple[int, int]:
    """Return the process id of ours and of Salt's (0 without a Salt)."""
    if name == "master":
        return stage.ctl.master.pid, stage.salt.pid() if stage.salt else 0
    return stage.ctl.minions["m0"].pid, stage.salt.pid("m0") if stage.salt else 0


def starts(stage: Stage) -> Iterator[Line]:
    """From the start of a daemon's process until it is of use."""
    minion, salt, floor = stage.ctl.minions["m0"], stage.salt, stage.floors.libraries

    def restart_minion() -> float:
        minion.stop()
        return stage.until("ctl", "answer", minion.start)

    def restart_salt_minion() -> float:
        assert salt is not None
        salt.end("m0")
        return stage.until("salt", "answer", lambda: salt.start_minion("m0"))

    figures = _restarts(restart_minion, restart_salt_minion if salt else None)
    yield Line("minion start to its first answer", "s", *figures, floor, 0.4)

    def restart_master() -> float:
        stage.ctl.master.stop()
        return stage.until("ctl", "publish", stage.ctl.master.start)

    def restart_salt_master() -> float:
        assert salt is not None
        salt.end()
        return stage.until("salt", "publish", salt.start)

    figures = _restarts(restart_master, restart_salt_master if salt else None)
    yield Line("master start to its first publication", "s", *figures, floor, 0.5)
    stage.ctl.wait_connected(list(stage.ctl.minions))
    if salt:
        salt.wait()


def _restarts(ctl: Callable[[], float], salt: Callable[[], float] | None) -> tuple[float, float | None]:
    return median([ctl() for _ in range(5)]), salt() if salt else None


def dead(stage: Stage) -> Iterator[Line]:
    """One minion's process was killed: its name is said, and nobody waits for it."""
    stage.ctl.minions[DEAD].stop(signal.SIGKILL)
    if stage.salt:
        stage.salt.end(DEAD, signal.SIGKILL)
    ctl = stage.ctl_run("*", "test.ping", code=1, shows=DEAD)
    figures = in_turn(ctl, stage.salt_run("*", "test.ping", code=1, shows=DEAD), 7, 1)
    floor = stage.floors.python + stage.floors.jobs_of(4)
    yield Line("ctl '*' test.ping, 1 of 5 minions killed", "s", *figures, floor, 0.3, "exit code 1, named")
    stage.ctl.minions[DEAD].start()
    stage.ctl.wait_connected([DEAD])
    if stage.salt:
        stage.salt.start_minion(DEAD)
        stage.salt.wait()
