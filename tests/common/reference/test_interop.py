"""The second implementation talks to ctl, in either role, with fresh randomness."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

import pytest

from ctl.common import crypto, handshake, publication, session, wire
from ctl.common.errors import HandshakeError, PinError

NOW_MS = 1_790_000_000_000
GROUP = [b"e" * 8, b"g" * 32, crypto.SigningKey(b"p" * 32).public, 5, 41, 3]
PARAMS = {"publish_port": 4605, "limits": {"frame": 1048576}}


@pytest.fixture(scope="module")
def master_key() -> crypto.IdentityKey:
    return crypto.IdentityKey.generate()


def reference_minion(reference: ModuleType, master_key: crypto.IdentityKey, **options: Any) -> Any:
    options.setdefault("pin", reference.fingerprint(1, master_key.public))
    return reference.Minion(os.urandom(32), "web-1", os.urandom, versions={"ctl": "9.9"}, last_log_off=12, **options)


def test_a_reference_minion_and_a_ctl_master(reference: ModuleType, master_key: crypto.IdentityKey) -> None:
    minion = reference_minion(reference, master_key)
    master = handshake.Responder(master_key, now_ms=lambda: NOW_MS)
    claim = master.auth(minion.challenge(master.hello(minion.hello())))
    assert (claim.id, claim.kind, claim.versions, claim.last_log_off) == ("web-1", "agent", {"ctl": "9.9"}, 12)
    frame, ctl_keys = master.result("accepted", PARAMS, GROUP)
    fields, keys = minion.result(frame)
    assert fields == ["accepted", NOW_MS, PARAMS, GROUP, None]
    assert ctl_keys is not None
    end = session.MasterSession(ctl_keys)
    assert end.check_topic(keys.topic())
    request = end.open_request(reference.make_request(keys, 0, "register", b"r" * 16, {"grains": b"\x80"}))
    assert request == ("register", b"r" * 16, {"grains": b"\x80"}, 0)
    assert reference.open_frame(keys, 0x11, end.reply(0, 0, {"stored": True})) == (0, 0, [0, {"stored": True}])
    assert reference.open_frame(keys, 0x12, end.push("HEAD", GROUP[:1])) == (1, None, ["HEAD", GROUP[:1]])


def test_a_ctl_minion_and_a_reference_master(reference: ModuleType) -> None:
    seed = os.urandom(32)
    pinned: list[bytes] = []
    minion = handshake.Initiator(
        crypto.IdentityKey.generate(), "db_1", "call", check_pin=lambda public, chain: pinned.append(public)
    )
    master = reference.Master(seed, os.urandom)
    fields = master.auth(minion.challenge(master.hello(minion.hello(), NOW_MS)))
    assert fields[:2] == ["db_1", "call"]
    assert pinned == [crypto.IdentityKey(seed).public]
    frame, keys = master.result(["accepted", NOW_MS + 9, PARAMS, None, None])
    outcome = minion.result(frame)
    assert (outcome.status, outcome.t_master_ms, outcome.params) == ("accepted", NOW_MS + 9, PARAMS)
    assert outcome.session_keys is not None
    end = session.MinionSession(outcome.session_keys)
    frame, ctr = end.request("pillar", {"fresh": True}, b"q" * 16)
    assert reference.open_frame(keys, 0x10, frame) == (ctr, None, ["pillar", b"q" * 16, {"fresh": True}])
    assert end.reply(reference.make_reply(keys, 0, ctr, "denied", None)) == (ctr, "denied", None)
    assert end.push(reference.make_push(keys, 1, "HEAD", [])) == ("HEAD", [])


def test_publications_both_ways(reference: ModuleType) -> None:
    key = crypto.IdentityKey.generate()
    fp = crypto.fingerprint(crypto.MASTER, key.public)
    raw_fp = reference.fingerprint(1, key.public)
    publisher = publication.Publisher(publication.Epoch.create(os.urandom, fp), lambda: NOW_MS)
    group = publisher.group(0, 0)
    body = wire.pack({"v": 1})
    packet = publisher.publish(1, body)
    assert reference.open_publication(group, raw_fp, packet) == (1, NOW_MS, 1, body)
    theirs = [b"12345678", b"k" * 32, crypto.SigningKey(b"s" * 32).public, 0, 0, 0]
    made = reference.make_publication(b"k" * 32, b"s" * 32, raw_fp, b"12345678", 1, NOW_MS, 7, b"x")
    assert publication.Receiver(theirs, fp).open(made, NOW_MS).body == b"x"


def test_a_reference_minion_refuses_another_master(reference: ModuleType, master_key: crypto.IdentityKey) -> None:
    minion = reference_minion(reference, master_key, pin=b"x" * 32)
    master = handshake.Responder(master_key, now_ms=lambda: NOW_MS)
    with pytest.raises(reference.Refused, match="another master"):
        minion.challenge(master.hello(minion.hello()))


def test_a_ctl_minion_refuses_another_reference_master(reference: ModuleType) -> None:
    pin = crypto.fingerprint(crypto.MASTER, b"o" * 32)
    minion = handshake.Initiator(crypto.IdentityKey.generate(), "web-1", pin=pin)
    with pytest.raises(PinError):
        minion.challenge(reference.Master(os.urandom(32), os.urandom).hello(minion.hello(), NOW_MS))


def test_a_master_cannot_pass_a_minions_proof_on_to_another(
    reference: ModuleType, master_key: crypto.IdentityKey
) -> None:
    """What a minion proved to a hostile master is about that master's key, so it proves nothing elsewhere."""
    victim = reference.Minion(os.urandom(32), "web-1", os.urandom)
    hostile = reference.Master(os.urandom(32), os.urandom)
    fields = hostile.auth(victim.challenge(hostile.hello(victim.hello(), NOW_MS)))
    relay = reference_minion(reference, master_key)
    real = handshake.Responder(master_key, now_ms=lambda: NOW_MS)
    _open_challenge(reference, relay, real.hello(relay.hello()))
    with pytest.raises(HandshakeError, match="prove"):
        real.auth(reference.hdr(3) + real.hsid + relay.state.seal(b"k3", fields))


def _open_challenge(reference: ModuleType, minion: Any, frame: bytes) -> None:
    """Go on to where a minion has opened the CHALLENGE, without letting it answer."""
    minion._auth = bytes
    minion.challenge(frame)
