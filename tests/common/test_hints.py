"""Hints: pairs of value and bytes, and the bytes that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctl.common import wire
from ctl.common.errors import WireError
from ctl.common.hints import Busy, Hint, NoSession, Nudge, Unsupported, encode_hint, parse_hint

SIXTEEN = st.binary(min_size=16, max_size=16)
HINTS = (
    st.builds(Busy, st.integers(0, 2**32 - 1), st.integers(0, 20), SIXTEEN)
    | st.builds(Unsupported, st.lists(st.integers(0, 2**16 - 1), max_size=32).map(tuple))
    | st.builds(NoSession, SIXTEEN)
    | st.builds(Nudge, SIXTEEN)
)


@given(HINTS)
def test_a_hint_survives_its_bytes(hint: Hint) -> None:
    assert parse_hint(encode_hint(hint)) == hint


@given(HINTS, st.binary(min_size=1, max_size=3), st.data())
def test_other_lengths_are_refused(hint: Hint, tail: bytes, data: st.DataObject) -> None:
    frame = encode_hint(hint)
    for bad in (frame + tail, frame[: data.draw(st.integers(0, len(frame) - 1))]):
        with pytest.raises(WireError):
            parse_hint(bad)


@given(st.binary(max_size=64))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        parse_hint(data)


@pytest.mark.parametrize(
    "frame",
    [
        wire.header(wire.REPLY) + bytes(16),
        b"CTL2" + wire.header(wire.NOSESSION)[4:] + bytes(16),
        wire.header(wire.BUSY) + b"\x00\x00\x00\x01\x15" + bytes(16),
        wire.header(wire.UNSUPPORTED) + b"\x21" + bytes(66),
    ],
    ids=["a reply", "another version", "a puzzle of 21 bits", "33 suites"],
)
def test_what_is_no_hint_is_refused(frame: bytes) -> None:
    with pytest.raises(WireError):
        parse_hint(frame)


def test_a_master_of_another_version_can_say_so() -> None:
    assert parse_hint(b"CTL2\x31\x00\x00\x05\x01\x00\x05") == Unsupported((5,), version=2)
