"""Kill -9 at each step of a job's way and of a key's change (F01 to F05, F08): the promises hold, and each step's own.

One master and one minion; for each place the one that is to die there is started with it, a job is asked for, and what
died is started again.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctl.client import job
from ctl.client.local import LocalClient
from ctl.common.errors import CtlError
from ctl.tests.durability.arena import RULES, Arena
from ctl.tests.durability.caller import Notes, call
from ctl.tests.durability.history import Answered, Cached, Event, Fault, Started, check

MINION = "m0"


class Stage:
    """An arena, its client, and the jobs that were asked for."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.client = LocalClient(arena.master_home / "etc")
        self.notes = Notes(arena.directory / "calls-0")
        self._number = 0

    def up(self, minion: str = MINION) -> bool:
        """Whether the minion is connected."""
        try:
            return (minion, True) in job.targets(self.client.pool, job.Request(minion, ""))
        except CtlError:
            return False

    def ask(self, seconds: float = 0.0) -> str:
        """Ask for a job; return its token."""
        self._number += 1
        token = f"token-{self._number}"
        asked = job.Request(
            [MINION], "durable.work", kwarg={"mark": token, "seconds": seconds, "size": 10}, tgt_type="list",
            timeout=3.0, window=20.0,
        )  # fmt: skip
        call(self.client, self.notes, token, asked, False)
        return token

    def events(self) -> list[Event]:
        """Return the whole history; the programs have ended then."""
        for program in self.arena.programs.values():
            program.end(signal.SIGTERM)
        return list(self.arena.events())


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Arena(tmp_path, 3, minions=(MINION,)) as arena:
        arena.wait_for_fleet()
        made = Stage(arena)
        yield made
        made.client.close()


def _has_died(arena: Arena, name: str) -> Callable[[], bool]:
    return lambda: not arena.programs[name].pid


def _crash(stage: Stage, wait_until: Callable[..., None], name: str, place: str) -> str:
    """Have a program die at a place while a job goes its way; return the job's token once all is over."""
    program = stage.arena.programs[name]
    program.end()
    program.start(f"{place}:1")
    wait_until(stage.up, 30, f"the minion to be connected before {place}")
    now = time.monotonic()
    stage.arena.faults.append(Fault("kill_master" if name == "master" else "kill_minion", name, now, now + 5))
    token = stage.ask()
    wait_until(_has_died(stage.arena, name), 20, f"{name} to die at {place}")
    assert program.end() == -signal.SIGKILL
    program.start()
    wait_until(stage.up, 30, f"the minion to be connected after {place}")
    stage.arena.settle()
    return token


def _facts(stage: Stage, token: str) -> tuple[int, str, bool, int]:
    """Return how many jobs a token is, its end, whether the client was given a jid, and how often it began."""
    events = stage.events()
    jobs = [event for event in events if isinstance(event, Cached) and event.token == token]
    end = jobs[0].ends[MINION].state if jobs else ""
    answered = any(isinstance(event, Answered) and event.token == token for event in events)
    began = sum(isinstance(event, Started) and event.token == token for event in events)
    return len(jobs), end, answered, began


# place -> jobs, how it ends, whether the client was given a jid (None: it may be), how often it begins
MASTER_PLACES: dict[str, tuple[int, str, bool | None, set[int]]] = {
    "master.job.before_commit": (0, "", False, {0}),  # F01
    "master.job.in_commit": (0, "", False, {0}),
    "master.job.before_publish": (1, "returned", False, {1}),  # F02
    "master.job.after_publish": (1, "returned", False, {1}),
    "master.return.before_commit": (1, "returned", None, {1}),  # F03, F04
    "master.return.in_commit": (1, "returned", None, {1}),
    "master.return.answered": (1, "returned", None, {1}),
}
MINION_PLACES: dict[str, tuple[str, set[int]]] = {
    "minion.job.before_ledger": ("returned", {1}),  # F08: not started, and delivered again
    "minion.job.entered": ("interrupted", {0}),
    "minion.job.begun": ("interrupted", {0, 1}),
    "minion.return.before_outbox": ("interrupted", {1}),
    "minion.return.confirmed": ("returned", {1}),
}


@pytest.mark.timeout(300)
def test_f01_f04_a_master_that_is_killed_at_each_step(stage: Stage, wait_until: Callable[..., None]) -> None:
    found = {}
    for place in MASTER_PLACES:
        found[place] = _crash(stage, wait_until, "master", place)
    for place, (jobs, end, given, begins) in MASTER_PLACES.items():
        found_jobs, found_end, answered, began = _facts(stage, found[place])
        assert (place, found_jobs, found_end) == (place, jobs, end)
        assert given is None or answered is given, place
        assert began in begins, place
    assert check(stage.events(), RULES) == []


@pytest.mark.timeout(300)
def test_f08_a_minion_that_is_killed_at_each_step(stage: Stage, wait_until: Callable[..., None]) -> None:
    found = {}
    for place in MINION_PLACES:
        found[place] = _crash(stage, wait_until, MINION, place)
    for place, (end, begins) in MINION_PLACES.items():
        jobs, found_end, answered, began = _facts(stage, found[place])
        assert (place, jobs, found_end, answered) == (place, 1, end, True)
        assert began in begins, place
    assert check(stage.events(), RULES) == []


KEY_PLACES = {
    "keys.before_commit": True,
    "keys.after_commit": False,
    "master.key.committed": False,
    "master.key.followed": False,
}


@pytest.mark.timeout(300)
def test_f05_a_key_is_changed_wholly_or_not_at_all(stage: Stage, wait_until: Callable[..., None]) -> None:
    master, pool = stage.arena.programs["master"], stage.client.pool

    def listed() -> bool:
        try:
            return bool(pool.call("key.list"))
        except CtlError:
            return False

    for place, accepted in KEY_PLACES.items():
        master.end()
        master.start(f"{place}:1")
        wait_until(stage.up, 30, "the minion to be connected")
        with pytest.raises(CtlError):
            pool.call("key.reject", match=MINION, include=["accepted"])
        wait_until(_has_died(stage.arena, "master"), 20, f"the master to die at {place}")
        master.start()
        wait_until(listed, 30, "the master to answer")
        assert (MINION in pool.call("key.list")["accepted"]) is accepted, place
        if not accepted:
            with pytest.raises(CtlError, match="No minions matched"):
                list(job.publish(pool, job.Request(MINION, "test.ping")))
            pool.call("key.accept", match=MINION, include=["rejected"])
            stage.arena.programs[MINION].end()
            stage.arena.programs[MINION].start()
        wait_until(stage.up, 30, "the minion to be connected again")
