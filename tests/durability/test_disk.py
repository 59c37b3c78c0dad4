"""A full disk (F12, F13) and a disk that fails to sync (F14), under real daemons: `faults.c` plays the disk.

While a disk is full nothing that was promised is lost, nothing new is promised, and the reason names the place. Once
there is space again all goes on, with nothing started anew. A failed sync ends all writing until a restart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctl.client import job
from ctl.client.local import LocalClient
from ctl.common.database import query_file
from ctl.common.errors import CtlError, StorageError
from ctl.tests.durability import preload
from ctl.tests.durability.arena import RULES, Arena, replace_text
from ctl.tests.durability.caller import Notes, call
from ctl.tests.durability.history import Fault, check

MINION = "m0"
pytestmark = pytest.mark.skipif(bool(preload.missing()), reason=preload.missing())


class Site:
    """One master, one minion, and the disks that each has."""

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.client = LocalClient(arena.master_home / "etc")
        self._notes = Notes(arena.directory / "calls-0")
        self._number = 0

    def disk(self, name: str, state: str) -> None:
        """Have the disk of a program be `full`, fail to sync (`eio`), or work (empty)."""
        now = time.monotonic()
        self.arena.faults.append(Fault("disk", name, now, now))
        replace_text(self.arena.disk_file(name), state)

    def ask(self, seconds: float = 0.0) -> str:
        """Publish a job and return its jid; raises what the client raises."""
        self._number += 1
        mark = f"disk-{self._number}"
        asked = job.Request(
            [MINION], "durable.work", kwarg={"mark": mark, "seconds": seconds, "size": 10}, tgt_type="list",
            timeout=3.0, window=20.0,
        )  # fmt: skip
        call(self.client, self._notes, mark, asked, False)
        line = self.arena.calls()[-1]
        if line[0] == "fail":
            raise StorageError(line[3])
        return str(line[3])

    def state(self, jid: str) -> str:
        """Return where a job stands on the minion."""
        return str(self.client.pool.call("returns", jid=jid)["states"][MINION])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    library = str(preload.build(tmp_path))
    with Arena(tmp_path, 5, library, minions=(MINION,)) as arena:
        arena.wait_for_fleet()
        made = Site(arena)
        yield made
        made.client.close()


@pytest.mark.timeout(240)
def test_f12_a_full_disk_of_the_master(site: Site, wait_until: Callable[..., None]) -> None:
    before = site.ask(seconds=2.0)
    wait_until(lambda: site.state(before) == "running", 10, "the job to be known as running")
    site.disk("master", "full")
    with pytest.raises(CtlError, match=r"(?i)(audit\.log|jobs\.db).* no space left"):
        site.ask()
    ledger = site.arena.directory / MINION / "var/lib/ctl/minion/minion.db"
    wait_until(lambda: _kept(ledger), 20, "the return to wait on the minion")
    assert site.client.pool.call("ping"), "the master still answers"
    assert site.state(before) != "returned", "what is on no disk did not happen"
    pid = site.arena.programs["master"].pid
    site.disk("master", "")
    wait_until(lambda: site.state(before) == "returned", 30, "the return to be stored")
    after = site.ask()
    wait_until(lambda: site.state(after) == "returned", 20, "the next job to return")
    assert site.arena.programs["master"].pid == pid
    _all_is_well(site)


@pytest.mark.timeout(240)
def test_f13_a_full_disk_of_a_minion(site: Site, wait_until: Callable[..., None]) -> None:
    site.disk(MINION, "full")
    refused = site.ask()
    wait_until(lambda: site.state(refused) == "refused", 20, "the job to be refused")
    found = site.client.get_cache_returns(refused)[MINION]
    assert "ledger" in found["ret"]
    assert "no space left" in found["ret"]
    pid = site.arena.programs[MINION].pid
    site.disk(MINION, "")
    after = site.ask()
    wait_until(lambda: site.state(after) == "returned", 20, "the next job to return")
    assert site.arena.programs[MINION].pid == pid
    _all_is_well(site)


@pytest.mark.timeout(240)
def test_f14_a_disk_that_fails_to_sync_is_not_asked_twice(site: Site, wait_until: Callable[..., None]) -> None:
    before = site.ask()
    wait_until(lambda: site.state(before) == "returned", 20, "the job to return")
    site.disk("master", "eio")
    with pytest.raises(CtlError, match=r"failed to sync .*jobs\.db"):
        site.ask()
    site.disk("master", "")
    with pytest.raises(CtlError, match="before a restart"):
        site.ask()
    master = site.arena.programs["master"]
    assert "failed to sync" in (master.home / "log").read_text()
    assert master.end(15) == 0
    master.start()
    wait_until(lambda: _answers(site), 30, "the master to answer again")
    assert site.state(before) == "returned"
    after = site.ask()
    wait_until(lambda: site.state(after) == "returned", 30, "the next job to return")
    _all_is_well(site)


def _answers(site: Site) -> bool:
    try:
        return (MINION, True) in job.targets(site.client.pool, job.Request(MINION, ""))
    except CtlError:
        return False


def _kept(ledger: Path) -> bool:
    return bool(query_file(ledger, "SELECT jid FROM outbox", ())[1])


def _all_is_well(site: Site) -> None:
    site.arena.settle()
    for program in site.arena.programs.values():
        program.end(15)
    rules = type(RULES)({**RULES.explained, "refused": frozenset({"disk"})}, RULES.slack, RULES.shadow)
    assert check(site.arena.events(), rules) == []
