"""What is broken in a run, and when: a list made from a seed and nothing else."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

MASTER = "master"
CLIENT = "client"
FIRST_SECONDS = 0.5
QUIET_SECONDS = 1.5  # at the end everything works for a moment before calls stop

MASTER_PLACES = (
    "master.job.before_commit",
    "jobs.before_commit",
    "jobs.after_commit",
    "master.job.before_publish",
    "master.job.after_publish",
    "master.return.before_commit",
    "master.return.answered",
)
KEY_PLACES = ("keys.before_commit", "keys.after_commit", "master.key.committed", "master.key.followed")
MINION_PLACES = (
    "minion.job.before_ledger",
    "minion.before_commit",
    "minion.after_commit",
    "minion.job.entered",
    "minion.job.begun",
    "minion.return.before_outbox",
    "minion.return.kept",
    "minion.return.confirmed",
)

# (kind, how often, shortest and longest seconds); a fault of a minion's or of the master, as its name says
_KINDS: tuple[tuple[str, int, float, float], ...] = (
    ("kill_master", 4, 0.0, 1.5),
    ("stop_master", 2, 0.0, 1.0),
    ("pause_master", 3, 0.3, 4.0),
    ("crash_master", 4, 0.0, 0.5),
    ("kill_minion", 5, 0.0, 2.5),
    ("stop_minion", 2, 0.0, 1.5),
    ("pause_minion", 3, 0.3, 4.0),
    ("crash_minion", 5, 0.0, 0.5),
    ("kill_job", 3, 0.0, 0.0),
    ("kill_helper", 2, 0.0, 0.0),
    ("kill_worker", 1, 0.0, 0.0),
    ("cut", 3, 0.3, 4.0),
    ("hold", 3, 0.3, 5.0),
    ("hold_up", 2, 0.3, 4.0),
    ("hold_down", 2, 0.3, 4.0),
    ("delay", 2, 1.0, 4.0),
    ("key_delete", 2, 0.0, 0.0),
    ("key_reject", 1, 0.5, 1.5),
    ("kill_client", 2, 0.0, 0.0),
    ("clock_master", 2, 0.0, 0.0),
    ("clock_minion", 1, 0.0, 0.0),
)
KINDS = tuple(name for name, *_ in _KINDS)
_STEPS = (-3600, 3600, -315_360_000, 315_360_000, 45, -45)


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault: at so many seconds after the start, for so long. `detail` is a crash point or a clock's step."""

    at: float
    kind: str
    target: str
    seconds: float = 0.0
    detail: str = ""

    def __str__(self) -> str:
        lasting = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:6.2f}  {self.kind} {self.target}{lasting}{f' ({self.detail})' if self.detail else ''}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The faults of one run, in order of time."""

    seed: int
    seconds: float
    faults: tuple[Planned, ...]


def make(seed: int, seconds: float, minions: Sequence[str], kinds: Sequence[str] = KINDS) -> Schedule:
    """Make the schedule of a seed: about a fault a second, together or apart as it falls."""
    choose = random.Random(seed)
    table = [entry for entry in _KINDS if entry[0] in kinds]
    count = choose.randint(3, max(4, int(seconds)))
    last = max(FIRST_SECONDS, seconds - QUIET_SECONDS)
    faults = []
    for _ in range(count):
        kind, _weight, least, most = choose.choices(table, [entry[1] for entry in table])[0]
        at = choose.uniform(FIRST_SECONDS, last)
        lasting = min(choose.uniform(least, most), max(0.0, last - at)) if most else 0.0
        faults.append(Planned(at, kind, _target(choose, kind, minions), lasting, _detail(choose, kind)))
    return Schedule(seed, seconds, tuple(sorted(faults, key=lambda fault: fault.at)))


def _target(choose: random.Random, kind: str, minions: Sequence[str]) -> str:
    if kind.endswith("_master") or kind == "kill_worker":
        return MASTER
    return CLIENT if kind == "kill_client" else choose.choice(list(minions))


def _detail(choose: random.Random, kind: str) -> str:
    if kind == "crash_master":
        return f"{choose.choice(MASTER_PLACES)}:{choose.randint(1, 12)}"
    if kind == "crash_minion":
        return f"{choose.choice(MINION_PLACES)}:{choose.randint(1, 6)}"
    return str(choose.choice(_STEPS)) if kind.startswith("clock_") else ""
