"""What becomes of the values that plugins return, and what a payload may not be."""

from __future__ import annotations

import collections
import datetime
import enum
import pathlib
import struct
import uuid
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctl.common import payload
from ctl.common.errors import WireError
from ctl.common.payload import pack_payload, unpack_payload


class Colour(enum.Enum):
    RED = "red"
    BOX = (1, 2)


class Level(enum.IntEnum):
    HIGH = 3


class Word(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "another word"


@dataclass
class Disk:
    name: str
    sizes: tuple[int, ...]


class Bare:
    def __str__(self) -> str:
        return "bare"


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no")


Point = collections.namedtuple("Point", "x y")

TABLE: list[tuple[str, Any, Any]] = [
    ("none", None, None),
    ("largest integer", 2**64 - 1, 2**64 - 1),
    ("smallest integer", -(2**63), -(2**63)),
    ("integer beyond 64 bits", 2**64, "18446744073709551616"),
    ("integer below 64 bits", -(2**63) - 1, "-9223372036854775809"),
    ("integer with too many digits to print", 1 << 20000, hex(1 << 20000)),
    ("infinity", float("inf"), float("inf")),
    ("bytes", b"\x00\xff", b"\x00\xff"),
    ("bytearray", bytearray(b"ab"), b"ab"),
    ("memoryview", memoryview(b"ab"), b"ab"),
    ("tuple", (1, (2,)), [1, [2]]),
    ("named tuple", Point(1, 2), [1, 2]),
    ("set", {3, 1, 2}, [1, 2, 3]),
    ("frozenset of mixed kinds", frozenset({"b", 1, "a"}), [1, "a", "b"]),
    ("set of tuples", {(2, 1), (1, 2)}, [[1, 2], [2, 1]]),
    ("deque", collections.deque([1, 2]), [1, 2]),
    ("generator", (n for n in range(3)), [0, 1, 2]),
    ("keys of a dict", {"b": 1, "a": 2}.keys(), ["b", "a"]),
    ("values of a dict", {"b": 1, "a": 2}.values(), [1, 2]),
    ("items of a dict", {"b": 1}.items(), [["b", 1]]),
    ("ordered dict", collections.OrderedDict([("b", 1), ("a", 2)]), {"b": 1, "a": 2}),
    ("default dict", collections.defaultdict(list, {"a": [1]}), {"a": [1]}),
    ("another mapping", MappingProxyType({"a": 1}), {"a": 1}),
    ("datetime", datetime.datetime(2024, 1, 31, 12, 30, tzinfo=datetime.UTC), "2024-01-31T12:30:00+00:00"),
    ("date", datetime.date(2024, 1, 31), "2024-01-31"),
    ("time", datetime.time(12, 30, 5), "12:30:05"),
    ("duration", datetime.timedelta(minutes=1, milliseconds=500), 60.5),
    ("decimal", Decimal("1.10"), "1.10"),
    ("uuid", uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ("path", pathlib.PurePosixPath("/etc/motd"), "/etc/motd"),
    ("enum member", Colour.RED, "red"),
    ("enum member with a tuple", Colour.BOX, [1, 2]),
    ("integer enum member", Level.HIGH, 3),
    ("text of a subclass", Word("word"), "word"),
    ("dataclass", Disk("sda", (1, 2)), {"name": "sda", "sizes": [1, 2]}),
    ("a class itself", Disk, str(Disk)),
    ("exception", ValueError("it broke"), "it broke"),
    ("unknown object", Bare(), "bare"),
    ("object that cannot be printed", Broken(), "<Broken>"),
    ("file name that is not UTF-8", "a\udcff", "a\\udcff"),
    ("extension type of msgpack", msgpack.ExtType(5, b"x"), [5, b"x"]),
    ("inside of containers", {"a": [{"b": {1, 2}}]}, {"a": [{"b": [1, 2]}]}),
]


@pytest.mark.parametrize(("value", "want"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_values_become_plain(value: Any, want: Any) -> None:
    found = unpack_payload(pack_payload(value))
    assert found == want
    assert type(found) is type(want)


KEYS: list[tuple[str, Any, Any]] = [
    ("text", "a", "a"),
    ("integer", 80, 80),
    ("float", 1.5, 1.5),
    ("truth", True, True),
    ("none", None, None),
    ("bytes", b"k", b"k"),
    ("date", datetime.date(2024, 1, 31), "2024-01-31"),
    ("large integer", 2**70, str(2**70)),
    ("tuple", (1, "a"), "(1, 'a')"),
    ("named tuple", Point(1, 2), "Point(x=1, y=2)"),
    ("frozenset", frozenset({1}), "frozenset({1})"),
    ("enum member", Colour.RED, "red"),
    ("enum member with a tuple", Colour.BOX, "Colour.BOX"),
    ("path", pathlib.PurePosixPath("/a"), "/a"),
    ("not UTF-8", "\udcff", "\\udcff"),
]


@pytest.mark.parametrize(("key", "want"), [row[1:] for row in KEYS], ids=[row[0] for row in KEYS])
def test_keys_become_scalars(key: Any, want: Any) -> None:
    found = unpack_payload(pack_payload({key: 1}))
    assert found == {want: 1}
    assert type(next(iter(found))) is type(want)


def test_a_list_that_contains_itself_travels() -> None:
    loop: list[Any] = [1]
    loop += [loop, loop, {"again": loop}]
    assert unpack_payload(pack_payload(loop)) == [1, payload.CYCLE, payload.CYCLE, {"again": payload.CYCLE}]


def test_the_same_list_twice_is_no_loop() -> None:
    shared = [1]
    assert unpack_payload(pack_payload([shared, (shared,)])) == [[1], [[1]]]


@pytest.mark.parametrize("depth", [64, 65, 300, 5000])
def test_what_nests_too_deep_ends_in_words(depth: int) -> None:
    value: Any = "core"
    for _ in range(depth):
        value = [value]
    found = unpack_payload(pack_payload(value))
    for _ in range(64):
        found = found[0]
    assert found == ("core" if depth == 64 else payload.TOO_DEEP)


SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False) | st.text() | st.binary()
)
ANYTHING = st.recursive(
    SCALARS | st.dates() | st.datetimes() | st.timedeltas() | st.decimals(allow_nan=False) | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.frozensets(SCALARS, max_size=5)
        | st.dictionaries(SCALARS | st.tuples(SCALARS) | st.dates(), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(ANYTHING)
def test_anything_travels_and_stays_the_same_from_then_on(value: Any) -> None:
    once = unpack_payload(pack_payload(value))
    assert unpack_payload(pack_payload(once)) == once


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(SCALARS, inner), max_leaves=20))
def test_plain_is_what_travels(value: Any) -> None:
    assert unpack_payload(pack_payload(value)) == unpack_payload(pack_payload(payload.plain(value)))


@given(st.binary(max_size=300))
def test_any_bytes_unpack_or_raise_wire_error(data: bytes) -> None:
    try:
        value = unpack_payload(data)
    except WireError:
        return
    pack_payload(value)


BAD = {
    "nothing": b"",
    "a code that msgpack never uses": b"\xc1",
    "trailing bytes": b"\xc0\xc0",
    "an array that claims more than there is": b"\xdd\x00\x0f\xff\xff\xc0",
    "a map that claims more than there is": b"\xdf\x00\x0f\xff\xff\xc0",
    "one level too many": b"\x91" * 65 + b"\xc0",
    "one map too deep": b"\x81\x01" * 65 + b"\xc0",
    "a million levels": b"\x91" * 1_000_000,
    "large claims inside large claims": (b"\xdd" + struct.pack(">I", 100_000)) * 1000 + b"\xc0" * 95_000,
    "a list as a key": b"\x81\x91\x01\x02",
    "a map as a key": b"\x81\x80\x02",
    "text that is not UTF-8": b"\xa2\xc3\x28",
    "an extension": b"\xd4\x05\x00",
    "an empty extension": b"\x91\xc7\x00\x05",
    "a timestamp": b"\xd6\xff\x00\x00\x00\x01",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_bytes_are_refused(name: str) -> None:
    with pytest.raises(WireError):
        unpack_payload(BAD[name])


def test_a_payload_beyond_its_size_is_refused() -> None:
    with pytest.raises(WireError, match="larger"):
        unpack_payload(pack_payload("x" * 100), max_bytes=100)


def test_depth_is_held_without_the_help_of_msgpacks_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow way, for a msgpack whose stack is of another size, refuses the same."""
    monkeypatch.setattr(payload, "_PADDING", b"")
    assert unpack_payload(b"\x91" * 64 + b"\xc0") is not None
    assert unpack_payload(b"\x92\x90" * 64 + b"\xc0") is not None
    assert unpack_payload(b"\x91" * 64 + b"\x90") is not None
    for data in (b"\x91" * 65 + b"\xc0", b"\x81\x01" * 65 + b"\xc0"):
        with pytest.raises(WireError, match="deeper"):
            unpack_payload(data)


def test_this_msgpack_holds_the_depth_by_itself() -> None:
    assert payload._PADDING


@pytest.mark.parametrize(
    ("value", "most", "small"),
    [
        ([], 1, True),
        ([1, 2, 3], 4, True),
        ([1, 2, 3], 3, False),
        ({"a": [1] * 10, "b": {}}, 15, True),
        ([[]] * 50, 49, False),
    ],
)
def test_items_are_counted_without_building_them(value: Any, most: int, small: bool) -> None:
    assert payload.has_at_most(pack_payload(value), most) is small


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x92\x01", b"\xd4\x05\x00"])
def test_what_does_not_decode_counts_as_small(data: bytes) -> None:
    assert payload.has_at_most(data, 1)
