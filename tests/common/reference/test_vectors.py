"""Both implementations against the same bytes: what they make, and what they make of them."""

from __future__ import annotations

import base64
from types import ModuleType
from typing import Any

import pytest

from ctl.common import crypto, handshake, publication, puzzle, session, succession, wire
from ctl.common.errors import ForgedPublication


class Given:
    """Randomness that is a given string, used from its beginning."""

    def __init__(self, data: bytes) -> None:
        self.left = data

    def __call__(self, count: int) -> bytes:
        found, self.left = self.left[:count], self.left[count:]
        assert len(found) == count
        return found


def test_the_file_is_what_the_script_writes(make_vectors: ModuleType) -> None:
    assert make_vectors.TARGET.read_text("ascii") == make_vectors.text()


def test_fingerprints(reference: ModuleType, vectors: Any) -> None:
    for role, name in ((crypto.MASTER, "master"), (crypto.MINION, "minion")):
        key = vectors["keys"][name]
        assert crypto.IdentityKey(key["seed"]).public == key["public"]
        assert crypto.fingerprint(role, key["public"]) == key["fingerprint"]
        assert reference.fingerprint_text(role, key["public"]) == key["fingerprint"]


@pytest.mark.parametrize("number", range(4))
def test_ctl_makes_the_handshakes(vectors: Any, number: int) -> None:
    case = vectors["handshakes"][number]
    status, t_result, params, group, _ = case["result_fields"]
    times = iter((case["challenge_t_ms"], t_result))
    token = (case["token"][0], handshake.token_key(*case["token"])) if case["token"] else None
    minion = handshake.Initiator(
        crypto.IdentityKey(vectors["keys"]["minion"]["seed"]),
        case["id"],
        case["kind"],
        case["pin"],
        case["versions"],
        case["last_log_off"],
        Given(case["initiator_random"]),
        token=token,
    )
    master = handshake.Responder(
        crypto.IdentityKey(vectors["keys"]["master"]["seed"]),
        Given(case["responder_random"]),
        now_ms=lambda: next(times),
        chain=tuple(case["chain"]),
    )
    frames = [minion.hello()]
    frames.append(master.hello(frames[0]))
    frames.append(minion.challenge(frames[1]))
    claim = master.auth(frames[2])
    assert token is None or master.proves(token[1])
    result, keys = master.result(status, params, group, token[1] if token else None)
    outcome = minion.result(result)
    assert outcome.knows_token is (token is not None)
    assert [*frames, result] == case["frames"]
    assert (claim.id, claim.kind, claim.versions) == (case["id"], case["kind"], case["versions"])
    assert outcome.session_keys == keys
    assert (keys and [keys.k_up, keys.k_dn, keys.k_sub, keys.sid]) == case["session_keys"]


@pytest.mark.parametrize("number", range(4))
def test_the_reference_makes_the_handshakes(reference: ModuleType, vectors: Any, number: int) -> None:
    case = vectors["handshakes"][number]
    minion = reference.Minion(
        vectors["keys"]["minion"]["seed"],
        case["id"],
        Given(case["initiator_random"]),
        case["kind"],
        base64.b64decode(case["pin"]) if case["pin"] else None,
        case["versions"],
        case["last_log_off"],
        case["token"],
    )
    master = reference.Master(
        vectors["keys"]["master"]["seed"], Given(case["responder_random"]), case["chain"], case["token"]
    )
    frames = [minion.hello()]
    frames.append(master.hello(frames[0], case["challenge_t_ms"]))
    frames.append(minion.challenge(frames[1]))
    master.auth(frames[2])
    result, keys = master.result(case["result_fields"])
    fields, minion_keys = minion.result(result)
    assert [*frames, result] == case["frames"]
    assert fields[:4] == case["result_fields"][:4]
    assert (fields[4] is not None) is (case["token"] is not None)
    assert keys == minion_keys
    if case["session_keys"]:
        assert [keys.up, keys.dn, keys.sub, keys.sid] == case["session_keys"]


def test_a_minions_change_of_key(reference: ModuleType, vectors: Any) -> None:
    case, old_seed = vectors["key_change"], vectors["keys"]["minion"]["seed"]
    old, new = vectors["keys"]["minion"]["public"], crypto.IdentityKey(case["new_seed"]).public
    assert succession.check_change(case["id"], old, new, *case["signatures"])
    for seed, signature in zip((old_seed, case["new_seed"]), case["signatures"], strict=True):
        assert succession.sign_change(crypto.SigningKey(seed), case["id"], old, new) == signature
        assert reference.sign_key_change(seed, case["id"], old, new) == signature


def test_ctl_makes_the_session_frames(vectors: Any) -> None:
    case = vectors["session"]
    keys = session.SessionKeys(*case["keys"])
    assert keys.topic() == case["topic"]
    minion, master = session.MinionSession(keys), session.MasterSession(keys)
    for want in case["requests"]:
        method, rid, args = want["fields"]
        assert minion.request(method, args, rid) == (want["frame"], want["ctr"])
        assert master.open_request(want["frame"]) == (method, rid, args, want["ctr"])
    for want in case["replies"]:
        assert master.reply(want["irt"], *want["fields"]) == want["frame"]
        assert minion.reply(want["frame"]) == (want["irt"], *want["fields"])
    for want in case["pushes"]:
        assert master.push(*want["fields"]) == want["frame"]
        assert minion.push(want["frame"]) == tuple(want["fields"])


def test_the_reference_makes_the_session_frames(reference: ModuleType, vectors: Any) -> None:
    case = vectors["session"]
    keys = reference.Keys(*case["keys"])
    assert keys.topic() == case["topic"]
    for want in case["requests"]:
        assert reference.make_request(keys, want["ctr"], *want["fields"]) == want["frame"]
        assert reference.open_frame(keys, 0x10, want["frame"]) == (want["ctr"], None, want["fields"])
    for want in case["replies"]:
        assert reference.make_reply(keys, want["ctr"], want["irt"], *want["fields"]) == want["frame"]
        assert reference.open_frame(keys, 0x11, want["frame"]) == (want["ctr"], want["irt"], want["fields"])
    for want in case["pushes"]:
        assert reference.make_push(keys, want["ctr"], *want["fields"]) == want["frame"]
        assert reference.open_frame(keys, 0x12, want["frame"]) == (want["ctr"], None, want["fields"])


def test_ctl_makes_and_opens_the_publications(vectors: Any) -> None:
    case, fp = vectors["publications"], vectors["keys"]["master"]["fingerprint"]
    epoch = publication.Epoch(case["group"][0], case["group"][1], crypto.SigningKey(case["signing_seed"]), fp)
    times = iter(want["ts_ms"] for want in case["packets"])
    publisher = publication.Publisher(epoch, lambda: next(times))
    receiver = publication.Receiver(case["group"], fp)
    for want in case["packets"]:
        made = (
            publisher.publish(want["log_off"], want["body"]) if want["body"] else publisher.heartbeat(want["log_off"])
        )
        assert made == want["packet"]
        found = receiver.open(want["packet"], want["ts_ms"])
        assert (found.seq, found.ts_ms, found.log_off, found.body) == (
            want["seq"],
            want["ts_ms"],
            want["log_off"],
            want["body"],
        )
    with pytest.raises(ForgedPublication):
        receiver.open(case["forged_packet"], case["packets"][-1]["ts_ms"])


def test_the_reference_makes_and_opens_the_publications(reference: ModuleType, vectors: Any) -> None:
    case = vectors["publications"]
    fp = reference.fingerprint(1, vectors["keys"]["master"]["public"])
    for want in case["packets"]:
        fields = (want["seq"], want["ts_ms"], want["log_off"], want["body"])
        made = reference.make_publication(case["group"][1], case["signing_seed"], fp, case["group"][0], *fields)
        assert made == want["packet"]
        assert reference.open_publication(case["group"], fp, want["packet"]) == fields
    with pytest.raises(reference.Refused, match="forged"):
        reference.open_publication(case["group"], fp, case["forged_packet"])


def test_hints(vectors: Any) -> None:
    kinds = {"busy": handshake.Busy, "unsupported": handshake.Unsupported}
    kinds |= {"nosession": handshake.NoSession, "nudge": handshake.Nudge}
    for want in vectors["hints"]:
        fields = {key: tuple(item) if isinstance(item, list) else item for key, item in want["fields"].items()}
        hint = kinds[want["name"]](**fields)
        assert handshake.encode_hint(hint) == want["frame"]
        assert handshake.parse_hint(want["frame"]) == hint


def test_payloads(reference: ModuleType, vectors: Any) -> None:
    for want in vectors["payloads"]:
        assert wire.pack_payload(want["value"]) == want["bytes"]
        assert wire.unpack_payload(want["bytes"]) == want["value"]
        assert reference.codec.encode(want["value"]) == want["bytes"]
        assert reference.codec.decode(want["bytes"]) == want["value"]


@pytest.mark.parametrize("number", range(4))
def test_puzzles(reference: ModuleType, vectors: Any, number: int) -> None:
    case = vectors["puzzles"][number]
    seed, e_i, bits, nonce = case["seed"], case["e_i"], case["bits"], case["nonce"]
    assert puzzle.solve(seed, e_i, bits) == nonce == reference.smallest_solution(seed, e_i, bits)
    assert puzzle.is_solved(seed, e_i, nonce, bits)
    assert puzzle.is_solved(seed, e_i, nonce, reference.puzzle_bits(seed, e_i, nonce))
    assert not puzzle.is_solved(seed, e_i, nonce, reference.puzzle_bits(seed, e_i, nonce) + 1)
