"""The puzzle that a busy master sets: what a HELLO has to show before it costs the master any cryptography.

A solution is bound to the master's seed (so to a source and a minute) and to the HELLO's own ephemeral key. Checking
one costs a single hash; finding one costs `2 ** bits` on the average.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

NONCE_BYTES: Final = 16
_CONTEXT: Final = b"ctl1 puzzle"
_LOOK_UP_EVERY: Final = 4096


def is_solved(seed: bytes, ephemeral: bytes, nonce: bytes, bits: int) -> bool:
    """Say whether `nonce` solves the puzzle: its hash begins with `bits` zero bits."""
    digest = hashlib.sha256(_CONTEXT + seed + ephemeral + nonce).digest()
    return int.from_bytes(digest, "big") >> (8 * len(digest) - bits) == 0


def solve(seed: bytes, ephemeral: bytes, bits: int, wanted: Callable[[], bool] = lambda: True) -> bytes | None:
    """Return a nonce that solves the puzzle, by trying one after the other; None once it is not `wanted` any more."""
    begun = hashlib.sha256(_CONTEXT + seed + ephemeral)
    limit = 1 << (256 - bits)
    number = 0
    while number % _LOOK_UP_EVERY or wanted():
        nonce = number.to_bytes(NONCE_BYTES, "big")
        attempt = begun.copy()
        attempt.update(nonce)
        if int.from_bytes(attempt.digest(), "big") < limit:
            return nonce
        number += 1
    return None
