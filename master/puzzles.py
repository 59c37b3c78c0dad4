"""The puzzles that this master sets while it is busy. Seeds are made from the source and the minute, not kept.

Pure: time and the key are passed in. Only the ephemeral keys of puzzles that were accepted are remembered, so that one
solution opens one handshake.
"""

from __future__ import annotations

from collections import OrderedDict

from ..common import crypto
from ..common.hints import MAX_PUZZLE_BITS
from ..common.puzzle import is_solved

SEED_BYTES = 16
MINUTE_SECONDS = 60.0
LEAST_BITS = 12
MOST_BITS = 18
MAX_SPENT = 65536


def bits_for(load: float) -> int:
    """Return how hard a puzzle is at a load of 0 (all of the budget is left) to 1 (nothing is left)."""
    bits = LEAST_BITS + round((MOST_BITS - LEAST_BITS) * min(1.0, max(0.0, load)))
    return min(MAX_PUZZLE_BITS, bits)


class Puzzles:
    """Makes seeds under a key of this run of the master, and checks what comes back."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._spent: OrderedDict[bytes, None] = OrderedDict()

    def seed(self, source: str, now: float) -> bytes:
        """Return the seed of a source for this minute; it is good until the end of the next one."""
        return self._seed(source, int(now // MINUTE_SECONDS))

    def _seed(self, source: str, minute: int) -> bytes:
        return crypto.mac(self._key, b"ctl1 puzzle seed" + minute.to_bytes(8, "big") + source.encode())[:SEED_BYTES]

    def takes(self, source: str, seed: bytes, ephemeral: bytes, nonce: bytes, bits: int, now: float) -> bool:
        """Say whether a HELLO shows a solution of at least `bits` to a seed of its source, for the first time."""
        minute = int(now // MINUTE_SECONDS)
        known = any(crypto.same(seed, self._seed(source, minute - age)) for age in (0, 1))
        if not known or ephemeral in self._spent or not is_solved(seed, ephemeral, nonce, bits):
            return False
        self._spent[ephemeral] = None
        if len(self._spent) > MAX_SPENT:
            self._spent.popitem(last=False)
        return True
