"""Trees of `tests/data/sls` compile to the low data and run to the returns in `expected.json`.

Those are what Salt 3008.3 gave, except where a case says in `differs` why ctl's are others; for trees with mistakes
they are the first lines of ctl's own problems.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctl.common.files import Roots

DATA = Path(__file__).parent.parent / "data" / "sls"
EXPECTED = json.loads((DATA / "expected.json").read_text())
KEYS = ("result", "comment", "changes", "name", "__run_num__", "__state_ran__", "__id__", "__sls__")
GOOD = [name for name, case in EXPECTED.items() if "low" in case]
BAD = [name for name, case in EXPECTED.items() if "problems" in case]


def _call(minion: Any, case: str, shown: bool = False, **options: Any) -> Any:
    minion.context.files = Roots({"base": [DATA / case]})
    if case == "top":
        return minion.call("state.show_lowstate" if shown else "state.highstate", **options)
    return minion.call("state.show_low_sls" if shown else "state.sls", "start", **options)


def _plain(data: Any) -> Any:
    return json.loads(json.dumps(data, default=str))


def _shorten(ret: dict[str, Any]) -> dict[str, Any]:
    kept = {key: ret[key] for key in KEYS if key in ret}
    head, trace, _rest = kept["comment"].partition("Traceback")
    return {**kept, "comment": head + trace}


@pytest.mark.parametrize("case", GOOD)
def test_low_data_and_order_are_as_expected(minion: Any, case: str) -> None:
    found = _plain(_call(minion, case, shown=True))
    assert [(low["__id__"], low["name"]) for low in found] == [
        (low["__id__"], low["name"]) for low in EXPECTED[case]["low"]
    ]
    assert [{k: v for k, v in low.items() if k not in ("__source__", "name_order")} for low in found] == EXPECTED[case][
        "low"
    ]


@pytest.mark.parametrize("mode", ["run", "test"])
@pytest.mark.parametrize("case", GOOD)
def test_results_are_as_expected(minion: Any, case: str, mode: str) -> None:
    found = _plain(_call(minion, case, test=mode == "test"))
    assert list(found) == list(EXPECTED[case][mode])
    assert {tag: _shorten(ret) for tag, ret in found.items()} == EXPECTED[case][mode]


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_reported_and_nothing_runs(minion: Any, case: str) -> None:
    found = _call(minion, case)
    assert [problem.split("\n")[0] for problem in found] == EXPECTED[case]["problems"]
    assert minion.retcode == 1
    assert minion.daemon.told == []
