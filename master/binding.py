"""Binding a socket anew to the port it had."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PAUSES = (*[0.02] * 50, 1.0, 1.0)


async def bind_again(work: Callable[[], object]) -> None:
    """Bind a socket to a port that ZeroMQ's thread is about to give back."""
    for pause in PAUSES:
        try:
            work()
            return
        except OSError:
            await asyncio.sleep(pause)
    work()
