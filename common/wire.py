"""Messages and frames: the header that every frame starts with, and the strict codec of the envelopes inside.

An envelope is what the protocol itself reads: method, ids, sizes. Its codec is narrow: str keys, no key twice, no
extension types, few elements, bounded depth, nothing after the end. What belongs to plugins travels inside it as bytes
(`pack_payload`). The formats are described in `docs/protocol.md`; encryption is in `handshake`, `session`
and `publication`.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import msgpack

from .errors import WireError
from .payload import MAX_DEPTH, MAX_PAYLOAD_BYTES, inspect, pack_payload, refuse_extension, unpack_payload

__all__ = [
    "MAX_DEPTH",
    "MAX_PAYLOAD_BYTES",
    "check_header",
    "frame_type",
    "header",
    "pack",
    "pack_payload",
    "session_id",
    "unpack",
    "unpack_payload",
]

PROTOCOL_VERSION: Final = 1
MAGIC: Final = b"CTL1"  # the fourth byte is the version
SUITE: Final = 0x0001  # X25519, Ed25519, HKDF-SHA-256, AES-256-GCM
HEADER_BYTES: Final = 8

HELLO: Final = 0x01
CHALLENGE: Final = 0x02
AUTH: Final = 0x03
RESULT: Final = 0x04
REQUEST: Final = 0x10
REPLY: Final = 0x11
PUSH: Final = 0x12
PUBLICATION: Final = 0x20
BUSY: Final = 0x30
UNSUPPORTED: Final = 0x31
NOSESSION: Final = 0x32
NUDGE: Final = 0x33

MAX_FRAME_BYTES: Final = 1024 * 1024
MAX_MESSAGE_BYTES: Final = MAX_FRAME_BYTES + 64  # what the sockets let through (MAXMSGSIZE)
MAX_TOPIC_BYTES: Final = 128
MAX_CHUNK_BYTES: Final = 512 * 1024
MAX_ELEMENTS: Final = 1000  # of a request, a handshake message or a job
MAX_REPLY_ELEMENTS: Final = 16384  # of a reply or a push: the master sends lists of files

_HEADER: Final = struct.Struct(">4sBBH")


def header(kind: int) -> bytes:
    """Return the eight bytes that a frame of type `kind` starts with."""
    return _HEADER.pack(MAGIC, kind, 0, SUITE)


def frame_type(frame: bytes) -> int:
    """Return the type of a frame by its header alone; raise WireError where it has none.

    The place of the type is the same in every version, so a frame of another version has a type too.
    """
    if len(frame) < HEADER_BYTES:
        raise WireError(f"a frame of {len(frame)} bytes has no header")
    if frame[:3] != MAGIC[:3]:
        raise WireError("a frame does not start with the protocol's magic")
    return frame[4]


def check_header(frame: bytes, expected: bytes) -> None:
    """Raise WireError unless `frame` starts with the header `expected`."""
    if frame[:HEADER_BYTES] == expected:
        return
    kind = frame_type(frame)
    if kind != expected[4]:
        raise WireError(f"a frame of type {kind:#04x} where {expected[4]:#04x} belongs")
    raise WireError(f"a frame of another version, suite or with unknown flags: {frame[:HEADER_BYTES].hex()}")


def session_id(frame: bytes) -> bytes:
    """Return the 16 bytes after the header: the session (or, in AUTH, RESULT and NUDGE, the handshake) it names."""
    found = frame[HEADER_BYTES : HEADER_BYTES + 16]
    if len(found) != 16:
        raise WireError(f"a frame of {len(frame)} bytes names no session")
    return found


def pack(value: Any, max_elements: int = MAX_ELEMENTS) -> bytes:
    """Return an envelope as bytes; raise WireError where it has more elements than the receiver accepts."""
    if _elements(value, max_elements) > max_elements:
        raise WireError(f"an envelope has more than {max_elements} elements")
    try:
        return msgpack.packb(value)  # type: ignore[no-any-return]
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError(f"an envelope cannot be packed: {error}") from error


def unpack(data: bytes, max_bytes: int = MAX_FRAME_BYTES, max_elements: int = MAX_ELEMENTS) -> Any:
    """Return the envelope in `data`; raise WireError for anything but one well-formed, small, str-keyed value."""
    if len(data) > max_bytes:
        raise WireError(f"an envelope of {len(data)} bytes is larger than {max_bytes}")
    budget = _Budget(max_elements)
    try:
        value = msgpack.unpackb(
            data,
            max_array_len=max_elements,
            max_map_len=max_elements,
            max_ext_len=0,
            ext_hook=refuse_extension,
            list_hook=budget.take_list,
            object_pairs_hook=budget.take_map,
        )
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise WireError(f"an envelope does not decode: {error or type(error).__name__}") from None
    if budget.containers > MAX_DEPTH:  # fewer cannot nest deeper
        inspect(data)
    return value


class _Budget:
    """Counts the elements of one envelope as its containers are finished, and stops it when they are too many."""

    __slots__ = ("containers", "left", "most_containers")

    def __init__(self, elements: int) -> None:
        self.left = elements
        self.containers = 0
        self.most_containers = elements + 1

    def take_list(self, items: list[Any]) -> list[Any]:
        self._take(len(items))
        return items

    def take_map(self, pairs: list[tuple[Any, Any]]) -> dict[str, Any]:
        self._take(2 * len(pairs))
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key occurs twice")
        if not all(type(key) is str for key in found):
            raise ValueError("a key is not text")
        return found

    def _take(self, elements: int) -> None:
        self.containers += 1
        self.left -= elements
        if self.left < 0 or self.containers > self.most_containers:
            raise ValueError("too many elements")


def _elements(value: Any, limit: int) -> int:
    """Count array items, map keys and map values at every level, at least until they pass `limit`."""
    count = 0
    open_containers = [value]
    while open_containers and count <= limit:
        container = open_containers.pop()
        if isinstance(container, dict):
            if not all(type(key) is str for key in container):
                raise WireError("a key of an envelope is not text")
            count += 2 * len(container)
            open_containers += [item for item in container.values() if isinstance(item, dict | list | tuple)]
        elif isinstance(container, list | tuple):
            count += len(container)
            open_containers += [item for item in container if isinstance(item, dict | list | tuple)]
    return count
