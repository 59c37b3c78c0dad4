"""Trees of `tests/data/sls` compile to the low data and run to the returns in `expected.json`.

Those are what Salt 3008.3 gave, except where a case says in `differs` why ctl's are others; for trees with mistakes
they are the first lines of ctl's own problems. `make compare` asks Salt again; so does the last test, where it is
installed.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCH = Path(__file__).parents[2] / "bench"
DATA = Path(__file__).parents[1] / "data" / "sls"
EXPECTED: dict[str, dict[str, Any]] = json.loads((DATA / "expected.json").read_text())
GOOD = [name for name, case in EXPECTED.items() if "low" in case]
BAD = [name for name, case in EXPECTED.items() if "problems" in case]
# Asking Salt takes its time, so the test asks for a few trees that use much at once; `make compare` asks for all.
ASKED = ["formula_map", "formula_tofs", "jinja_functions", "pillar_includes", "requisite_weights", "user_renderers"]


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    """The programs of `make compare`, which import each other by their plain names."""
    names = ("corpus", "compare_ctl", "compare")
    path = list(sys.path)
    yield [_load(name) for name in names][-1]
    sys.path[:] = path
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def outcome(bench: Any, request: pytest.FixtureRequest) -> Any:
    """What ctl makes of the case that a test is about."""
    case = bench.corpus.read(DATA / request.node.callspec.params["case"])
    if missing := case.missing():
        pytest.skip(f"this case needs {', '.join(missing)}")
    return bench.compare_ctl.outcome(case)


def test_there_is_an_expectation_for_every_case(bench: Any) -> None:
    assert sorted(EXPECTED) == [case.name for case in bench.corpus.cases()]
    assert len(EXPECTED) >= 150


@pytest.mark.parametrize("case", GOOD)
def test_low_data_order_and_returns_are_as_expected(outcome: Any, case: str) -> None:
    expected = EXPECTED[case]
    names = [[(low["__id__"], low["name"]) for low in found["low"]] for found in (outcome, expected)]
    assert names[0] == names[1]
    assert outcome == {part: value for part, value in expected.items() if part != "differs"}
    for part in ("run", "test"):
        assert list(outcome[part]) == list(expected[part])


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_reported_and_nothing_runs(outcome: Any, case: str) -> None:
    assert [problem.split("\n")[0] for problem in outcome["run"]] == EXPECTED[case]["problems"]


def test_every_deliberate_difference_has_a_reason_and_a_case(bench: Any) -> None:
    known = bench.deliberate()
    assert set(known) <= set(EXPECTED)
    assert all(reason.strip() for parts in known.values() for reason in parts.values())


def test_salt_gives_the_same(bench: Any) -> None:
    python = bench.salt_python(None)
    if python is None:
        pytest.skip("Salt is not installed (say where with SALT=path/to/venv)")
    salt = bench.ask_salt(python, ASKED)
    ctl = {case.name: bench.compare_ctl.outcome(case) for case in bench.corpus.cases(ASKED)}
    assert list(bench.compare(salt, ctl)) == []
