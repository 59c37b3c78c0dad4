"""Power cuts (F15): after one at any moment, what was promised before is on the disk, and nothing is half there.

A master and minions work under a recorder of their writes and syncs; `powerloss.py` says what may be left of them.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctl.master.keys import KeyTable
from ctl.minion.store import open_store
from ctl.tests.durability import preload
from ctl.tests.durability.arena import MINIONS, Arena, cached, lines
from ctl.tests.durability.powerloss import Disk, Entry, read

CUTS = int(os.environ.get("CTL_CUTS", "40"))
SECONDS = 4.0

pytestmark = pytest.mark.skipif(bool(preload.missing()), reason=preload.missing())


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with the records of a run, and the notes of who was promised what."""
    directory = tmp_path_factory.mktemp("power")
    library = str(preload.build(directory))
    with Arena(directory, 1, library, recorded=True) as arena:
        arena.wait_for_fleet()
        for _ in range(2):
            arena.add_caller()
        time.sleep(SECONDS / 2)
        for name in MINIONS[:2]:  # so that returns wait in outboxes, and come again
            arena.proxies[name].cut()
        time.sleep(SECONDS / 4)
        for name in MINIONS[:2]:
            arena.proxies[name].mend()
        time.sleep(SECONDS / 4)
        arena.end_callers()
        for program in arena.programs.values():
            program.end()
    yield directory
    shutil.rmtree(directory)


def _cuts(trace: Path, root: Path, where: Path, seed: int) -> Iterator[tuple[float, Path]]:
    """Yield the moments of random cuts, each with what the disk may hold then."""
    choose = random.Random(seed)
    entries = list(read(trace))
    disk = Disk()
    done = 0
    for number, at in enumerate(sorted(choose.sample(range(len(entries)), min(CUTS, len(entries))))):
        for entry in entries[done:at]:
            disk.apply(entry)
        done = at
        image = where / f"cut-{number}"
        image.mkdir(parents=True)
        disk.cut(root, image, choose)
        yield entries[at].at, image
        shutil.rmtree(image)


def test_f15_what_a_client_and_a_minion_were_promised_survives_a_power_cut(recorded: Path, tmp_path: Path) -> None:
    answers = [(at, token, more[0]) for path in recorded.glob("calls-*") for what, token, at, *more in lines(path)
               if what == "answer"]  # fmt: skip
    confirmed = [(at, name, jid) for name in MINIONS for _, jid, at in lines(recorded / f"confirmed-{name}")]
    assert len(answers) > 5
    assert len(confirmed) > 5
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    checked = 0
    for at, image in _cuts(recorded / "trace-master", recorded / "master/var", tmp_path, seed):
        data = image / "lib/ctl/master"
        jobs = {job.jid: job for job in cached(data)}
        for when, token, jid in answers:
            if when < at:
                assert jid in jobs, f"job {jid} was given out {at - when:.4f} s before the cut"
                assert jobs[jid].token == token
        for when, name, jid in confirmed:
            if when < at:
                end = jobs[jid].ends.get(name)
                assert end is not None, f"the return of {jid} was confirmed to {name} {at - when:.4f} s before the cut"
                assert not end.inferred
                assert end.good, f"the return of {jid} by {name} is damaged"
        checked += 1
    assert checked >= min(CUTS, 10)


def test_f15_keys_survive_a_power_cut(recorded: Path, tmp_path: Path) -> None:
    states: set[int] = set()
    for _, image in _cuts(recorded / "trace-master", recorded / "master/var", tmp_path, 2):
        table = KeyTable(image / "lib/ctl/master/keys.db")
        states.add(len(table.accepted_ids()))
        table.close()
    assert len(MINIONS) in states


def test_f15_a_job_that_began_is_in_the_ledger_after_a_power_cut(recorded: Path, tmp_path: Path) -> None:
    jids = {job.token: job.jid for job in cached(recorded / "master/var/lib/ctl/master")}
    for name in MINIONS:
        began = [(at, jids[token]) for what, token, at in lines(recorded / f"executions-{name}") if what == "start"]
        assert began
        for at, image in _cuts(recorded / f"trace-{name}", recorded / name / "var", tmp_path / name, 3):
            database = open_store(image / "lib/ctl/minion")
            known = {jid for (jid,) in database.read("SELECT jid FROM ledger")}
            database.close()
            for when, jid in began:
                assert when >= at or jid in known, f"job {jid} began on {name} {at - when:.4f} s before the cut"


def _at(kind: str, inode: int, offset: int = 0, data: bytes = b"") -> Entry:
    return Entry(kind, 0.0, inode, offset, data)


def test_the_model_loses_what_was_not_synced_and_nothing_else(tmp_path: Path) -> None:
    disk = Disk()
    for entry in (
        _at("L", 1, data=b"/r/a"), _at("W", 1, data=b"x" * 1024), _at("S", 1), _at("D", 9, data=b"/r"),
        _at("W", 1, 0, b"y" * 1024), _at("L", 2, data=b"/r/b"), _at("W", 2, data=b"z"),
    ):  # fmt: skip
        disk.apply(entry)

    contents: set[bytes] = set()
    others: set[bytes | None] = set()
    for seed in range(64):
        image = tmp_path / f"image-{seed}"
        image.mkdir()
        disk.cut(Path("/r"), image, random.Random(seed))
        content = (image / "a").read_bytes()
        contents.add(content[:1] + content[512:513])
        others.add((image / "b").read_bytes() if (image / "b").exists() else None)
    assert contents == {b"xx", b"xy", b"yx", b"yy"}
    assert {None, b"", b"z"} <= others <= {None, b"", b"z", bytes(1)}
