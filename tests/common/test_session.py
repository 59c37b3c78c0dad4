"""Session frames: what each end takes from the other, and what it refuses."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctl.common import crypto, session, wire
from ctl.common.errors import ReplayError, SealError, WireError
from ctl.common.session import MasterSession, MinionSession, SessionKeys

KEYS = SessionKeys(b"u" * 32, b"d" * 32, b"s" * 32, b"i" * 16)


@pytest.fixture
def minion() -> MinionSession:
    return MinionSession(KEYS)


@pytest.fixture
def master() -> MasterSession:
    return MasterSession(KEYS)


def flipped(frame: bytes, bit: int) -> bytes:
    changed = bytearray(frame)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_a_request_and_its_reply(minion: MinionSession, master: MasterSession) -> None:
    frame, ctr = minion.request("file_envs", {})
    request = master.open_request(frame)
    assert (request.method, request.args, request.ctr) == ("file_envs", {}, ctr)
    reply = minion.reply(master.reply(request.ctr, 0, {"envs": ["base"]}))
    assert reply == (ctr, 0, {"envs": ["base"]})


def test_an_error_travels_as_its_word(minion: MinionSession, master: MasterSession) -> None:
    frame, ctr = minion.request("file_chunk", {})
    master.open_request(frame)
    body = {"name": "FileServerError", "message": "it changed"}
    assert minion.reply(master.reply(ctr, "changed", body)) == (ctr, "changed", body)


@pytest.mark.parametrize("code", [1, -1, True, "", "x" * 65, None, 0.0])
def test_a_code_is_zero_or_a_word(master: MasterSession, code: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        master.reply(0, code, None)


def test_replies_may_come_in_any_order(minion: MinionSession, master: MasterSession) -> None:
    counters = [master.open_request(minion.request("m", {})[0]).ctr for _ in range(3)]
    answers = {ctr: master.reply(ctr, 0, ctr) for ctr in counters}
    for ctr in reversed(counters):
        assert minion.reply(answers[ctr]).body == ctr


def test_a_retry_has_a_new_counter_and_the_same_rid(minion: MinionSession, master: MasterSession) -> None:
    first, again = (minion.request("return", {}, b"r" * 16)[0] for _ in range(2))
    assert first != again
    one, other = master.open_request(first), master.open_request(again)
    assert one.rid == other.rid == b"r" * 16
    assert other.ctr == one.ctr + 1


def test_the_random_source_is_the_callers() -> None:
    frame, _ = MinionSession(KEYS, lambda count: b"7" * count).request("m", {})
    assert MasterSession(KEYS).open_request(frame).rid == b"7" * 16


# replay and order


def test_a_request_is_taken_once(minion: MinionSession, master: MasterSession) -> None:
    frame, _ = minion.request("m", {})
    master.open_request(frame)
    with pytest.raises(ReplayError):
        master.open_request(frame)


def test_requests_may_skip_but_never_go_back(minion: MinionSession, master: MasterSession) -> None:
    frames = [minion.request("m", {})[0] for _ in range(3)]
    assert master.open_request(frames[2]).ctr == 2
    for late in frames[:2]:
        with pytest.raises(ReplayError):
            master.open_request(late)


def test_a_reply_is_taken_once(minion: MinionSession, master: MasterSession) -> None:
    ctr = master.open_request(minion.request("m", {})[0]).ctr
    frame = master.reply(ctr, 0, None)
    minion.reply(frame)
    with pytest.raises(ReplayError):
        minion.reply(frame)


def test_a_second_reply_to_a_request_is_refused(minion: MinionSession, master: MasterSession) -> None:
    ctr = master.open_request(minion.request("m", {})[0]).ctr
    first, second = master.reply(ctr, 0, 1), master.reply(ctr, 0, 2)
    minion.reply(first)
    with pytest.raises(ReplayError):
        minion.reply(second)


def test_a_reply_to_what_awaits_none_is_refused(minion: MinionSession, master: MasterSession) -> None:
    for one_way in (True, False):
        ctr = master.open_request(minion.request("m", {}, one_way=one_way)[0]).ctr
        minion.forget(ctr)
        with pytest.raises(ReplayError):
            minion.reply(master.reply(ctr, 0, None))


def test_what_never_gets_its_reply_does_not_pile_up(minion: MinionSession, master: MasterSession) -> None:
    first = master.open_request(minion.request("m", {})[0]).ctr
    for _ in range(session.MAX_OUTSTANDING):
        minion.request("m", {})
    with pytest.raises(ReplayError):
        minion.reply(master.reply(first, 0, None))


def test_pushes_never_go_back(minion: MinionSession, master: MasterSession) -> None:
    frames = [master.push("HEAD", [number]) for number in range(3)]
    assert minion.push(frames[1]) == ("HEAD", [1])
    for seen in frames[:2]:
        with pytest.raises(ReplayError):
            minion.push(seen)
    assert minion.push(frames[2]).body == [2]


def test_pushes_and_replies_share_a_counter_and_never_a_nonce(minion: MinionSession, master: MasterSession) -> None:
    ctr = master.open_request(minion.request("m", {})[0]).ctr
    frames = [master.push("HEAD", []), master.reply(ctr, 0, None), master.push("HEAD", [])]
    assert [frame[24:32] for frame in frames] == [bytes(7) + bytes([number]) for number in range(3)]
    minion.push(frames[2])
    minion.reply(frames[1])  # another socket brought it: later than a push that was made after it


# tampering


@given(st.data())
def test_a_changed_bit_is_refused_and_the_session_survives_it(data: st.DataObject) -> None:
    minion, master = MinionSession(KEYS), MasterSession(KEYS)
    request, ctr = minion.request("m", {"a": 1})
    reply, push = master.reply(ctr, 0, {"b": 2}), master.push("HEAD", [1])
    for receive, frame in ((master.open_request, request), (minion.reply, reply), (minion.push, push)):
        bad = flipped(frame, data.draw(st.integers(0, len(frame) * 8 - 1)))
        with pytest.raises(WireError):
            receive(bad)
        receive(frame)


@given(st.data())
def test_shorter_longer_and_random_frames_are_refused(data: st.DataObject) -> None:
    minion, master = MinionSession(KEYS), MasterSession(KEYS)
    request, ctr = minion.request("m", {"a": 1})
    reply, push = master.reply(ctr, 0, {"b": 2}), master.push("HEAD", [1])
    for receive, frame in ((master.open_request, request), (minion.reply, reply), (minion.push, push)):
        bad = data.draw(
            st.sampled_from([frame[:n] for n in range(len(frame))])
            | st.binary(min_size=1, max_size=32).map(frame.__add__)
            | st.binary(max_size=100)
            | st.binary(max_size=100).map(frame[:32].__add__)
        )
        if bad == frame:
            continue
        with pytest.raises(WireError):
            receive(bad)


def test_a_bad_frame_with_a_high_counter_does_not_move_the_window(minion: MinionSession, master: MasterSession) -> None:
    frame, _ = minion.request("m", {})
    with pytest.raises(SealError):
        master.open_request(frame[:24] + b"\xff" * 8 + frame[32:])
    assert master.open_request(frame).method == "m"


def test_an_end_does_not_take_its_own_frames(minion: MinionSession, master: MasterSession) -> None:
    request, ctr = minion.request("m", {})
    reply, push = master.reply(ctr, 0, None), master.push("HEAD", [])
    for receive, frame in (
        (minion.reply, request),
        (minion.push, request),
        (minion.push, reply),
        (minion.reply, push),
        (master.open_request, reply),
        (master.open_request, push),
    ):
        with pytest.raises(WireError):
            receive(frame)
        relabelled = frame[:4] + {minion.reply: b"\x11", minion.push: b"\x12"}.get(receive, b"\x10") + frame[5:]
        with pytest.raises(WireError):
            receive(relabelled)


def test_a_frame_of_another_session_is_refused(master: MasterSession) -> None:
    other = SessionKeys(KEYS.k_up, KEYS.k_dn, KEYS.k_sub, b"j" * 16)
    with pytest.raises(WireError, match="another session"):
        master.open_request(MinionSession(other).request("m", {})[0])


# what a peer with good keys may still not say


def sealed_request(plain: bytes, counter: int = 0) -> bytes:
    header = wire.header(wire.REQUEST) + KEYS.sid + counter.to_bytes(8, "big")
    return header + crypto.seal(KEYS.k_up, bytes(4) + counter.to_bytes(8, "big"), plain, header)


BAD_REQUESTS: dict[str, bytes] = {
    "not msgpack": b"\xc1",
    "a map": wire.pack({"method": "m"}),
    "two fields": wire.pack(["m", b"r" * 16]),
    "four fields": wire.pack(["m", b"r" * 16, {}, 1]),
    "no method": wire.pack(["", b"r" * 16, {}]),
    "a long method": wire.pack(["m" * 65, b"r" * 16, {}]),
    "a method that is bytes": wire.pack([b"m", b"r" * 16, {}]),
    "a short rid": wire.pack(["m", b"r" * 15, {}]),
    "arguments that are a list": wire.pack(["m", b"r" * 16, []]),
    "more elements than allowed": wire.pack(["m", b"r" * 16, {"a": [None] * 1000}], 5000),
    "a number as a key": b"\x93\xa1m\xc4\x10" + b"r" * 16 + b"\x81\x01\x02",
    "something after the end": wire.pack(["m", b"r" * 16, {}]) + b"\xc0",
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_request_with_wrong_fields_is_refused_once(master: MasterSession, name: str) -> None:
    """Its counter is used up all the same: it was genuine, so nothing may come under that counter again."""
    frame = sealed_request(BAD_REQUESTS[name])
    with pytest.raises(WireError) as caught:
        master.open_request(frame)
    assert not isinstance(caught.value, ReplayError)
    with pytest.raises(ReplayError):
        master.open_request(frame)


def test_a_reply_with_wrong_fields_is_refused(minion: MinionSession) -> None:
    for plain in (b"\xc1", wire.pack([0]), wire.pack([1, None]), wire.pack([True, None]), wire.pack(["", None])):
        _, ctr = minion.request("m", {})
        header = wire.header(wire.REPLY) + KEYS.sid + ctr.to_bytes(8, "big") * 2
        frame = header + crypto.seal(KEYS.k_dn, bytes(4) + ctr.to_bytes(8, "big"), plain, header)
        with pytest.raises(WireError):
            minion.reply(frame)


# sizes and wear


def test_a_chunk_of_the_largest_size_fits(minion: MinionSession, master: MasterSession) -> None:
    frame, ctr = minion.request("return_chunk", {"jid": "2" * 20, "data": os.urandom(wire.MAX_CHUNK_BYTES)})
    assert len(master.open_request(frame).args["data"]) == wire.MAX_CHUNK_BYTES
    assert minion.reply(master.reply(ctr, 0, {"data": bytes(wire.MAX_CHUNK_BYTES)})).code == 0


def test_a_frame_that_is_too_large_is_neither_sent_nor_taken(minion: MinionSession, master: MasterSession) -> None:
    with pytest.raises(WireError, match="larger"):
        minion.request("m", {"data": bytes(wire.MAX_FRAME_BYTES)})
    with pytest.raises(WireError, match="cannot have"):
        master.open_request(minion.request("m", {})[0] + bytes(wire.MAX_FRAME_BYTES))


def test_a_list_of_many_files_fits_in_a_reply(minion: MinionSession, master: MasterSession) -> None:
    frame, ctr = minion.request("file_find", {"saltenv": "base", "paths": [f"p{n}" for n in range(900)]})
    master.open_request(frame)
    files = {"files": [[b"d" * 32, n, 0o644] for n in range(900)]}
    assert minion.reply(master.reply(ctr, 0, files)).body == files


def test_wear_is_counted_both_ways(minion: MinionSession, master: MasterSession) -> None:
    frame, ctr = minion.request("m", {})
    master.open_request(frame)
    reply = master.reply(ctr, 0, None)
    minion.reply(reply)
    for end in (minion, master):
        assert (end.message_count, end.byte_count) == (2, len(frame) + len(reply))
        assert not end.needs_rekey(0.0)
        assert end.needs_rekey(3600.0)
        assert not end.is_exhausted(3600.0)
        assert end.is_exhausted(7200.0)


def test_worn_keys_are_not_used(minion: MinionSession, master: MasterSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "REKEY_MESSAGES", 1)
    monkeypatch.setattr(session, "MAX_MESSAGES", 2)
    frames = [minion.request("m", {})[0] for _ in range(2)]
    assert minion.needs_rekey(0.0)
    assert minion.is_exhausted(0.0)
    with pytest.raises(WireError, match="used up"):
        minion.request("m", {})
    for frame in frames:
        master.open_request(frame)
    for use in (lambda: master.push("HEAD", []), lambda: master.reply(0, 0, None), lambda: master.open_request(frame)):
        with pytest.raises(WireError, match="used up"):
            use()


# the topic


def test_only_the_sessions_own_topic_passes(minion: MinionSession, master: MasterSession) -> None:
    topic = minion.topic()
    assert len(topic) == 33 <= wire.MAX_TOPIC_BYTES
    assert session.topic_session(topic) == KEYS.sid
    assert master.check_topic(topic)
    for bit in range(len(topic) * 8):
        assert not master.check_topic(flipped(topic, bit))
    for bad in (b"", b"G", topic[:-1], topic + b"x", b"S" + KEYS.sid + bytes(16)):
        assert not master.check_topic(bad)


@pytest.mark.parametrize("topic", [b"", b"G", b"S", b"S" + bytes(31), b"S" + bytes(33), b"T" + bytes(32)])
def test_other_topics_name_no_session(topic: bytes) -> None:
    assert session.topic_session(topic) is None


def test_keys_do_not_show_when_printed() -> None:
    assert "uuu" not in repr(KEYS)
