"""Real daemons from the installed programs, each fleet in a directory of its own."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _bench_fleet() -> ModuleType:
    """Load bench/fleet.py, which the demo and the bench use as well."""
    path = Path(__file__).parents[2] / "bench" / "fleet.py"
    spec = importlib.util.spec_from_file_location("bench_fleet", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_fleet"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def bench_fleet() -> ModuleType:
    return _bench_fleet()


@pytest.fixture
def make_fleet(bench_fleet: ModuleType, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Make fleets that are stopped after the test: `make_fleet(["m1"], srv={"top.sls": "..."}, pillar={...})`."""
    made: list[Any] = []

    def make(
        minions: list[str],
        *,
        srv: dict[str, str] | None = None,
        pillar: dict[str, str] | None = None,
        master: dict[str, Any] | None = None,
        settings: Callable[[str], dict[str, Any]] = lambda _name: {},
    ) -> Any:
        fleet = bench_fleet.Fleet(tmp_path / f"fleet{len(made)}", master=master)
        made.append(fleet)
        for folder, files in (("srv", srv or {}), ("pillar", pillar or {})):
            (fleet.directory / folder).mkdir()
            for name, text in files.items():
                path = fleet.directory / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        for name in minions:
            fleet.add_minion(name, settings(name))
        return fleet

    yield make
    for fleet in made:
        fleet.stop()
