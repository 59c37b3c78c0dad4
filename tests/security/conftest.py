"""What the tests of threats share: fleets in one process, real programs, the attackers, and what was logged."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


_fleet = _load("security_fleet", TESTS / "fleet" / "conftest.py")
_programs = _load("security_programs", TESTS / "programs" / "conftest.py")
run_fleet = _fleet.run_fleet
eventually_fixture = _fleet.eventually_fixture
bench_fleet = _programs.bench_fleet
make_fleet = _programs.make_fleet
_house = _load("security_house", TESTS / "master" / "conftest.py")
run_house = _house.run_house
refused_fixture = _house.refused_fixture


@pytest.fixture(scope="session")
def stranger() -> ModuleType:
    """Other users of this machine: `Stranger`, `account`, `job`."""
    return _load("security_stranger", Path(__file__).parent / "stranger.py")


@pytest.fixture(scope="session")
def attack() -> ModuleType:
    """The attackers: `OnPath`, `Hostile`, `Lines`."""
    return _load("security_attack", TESTS / "fleet" / "attack.py")


@pytest.fixture
def lines(attack: Any, caplog: Any) -> Any:
    """What is logged."""
    return attack.Lines(caplog)


@pytest.fixture
def hostile(attack: Any) -> Any:
    """Make hostile minions that are closed at the end of `with`."""

    @contextlib.contextmanager
    def make(fleet: Any, **fields: Any) -> Any:
        peer = attack.Hostile(fleet.master, **fields)
        try:
            yield peer
        finally:
            peer.close()

    return make


@pytest.fixture
def run_hostile(run_fleet: Callable[..., None], attack: Any, lines: Any) -> Callable[..., None]:
    """Run a scenario with a fleet and a hostile minion that is connected; nothing may break in it."""

    def run(scenario: Any, minions: int = 0, **settings: Any) -> None:
        async def with_hostile(fleet: Any) -> None:
            bad = attack.Hostile(fleet.master)
            try:
                await bad.join()
                await scenario(fleet, bad)
                assert await bad.ask("keepalive", jids=[])
                assert (await fleet.call("ping"))["pid"] == os.getpid()
            finally:
                bad.close()

        run_fleet(with_hostile, minions, **settings)
        assert lines.alarms() == []

    return run
