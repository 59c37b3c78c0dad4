"""Publications: one packet for every minion, sealed with the group's key and signed by the master. Pure.

An `Epoch` is the group key and the signing key of a stretch of time, in memory only. `Publisher` makes packets under
it, in the order of the job log; `Receiver` opens them and refuses what was seen, is forged, or is not of its epoch.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from . import crypto, wire
from .errors import ForgedPublication, LateFrame, ReplayError, StalePublication, UnknownEpoch, WireError

EPOCH_ID_BYTES: Final = 8
MASTER_FP_BYTES: Final = 8
CLOCK_WINDOW_MS: Final = 30_000
RETIRED_EPOCHS: Final = 8
TOPIC: Final = b"G"

_KIND: Final = wire.header(wire.PUBLICATION)
_HEADER: Final = struct.Struct(">8s8s8sQQQ")
_NONCE: Final = struct.Struct(">4xQ")
_MAX_COUNT: Final = 2**63 - 1
_MIN_PACKET: Final = _HEADER.size + crypto.SIGNATURE_BYTES + crypto.TAG_BYTES

MAX_BODY_BYTES: Final = wire.MAX_FRAME_BYTES - _MIN_PACKET


@dataclass(frozen=True, slots=True)
class Publication:
    """A publication that verified: `gap` says that packets before it were lost, `heartbeat` that it carries no job."""

    seq: int
    ts_ms: int
    log_off: int
    body: bytes
    gap: bool
    heartbeat: bool


class Epoch:
    """The keys that publications of one stretch of time go under, and the sequence counted under them; never on disk.

    The sequence is the nonce, so it belongs to the keys and only goes forward.
    """

    __slots__ = ("aead", "group_key", "id", "master_fp", "seq", "signer")

    def __init__(self, id: bytes, group_key: bytes, signer: crypto.SigningKey, master_fp: str) -> None:
        self.id = id
        self.group_key = group_key
        self.signer = signer
        self.seq = 0  # of the last packet
        self.master_fp = crypto.fingerprint_bytes(master_fp)[:MASTER_FP_BYTES]
        self.aead = crypto.Aead(group_key)

    @classmethod
    def create(cls, random: crypto.Random, master_fp: str) -> Epoch:
        """Make a new epoch for the master with the fingerprint `master_fp`."""
        return cls(random(EPOCH_ID_BYTES), random(32), crypto.SigningKey(random(32)), master_fp)


class Publisher:
    """Makes the packets of a master, of which there is one; `clock` is its time in milliseconds."""

    __slots__ = ("_clock", "_last_ts", "epoch")

    def __init__(self, epoch: Epoch, clock: Callable[[], int]) -> None:
        self.epoch = epoch
        self._clock = clock
        self._last_ts = 0

    @property
    def seq(self) -> int:
        """The number of the last packet in this epoch; 0 before the first."""
        return self.epoch.seq

    def publish(self, log_off: int, body: bytes) -> bytes:
        """Return the packet of the job at `log_off` of the log."""
        if not body:
            raise ValueError("a publication without a body is a heartbeat")
        return self._packet(log_off, body)

    def heartbeat(self, head: int) -> bytes:
        """Return a packet that only tells how far the job log goes."""
        return self._packet(head, b"")

    def rotate(self, epoch: Epoch) -> None:
        """Go on under new keys: what is published from now on, holders of the old ones cannot read."""
        self.epoch = epoch

    def group(self, slot: int, head: int) -> list[Any]:
        """Return what a minion needs to read from here on: its number in this epoch, and where the log stands."""
        return [self.epoch.id, self.epoch.group_key, self.epoch.signer.public, self.seq, head, slot]

    def _packet(self, log_off: int, body: bytes) -> bytes:
        if len(body) > MAX_BODY_BYTES:
            raise WireError(f"a publication of {len(body)} bytes is larger than {MAX_BODY_BYTES}")
        epoch = self.epoch
        epoch.seq += 1
        self._last_ts = max(self._last_ts + 1, self._clock())
        header = _HEADER.pack(_KIND, epoch.master_fp, epoch.id, epoch.seq, self._last_ts, log_off)
        signature = epoch.signer.sign(crypto.CONTEXT_PUBLICATION, header + body)
        return header + epoch.aead.seal(_NONCE.pack(epoch.seq), signature + body, header)


class Receiver:
    """A minion's side: opens the packets of one master under the group it was given.

    `adopt` changes to the group of a later epoch; `slot` is the minion's number in the present one and `head` the log's
    end at the time the group was given.
    """

    def __init__(self, group: list[Any], master_fp: str) -> None:
        self._master_fp = crypto.fingerprint_bytes(master_fp)[:MASTER_FP_BYTES]
        self._retired: deque[bytes] = deque(maxlen=RETIRED_EPOCHS)
        self.epoch_id = b""
        self.last_seq = 0
        self._start_seq = 0
        self.adopt(group)

    def adopt(self, group: list[Any]) -> None:
        """Take the group of a handshake or of `group_get`; never goes back within an epoch."""
        epoch_id, group_key, public, start_seq, head, slot = _group_fields(group)
        if epoch_id == self.epoch_id:
            start_seq = max(start_seq, self.last_seq)
        elif self.epoch_id:
            self._retired.append(self.epoch_id)
        self.epoch_id, self.last_seq, self.head, self.slot = epoch_id, start_seq, head, slot
        self._start_seq = start_seq
        self._aead = crypto.Aead(group_key)
        self._signer = crypto.VerifyingKey(public)

    def open(self, packet: bytes, now_ms: int) -> Publication:
        """Verify a packet and return it; `now_ms` is the master's time as this minion knows it.

        Raises ReplayError, UnknownEpoch (ask `group_get`), SealError, ForgedPublication (alarm), StalePublication
        (synchronise, then catch up), or WireError. Nothing is remembered of a packet that did not verify.
        """
        seq, ts_ms, log_off = self._check(packet)
        header = packet[: _HEADER.size]
        plain = self._aead.open(_NONCE.pack(seq), packet[_HEADER.size :], header)
        signature, body = plain[: crypto.SIGNATURE_BYTES], plain[crypto.SIGNATURE_BYTES :]
        if not self._signer.verify(crypto.CONTEXT_PUBLICATION, signature, header + body):
            raise ForgedPublication("a publication under the group key that the master did not sign")
        gap = seq > self.last_seq + 1
        self.last_seq = seq
        if abs(now_ms - ts_ms) > CLOCK_WINDOW_MS:
            raise StalePublication(f"a publication is {now_ms - ts_ms} ms old", skew_ms=now_ms - ts_ms)
        return Publication(seq, ts_ms, log_off, body, gap, not body)

    def _check(self, packet: bytes) -> tuple[int, int, int]:
        """Refuse what costs nothing to refuse, and return seq, time and offset."""
        if not _MIN_PACKET <= len(packet) <= wire.MAX_FRAME_BYTES:
            raise WireError(f"a publication cannot have {len(packet)} bytes")
        wire.check_header(packet, _KIND)
        _, master_fp, epoch_id, seq, ts_ms, log_off = _HEADER.unpack_from(packet)
        if master_fp != self._master_fp:
            raise WireError("a publication of another master")
        if epoch_id != self.epoch_id:
            if epoch_id in self._retired:
                raise LateFrame("a publication of an epoch that is over")
            raise UnknownEpoch("a publication of an epoch whose key is not known here", epoch_id=epoch_id)
        if seq <= self._start_seq:
            raise LateFrame(f"publication {seq} is from before {self._start_seq}, where this minion began to read")
        if seq <= self.last_seq:
            raise ReplayError(f"publication {seq} came again, after {self.last_seq}")
        return seq, ts_ms, log_off


def expected_slots(slots: Iterable[int]) -> bytes:
    """Return the bitmap of the slots that a job expects: bit i of byte i//8, least significant first."""
    numbers = list(slots)
    bitmap = bytearray(max(numbers) // 8 + 1 if numbers else 0)
    for slot in numbers:
        bitmap[slot >> 3] |= 1 << (slot & 7)
    return bytes(bitmap)


def is_expected(bitmap: bytes, slot: int) -> bool:
    """Say whether `slot` is set in a job's bitmap."""
    byte = slot >> 3
    return 0 <= byte < len(bitmap) and bool(bitmap[byte] >> (slot & 7) & 1)


def _group_fields(group: Any) -> tuple[bytes, bytes, bytes, int, int, int]:
    match group:
        case [bytes(epoch_id), bytes(key), bytes(public), int(start_seq), int(head), int(slot)]:
            lengths = (len(epoch_id), len(key), len(public)) == (EPOCH_ID_BYTES, crypto.KEY_BYTES, crypto.KEY_BYTES)
            if lengths and all(type(n) is int and 0 <= n <= _MAX_COUNT for n in (start_seq, head, slot)):
                return epoch_id, key, public, start_seq, head, slot
    raise WireError("a group is not [epoch_id, key, public, start_seq, head, slot]")
