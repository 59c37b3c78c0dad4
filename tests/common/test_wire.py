"""Envelopes and headers: tables of good and bad bytes, and properties over any value."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctl.common import wire
from ctl.common.errors import WireError


def nested(depth: int) -> bytes:
    """Return `depth` arrays around nil."""
    return b"\x91" * depth + b"\xc0"


ENVELOPES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=6),
    max_leaves=30,
)


@given(ENVELOPES)
def test_what_is_packed_unpacks_the_same(value: Any) -> None:
    assert wire.unpack(wire.pack(value)) == value


@given(st.binary(max_size=200))
def test_any_bytes_unpack_or_raise_wire_error(data: bytes) -> None:
    try:
        value = wire.unpack(data)
    except WireError:
        return
    wire.pack(value)


@given(ENVELOPES, st.data())
def test_a_shortened_envelope_is_refused(value: Any, data: st.DataObject) -> None:
    packed = wire.pack(value)
    with pytest.raises(WireError):
        wire.unpack(packed[: data.draw(st.integers(0, len(packed) - 1))])


@given(ENVELOPES, st.binary(min_size=1, max_size=4))
def test_nothing_may_follow(value: Any, tail: bytes) -> None:
    with pytest.raises(WireError):
        wire.unpack(wire.pack(value) + tail)


BAD = {
    "nothing": b"",
    "a code that msgpack never uses": b"\xc1",
    "an array that claims more than there is": b"\xdc\x03\xe8",
    "a map that claims more than there is": b"\xde\x01\xf4",
    "an array of four billion": b"\xdd\xff\xff\xff\xff",
    "text longer than the data": b"\xdb\xff\xff\xff\xffabc",
    "bytes longer than the data": b"\xc6\x7f\xff\xff\xffabc",
    "text that is not UTF-8": b"\xa2\xc3\x28",
    "a number as a key": b"\x81\x01\x02",
    "nil as a key": b"\x81\xc0\x02",
    "bytes as a key": b"\x81\xc4\x01a\x02",
    "a list as a key": b"\x81\x91\x01\x02",
    "a key twice": b"\x82\xa1a\x01\xa1a\x02",
    "an extension": b"\xd4\x05\x00",
    "an empty extension": b"\xc7\x00\x05",
    "a timestamp": b"\xd6\xff\x00\x00\x00\x01",
    "one level too many": nested(65),
    "a thousand levels": nested(1000),
    "a hundred thousand levels": nested(100_000),
    "one element too many": b"\xdc\x03\xe9" + b"\xc0" * 1001,
    "a map of too many": b"\xde\x01\xf5" + b"".join(b"\xcd" + struct.pack(">H", n) + b"\xc0" for n in range(501)),
    "too many in two lists": b"\x92" + (b"\xdc\x01\xf4" + b"\xc0" * 500) * 2,
    "a million empty maps": b"\xdd" + struct.pack(">I", 1_000_000) + b"\x80" * 1_000_000,
    "empty maps spread over nested lists": (b"\xdc\x03\xe8" + b"\x80" * 999) * 60,
}


@pytest.mark.parametrize("name", BAD)
def test_bad_bytes_are_refused(name: str) -> None:
    with pytest.raises(WireError):
        wire.unpack(BAD[name])


GOOD: dict[str, tuple[bytes, Any]] = {
    "nil": (b"\xc0", None),
    "a number longer than it need be": (b"\xcd\x00\x01", 1),
    "as deep as allowed": (nested(64), None),
    "as many elements as allowed": (b"\xdc\x03\xe8" + b"\xc0" * 1000, [None] * 1000),
    "a hundred containers side by side": (b"\xdc\x00\x64" + b"\x90" * 100, [[]] * 100),
}


@pytest.mark.parametrize("name", GOOD)
def test_bytes_at_the_limit_are_taken(name: str) -> None:
    data, want = GOOD[name]
    found = wire.unpack(data)
    assert found == want or name == "as deep as allowed"


def test_many_containers_that_nest_too_deep_are_refused() -> None:
    with pytest.raises(WireError, match="deeper"):
        wire.unpack(b"\x92" + b"\xdc\x00\x64" + b"\x90" * 100 + nested(64))


def test_an_envelope_beyond_its_size_is_refused() -> None:
    with pytest.raises(WireError, match="larger"):
        wire.unpack(wire.pack("x" * 100), max_bytes=100)


def test_more_elements_are_taken_where_the_caller_allows_them() -> None:
    value = {"files": [[b"d" * 32, 1, 2]] * 900}
    with pytest.raises(WireError, match="more than 1000"):
        wire.pack(value)
    packed = wire.pack(value, wire.MAX_REPLY_ELEMENTS)
    with pytest.raises(WireError):
        wire.unpack(packed)
    assert wire.unpack(packed, max_elements=wire.MAX_REPLY_ELEMENTS) == value


@pytest.mark.parametrize("value", [{1: 2}, [{"a": {b"k": 1}}], {None: 1}, object(), [2**64], {"a", "b"}])
def test_what_no_receiver_would_take_is_not_packed(value: Any) -> None:
    with pytest.raises(WireError):
        wire.pack(value)


def test_tuples_travel_as_lists() -> None:
    assert wire.unpack(wire.pack(("a", (1, 2)))) == ["a", [1, 2]]


def test_a_header_says_magic_version_type_and_suite() -> None:
    assert wire.header(wire.PUBLICATION) == b"CTL1\x20\x00\x00\x01"


@pytest.mark.parametrize("frame", [b"", b"CTL1\x10\x00\x00", b"XTL1\x10\x00\x00\x01", b"\x00" * 64])
def test_what_has_no_header_has_no_type(frame: bytes) -> None:
    with pytest.raises(WireError):
        wire.frame_type(frame)


def test_a_frame_of_another_version_has_a_type() -> None:
    assert wire.frame_type(b"CTL2\x01\x07\x00\x09") == wire.HELLO


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (b"CTL1\x11\x00\x00\x01", "type 0x11 where 0x10"),
        (b"CTL2\x10\x00\x00\x01", "another version"),
        (b"CTL1\x10\x01\x00\x01", "unknown flags"),
        (b"CTL1\x10\x00\x00\x02", "suite"),
        (b"CTL1", "no header"),
    ],
)
def test_another_header_is_refused_with_its_reason(frame: bytes, why: str) -> None:
    with pytest.raises(WireError, match=why):
        wire.check_header(frame, wire.header(wire.REQUEST))


def test_a_frame_too_short_names_no_session() -> None:
    with pytest.raises(WireError):
        wire.session_id(wire.header(wire.REQUEST) + bytes(15))
