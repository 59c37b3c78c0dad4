"""The master's time: a wall clock that never goes back, and how long this machine has been up."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock:
    """The master's wall clock in milliseconds. It never goes back nor stands still, whatever the machine's does."""

    def __init__(self, least_ms: int = 0) -> None:
        self._last = least_ms
        self._at = time.monotonic_ns()

    def now_ms(self) -> int:
        """Return the time."""
        at = time.monotonic_ns()
        passed = (at - self._at) // 1_000_000
        if (wall := time.time_ns() // 1_000_000) >= self._last + passed:
            self._last, self._at = wall, at
        else:
            self._last += passed
            self._at += passed * 1_000_000
        return self._last


@dataclass(frozen=True, slots=True)
class Uptime:
    """How long a machine has been up, in milliseconds, and which start of it that counts from.

    Between two runs of a daemon it tells how much time has passed, even where somebody set the wall clock meanwhile.
    """

    boot: str = ""
    ms: int = 0

    def since(self, earlier: Uptime) -> int | None:
        """Return the milliseconds between; None where the machine was started anew in between."""
        return self.ms - earlier.ms if self.boot and self.boot == earlier.boot else None


def uptime() -> Uptime:
    """Return this machine's uptime; sleep counts."""
    return Uptime(_boot(), time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000)


@functools.cache
def _boot() -> str:
    """Return the name of this start of the machine, which no process outlives; every job asks for it."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
