"""The handshake as both sides see it: what it yields, and everything that must stop it."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctl.common import crypto, handshake, session, wire
from ctl.common.errors import HandshakeError, PinError, UnsupportedSuite
from ctl.common.handshake import Initiator, Responder

NOW_MS = 1_790_000_000_000
MASTER = crypto.IdentityKey(b"m" * 32)
MINION = crypto.IdentityKey(b"n" * 32)
PIN = crypto.fingerprint(crypto.MASTER, MASTER.public)
GROUP: list[Any] = [b"e" * 8, b"g" * 32, b"p" * 32, 0, 0, 0]


class Pair:
    """A minion and a master with the four frames of a handshake between them."""

    def __init__(self, master_key: crypto.IdentityKey = MASTER, **options: Any) -> None:
        options.setdefault("pin", PIN)
        self.minion = Initiator(MINION, "web-1", **options)
        self.master = Responder(master_key, now_ms=lambda: NOW_MS)
        self.frames: list[bytes] = []

    def to_hello(self) -> Pair:
        self.frames.append(self.minion.hello())
        return self

    def to_challenge(self) -> Pair:
        self.to_hello().frames.append(self.master.hello(self.frames[0]))
        return self

    def to_auth(self) -> Pair:
        self.to_challenge().frames.append(self.minion.challenge(self.frames[1]))
        return self

    def to_result(self, status: str = "accepted", group: list[Any] | None = None) -> Pair:
        self.to_auth().master.auth(self.frames[2])
        frame, self.master_keys = self.master.result(status, {"a": 1}, group)
        self.frames.append(frame)
        return self

    def redo(self, number: int, frame: bytes) -> Any:
        """Give `frame` in place of the one with that number to whoever awaits it."""
        receivers: list[Callable[[bytes], Any]] = [
            self.master.hello,
            self.minion.challenge,
            self.master.auth,
            self.minion.result,
        ]
        return receivers[number](frame)


REACH = [Pair.to_hello, Pair.to_challenge, Pair.to_auth, Pair.to_result]


def test_both_sides_end_with_the_same_keys() -> None:
    pair = Pair(versions={"ctl": "1.2", "protocol": 1}, last_log_off=7).to_auth()
    claim = pair.master.auth(pair.frames[2])
    assert (claim.id, claim.kind, claim.public, claim.last_log_off) == ("web-1", "agent", MINION.public, 7)
    assert claim.versions == {"ctl": "1.2", "protocol": 1}
    assert claim.fingerprint == crypto.fingerprint(crypto.MINION, MINION.public)
    frame, keys = pair.master.result("accepted", {"publish_port": 4605}, GROUP)
    outcome = pair.minion.result(frame)
    assert outcome.session_keys == keys
    assert keys is not None
    assert len({keys.k_up, keys.k_dn, keys.k_sub}) == 3
    assert (outcome.status, outcome.params, outcome.group) == ("accepted", {"publish_port": 4605}, GROUP)
    assert outcome.t_master_ms == pair.minion.t_master_ms == NOW_MS
    assert pair.minion.master_fingerprint == PIN
    assert pair.minion.handshake_id == pair.master.hsid == handshake.handshake_id(frame)


def test_two_handshakes_share_nothing() -> None:
    one, other = Pair().to_result(), Pair().to_result()
    assert one.master_keys is not None
    assert other.master_keys is not None
    assert one.master_keys.sid != other.master_keys.sid
    assert one.master_keys.k_up != other.master_keys.k_up


@pytest.mark.parametrize("status", ["pending", "rejected", "denied"])
def test_only_accepted_makes_a_session(status: str) -> None:
    pair = Pair().to_result(status)
    outcome = pair.minion.result(pair.frames[3])
    assert outcome.status == status
    assert outcome.params == {"a": 1}
    assert outcome.session_keys is None
    assert pair.master_keys is None


@pytest.mark.parametrize(("status", "group"), [("pending", GROUP), ("denied", GROUP), ("welcome", None)])
def test_the_master_does_not_give_a_group_to_who_is_not_accepted(status: str, group: list[Any] | None) -> None:
    with pytest.raises(HandshakeError):
        Pair().to_result(status, group)


def test_what_stands_in_a_frame_does_not_show_the_id() -> None:
    pair = Pair().to_result()
    assert not any(b"web-1" in frame or MINION.public in frame or MASTER.public in frame for frame in pair.frames)


def test_the_sizes_are_those_that_were_planned() -> None:
    sizes = [len(frame) for frame in Pair().to_result().frames]
    assert sizes[0] == handshake.HELLO_BYTES
    assert sizes[1] < 256
    assert sizes[2] < 256
    assert sizes[3] < 256


# pins


def test_a_master_with_another_key_gets_no_answer() -> None:
    pair = Pair(crypto.IdentityKey.generate()).to_challenge()
    with pytest.raises(PinError, match="not the pinned") as caught:
        pair.minion.challenge(pair.frames[1])
    assert PIN in str(caught.value)
    assert pair.minion.master_public == b""


def test_first_contact_asks_before_it_answers() -> None:
    seen: list[Any] = []
    pair = Pair(pin=None, check_pin=lambda public, chain: seen.append((public, chain))).to_auth()
    assert seen == [(MASTER.public, ())]
    assert pair.minion.master_fingerprint == PIN


def test_a_pin_that_cannot_be_stored_stops_the_handshake() -> None:
    def refuse(public: bytes, chain: tuple[bytes, ...]) -> None:
        raise PinError("no trust on first use here")

    pair = Pair(pin=None, check_pin=refuse).to_challenge()
    with pytest.raises(PinError):
        pair.minion.challenge(pair.frames[1])
    with pytest.raises(HandshakeError):
        pair.minion.result(b"")


def test_nothing_is_pinned_that_did_not_prove_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A master that names another's public key cannot sign for it, and so is never remembered."""
    seen: list[bytes] = []
    liar = crypto.IdentityKey.generate()
    liar.public = MASTER.public
    pair = Pair(liar, pin=None, check_pin=lambda public, _: seen.append(public)).to_challenge()
    with pytest.raises(HandshakeError, match="prove"):
        pair.minion.challenge(pair.frames[1])
    assert seen == []


def test_the_pin_travels_as_its_first_half_only() -> None:
    digest = crypto.fingerprint_bytes(PIN)
    hello = handshake.parse_hello(Pair().minion.hello())
    assert hello.pin == digest[:16]
    assert handshake.parse_hello(Pair(pin=None).minion.hello()).pin == bytes(16)


# tampering


@pytest.mark.parametrize("number", [1, 2, 3])
@given(data=st.data())
def test_a_changed_bit_is_refused_and_the_handshake_survives_it(number: int, data: st.DataObject) -> None:
    pair = REACH[number](Pair())
    frame = pair.frames[number]
    bit = data.draw(st.integers(0, len(frame) * 8 - 1))
    changed = bytearray(frame)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(HandshakeError):
        pair.redo(number, bytes(changed))
    pair.redo(number, frame)


@given(data=st.data())
def test_a_changed_bit_in_a_hello_is_refused_at_the_latest_by_the_challenge(data: st.DataObject) -> None:
    pair = Pair().to_hello()
    bit = data.draw(st.integers(0, 128 * 8 - 1))
    changed = bytearray(pair.frames[0])
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(HandshakeError):
        pair.minion.challenge(pair.master.hello(bytes(changed)))


@pytest.mark.parametrize("number", [0, 1, 2, 3])
@given(data=st.data())
def test_shorter_longer_and_random_frames_are_refused(number: int, data: st.DataObject) -> None:
    pair = REACH[number](Pair())
    frame = pair.frames[number]
    bad = data.draw(
        st.integers(0, len(frame) - 1).map(lambda n: frame[:n])
        | st.binary(min_size=1, max_size=32).map(lambda tail: frame + tail)
        | st.binary(max_size=300)
        | st.sampled_from([frame + bytes(100_000), b"", wire.header(number + 1)])
    )
    with pytest.raises(HandshakeError):
        pair.redo(number, bad)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_frame_of_another_handshake_is_refused(number: int) -> None:
    pair, other = REACH[number](Pair()), REACH[number](Pair())
    with pytest.raises(HandshakeError):
        pair.redo(number, other.frames[number])


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_frame_is_taken_once(number: int) -> None:
    pair = REACH[number](Pair())
    pair.redo(number, pair.frames[number])
    with pytest.raises(HandshakeError, match="out of turn"):
        pair.redo(number, pair.frames[number])


def test_steps_out_of_turn_are_refused() -> None:
    pair = Pair()
    for step in (pair.minion.challenge, pair.minion.result, pair.master.auth):
        with pytest.raises(HandshakeError, match="out of turn"):
            step(bytes(200))
    with pytest.raises(HandshakeError, match="out of turn"):
        pair.master.result("accepted", {})


def test_a_result_from_before_does_not_answer_the_next_handshake() -> None:
    pair = Pair().to_result()
    later = Pair().to_auth()
    later.minion.handshake_id = pair.minion.handshake_id
    with pytest.raises(HandshakeError):
        later.minion.result(pair.frames[3])


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31)])
def test_an_ephemeral_key_that_fixes_the_secret_is_refused(point: bytes) -> None:
    pair = Pair().to_hello()
    hello = pair.frames[0][:40] + point + pair.frames[0][72:]
    with pytest.raises(HandshakeError, match="not usable"):
        pair.master.hello(hello)
    challenge = pair.master.hello(pair.frames[0])
    with pytest.raises(HandshakeError, match="not usable"):
        pair.minion.challenge(challenge[:40] + point + challenge[72:])


# HELLO


@pytest.mark.parametrize(
    ("at", "value", "error", "why"),
    [
        (0, b"XTL1", HandshakeError, "magic"),
        (3, b"2", UnsupportedSuite, "version 2"),
        (6, b"\x00\x02", UnsupportedSuite, "suite 0x0002"),
        (4, b"\x02", HandshakeError, "type 0x02"),
        (5, b"\x01", HandshakeError, "flags"),
        (120, b"\x01", HandshakeError, "reserved"),
        (127, b"\x01", HandshakeError, "reserved"),
    ],
)
def test_a_hello_is_refused_with_its_reason(at: int, value: bytes, error: type[HandshakeError], why: str) -> None:
    frame = Pair().minion.hello()
    with pytest.raises(error, match=why):
        handshake.parse_hello(frame[:at] + value + frame[at + len(value) :])


def test_another_version_is_told_apart() -> None:
    with pytest.raises(UnsupportedSuite) as caught:
        handshake.parse_hello(b"CTL3\x01\x00\x00\x07" + bytes(120))
    assert (caught.value.version, caught.value.suite) == (3, 7)


def test_a_hello_is_repeated_with_a_solved_puzzle() -> None:
    pair = Pair()
    first = pair.minion.hello()
    second = pair.minion.hello(b"s" * 16, b"n" * 16)
    assert handshake.parse_hello(second).puzzle_seed == b"s" * 16
    assert handshake.parse_hello(second).puzzle_nonce == b"n" * 16
    assert handshake.parse_hello(first).ephemeral == handshake.parse_hello(second).ephemeral
    pair.frames.append(pair.master.hello(second))
    pair.minion.challenge(pair.frames[0])


# what a peer with good keys may still not say


def auth_with(pair: Pair, change: Callable[[list[Any]], list[Any]]) -> bytes:
    """Return the AUTH of a minion that seals other fields than it should."""
    honest = handshake._Transcript.seal

    def seal(transcript: Any, label: str, fields: list[Any]) -> bytes:
        return honest(transcript, label, change(fields) if label == "k3" else fields)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handshake._Transcript, "seal", seal)
        return pair.minion.challenge(pair.frames[1])


def replaced(number: int, value: Any) -> Callable[[list[Any]], list[Any]]:
    return lambda fields: [*fields[:number], value, *fields[number + 1 :]]


BAD_FIELDS: dict[str, Callable[[list[Any]], list[Any]]] = {
    "another id than was signed": replaced(0, "db-1"),
    "an id with a slash": replaced(0, "../web"),
    "an id that ends in a line feed": replaced(0, "web-1\n"),
    "an empty id": replaced(0, ""),
    "an id of 129 characters": replaced(0, "a" * 129),
    "an id that is bytes": replaced(0, b"web-1"),
    "another kind than was signed": replaced(1, "call"),
    "an unknown kind": replaced(1, "root"),
    "another key than signed": replaced(2, crypto.IdentityKey.generate().public),
    "a short key": replaced(2, b"short"),
    "a short signature": replaced(3, b"short"),
    "versions that are a list": replaced(4, []),
    "too many versions": replaced(4, {str(n): "1" for n in range(17)}),
    "a version that is a list": replaced(4, {"ctl": []}),
    "a negative offset": replaced(5, -1),
    "an offset beyond 63 bits": replaced(5, 2**63),
    "a true offset": replaced(5, True),
    "enrolment that is text": replaced(6, "token"),
    "enrolment of the wrong size": replaced(6, [b"a", b"b"]),
    "one field too few": lambda fields: fields[:-1],
    "one field too many": lambda fields: [*fields, None],
}


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_an_auth_with_wrong_fields_is_refused(name: str) -> None:
    pair = Pair().to_challenge()
    frame = auth_with(pair, BAD_FIELDS[name])
    with pytest.raises(HandshakeError):
        pair.master.auth(frame)


def test_an_auth_may_carry_enrolment() -> None:
    pair = Pair().to_challenge()
    frame = auth_with(pair, replaced(6, [b"t" * 16, b"p" * 32]))
    assert pair.master.auth(frame).enroll == (b"t" * 16, b"p" * 32)


def test_an_auth_that_would_be_too_large_is_not_sent() -> None:
    pair = Pair(versions={"ctl": "x" * 4096}).to_challenge()
    with pytest.raises(HandshakeError, match="over 4096"):
        pair.minion.challenge(pair.frames[1])


@pytest.mark.parametrize("bad", ["", ".web", "-web", "web/1", "web 1", "wéb", "a" * 129, "web\n", "web\0"])
def test_an_id_is_of_few_characters(bad: str) -> None:
    assert not handshake.valid_id(bad)
    with pytest.raises(HandshakeError):
        Initiator(MINION, bad)


@pytest.mark.parametrize("good", ["a", "_a", "9", "web-1.example.com", "A_b-c.d", "a" * 128])
def test_ordinary_ids_are_ids(good: str) -> None:
    assert handshake.valid_id(good)


def test_a_kind_is_agent_or_call() -> None:
    with pytest.raises(ValueError, match="agent or call"):
        Initiator(MINION, "web-1", "root")


def test_a_signature_of_one_side_is_none_of_the_other() -> None:
    data = os.urandom(64)
    signature = MASTER.sign(crypto.CONTEXT_HANDSHAKE_MASTER, data)
    assert not crypto.verify(MASTER.public, crypto.CONTEXT_HANDSHAKE_MINION, signature, data)


def test_the_session_works() -> None:
    pair = Pair().to_result(group=GROUP)
    keys = pair.minion.result(pair.frames[3]).session_keys
    assert keys is not None
    assert pair.master_keys is not None
    frame, _ = session.MinionSession(keys).request("register", {})
    assert session.MasterSession(pair.master_keys).open_request(frame).method == "register"
    assert struct.unpack(">Q", frame[24:32]) == (0,)
