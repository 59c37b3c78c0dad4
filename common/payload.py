"""What plugins hand over, as bytes and back: any data a module can return, made plain once and packed.

A payload is what a job carries for a function (arguments, pillar, grains, a return). It travels as opaque bytes
inside an envelope (see `wire`), and whoever only passes it on never opens it. `plain` holds the table of what becomes
of a value that msgpack has no type for; `docs/protocol.md` shows the same table.
"""

from __future__ import annotations

import datetime
import enum
import os
from collections import deque
from collections.abc import Iterator, KeysView, Mapping, MappingView, Set
from typing import Any, Final

import msgpack

from .errors import WireError

MAX_DEPTH: Final = 64
MAX_PAYLOAD_BYTES: Final = 64 * 1024 * 1024
TOO_DEEP: Final = "<nested deeper than 64 levels>"
CYCLE: Final = "<contains itself>"

_ATOMS: Final = frozenset({str, int, float, bool, type(None), bytes})
_MSGPACK_STACK: Final = 1024
_EXTENSION_CODES: Final = bytes([0xC7, 0xC8, 0xC9, 0xD4, 0xD5, 0xD6, 0xD7, 0xD8])


def pack_payload(value: Any) -> bytes:
    """Return `value` as msgpack bytes, made plain first; nothing that a plugin returns makes this fail."""
    try:
        return _pack_as_it_is(value)
    except (TypeError, ValueError, OverflowError):  # it has something that is not plain yet
        ready = plain(value)
    try:
        return _packb(ready)
    except UnicodeEncodeError:  # lone surrogates: a file name that is not UTF-8
        return _packb(ready, unicode_errors="backslashreplace")


def unpack_payload(data: bytes, max_bytes: int = MAX_PAYLOAD_BYTES) -> Any:
    """Return the value in `data`; raise WireError where it is malformed, too large, too deep, or followed by more."""
    if len(data) > max_bytes:
        raise WireError(f"a payload of {len(data)} bytes is larger than {max_bytes}")
    inspect(data)
    try:
        value = msgpack.unpackb(data, strict_map_key=False, max_ext_len=0, ext_hook=refuse_extension)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise WireError(f"a payload does not decode: {error or type(error).__name__}") from None
    if not _PADDING:
        _refuse_deep(value)
    return value


def inspect(data: bytes) -> None:
    """Walk `data` without building it; raise WireError where a length lies, it nests too deep, or more follows.

    Objects are made only from what passed here, so a claimed length never allocates more than the data can fill.
    The walk is msgpack's own `skip`, in C. Its stack holds 1024 levels; behind a padding of 960 open arrays, 64 are
    left. The unpacker is new each time: one that met an error is not safe to use again.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=len(data) + len(_PADDING) + 1)
    unpacker.feed(_PADDING)
    unpacker.feed(data)
    try:
        unpacker.skip()
    except msgpack.StackError:
        raise WireError(f"a message nests deeper than {MAX_DEPTH} levels") from None
    except msgpack.OutOfData:
        raise WireError("a message ends too early") from None
    except (ValueError, msgpack.UnpackException) as error:
        raise WireError(f"a message does not decode: {error or type(error).__name__}") from None
    if unpacker.tell() != len(data) + len(_PADDING):
        raise WireError("a message is followed by more bytes")


def has_at_most(data: bytes, most: int) -> bool:
    """Say whether `data`, once unpacked, has at most so many items; stops as soon as there are more.

    What is small on the wire can be seventy times as much in memory. Data that does not decode counts as small.
    """
    left = most

    def take(items: list[Any]) -> None:
        nonlocal left
        left -= len(items) + 1
        if left < 0:
            raise _TooMany

    try:
        msgpack.unpackb(data, strict_map_key=False, max_ext_len=0, list_hook=take, object_pairs_hook=take)
    except _TooMany:
        return False
    except (ValueError, TypeError, msgpack.UnpackException):
        return True
    return True


class _TooMany(Exception):
    """Ends the count."""


def refuse_extension(code: int, _data: bytes) -> Any:
    """Refuse msgpack extension types, of which the protocol has none."""
    raise ValueError(f"extension type {code} is not allowed")


def plain(value: Any) -> Any:
    """Return `value` in terms of dict, list, str, int, float, bool, None and bytes.

    Sets become sorted lists, tuples and iterators lists, dates and times ISO 8601 text, durations seconds, enum members
    their values, dataclasses dicts, paths text; what is unknown becomes its `str()`. Keys become scalars.
    """
    return value if type(value) in _ATOMS else _plain(value, set())


def _plain(value: Any, trail: set[int]) -> Any:
    """Make one non-atomic value plain; `trail` holds the ids of the containers around it."""
    kind = type(value)
    if kind is not dict and kind is not list and kind is not tuple:
        value = _convert(value)
        if type(value) in _ATOMS:
            return value
    mark = id(value)
    if mark in trail:
        return CYCLE
    if value and len(trail) >= MAX_DEPTH:
        return TOO_DEEP
    trail.add(mark)
    try:
        return _plain_container(value, trail)
    finally:
        trail.discard(mark)


def _plain_container(value: Any, trail: set[int]) -> Any:
    if type(value) is dict:
        return {
            (key if type(key) in _ATOMS else _plain_key(key)): (item if type(item) in _ATOMS else _plain(item, trail))
            for key, item in value.items()
        }
    return [item if type(item) in _ATOMS else _plain(item, trail) for item in value]


def _plain_key(key: Any) -> Any:
    converted = _text(key) if isinstance(key, tuple | frozenset) else _convert(key)
    return converted if type(converted) in _ATOMS else _text(key)


def _convert(value: Any) -> Any:
    """Turn one value of a type that msgpack does not know into an atom, a dict, a list or a tuple."""
    for kinds, turn in _CONVERSIONS:
        if isinstance(value, kinds):
            return turn(value)
    fields = getattr(type(value), "__dataclass_fields__", None)
    if fields is not None:
        return {name: getattr(value, name, None) for name in fields}
    return _text(value)


def _from_enum(member: enum.Enum) -> Any:
    return member.value if type(member.value) in _ATOMS else _convert(member.value)


def _from_set(value: Set[Any]) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=lambda item: (type(item).__name__, _text(item)))


def _from_path(value: os.PathLike[Any]) -> Any:
    path = os.fspath(value)
    return str.__str__(path) if isinstance(path, str) else bytes(path)


def _text(value: Any) -> str:
    try:
        return str.__str__(str(value))
    except Exception:  # a plugin's own __str__ or __repr__: whatever it does, the return must travel
        return f"<{type(value).__name__}>"


_CONVERSIONS: Final[tuple[tuple[Any, Any], ...]] = (
    (enum.Enum, _from_enum),
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    ((bytes, bytearray, memoryview), bytes),
    (Mapping, lambda value: dict(value.items())),
    (KeysView, list),
    (MappingView, list),
    (Set, _from_set),
    ((list, tuple, deque, Iterator), list),
    ((datetime.datetime, datetime.date, datetime.time), lambda value: value.isoformat()),
    (datetime.timedelta, datetime.timedelta.total_seconds),
    (os.PathLike, _from_path),
)


def _pack_as_it_is(value: Any) -> bytes:
    """Pack data that is plain already, as most is; raise an error for any other, nothing converted on the way."""
    data: bytes = msgpack.packb(value, strict_types=True)
    if len(data.translate(None, _EXTENSION_CODES)) != len(data):  # perhaps an object of msgpack's own types
        raise TypeError("the data may hold an extension type")
    inspect(data)
    return data


def _packb(value: Any, **options: Any) -> bytes:
    return msgpack.packb(value, default=_large_number, **options)  # type: ignore[no-any-return]


def _large_number(value: Any) -> str:
    """Write an integer beyond 64 bits, the one thing in plain data that msgpack cannot hold."""
    try:
        return str(value)
    except ValueError:  # past Python's limit on digits
        return hex(value)


def _refuse_deep(value: Any) -> None:
    """Raise WireError where `value` nests too deep; for a msgpack whose own stack cannot say so."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        children = (
            item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)
        )
        level = [child for group in children for child in group]
        if not level:
            return
    raise WireError(f"a message nests deeper than {MAX_DEPTH} levels")


def _padding() -> bytes:
    """Return the open arrays that leave `MAX_DEPTH` levels of msgpack's stack, or nothing where that does not hold."""
    padding = b"\x91" * (_MSGPACK_STACK - MAX_DEPTH)
    return padding if _nests(padding, MAX_DEPTH) and not _nests(padding, MAX_DEPTH + 1) else b""


def _nests(padding: bytes, depth: int) -> bool:
    unpacker = msgpack.Unpacker()
    unpacker.feed(padding + b"\x91" * depth + b"\xc0")
    try:
        unpacker.skip()
    except msgpack.StackError:
        return False
    return True


_PADDING: Final = _padding()
