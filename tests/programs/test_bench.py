"""The bench: its rows can be listed and chosen, and its lines compare the right way round."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "bench"


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCH / "run.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module", name="table")
def _table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_table", BENCH / "table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_table"] = module
    spec.loader.exec_module(module)
    return module


def test_rows_are_listed_once_each() -> None:
    names = _run("--list").stdout.split()
    assert {"ping", "managed", "dead"} <= set(names)
    assert len(names) == len(set(names))


def test_a_row_that_there_is_not_is_refused_before_anything_starts() -> None:
    done = _run("ping", "pong")
    assert done.returncode == 1
    assert "there is no row 'pong'; there are version, " in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("unit", "ctl", "salt", "floor", "goal", "ratio", "above", "reached"),
    [
        ("s", 0.5, 2.0, 0.25, 0.5, "4.0x", "2.0x", "+"),
        ("MiB", 50.0, 75.0, 10.0, 40, "1.5x", "5.0x", "-"),
        ("jobs/s", 200.0, 50.0, 800.0, 200, "4.0x", "4.0x", "+"),
        ("MB/s", 100.0, 200.0, None, 400, "0.5x", "", "-"),
        ("s", 0.5, None, None, None, "", "", ""),
    ],
)
def test_more_is_better_or_worse_as_the_unit_says(
    table: ModuleType,
    unit: str,
    ctl: float,
    salt: float | None,
    floor: float | None,
    goal: float | None,
    ratio: str,
    above: str,
    reached: str,
) -> None:
    line = table.Line("a row", unit, ctl, salt, floor, goal)
    assert (line.ratio, line.above_floor, line.reached) == (ratio, above, reached)
    assert str(line).startswith("a row")
