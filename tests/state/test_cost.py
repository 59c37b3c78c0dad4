"""The cost of compiling and running grows with chunks and edges, not with their product."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ctl.common.state.compiler import compile_high


def _high(count: int, kind: str) -> dict[str, Any]:
    return {
        f"id{n}": {
            "probe": ["nop", {"order": 10000 + n}, *([{kind: [{"probe": f"id{n - 1}"}]}] if n else [])],
            "__sls__": "main",
            "__env__": "base",
        }
        for n in range(count)
    }


@pytest.mark.parametrize("kind", ["require", "require_in", "watch", "prereq"])
def test_ten_thousand_chunks_compile_in_seconds(kind: str) -> None:
    high = _high(10_000, kind)
    start = time.process_time()
    program, problems = compile_high(high)
    assert not problems
    assert len(program.chunks) == 10_000
    assert time.process_time() - start < 4


def test_a_thousand_chained_states_run_in_their_order(minion: Any) -> None:
    minion.write(
        main="".join(f"id{n}:\n  probe.nop:\n    - require: [{{probe: id{n + 1}}}]\n" for n in range(999))
        + "id999: probe.nop\n"
    )
    start = time.process_time()
    found = minion.call("state.sls", "main")
    assert [ret["__id__"] for ret in found.values()] == [f"id{n}" for n in reversed(range(1000))]
    assert time.process_time() - start < 3


def test_a_glob_is_expanded_once_for_many_that_use_it() -> None:
    high = _high(3000, "require")
    for n in range(1, 3000):
        high[f"id{n}"]["probe"][-1] = {"require": [{"mark": "w*"}]}
    high["w1"] = {"mark": ["nop", {"order": 1}], "__sls__": "main", "__env__": "base"}
    start = time.process_time()
    program, problems = compile_high(high)
    assert not problems
    assert program.chunks[0].id == "w1"
    assert time.process_time() - start < 3
