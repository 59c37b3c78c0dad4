"""Rows about programs and single jobs: whole processes, calls of a client, many jobs, many minions."""

from __future__ import annotations

import os
from collections.abc import Iterator

import fleet
from stage import MANY_MINIONS, Stage, in_turn, seconds
from table import Line


def version(stage: Stage) -> Iterator[Line]:
    """The program alone."""
    salt = stage.salt
    ctl = lambda: seconds(fleet.BIN / "ctl", "--version")  # noqa: E731  # as short as what it stands for
    figures = in_turn(ctl, (lambda: seconds(salt.bin / "salt", "--version")) if salt else None, salt_runs=3)
    yield Line("ctl --version", "s", *figures, stage.floors.python, 0.05)


def call(stage: Stage) -> Iterator[Line]:
    """A function without a master."""
    words, salt = ["--local", "test.ping"], stage.salt
    config = stage.ctl.minions["m0"].config_dir
    figures = in_turn(
        lambda: seconds(fleet.BIN / "ctl-call", "-c", config, *words),
        (lambda: seconds(salt.bin / "salt-call", "-c", salt.directory / "m0", *words)) if salt else None,
        salt_runs=3,
    )
    yield Line("ctl-call --local test.ping", "s", *figures, stage.floors.python, 0.12)


def ping(stage: Stage) -> Iterator[Line]:
    """The whole way of a job, from a shell."""
    floor = stage.floors.python + stage.floors.job
    yield Line("ctl '*' test.ping, 1 minion", "s", *stage.run("*", "test.ping", salt_runs=3), floor, 0.07)


def client(stage: Stage) -> Iterator[Line]:
    """Calls of LocalClient, one after another."""
    ours, *theirs = stage.script("calls", 300, salt_words=["calls", 30])
    salt = theirs[0] if theirs else {}
    floor = stage.floors.job * 1000
    yield Line("LocalClient.cmd, 1 minion, median", "ms", ours["median_ms"], salt.get("median_ms"), floor, 4)
    yield Line("LocalClient.cmd, 1 minion, p95", "ms", ours["p95_ms"], salt.get("p95_ms"), floor, 8)
    rate = "jobs_per_second"
    yield Line("jobs one after another", "jobs/s", ours[rate], salt.get(rate), 1000 / floor, 200)


def burst(stage: Stage) -> Iterator[Line]:
    """Many jobs at once, one minion; Salt would take minutes for as many, and fewer give the same rate."""
    ours, *theirs = stage.script("burst", 200, salt_words=["burst", 25])
    rate = "jobs_per_second"
    floor = (os.cpu_count() or 1) / (stage.floors.crypto + stage.floors.fork)
    yield Line("200 jobs at once, 1 minion", "jobs/s", ours[rate], theirs[0][rate] if theirs else None, floor, 150)


def ping_many(stage: Stage) -> Iterator[Line]:
    """The whole way of a job to many minions, all of them on this machine."""
    figures = stage.run("*", "test.ping", salt_runs=3)
    floor = stage.floors.python + stage.floors.jobs_of(MANY_MINIONS)
    yield Line(f"ctl '*' test.ping, {MANY_MINIONS} minions", "s", *figures, floor, 0.15)


def client_many(stage: Stage) -> Iterator[Line]:
    """Calls of LocalClient to many minions."""
    ours, *theirs = stage.script("calls", 50, salt_words=["calls", 10])
    salt = theirs[0]["median_ms"] if theirs else None
    floor = stage.floors.jobs_of(MANY_MINIONS) * 1000
    yield Line(f"LocalClient.cmd, {MANY_MINIONS} minions, median", "ms", ours["median_ms"], salt, floor, 40)
