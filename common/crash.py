"""Named places at which a test has this process die as kill -9 would end it there; nothing at all otherwise.

`CTL_CRASH_AT=name[:n],...` names the places and the visit (from 1) at which to die. It is read only where
`CTL_TEST_BUILD=1` says that this is a test, once, when the process starts: in service a place costs one look at an
empty dict.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

SWITCH = "CTL_TEST_BUILD"
PLACES = "CTL_CRASH_AT"


def _read(environment: Mapping[str, str]) -> dict[str, int]:
    """Return how many visits each named place has left; empty unless both variables say so."""
    if environment.get(SWITCH) != "1":
        return {}
    named = (entry.partition(":") for entry in environment.get(PLACES, "").split(",") if entry)
    return {name: int(visit or 1) for name, _, visit in named}


_left = _read(os.environ)


def at(place: str) -> None:
    """Die here, if a test asked for it."""
    if _left:
        _visit(place)


def _visit(place: str) -> None:
    left = _left.get(place, 0)
    if left == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if left:
        _left[place] = left - 1
