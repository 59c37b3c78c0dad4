"""Both ends of the handshake that makes a session: four frames, no sockets, time and randomness passed in.

`Initiator` is the minion's side, `Responder` the master's; each lives for one handshake. What a method refuses leaves
it as it was, so a forged frame cannot break a handshake that is under way. The messages are described in
`docs/protocol.md`; the clear-text hints beside them are in `hints`.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from . import crypto, wire
from .errors import HandshakeError, PinError, SealError, UnsupportedSuite, WireError
from .hints import Busy, Hint, NoSession, Nudge, Unsupported, encode_hint, parse_hint
from .session import SessionKeys
from .succession import check_chain
from .wire import frame_type

__all__ = [
    "Busy",
    "Claim",
    "Hello",
    "Hint",
    "Initiator",
    "NoSession",
    "Nudge",
    "Outcome",
    "Responder",
    "Unsupported",
    "encode_hint",
    "frame_type",
    "handshake_id",
    "parse_hello",
    "parse_hint",
    "token_key",
    "valid_id",
]

AGENT: Final = "agent"
CALL: Final = "call"
KINDS: Final = (AGENT, CALL)

ACCEPTED: Final = "accepted"
PENDING: Final = "pending"
REJECTED: Final = "rejected"
DENIED: Final = "denied"
STATUSES: Final = (ACCEPTED, PENDING, REJECTED, DENIED)

HELLO_BYTES: Final = 128
MAX_CHALLENGE_BYTES: Final = 8192
MAX_AUTH_BYTES: Final = 4096
MAX_RESULT_BYTES: Final = 8192
MAX_CHAIN: Final = 8
MAX_VERSIONS: Final = 16
MAX_ELEMENTS: Final = 200

_NAME: Final = b"ctl-handshake-1_X25519_Ed25519_SHA256_AES256GCM"
_NO_BYTES: Final = bytes(16)
_NONCE: Final = bytes(12)
_ENROLL: Final = b"ctl1 enroll"
_ENROLL_MASTER: Final = b"ctl1 enroll master"
_ENROLL_KEY: Final = b"ctl1 enroll key"
_HELLO: Final = struct.Struct(">8s32s32s16s16s16s8s")
_CHALLENGE: Final = struct.Struct(">8s32s32s16s")
_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_MAX_INT: Final = 2**63 - 1

CheckPin = Callable[[bytes, tuple[bytes, ...]], None]


def valid_id(text: str) -> bool:
    """Say whether `text` can be the id of a minion."""
    return _ID.fullmatch(text) is not None


def handshake_id(frame: bytes) -> bytes:
    """Return the handshake that an AUTH, a RESULT or a NUDGE belongs to (in a CHALLENGE it stands further back)."""
    return wire.session_id(frame)


def token_key(token_id: bytes, token: bytes) -> bytes:
    """Return the key that both sides prove an enrolment token by; the master keeps it instead of the token."""
    return crypto.mac(token, _ENROLL_KEY + token_id)


@dataclass(frozen=True, slots=True)
class Hello:
    """M1 taken apart; the master weighs the puzzle and the source before it answers."""

    nonce: bytes
    ephemeral: bytes
    pin: bytes
    puzzle_seed: bytes
    puzzle_nonce: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """What the minion says and proves in M3: it holds the key `public`, and wants to be `id`."""

    id: str
    kind: str
    public: bytes
    versions: dict[str, Any]
    last_log_off: int
    enroll: tuple[bytes, bytes] | None = None  # token id, proof

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the claiming key."""
        return crypto.fingerprint(crypto.MINION, self.public)

    @property
    def instance(self) -> str:
        """The name of the process that the minion is, as it gives it; empty where it gives none."""
        return str(self.versions.get("instance", ""))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the master decided, authenticated; `session_keys` only where the status is `accepted`."""

    status: str
    params: dict[str, Any]
    group: list[Any] | None
    session_keys: SessionKeys | None
    t_master_ms: int
    knows_token: bool = False  # the master proved that it knows the enrolment token


class Initiator:
    """The minion's side: `hello()`, then `challenge(M2)`, then `result(M4)`.

    `pin` is the fingerprint of the master's key where one is known. `check_pin(master_public, chain)` is called once
    the master has proved that it holds its key (where `chain` is not empty: that it follows the pinned one) and before
    M3 exists; it stores a new pin durably, or raises PinError. `token` is the id and the key of an enrolment token:
    where nothing is pinned, the master must prove in M4 that it knows the token, and `check_pin` is called after that.
    """

    def __init__(
        self,
        identity: crypto.IdentityKey,
        id: str,
        kind: str = AGENT,
        pin: str | None = None,
        versions: Mapping[str, str | int] | None = None,
        last_log_off: int = 0,
        random: crypto.Random = os.urandom,
        check_pin: CheckPin | None = None,
        token: tuple[bytes, bytes] | None = None,
    ) -> None:
        if not valid_id(id):
            raise HandshakeError(f"not a minion id: {id!r}", hint="letters, digits, '.', '_' and '-', at most 128")
        if kind not in KINDS:
            raise ValueError(f"a handshake is of kind agent or call, not {kind!r}")
        self._identity = identity
        self._id = id
        self._kind = kind
        self._pin = crypto.fingerprint_bytes(pin) if pin else None
        self._versions = dict(versions or {})
        self._last_log_off = last_log_off
        self._check_pin = check_pin
        self._token = token
        self._nonce = random(32)
        self._ephemeral = crypto.Agreement(random)
        self._transcript: _Transcript | None = None
        self._step = wire.HELLO
        self.handshake_id = b""
        self.master_public = b""
        self.master_fingerprint = ""
        self.t_master_ms = 0

    @property
    def ephemeral(self) -> bytes:
        """The public half of this handshake's own key: what a puzzle is about."""
        return self._ephemeral.public

    def hello(self, puzzle_seed: bytes = _NO_BYTES, puzzle_nonce: bytes = _NO_BYTES) -> bytes:
        """Return M1; again, with a solved puzzle, where the master answered BUSY."""
        _expect_step(self._step in (wire.HELLO, wire.CHALLENGE))
        pin = self._pin[:16] if self._pin else _NO_BYTES
        frame = _HELLO.pack(
            wire.header(wire.HELLO), self._nonce, self._ephemeral.public, pin, puzzle_seed, puzzle_nonce, bytes(8)
        )
        self._transcript = _Transcript()
        self._transcript.mix(frame)
        self._step = wire.CHALLENGE
        return frame

    def challenge(self, frame: bytes) -> bytes:
        """Take M2 and return M3; raise PinError for a master that is not the pinned one, HandshakeError otherwise."""
        _expect_step(self._step == wire.CHALLENGE)
        transcript = self._begun().fork()
        clear, sealed = _split(frame, wire.CHALLENGE, _CHALLENGE.size, MAX_CHALLENGE_BYTES)
        _, _, peer, handshake = _CHALLENGE.unpack(clear)
        transcript.mix(clear)
        transcript.agree(self._ephemeral, peer)
        fields = transcript.open("k2", sealed)
        self._trust(transcript.h, fields)
        transcript.mix(sealed)
        self.handshake_id = handshake
        answer = self._auth(transcript)
        transcript.mix(answer[24:])
        self._transcript = transcript
        self._ephemeral.wipe()
        self._step = wire.RESULT
        return answer

    def result(self, frame: bytes) -> Outcome:
        """Take M4: the master's authenticated decision and, where it accepts, the session's keys."""
        _expect_step(self._step == wire.RESULT)
        transcript = self._begun().fork()
        clear, sealed = _split(frame, wire.RESULT, 24, MAX_RESULT_BYTES)
        if clear[8:] != self.handshake_id:
            raise HandshakeError("the result belongs to another handshake")
        status, t_master_ms, params, group, proof = _result_fields(transcript.open("k4", sealed))
        knows_token = self._check_token(transcript.h, proof)
        transcript.mix(sealed)
        keys = transcript.session_keys() if status == ACCEPTED else None
        self._begun().wipe()
        transcript.wipe()
        self._step = 0
        return Outcome(status, params, group, keys, t_master_ms, knows_token)

    def _begun(self) -> _Transcript:
        assert self._transcript is not None
        return self._transcript

    def _trust(self, h: bytes, fields: Any) -> None:
        """Check the master's key against the pin, its signature, and then with the caller, in that order."""
        public, chain, signature, t_master_ms = _challenge_fields(fields)
        found = crypto.fingerprint(crypto.MASTER, public)
        changed = self._pin is not None and self._pin != crypto.fingerprint_digest(crypto.MASTER, public)
        if changed:
            self._check_succession(found, public, chain, t_master_ms)
        if not crypto.verify(public, crypto.CONTEXT_HANDSHAKE_MASTER, signature, h + _master_digest(public, chain)):
            raise HandshakeError("the master did not prove that it holds its key")
        self.master_public = public
        self.master_fingerprint = found
        self.t_master_ms = t_master_ms
        if self._check_pin is not None and not self._trusts_by_token:
            self._check_pin(public, chain if changed else ())

    @property
    def _trusts_by_token(self) -> bool:
        return self._token is not None and self._pin is None

    def _check_succession(self, found: str, public: bytes, chain: tuple[bytes, ...], now_ms: int) -> None:
        assert self._pin is not None
        try:
            check_chain(chain, self._pin, public, now_ms)
        except PinError as error:
            why = f" ({error.message})" if chain else ""
            raise PinError(
                f"the master's key is {found}, not the pinned {crypto.fingerprint_text(self._pin)}{why}",
                hint="if it was replaced on purpose: ctl-minion trust reset",
            ) from None

    def _check_token(self, h: bytes, proof: bytes | None) -> bool:
        """Say whether the master proved that it knows the token; raises PinError where all trust hangs on that."""
        if self._token is None:
            return False
        known = proof is not None and crypto.same(proof, crypto.mac(self._token[1], _ENROLL_MASTER + h))
        if not known and (proof is not None or self._trusts_by_token):
            raise PinError(
                f"the master with the key {self.master_fingerprint} does not know this minion's enrolment token",
                hint="is it the right master, and does `ctl-key token list` show the token?",
            )
        if self._trusts_by_token and self._check_pin is not None:
            self._check_pin(self.master_public, ())
        return known

    def _auth(self, transcript: _Transcript) -> bytes:
        claim = _minion_digest(self._id, self._kind, self._identity.public)
        signature = self._identity.sign(crypto.CONTEXT_HANDSHAKE_MINION, transcript.h + claim)
        public, enroll = self._identity.public, None
        if self._token is not None:
            enroll = [self._token[0], crypto.mac(self._token[1], _ENROLL + transcript.h + public)]
        fields = [self._id, self._kind, public, signature, self._versions, self._last_log_off, enroll]
        return _sealed_frame(wire.AUTH, self.handshake_id, transcript, "k3", fields, MAX_AUTH_BYTES)


class Responder:
    """The master's side of one handshake: `hello(M1)`, `auth(M3)`, and, once it has decided, `result(...)`.

    `now_ms` is the master's clock. `chain` are the certificates that lead to `identity` from the keys before it.
    `hsid` names the handshake in the master's table of half-open ones.
    """

    def __init__(
        self,
        identity: crypto.IdentityKey,
        random: crypto.Random = os.urandom,
        *,
        now_ms: Callable[[], int],
        chain: tuple[bytes, ...] = (),
    ) -> None:
        self._identity = identity
        self._chain = chain
        self._proof: tuple[bytes, bytes] | None = None  # of the minion's token, and over what
        self._random = random
        self._now_ms = now_ms
        self._transcript = _Transcript()
        self._step = wire.HELLO
        self.hsid = b""

    def hello(self, frame: bytes) -> bytes:
        """Take M1 and return M2; raise UnsupportedSuite where the minion speaks another version or suite."""
        _expect_step(self._step == wire.HELLO)
        found = parse_hello(frame)
        transcript = _Transcript()
        transcript.mix(frame)
        nonce, ephemeral, handshake = self._random(32), crypto.Agreement(self._random), self._random(16)
        clear = _CHALLENGE.pack(wire.header(wire.CHALLENGE), nonce, ephemeral.public, handshake)
        transcript.mix(clear)
        transcript.agree(ephemeral, found.ephemeral)
        ephemeral.wipe()
        public, chain = self._identity.public, self._chain
        signature = self._identity.sign(crypto.CONTEXT_HANDSHAKE_MASTER, transcript.h + _master_digest(public, chain))
        sealed = transcript.seal("k2", [public, list(chain), signature, self._now_ms()])
        transcript.mix(sealed)
        self._transcript, self.hsid, self._step = transcript, handshake, wire.AUTH
        return clear + sealed

    @property
    def awaits_auth(self) -> bool:
        """Whether M3 is still to come."""
        return self._step == wire.AUTH

    def auth(self, frame: bytes) -> Claim:
        """Take M3 and return what the minion claims, its signature verified; whether to accept it is the caller's.

        A frame that does not open changes nothing; one that opens and is wrong ends the handshake.
        """
        _expect_step(self._step == wire.AUTH)
        clear, sealed = _split(frame, wire.AUTH, 24, MAX_AUTH_BYTES)
        if clear[8:] != self.hsid:
            raise HandshakeError("the message belongs to another handshake")
        fields = self._transcript.open("k3", sealed)
        self._step = 0  # whoever sealed it is the peer: a second try would be as wrong
        claim, signature = _auth_fields(fields)
        data = self._transcript.h + _minion_digest(claim.id, claim.kind, claim.public)
        if not crypto.verify(claim.public, crypto.CONTEXT_HANDSHAKE_MINION, signature, data):
            raise HandshakeError("the minion did not prove that it holds its key")
        if claim.enroll is not None:
            self._proof = claim.enroll[1], _ENROLL + self._transcript.h + claim.public
        self._transcript.mix(sealed)
        self._step = wire.RESULT
        return claim

    def proves(self, token_key: bytes) -> bool:
        """Say whether the minion proved that it knows the token of this key."""
        return self._proof is not None and crypto.same(self._proof[0], crypto.mac(token_key, self._proof[1]))

    def result(
        self,
        status: str,
        params: Mapping[str, Any],
        group: list[Any] | None = None,
        token_key: bytes | None = None,
    ) -> tuple[bytes, SessionKeys | None]:
        """Return M4 and, where the status is `accepted`, the keys of the session; ends the handshake.

        `token_key` is the key of the token that the minion named, which proves to it who this master is.
        """
        _expect_step(self._step == wire.RESULT)
        transcript = self._transcript
        proof = crypto.mac(token_key, _ENROLL_MASTER + transcript.h) if token_key is not None else None
        fields = [status, self._now_ms(), dict(params), group, proof]
        _result_fields(fields)
        sealed_frame = _sealed_frame(wire.RESULT, self.hsid, transcript, "k4", fields, MAX_RESULT_BYTES)
        transcript.mix(sealed_frame[24:])
        keys = transcript.session_keys() if status == ACCEPTED else None
        transcript.wipe()
        self._step = 0
        return sealed_frame, keys


def parse_hello(frame: bytes) -> Hello:
    """Take M1 apart without any cryptography, cheapest check first."""
    if len(frame) != HELLO_BYTES:
        raise HandshakeError(f"a HELLO has {HELLO_BYTES} bytes, not {len(frame)}")
    head, nonce, ephemeral, pin, puzzle_seed, puzzle_nonce, reserved = _HELLO.unpack(frame)
    if head != wire.header(wire.HELLO):
        _refuse_header(head, wire.HELLO)
    if reserved != bytes(8):
        raise HandshakeError("the reserved bytes of a HELLO are not zero")
    return Hello(nonce, ephemeral, pin, puzzle_seed, puzzle_nonce)


class _Transcript:
    """The running hash of everything both sides have seen, and the chaining key that the secrets go into."""

    __slots__ = ("_ck", "h")

    def __init__(self, h: bytes = b"", ck: bytes = b"") -> None:
        self.h = h or crypto.sha256(_NAME)
        self._ck = bytearray(ck or self.h)

    def fork(self) -> _Transcript:
        """Return a copy to try a frame on."""
        return _Transcript(self.h, bytes(self._ck))

    def mix(self, data: bytes) -> None:
        self.h = crypto.sha256(self.h + struct.pack(">I", len(data)) + data)

    def agree(self, mine: crypto.Agreement, theirs: bytes) -> None:
        try:
            self._ck[:] = crypto.hkdf_extract(bytes(self._ck), mine.exchange(theirs))
        except ValueError:
            raise HandshakeError("the peer's ephemeral key is not usable") from None

    def derive(self, label: str) -> bytes:
        return crypto.hkdf_expand(bytes(self._ck), b"ctl1 " + label.encode("ascii") + self.h)

    def seal(self, label: str, fields: list[Any]) -> bytes:
        return crypto.seal(self.derive(label), _NONCE, wire.pack(fields, MAX_ELEMENTS), self.h)

    def open(self, label: str, sealed: bytes) -> Any:
        try:
            return wire.unpack(crypto.open_(self.derive(label), _NONCE, sealed, self.h), max_elements=MAX_ELEMENTS)
        except SealError:
            raise HandshakeError("a handshake message does not open") from None
        except WireError as error:
            raise HandshakeError(error.message) from None

    def session_keys(self) -> SessionKeys:
        return SessionKeys(self.derive("up"), self.derive("dn"), self.derive("sub"), self.derive("sid")[:16])

    def wipe(self) -> None:
        crypto.wipe(self._ck)


def _expect_step(right: bool) -> None:
    if not right:
        raise HandshakeError("a handshake message out of turn")


def _refuse_header(head: bytes, kind: int) -> None:
    """Raise the error that says why the first eight bytes are not those of our frames of type `kind`."""
    if head[:3] != wire.MAGIC[:3]:
        raise HandshakeError("a handshake message does not start with the protocol's magic")
    if head[4] != kind:
        raise HandshakeError(f"a frame of type {head[4]:#04x} where {kind:#04x} belongs")
    version, suite = head[3] - ord("0"), int.from_bytes(head[6:8], "big")
    if version != wire.PROTOCOL_VERSION or suite != wire.SUITE:
        raise UnsupportedSuite(
            f"the peer speaks version {version}, suite {suite:#06x}; known here: "
            f"version {wire.PROTOCOL_VERSION}, suite {wire.SUITE:#06x}",
            version=version,
            suite=suite,
        )
    raise HandshakeError("a handshake message has unknown flags")


def _split(frame: bytes, kind: int, clear_bytes: int, most: int) -> tuple[bytes, bytes]:
    """Split a frame into its clear beginning and what is sealed, after the checks that cost nothing."""
    if not clear_bytes + crypto.TAG_BYTES <= len(frame) <= most:
        raise HandshakeError(f"a handshake message of type {kind:#04x} cannot have {len(frame)} bytes")
    if frame[: wire.HEADER_BYTES] != wire.header(kind):
        _refuse_header(frame[: wire.HEADER_BYTES], kind)
    return frame[:clear_bytes], frame[clear_bytes:]


def _sealed_frame(
    kind: int, handshake: bytes, transcript: _Transcript, label: str, fields: list[Any], most: int
) -> bytes:
    frame = wire.header(kind) + handshake + transcript.seal(label, fields)
    if len(frame) > most:
        raise HandshakeError(f"a handshake message of type {kind:#04x} would have {len(frame)} bytes, over {most}")
    return frame


def _master_digest(public: bytes, chain: tuple[bytes, ...]) -> bytes:
    return crypto.sha256(public + b"".join(struct.pack(">I", len(cert)) + cert for cert in chain))


def _minion_digest(id: str, kind: str, public: bytes) -> bytes:
    name = id.encode("ascii")
    return crypto.sha256(struct.pack(">I", len(name)) + name + kind.encode("ascii") + public)


def _challenge_fields(fields: Any) -> tuple[bytes, tuple[bytes, ...], bytes, int]:
    match fields:
        case [bytes(public), list(chain), bytes(signature), int(t_master_ms)]:
            good_chain = len(chain) <= MAX_CHAIN and all(type(cert) is bytes for cert in chain)
            if len(public) == crypto.KEY_BYTES and good_chain and _is_count(t_master_ms):
                return public, tuple(chain), signature, t_master_ms
    raise HandshakeError("a CHALLENGE does not have the fields it should")


def _auth_fields(fields: Any) -> tuple[Claim, bytes]:
    match fields:
        case [str(id), str(kind), bytes(public), bytes(signature), dict(versions), int(last_log_off), enroll]:
            if not valid_id(id):
                raise HandshakeError("the minion claims an id that is not allowed")
            good = kind in KINDS and len(public) == crypto.KEY_BYTES and _is_count(last_log_off)
            if good and _good_versions(versions) and _good_enroll(enroll):
                proof = (enroll[0], enroll[1]) if enroll is not None else None
                return Claim(id, kind, public, versions, last_log_off, proof), signature
    raise HandshakeError("an AUTH does not have the fields it should")


def _result_fields(fields: Any) -> tuple[str, int, dict[str, Any], list[Any] | None, bytes | None]:
    match fields:
        case [str(status), int(t_master_ms), dict(params), (list() | None) as group, (bytes() | None) as proof]:
            good_group = group is None or status == ACCEPTED
            if status in STATUSES and _is_count(t_master_ms) and good_group:
                return status, t_master_ms, params, group, proof
    raise HandshakeError("a RESULT does not have the fields it should")


def _is_count(value: int) -> bool:
    return type(value) is int and 0 <= value <= _MAX_INT


def _good_versions(versions: dict[str, Any]) -> bool:
    return len(versions) <= MAX_VERSIONS and all(type(value) in (str, int) for value in versions.values())


def _good_enroll(enroll: Any) -> bool:
    match enroll:
        case None:
            return True
        case [bytes(token_id), bytes(proof)]:
            return len(token_id) == 16 and len(proof) == crypto.DIGEST_BYTES
    return False
