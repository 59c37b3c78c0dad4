"""Slot numbers: each minion that reads publications has one in the current epoch, and a job names its minions by them.

Pure. A slot is never given to somebody else within an epoch; at a new epoch those of minions that left are free again.
"""

from __future__ import annotations

import heapq
from collections.abc import Container

from .jobs import Expected

MAX_CACHED_BITMAPS = 32


class Slots:
    """The slot of each minion in the current epoch, and bitmaps over them."""

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._size = 0
        self._bitmaps: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def take(self, minion: str) -> int:
        """Return a minion's slot; it gets one where it has none."""
        slot = self._slots.get(minion)
        if slot is None:
            if self._free:
                slot = heapq.heappop(self._free)
            else:
                slot, self._size = self._size, self._size + 1
            self._slots[minion] = slot
            self._bitmaps.clear()
        return slot

    def bitmap(self, expected: Expected) -> bytes:
        """Return the expected minions that have a slot, as bits: slot n is bit n % 8, lowest first, of byte n // 8."""
        found = self._bitmaps.get(expected.digest)
        if found is None:
            if len(self._bitmaps) >= MAX_CACHED_BITMAPS:
                self._bitmaps.clear()
            found = self._bitmaps[expected.digest] = self._compute(expected)
        return found

    def _compute(self, expected: Expected) -> bytes:
        slots = [slot for minion in expected.ids if (slot := self._slots.get(minion)) is not None]
        bits = bytearray(max(slots, default=-1) // 8 + 1)
        for slot in slots:
            bits[slot // 8] |= 1 << slot % 8
        return bytes(bits)

    def renew(self, keep: Container[str]) -> None:
        """Begin a new epoch: minions that are not in `keep` lose their slots, which are free from now on."""
        for minion in [minion for minion in self._slots if minion not in keep]:
            heapq.heappush(self._free, self._slots.pop(minion))
        self._bitmaps.clear()
