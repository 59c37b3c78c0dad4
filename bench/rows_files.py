"""Rows about much data at once: a large file to a minion, a large return from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median

import fleet
import meter
import trees
from stage import Stage, seconds
from table import Line

MB = 1_000_000
RETURN_BYTES = 50 * MB
TRANSFERS = 3


def get_file(stage: Stage) -> Iterator[Line]:
    """A large file, and the memory that its minion uses meanwhile."""
    rate, peak = _transfers(stage, fleet.BIN / "ctl", stage.ctl.config_dir, stage.ctl.minions["m0"].pid)
    salt_rate = salt_peak = None
    if stage.salt:
        program, config = stage.salt.bin / "salt", stage.salt.config_dir
        salt_rate, salt_peak = _transfers(stage, program, config, stage.salt.pid("m0"))
    floor = trees.BIG_FILE_BYTES / MB / stage.floors.receive(trees.BIG_FILE_BYTES)
    yield Line("cp.get_file of 200 MiB", "MB/s", rate, salt_rate, floor, 400)
    yield Line("the minion's peak memory in it", "MiB", peak, salt_peak, None, 70)


def _transfers(stage: Stage, program: Path, config: Path, pid: int) -> tuple[float, float]:
    """Return the median rate in MB/s and the peak in MiB."""
    rates, peaks = [], []
    for turn in range(TRANSFERS):
        target = stage.outputs / f"big-{program.name}-{turn}"
        with meter.peak_of(pid) as peak:
            words = ("m0", "cp.get_file", "salt://big", str(target), "--timeout=120")
            took = seconds(program, "-c", config, *words)
        assert target.stat().st_size == trees.BIG_FILE_BYTES
        rates.append(trees.BIG_FILE_BYTES / MB / took)
        peaks.append(peak.mib)
    return median(rates), max(peaks)


def large_return(stage: Stage) -> Iterator[Line]:
    """A command's output, whole; without a figure where it does not come whole."""
    ours, *theirs = stage.script("large", RETURN_BYTES)
    if ours["seconds"] is None:
        raise SystemExit("a return of 50 MB did not come whole")
    salt = theirs[0]["seconds"] if theirs else None
    note = "Salt's did not come whole" if theirs and salt is None else ""
    yield Line("cmd.run that prints 50 MB", "s", ours["seconds"], salt, stage.floors.carry(RETURN_BYTES), 1.0, note)
