"""Publications: what a minion takes, in which order it checks, and what it remembers."""

from __future__ import annotations

import itertools
import os
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctl.common import crypto, publication, wire
from ctl.common.errors import ForgedPublication, ReplayError, SealError, StalePublication, UnknownEpoch, WireError
from ctl.common.publication import Epoch, Publisher, Receiver

FP = crypto.fingerprint(crypto.MASTER, crypto.IdentityKey(b"m" * 32).public)
NOW = 1_790_000_000_000


def publisher_at(now: int = NOW) -> Publisher:
    return Publisher(Epoch.create(os.urandom, FP), lambda: now)


@pytest.fixture
def publisher() -> Publisher:
    return publisher_at()


@pytest.fixture
def receiver(publisher: Publisher) -> Receiver:
    return Receiver(publisher.group(3, 10), FP)


def test_a_publication_arrives(publisher: Publisher, receiver: Receiver) -> None:
    found = receiver.open(publisher.publish(11, b"body"), NOW)
    assert (found.seq, found.ts_ms, found.log_off, found.body) == (1, NOW, 11, b"body")
    assert not found.gap
    assert not found.heartbeat
    assert (receiver.slot, receiver.head) == (3, 10)


def test_a_heartbeat_carries_the_head(publisher: Publisher, receiver: Receiver) -> None:
    found = receiver.open(publisher.heartbeat(99), NOW)
    assert found.heartbeat
    assert (found.log_off, found.body) == (99, b"")
    with pytest.raises(ValueError, match="heartbeat"):
        publisher.publish(1, b"")


def test_what_was_lost_is_seen_as_a_gap(publisher: Publisher, receiver: Receiver) -> None:
    packets = [publisher.publish(number, b"x") for number in range(5)]
    assert [receiver.open(packets[number], NOW).gap for number in (0, 1, 3, 4)] == [False, False, True, False]


def test_what_was_lost_before_the_first_is_a_gap(publisher: Publisher, receiver: Receiver) -> None:
    publisher.publish(1, b"lost")
    assert receiver.open(publisher.publish(2, b"x"), NOW).gap


def test_what_was_seen_or_is_older_is_refused(publisher: Publisher, receiver: Receiver) -> None:
    packets = [publisher.publish(number, b"x") for number in range(3)]
    receiver.open(packets[1], NOW)
    for old in packets[:2]:
        with pytest.raises(ReplayError):
            receiver.open(old, NOW)
    receiver.open(packets[2], NOW)


def test_what_was_published_before_the_group_was_given_is_refused(publisher: Publisher) -> None:
    """So a minion that starts anew cannot be made to run what it may have run before."""
    before = publisher.publish(1, b"x")
    receiver = Receiver(publisher.group(0, 1), FP)
    with pytest.raises(ReplayError):
        receiver.open(before, NOW)
    assert not receiver.open(publisher.publish(2, b"y"), NOW).gap


# epochs


def test_a_new_epoch_is_unknown_until_it_is_adopted(publisher: Publisher, receiver: Receiver) -> None:
    old = publisher.publish(1, b"x")
    receiver.open(old, NOW)
    publisher.rotate(Epoch.create(os.urandom, FP))
    packet = publisher.publish(2, b"y")
    with pytest.raises(UnknownEpoch) as caught:
        receiver.open(packet, NOW)
    assert caught.value.epoch_id == publisher.epoch.id
    group = publisher.group(8, 2)
    receiver.adopt(group)
    assert (receiver.slot, receiver.epoch_id, receiver.head) == (8, publisher.epoch.id, 2)
    assert receiver.open(publisher.publish(3, b"z"), NOW).body == b"z"
    with pytest.raises(ReplayError, match="over"):
        receiver.open(old, NOW)


def test_adopting_the_same_epoch_never_goes_back(publisher: Publisher, receiver: Receiver) -> None:
    early = publisher.group(3, 10)
    packets = [publisher.publish(number, b"x") for number in range(3)]
    receiver.open(packets[2], NOW)
    receiver.adopt(early)
    for packet in packets:
        with pytest.raises(ReplayError):
            receiver.open(packet, NOW)


def test_a_revoked_minion_reads_nothing_more(publisher: Publisher, receiver: Receiver) -> None:
    group_key = publisher.epoch.group_key
    publisher.rotate(Epoch.create(os.urandom, FP))
    packet = publisher.publish(1, b"secret")
    with pytest.raises(SealError):
        crypto.open_(group_key, bytes(4) + packet[24:32], packet[48:], packet[:48])
    assert b"secret" not in packet


def test_a_sequence_goes_on_however_often_its_epoch_is_taken_up() -> None:
    """The sequence is the nonce: two packets under one key and one nonce would give both away."""
    epoch, other = Epoch.create(os.urandom, FP), Epoch.create(os.urandom, FP)
    publisher = Publisher(epoch, lambda: NOW)
    seen = [publisher.publish(1, b"x")[16:32]]
    publisher.rotate(other)
    seen.append(publisher.publish(2, b"x")[16:32])
    publisher.rotate(epoch)
    seen.append(publisher.publish(3, b"x")[16:32])
    seen.append(Publisher(epoch, lambda: NOW).publish(4, b"x")[16:32])
    assert len(set(seen)) == 4
    assert publisher.seq == 3


def test_another_master_is_refused(publisher: Publisher) -> None:
    other = crypto.fingerprint(crypto.MASTER, crypto.IdentityKey.generate().public)
    receiver = Receiver(publisher.group(0, 0), other)
    with pytest.raises(WireError, match="another master"):
        receiver.open(publisher.publish(1, b"x"), NOW)


# forging


def forge(group: list[Any], seq: int, body: bytes, signer: crypto.SigningKey) -> bytes:
    """Return a packet that a holder of the group key can make."""
    epoch = Epoch(group[0], group[1], signer, FP)
    epoch.seq = seq - 1
    return Publisher(epoch, lambda: NOW).publish(1, body)


def test_a_packet_of_an_accepted_minion_is_an_attack(publisher: Publisher, receiver: Receiver) -> None:
    packet = forge(publisher.group(0, 0), 1_000_000, b"rm -rf /", crypto.IdentityKey.generate())
    with pytest.raises(ForgedPublication):
        receiver.open(packet, NOW)
    assert receiver.last_seq == 0
    assert receiver.open(publisher.publish(1, b"x"), NOW).body == b"x"


def test_a_signed_body_cannot_be_wrapped_again(publisher: Publisher, receiver: Receiver) -> None:
    """A holder of the group key opens a packet and seals the signed body under a later number."""
    packet = publisher.publish(1, b"reboot")
    receiver.open(packet, NOW)
    key = publisher.epoch.group_key
    plain = crypto.open_(key, bytes(4) + struct.pack(">Q", 1), packet[48:], packet[:48])
    for field, value in ((24, 2), (32, NOW + 1), (40, 7)):
        header = packet[:24] + struct.pack(">Q", 2) + packet[32:48]
        header = header[:field] + struct.pack(">Q", value) + header[field + 8 :]
        again = header + crypto.seal(key, bytes(4) + struct.pack(">Q", 2), plain, header)
        with pytest.raises(ForgedPublication):
            receiver.open(again, NOW)


def test_a_plain_shorter_than_a_signature_is_refused(publisher: Publisher, receiver: Receiver) -> None:
    header = publisher.publish(1, b"x")[:48]
    packet = header + crypto.seal(publisher.epoch.group_key, bytes(4) + struct.pack(">Q", 1), b"short", header)
    with pytest.raises(WireError):
        receiver.open(packet, NOW)


@given(st.data())
def test_a_changed_bit_is_refused_and_nothing_is_remembered(data: st.DataObject) -> None:
    publisher = publisher_at()
    receiver = Receiver(publisher.group(0, 0), FP)
    packet = publisher.publish(1, b"body")
    bit = data.draw(st.integers(0, len(packet) * 8 - 1))
    changed = bytearray(packet)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(WireError) as caught:
        receiver.open(bytes(changed), NOW)
    assert not isinstance(caught.value, ForgedPublication)
    assert not receiver.open(packet, NOW).gap


@given(st.data())
def test_shorter_longer_and_random_packets_are_refused(data: st.DataObject) -> None:
    publisher = publisher_at()
    receiver = Receiver(publisher.group(0, 0), FP)
    packet = publisher.publish(1, b"body")
    bad = data.draw(
        st.integers(0, len(packet) - 1).map(lambda n: packet[:n])
        | st.binary(min_size=1, max_size=32).map(lambda tail: packet + tail)
        | st.binary(max_size=300)
    )
    with pytest.raises(WireError):
        receiver.open(bad, NOW)


def test_a_packet_that_is_too_large_is_neither_made_nor_taken(publisher: Publisher, receiver: Receiver) -> None:
    largest = publisher.publish(1, bytes(publication.MAX_BODY_BYTES))
    assert len(largest) == wire.MAX_FRAME_BYTES
    receiver.open(largest, NOW)
    with pytest.raises(WireError, match="larger"):
        publisher.publish(2, bytes(publication.MAX_BODY_BYTES + 1))
    with pytest.raises(WireError, match="cannot have"):
        receiver.open(largest + b"x", NOW)


# time


@pytest.mark.parametrize("away", [-30_000, 30_000])
def test_a_clock_at_the_edge_of_the_window_is_good(publisher: Publisher, receiver: Receiver, away: int) -> None:
    receiver.open(publisher.publish(1, b"x"), NOW + away)


@pytest.mark.parametrize("away", [-30_001, 30_001])
def test_outside_of_the_window_a_publication_is_stale(publisher: Publisher, receiver: Receiver, away: int) -> None:
    packet = publisher.publish(1, b"x")
    with pytest.raises(StalePublication) as caught:
        receiver.open(packet, NOW + away)
    assert caught.value.skew_ms == away
    with pytest.raises(ReplayError):
        receiver.open(packet, NOW)


def test_the_masters_time_never_goes_back() -> None:
    times = itertools.chain([NOW, NOW - 60_000, NOW - 59_000], itertools.repeat(NOW + 5))
    publisher = Publisher(Epoch.create(os.urandom, FP), lambda: next(times))
    stamps = []
    for number in range(4):
        receiver = Receiver(publisher.group(0, 0), FP)
        stamps.append(receiver.open(publisher.publish(number, b"x"), NOW).ts_ms)
        publisher.rotate(Epoch.create(os.urandom, FP))
    assert stamps == [NOW, NOW + 1, NOW + 2, NOW + 5]


# groups and slots


GOOD_GROUP: list[Any] = [b"e" * 8, b"g" * 32, crypto.IdentityKey(b"p" * 32).public, 0, 0, 0]


@pytest.mark.parametrize(
    "group",
    [
        None,
        [],
        GOOD_GROUP[:5],
        [*GOOD_GROUP, 0],
        [b"short", *GOOD_GROUP[1:]],
        [GOOD_GROUP[0], b"short", *GOOD_GROUP[2:]],
        [*GOOD_GROUP[:3], -1, 0, 0],
        [*GOOD_GROUP[:3], 0, 0, True],
        [*GOOD_GROUP[:3], 2**63, 0, 0],
    ],
)
def test_what_is_no_group_is_refused(group: Any) -> None:
    with pytest.raises(WireError):
        Receiver(group, FP)


@given(st.sets(st.integers(0, 2000), max_size=50), st.integers(0, 2100))
def test_a_bitmap_holds_exactly_its_slots(slots: set[int], asked: int) -> None:
    bitmap = publication.expected_slots(slots)
    assert publication.is_expected(bitmap, asked) == (asked in slots)
    assert all(publication.is_expected(bitmap, slot) for slot in slots)


def test_a_bitmap_is_small_and_the_least_bit_comes_first() -> None:
    assert publication.expected_slots([]) == b""
    assert publication.expected_slots([0, 7, 9]) == b"\x81\x02"
    assert len(publication.expected_slots(range(10_000))) == 1250
    assert not publication.is_expected(b"\xff", -1)
