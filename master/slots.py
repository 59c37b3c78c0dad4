"""Slot numbers: each minion that reads publications has one in the current epoch, and a job names its minions by them.

Pure. A slot is never given to another minion within an epoch; at a new epoch those that nobody uses are free again. Two
machines with one key have slots of their own, so that of the two only the one that came last runs a job.
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
        self._spare: dict[str, list[int]] = {}  # slots that a minion had or was offered, the longest ago first
        self._free: list[int] = []
        self._size = 0
        self._bitmaps: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, minion: str) -> bool:
        return minion in self._slots

    def take(self, minion: str) -> int:
        """Return a minion's slot; it gets one where it has none."""
        slot = self._slots.get(minion)
        if slot is None:
            slot = self._slots[minion] = self._new()
            self._bitmaps.clear()
        return slot

    def offer(self, minion: str, taken: Container[int]) -> int:
        """Return a slot for a minion that is neither its own nor one of those; it gets it with `use`."""
        current, spare = self._slots.get(minion), self._spare.setdefault(minion, [])
        slot = next((one for one in spare if one != current and one not in taken), None)
        if slot is None:
            slot = self._new()
        else:
            spare.remove(slot)
        spare.append(slot)
        return slot

    def use(self, minion: str, slot: int) -> None:
        """Make an offered slot the minion's own; the one before is spare."""
        before = self._slots.get(minion)
        if before == slot:
            return
        spare = self._spare.setdefault(minion, [])
        if slot in spare:
            spare.remove(slot)
        if before is not None:
            spare.append(before)
        self._slots[minion] = slot
        self._bitmaps.clear()

    def _new(self) -> int:
        if self._free:
            return heapq.heappop(self._free)
        self._size += 1
        return self._size - 1

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
        """Begin a new epoch: who is not in `keep` loses its slot, and all that nobody uses are free from now on."""
        for minion in [minion for minion in self._slots if minion not in keep]:
            heapq.heappush(self._free, self._slots.pop(minion))
        for spare in self._spare.values():
            for slot in spare:
                heapq.heappush(self._free, slot)
        self._spare.clear()
        self._bitmaps.clear()
