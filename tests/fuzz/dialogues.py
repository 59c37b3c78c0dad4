"""Fuzz targets with a memory: the bytes are a script of who sends what to whom, in any order, changed or repeated.

Beside the two ends runs a model: what was really sent, and what may therefore be believed. An end that accepts
anything else is a finding, and so is any error but the documented ones.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ctl.common import crypto, handshake, publication, session, wire
from ctl.common.errors import AuthenticationError, ReplayError, WireError

NOW_MS = 1_790_000_000_000
MAX_STEPS = 60
MASTER = crypto.IdentityKey(b"m" * 32)
IMPOSTOR = crypto.IdentityKey(b"i" * 32)
PIN = crypto.fingerprint(crypto.MASTER, MASTER.public)
NAMES = ("web1", "db1")
IDENTITIES = tuple(crypto.IdentityKey(name[:1].encode() * 32) for name in NAMES)
STATUSES = ("accepted", "pending", "rejected", "denied", "welcome")
GROUP: list[Any] = [b"e" * 8, b"g" * 32, MASTER.public, 0, 0, 0]


class Script:
    """The bytes, taken one by one; at their end everything is 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def number(self, below: int = 256) -> int:
        """Take one byte."""
        self._at += 1
        return self._data[self._at - 1] % below if self._at <= len(self._data) else 0

    def take(self, most: int) -> bytes:
        """Take up to so many bytes."""
        count = self.number(most + 1)
        self._at += count
        return self._data[self._at - count : self._at]

    def change(self, frame: bytes) -> bytes:
        """Change a frame: a bit, its end, or a stretch of it."""
        at = int.from_bytes(bytes([self.number(), self.number()]), "big") % (len(frame) + 1)
        match self.number(4):
            case 0:
                return frame[:at]
            case 1:
                return frame[:at] + self.take(40) + frame[at:]
            case 2:
                return frame[:at] + self.take(40) + frame[at + 40 :]
        return frame[:at] + bytes([frame[at] ^ (1 << self.number(8))]) + frame[at + 1 :] if at < len(frame) else frame


def _randomness(seed: bytes) -> crypto.Random:
    count = 0

    def random(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(seed + count.to_bytes(8, "big")).digest(size)

    return random


@dataclass
class _Shakes:
    """Two minions that know the master's fingerprint, the master twice and an impostor, and what they said."""

    minions: list[handshake.Initiator] = field(default_factory=list)
    masters: list[handshake.Responder] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    claims: dict[int, handshake.Claim] = field(default_factory=dict)
    decided: dict[int, tuple[str, session.SessionKeys | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, name in enumerate(NAMES):
            random = _randomness(name.encode())
            self.minions.append(handshake.Initiator(IDENTITIES[number], name, pin=PIN, random=random))
        for number, identity in enumerate((MASTER, MASTER, IMPOSTOR)):
            random = _randomness(b"master%d" % number)
            self.masters.append(handshake.Responder(identity, random, now_ms=lambda: NOW_MS))

    def step(self, script: Script) -> None:
        """Let somebody do something."""
        what = script.number(8)
        minion, master = script.number(2), script.number(3)
        frame = self.frames[script.number() % len(self.frames)] if self.frames else b""
        actions: tuple[Callable[[], object], ...] = (
            lambda: self.frames.append(self.minions[minion].hello(script.take(16).ljust(16), bytes(16))),
            lambda: self.frames.append(self.masters[master].hello(frame)),
            lambda: self.frames.append(self.minions[minion].challenge(frame)),
            lambda: self._auth(master, frame),
            lambda: self._decide(master, STATUSES[script.number(5)], script.number(2)),
            lambda: self._outcome(minion, frame),
            lambda: self.frames.append(script.change(frame)),
            lambda: self.frames.append(script.take(200)),
        )
        with contextlib.suppress(AuthenticationError):
            actions[what]()

    def _auth(self, master: int, frame: bytes) -> None:
        claim = self.masters[master].auth(frame)
        number = NAMES.index(claim.id)
        assert claim.public == IDENTITIES[number].public, "a key was accepted that does not belong to the id"
        assert self.masters[master].hsid == self.minions[number].handshake_id, "a proof went to another handshake"
        assert master != 2, "a minion said who it is to an impostor"
        self.claims[master] = claim

    def _decide(self, master: int, status: str, group: int) -> None:
        frame, keys = self.masters[master].result(status, {"publish_port": 1}, GROUP if group else None)
        assert master in self.claims, "a result without a claim"
        self.frames.append(frame)
        self.decided[master] = (status, keys)

    def _outcome(self, minion: int, frame: bytes) -> None:
        outcome = self.minions[minion].result(frame)
        masters = [n for n, claim in self.claims.items() if claim.id == NAMES[minion]]
        assert (outcome.status, outcome.session_keys) in [self.decided.get(n) for n in masters], "nobody decided this"
        assert self.minions[minion].master_fingerprint == PIN


def shake(data: bytes) -> None:
    """Handshakes in any order."""
    shakes, script = _Shakes(), Script(data)
    for _ in range(MAX_STEPS):
        if not script:
            return
        shakes.step(script)


@dataclass
class _Talk:
    """Two sessions of one master, so that frames can go astray, and what was sent over each."""

    minions: list[session.MinionSession] = field(default_factory=list)
    masters: list[session.MasterSession] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    genuine: dict[bytes, tuple[int, str, Any]] = field(default_factory=dict)
    taken: set[tuple[int, str, Any]] = field(default_factory=set)
    asked: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number in range(2):
            up, dn, sub = (bytes([number, n]) * 16 for n in range(3))
            keys = session.SessionKeys(up, dn, sub, bytes([number]) * 16)
            self.minions.append(session.MinionSession(keys, _randomness(keys.sid)))
            self.masters.append(session.MasterSession(keys))

    def step(self, script: Script) -> None:
        """Let somebody do something."""
        what, end = script.number(8), script.number(2)
        frame = self.frames[script.number() % len(self.frames)] if self.frames else b""
        if what == 0:
            sent, counter = self.minions[end].request("ask", {"n": len(self.frames)}, one_way=bool(script.number(2)))
            self._send(end, "request", counter, sent)
        elif what == 1:
            self._open(end, frame)
        elif what == 2 and self.asked:
            end, counter = self.asked[script.number() % len(self.asked)]
            self._send(end, "reply", counter, self.masters[end].reply(counter, 0, {"to": counter}))
        elif what == 3:
            self._send(end, "push", len(self.frames), self.masters[end].push("HEAD", len(self.frames)))
        elif what == 4:
            self.minions[end].forget(script.number())
        elif what == 5:
            self.frames.append(script.change(frame))
        elif what == 6:
            self.frames.append(script.take(100))
        elif what == 7:
            assert self.masters[end].check_topic(self.minions[end].topic())
            assert not self.masters[end].check_topic(self.minions[1 - end].topic())

    def _send(self, end: int, kind: str, mark: Any, frame: bytes) -> None:
        self.frames.append(frame)
        self.genuine[frame] = (end, kind, mark)

    def _open(self, end: int, frame: bytes) -> None:
        number, kind, mark = self.genuine.get(frame, (end, "", None))
        for name, take in (
            ("request", self.masters[end].open_request),
            ("reply", self.minions[end].reply),
            ("push", self.minions[end].push),
        ):
            with contextlib.suppress(WireError):
                found: Any = take(frame)
                assert (end, name) == (number, kind), f"a frame was taken for a {name} that is none of this session"
                assert (end, name, mark) not in self.taken, f"a {name} was taken twice"
                self.taken.add((end, name, mark))
                if name == "request":
                    assert found.ctr == mark
                    self.asked.append((end, mark))
                else:
                    assert (found.irt if name == "reply" else found.body) == mark


def talk(data: bytes) -> None:
    """Sessions: requests, replies and pushes in any order, changed, repeated and sent astray."""
    conversation, script = _Talk(), Script(data)
    for _ in range(MAX_STEPS):
        if not script:
            return
        conversation.step(script)


@functools.cache
def _epochs() -> tuple[tuple[bytes, bytes, bytes], ...]:
    return tuple((bytes([n]) * 8, bytes([n + 8]) * 32, bytes([n + 16]) * 32) for n in range(3))


@dataclass
class _Broadcast:
    """A master that publishes under changing keys, a minion that reads, and an insider who has the group's key."""

    clock: int = NOW_MS
    number: int = 0
    frames: list[bytes] = field(default_factory=list)
    genuine: dict[bytes, bytes] = field(default_factory=dict)
    taken: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.epoch = self._epoch(0)
        self.publisher = publication.Publisher(self.epoch, lambda: self.clock)
        self.receiver = publication.Receiver(self.publisher.group(3, 0), PIN)

    def _epoch(self, number: int) -> publication.Epoch:
        id_, key, seed = _epochs()[number % 3]
        return publication.Epoch(id_, key, crypto.SigningKey(seed), PIN)

    def step(self, script: Script) -> None:
        """Let somebody do something."""
        what = script.number(8)
        packet = self.frames[script.number() % len(self.frames)] if self.frames else b""
        if what == 0:
            made = b"job %d" % len(self.frames)
            self._send(self.publisher.publish(script.number(), made), made)
        elif what == 1:
            self._send(self.publisher.heartbeat(script.number()), b"")
        elif what == 2:
            self._open(packet, (script.number() - 128) * 500)
        elif what == 3 and self.number < 2:
            self.number += 1
            self.epoch = self._epoch(self.number)
            self.publisher.rotate(self.epoch)
        elif what == 4:
            self.receiver.adopt(self.publisher.group(script.number(), 0))
        elif what == 5:
            self.frames.append(script.change(packet))
        elif what == 6:
            self.frames.append(self._forged(script))
        elif what == 7:
            self.clock += script.number() * 1000

    def _forged(self, script: Script) -> bytes:
        """Seal with the group's key, sign with another."""
        epoch = publication.Epoch(self.epoch.id, self.epoch.group_key, crypto.SigningKey(b"x" * 32), PIN)
        epoch.seq = self.epoch.seq + script.number()
        return publication.Publisher(epoch, lambda: self.clock).publish(1, b"forged")

    def _send(self, packet: bytes, body: bytes) -> None:
        self.frames.append(packet)
        self.genuine[packet] = body

    def _open(self, packet: bytes, skew: int) -> None:
        before = self.receiver.last_seq
        body = self.genuine.get(packet)
        with contextlib.suppress(WireError):
            found = self.receiver.open(packet, self.clock + skew)
            assert body is not None, "a packet was believed that the master did not make"
            assert found.body == body
            assert packet not in self.taken, "a packet was taken twice"
            self.taken.add(packet)
            assert found.seq > before
            with contextlib.suppress(ReplayError):
                self.receiver.open(packet, self.clock)
                raise AssertionError("a packet was taken twice in a row")


def broadcast(data: bytes) -> None:
    """Publications in any order, changed, repeated, forged by an insider, under changing keys."""
    show, script = _Broadcast(), Script(data)
    for _ in range(MAX_STEPS):
        if not script:
            return
        show.step(script)


def crafted(data: bytes) -> None:
    """Well sealed, badly made: what a peer with the right keys says in each of its frames."""
    if not data:
        return
    plain = data[1:]
    keys = session.SessionKeys(b"u" * 32, b"d" * 32, b"s" * 32, b"i" * 16)
    nonce, sealers = bytes(12), {wire.REQUEST: keys.k_up, wire.REPLY: keys.k_dn, wire.PUSH: keys.k_dn}
    kind = sorted(sealers)[data[0] % 3]
    head = wire.header(kind) + keys.sid + bytes(8) + (bytes(8) if kind == wire.REPLY else b"")
    frame = head + crypto.seal(sealers[kind], nonce, plain, head)
    minion = session.MinionSession(keys)
    minion.request("ask", {})
    with contextlib.suppress(WireError):
        {wire.REQUEST: session.MasterSession(keys).open_request, wire.REPLY: minion.reply, wire.PUSH: minion.push}[
            kind
        ](frame)
    with contextlib.suppress(WireError):
        publication.Receiver(wire.unpack(plain), PIN)
    _crafted_handshake(plain)


def _crafted_handshake(plain: bytes) -> None:
    """Seal any plain text as the message of a handshake that comes next."""
    minion = handshake.Initiator(IDENTITIES[0], NAMES[0], random=_randomness(b"c"))
    master = handshake.Responder(MASTER, _randomness(b"d"), now_ms=lambda: NOW_MS)
    try:
        fields = wire.unpack(plain)
    except WireError:
        return
    first = minion.hello()
    if isinstance(fields, list) and len(fields) == 4:
        _lying_master(minion, first, plain)
        return
    minion.challenge(master.hello(first))
    transcript = master._transcript
    sealed = crypto.seal(transcript.derive("k3"), bytes(12), plain, transcript.h)
    with contextlib.suppress(AuthenticationError):
        claim = master.auth(wire.header(wire.AUTH) + master.hsid + sealed)
        raise AssertionError(f"an AUTH without a right signature was taken: {claim}")


def _lying_master(minion: handshake.Initiator, hello: bytes, plain: bytes) -> None:
    """Answer a HELLO as a master whose fields are made up."""
    random = _randomness(b"l")
    ephemeral = crypto.Agreement(random)
    transcript = handshake._Transcript()
    transcript.mix(hello)
    clear = wire.header(wire.CHALLENGE) + random(32) + ephemeral.public + random(16)
    transcript.mix(clear)
    transcript.agree(ephemeral, handshake.parse_hello(hello).ephemeral)
    sealed = crypto.seal(transcript.derive("k2"), bytes(12), plain, transcript.h)
    with contextlib.suppress(AuthenticationError):
        minion.challenge(clear + sealed)
        raise AssertionError("a master without a key was believed")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "shake": shake,
    "talk": talk,
    "broadcast": broadcast,
    "crafted": crafted,
}
