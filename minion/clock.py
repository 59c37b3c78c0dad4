"""The master's time as this minion knows it: a stamp of the master's, carried on by a clock nobody can set.

The minion's wall clock plays no part. The clock counts through suspend.
"""

from __future__ import annotations

import time

GOOD_ROUND_TRIP_S = 2.0


def monotonic() -> float:
    """Return seconds that only go forward, also while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class MasterClock:
    """Tells the master's time in milliseconds, to half a round trip."""

    def __init__(self) -> None:
        self._master_ms = 0
        self._at = 0.0
        self.known = False

    def sync(self, master_ms: int, round_trip: float) -> None:
        """Take a stamp that was asked for `round_trip` seconds ago. A slow answer only corrects a larger error."""
        now = monotonic()
        estimate = master_ms + int(round_trip * 500)
        if self.known and round_trip > GOOD_ROUND_TRIP_S and abs(self.now_ms() - estimate) <= round_trip * 500:
            return
        self._master_ms, self._at, self.known = estimate, now, True

    def now_ms(self) -> int:
        """Return the master's time; 0 before the first stamp."""
        return self._master_ms + int((monotonic() - self._at) * 1000) if self.known else 0
