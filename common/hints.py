"""Hints: the few frames in clear text that a master sends to a minion it shares no key with. They prove nothing.

A receiver may act sooner because of one, at a bounded rate; it never trusts more, and gives nothing up.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from . import wire
from .errors import WireError

MAX_PUZZLE_BITS: Final = 20
MAX_SUITES: Final = 32


@dataclass(frozen=True, slots=True)
class Busy:
    """The master wants the next HELLO later, or with a solved puzzle of `bits`."""

    retry_after: int
    bits: int
    seed: bytes


@dataclass(frozen=True, slots=True)
class Unsupported:
    """The master speaks these suites only, and this version (which is in the hint's own magic)."""

    suites: tuple[int, ...]
    version: int = wire.PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class NoSession:
    """The master does not know the session that a frame named."""

    sid: bytes


@dataclass(frozen=True, slots=True)
class Nudge:
    """Something changed for the key of this handshake: try again now."""

    handshake_id: bytes


Hint = Busy | Unsupported | NoSession | Nudge


def encode_hint(hint: Hint) -> bytes:
    """Return a hint's frame."""
    match hint:
        case Busy(retry_after, bits, seed):
            return wire.header(wire.BUSY) + struct.pack(">IB16s", retry_after, bits, seed)
        case Unsupported(suites=suites):
            return wire.header(wire.UNSUPPORTED) + struct.pack(f">B{len(suites)}H", len(suites), *suites)
        case NoSession(sid):
            return wire.header(wire.NOSESSION) + sid
        case Nudge(handshake):
            return wire.header(wire.NUDGE) + handshake


def parse_hint(frame: bytes) -> Hint:
    """Take a hint apart; raise WireError for any other frame."""
    kind = wire.frame_type(frame)
    if kind == wire.UNSUPPORTED:  # from a master of another version or suite, so only the type is ours
        return _parse_unsupported(frame[wire.HEADER_BYTES :], frame[3] - ord("0"))
    wire.check_header(frame, wire.header(kind))
    body = frame[wire.HEADER_BYTES :]
    if kind == wire.BUSY and len(body) == 21 and body[4] <= MAX_PUZZLE_BITS:
        return Busy(*struct.unpack(">IB16s", body))
    if kind == wire.NOSESSION and len(body) == 16:
        return NoSession(body)
    if kind == wire.NUDGE and len(body) == 16:
        return Nudge(body)
    raise WireError(f"not a hint: type {kind:#04x}, {len(frame)} bytes")


def _parse_unsupported(body: bytes, version: int) -> Unsupported:
    if not body or body[0] > MAX_SUITES or len(body) != 1 + 2 * body[0]:
        raise WireError("an UNSUPPORTED does not have the length it says")
    return Unsupported(struct.unpack(f">{body[0]}H", body[1:]), version)
