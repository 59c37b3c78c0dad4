"""The fuzz targets for a moment: every seed, and what comes of changing seeds. `make fuzz` runs them for long."""

from __future__ import annotations

import importlib.util
import random
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

EXAMPLES = 500
MOST_SECONDS = 20.0  # for one input, on a busy machine; `make fuzz` is stricter, and slower


def _runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_run", Path(__file__).with_name("run.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


run = _runner()
TARGETS = run.load_targets()
SEEDS = {name: [path.read_bytes() for path in run.seeds(name)] for name in TARGETS}


def changed(name: str) -> st.SearchStrategy[bytes]:
    """Return a strategy of inputs: seeds that were cut, spliced and sprinkled, and bytes of all kinds."""

    def change(number: int) -> bytes:
        dice = random.Random(number)
        data = bytearray(dice.choice(SEEDS[name])[:4096])
        for _ in range(dice.randint(1, 6)):
            at, end = sorted(dice.randint(0, len(data)) for _ in range(2))
            match dice.randint(0, 5):
                case 0 if at < len(data):
                    data[at] ^= 1 << dice.randint(0, 7)
                case 1:
                    del data[at : min(end, at + 40)]
                case 2:
                    data[at:at] = dice.randbytes(dice.randint(1, 8))
                case 3:
                    other = dice.choice(SEEDS[name])[:4096]
                    cut = dice.randint(0, len(other))
                    data[at:at] = other[cut : cut + 60]
                case 4:
                    data[at:at] = data[at : min(end, at + 60)]
                case _:
                    data[at : at + 1] = dice.choice(
                        [b"\0", b"\xff", b"{", b"[", b"'", b"\n", b": ", b"- ", b"*", b"!!"]
                    )
        return bytes(data)

    return st.integers(0, 2**32).map(change) | st.binary(max_size=300)


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    assert SEEDS[name], f"no seeds in tests/data/fuzz/{name}"
    for path in run.seeds(name):
        start = time.monotonic()
        TARGETS[name](path.read_bytes())
        assert time.monotonic() - start < MOST_SECONDS, path


@pytest.mark.parametrize("name", TARGETS)
def test_changed_seeds(name: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=MOST_SECONDS * 1000,
        derandomize=True,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(changed(name))
    def check(data: bytes) -> None:
        TARGETS[name](data)

    check()


def test_every_target_has_seeds_and_every_seed_a_target() -> None:
    assert {path.name for path in run.SEEDS.iterdir()} == set(TARGETS)
