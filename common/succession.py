"""How one key follows another: certificates for a master's new key, and a minion's statement about its own. Pure.

A certificate is signed by the old key and by the new one. A chain of them leads a minion from the key it has pinned to
the one that its master holds today. What the bytes are is in `docs/protocol.md`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from . import crypto
from .errors import PinError

CERTIFICATE_BYTES: Final = 216

_STATEMENT: Final = struct.Struct(">32s32sQQQ")
_MASTER: Final = b"master"
_MINION: Final = b"minion"


@dataclass(frozen=True, slots=True)
class Certificate:
    """That the key `new` follows `old`; good between two times of the master's clock, in milliseconds."""

    old: bytes
    new: bytes
    serial: int
    not_before_ms: int
    not_after_ms: int


def certify(
    old: crypto.SigningKey, new: crypto.SigningKey, serial: int, not_before_ms: int, not_after_ms: int
) -> bytes:
    """Return the certificate that `new` follows `old`, signed by both."""
    statement = _STATEMENT.pack(old.public, new.public, serial, not_before_ms, not_after_ms)
    signatures = (key.sign(crypto.CONTEXT_ROTATE, _MASTER + statement) for key in (old, new))
    return statement + b"".join(signatures)


def read_certificate(data: bytes) -> Certificate:
    """Return what a certificate says once both its signatures are verified; raises `PinError`."""
    if len(data) != CERTIFICATE_BYTES:
        raise PinError(f"a certificate of a master's key has {CERTIFICATE_BYTES} bytes, not {len(data)}")
    statement, rest = data[: _STATEMENT.size], data[_STATEMENT.size :]
    found = Certificate(*_STATEMENT.unpack(statement))
    signatures = rest[: crypto.SIGNATURE_BYTES], rest[crypto.SIGNATURE_BYTES :]
    for key, signature in zip((found.old, found.new), signatures, strict=True):
        if not crypto.verify(key, crypto.CONTEXT_ROTATE, signature, _MASTER + statement):
            raise PinError("a certificate of a master's key is not signed by both keys")
    return found


def check_chain(chain: Sequence[bytes], pinned: bytes, public: bytes, now_ms: int) -> None:
    """Check that `chain` leads from the pinned key (its fingerprint's bytes) to `public`; raises `PinError` if not.

    Certificates before the pinned key's own are not looked at. `now_ms` is the master's clock.
    """
    start = next((place for place, cert in enumerate(chain) if _begins_at(cert, pinned)), None)
    if start is None:
        raise PinError("none of its certificates begins at the pinned key")
    last: Certificate | None = None
    for cert in map(read_certificate, chain[start:]):
        if last is not None and (cert.old != last.new or cert.serial <= last.serial):
            raise PinError("its certificates do not follow one another")
        if not cert.not_before_ms <= now_ms <= cert.not_after_ms:
            raise PinError("one of its certificates is not valid at this time")
        last = cert
    if last is None or last.new != public:
        raise PinError("its certificates lead to another key")


def _begins_at(cert: bytes, pinned: bytes) -> bool:
    return crypto.fingerprint_digest(crypto.MASTER, cert[: crypto.KEY_BYTES]) == pinned


def sign_change(key: crypto.SigningKey, minion: str, old: bytes, new: bytes) -> bytes:
    """Return a key's signature under the statement that a minion's key `new` replaces `old`."""
    return key.sign(crypto.CONTEXT_ROTATE, _change(minion, old, new))


def check_change(minion: str, old: bytes, new: bytes, by_old: bytes, by_new: bytes) -> bool:
    """Say whether both keys signed that a minion's key `new` replaces `old`."""
    statement = _change(minion, old, new)
    return crypto.verify(old, crypto.CONTEXT_ROTATE, by_old, statement) and crypto.verify(
        new, crypto.CONTEXT_ROTATE, by_new, statement
    )


def _change(minion: str, old: bytes, new: bytes) -> bytes:
    name = minion.encode("ascii")
    return _MINION + struct.pack(">I", len(name)) + name + old + new
