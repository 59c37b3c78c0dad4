"""Pauses of the garbage collector: it runs again after the outermost, and looks at a job's data no more."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from ctl.common import collector


def test_it_runs_again_after_the_outermost_pause() -> None:
    assert gc.isenabled()
    with collector.paused():
        with collector.paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_runs_again_after_a_mistake() -> None:
    with pytest.raises(ValueError, match="wrong"), collector.paused():
        raise ValueError("wrong")
    assert gc.isenabled()


@pytest.mark.parametrize("keeps", [False, True])
def test_what_a_job_builds_is_passed_over(keeps: bool) -> None:
    program = f"""
import gc
from ctl.common import collector
if {keeps}:
    collector.keep_what_is_built()
with collector.paused():
    built = [[number] for number in range(1000)]
print(gc.get_freeze_count() >= 1000, gc.isenabled())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(keeps), "True"]
