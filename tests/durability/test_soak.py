"""A minute of random faults: some schedules whose seeds are written here, and one that nobody has seen before.

`make soak` runs as many as one likes.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ctl.tests.durability import preload, soak

SECONDS = 5.0
AT_ONCE = 2
SEEDS = (11, 69, 88)  # they hold a crash of each side, pauses, cuts and a leap of the clock


@pytest.mark.timeout(400)
def test_no_promise_is_broken(tmp_path: Path) -> None:
    seeds = [*SEEDS, random.SystemRandom().randrange(10**6)]
    print("seeds", *seeds)
    library = "" if preload.missing() else str(preload.build(tmp_path))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rows = list(pool.map(lambda seed: soak.one(seed, SECONDS, str(tmp_path), library, ()), seeds))
    print("\n".join(soak.table(rows)))
    assert [row.get("error") or row["violations"] for row in rows] == [[]] * len(seeds)
    assert sum(row["executions"] for row in rows) > 0
