"""Pause the garbage collector while much data is built: it would walk the growing tree again and again."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

_keeps = False


def keep_what_is_built() -> None:
    """Have the collector pass over what is built in its pauses, from now on: for a process that lives for one job."""
    global _keeps
    _keeps = True


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Keep the collector from running within a `with` block; nests."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            if _keeps:
                gc.freeze()
            gc.enable()
