"""A second msgpack codec, only as much of it as the protocol uses; written from the format's description."""

from __future__ import annotations

import struct
from typing import Any


class Malformed(ValueError):
    """The bytes are not one value of the protocol's subset of msgpack."""


def encode(value: Any) -> bytes:
    """Encode in the shortest form, maps in their order."""
    match value:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case int():
            return _encode_int(value)
        case float():
            return struct.pack(">Bd", 0xCB, value)
        case str():
            data = value.encode("utf-8")
            return _head(len(data), 0xA0, 32, 0xD9, 0xDA, 0xDB) + data
        case bytes():
            return _head(len(value), None, 0, 0xC4, 0xC5, 0xC6) + value
        case list() | tuple():
            return _head(len(value), 0x90, 16, None, 0xDC, 0xDD) + b"".join(encode(item) for item in value)
        case dict():
            pairs = b"".join(encode(key) + encode(item) for key, item in value.items())
            return _head(len(value), 0x80, 16, None, 0xDE, 0xDF) + pairs
    raise TypeError(type(value))


def _head(length: int, fixed: int | None, below: int, code8: int | None, code16: int, code32: int) -> bytes:
    if fixed is not None and length < below:
        return bytes([fixed | length])
    if code8 is not None and length < 1 << 8:
        return struct.pack(">BB", code8, length)
    if length < 1 << 16:
        return struct.pack(">BH", code16, length)
    return struct.pack(">BI", code32, length)


def _encode_int(value: int) -> bytes:
    if -32 <= value < 128:
        return struct.pack(">b", value) if value < 0 else bytes([value])
    if value >= 0:
        forms = ((0xCC, ">BB", 1 << 8), (0xCD, ">BH", 1 << 16), (0xCE, ">BI", 1 << 32), (0xCF, ">BQ", 1 << 64))
        code, form = next((code, form) for code, form, limit in forms if value < limit)
    else:
        forms = ((0xD0, ">Bb", 1 << 7), (0xD1, ">Bh", 1 << 15), (0xD2, ">Bi", 1 << 31), (0xD3, ">Bq", 1 << 63))
        code, form = next((code, form) for code, form, limit in forms if value >= -limit)
    return struct.pack(form, code, value)


def decode(data: bytes) -> Any:
    """Decode exactly one value."""
    value, end = _decode(data, 0, 0)
    if end != len(data):
        raise Malformed("trailing bytes")
    return value


_NUMBERS = {
    0xCA: ">f",
    0xCB: ">d",
    0xCC: ">B",
    0xCD: ">H",
    0xCE: ">I",
    0xCF: ">Q",
    0xD0: ">b",
    0xD1: ">h",
    0xD2: ">i",
    0xD3: ">q",
}
_LENGTHS = {
    0xC4: (bytes, ">B"),
    0xC5: (bytes, ">H"),
    0xC6: (bytes, ">I"),
    0xD9: (str, ">B"),
    0xDA: (str, ">H"),
    0xDB: (str, ">I"),
    0xDC: (list, ">H"),
    0xDD: (list, ">I"),
    0xDE: (dict, ">H"),
    0xDF: (dict, ">I"),
}


def _decode(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if at >= len(data) or depth > 64:
        raise Malformed("too short or too deep")
    code, at = data[at], at + 1
    if code < 0x80:
        return code, at
    if code >= 0xE0:
        return code - 256, at
    if code in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[code], at
    if code in _NUMBERS:
        return _number(data, at, _NUMBERS[code])
    kind, length, at = _length(code, data, at)
    if kind in (str, bytes):
        raw = data[at : at + length]
        if len(raw) != length:
            raise Malformed("too short")
        return (raw.decode("utf-8") if kind is str else raw), at + length
    return _container(kind, length, data, at, depth)


def _number(data: bytes, at: int, form: str) -> tuple[Any, int]:
    size = struct.calcsize(form)
    if at + size > len(data):
        raise Malformed("too short")
    return struct.unpack_from(form, data, at)[0], at + size


def _length(code: int, data: bytes, at: int) -> tuple[type, int, int]:
    if code < 0x90:
        return dict, code & 15, at
    if code < 0xA0:
        return list, code & 15, at
    if code < 0xC0:
        return str, code & 31, at
    if code not in _LENGTHS:
        raise Malformed(f"type {code:#x}")
    kind, form = _LENGTHS[code]
    length, at = _number(data, at, form)
    return kind, length, at


def _container(kind: type, length: int, data: bytes, at: int, depth: int) -> tuple[Any, int]:
    items = []
    for _ in range(length * (2 if kind is dict else 1)):
        item, at = _decode(data, at, depth + 1)
        items.append(item)
    if kind is list:
        return items, at
    return dict(zip(items[::2], items[1::2], strict=True)), at
