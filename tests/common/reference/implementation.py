"""A second implementation of the protocol, from `docs/protocol.md` alone: no line of it is shared with `ctl`.

It is written to be read beside the document, not to be fast or careful with time. Where the two implementations
understand each other, in both roles, and agree with the test vectors, the document says what the code does.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

_spec = importlib.util.spec_from_file_location("reference_codec", Path(__file__).with_name("codec.py"))
assert _spec is not None
assert _spec.loader is not None
codec = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(codec)

Random = Callable[[int], bytes]
NAME = b"ctl-handshake-1_X25519_Ed25519_SHA256_AES256GCM"


class Refused(Exception):
    """A frame that the document says to refuse."""


def hdr(kind: int) -> bytes:
    return b"CTL1" + bytes([kind, 0, 0, 1])


def need(right: bool, why: str) -> None:
    if not right:
        raise Refused(why)


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def hmac_sha(key: bytes, data: bytes) -> bytes:
    code = hmac.HMAC(key, hashes.SHA256())
    code.update(data)
    return code.finalize()


def fingerprint(role: int, public: bytes) -> bytes:
    return sha(b"ctl1 fp" + bytes([role]) + public)


def fingerprint_text(role: int, public: bytes) -> str:
    return base64.b64encode(fingerprint(role, public)).decode()


def check_signature(public: bytes, signature: bytes, data: bytes, why: str) -> None:
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except InvalidSignature:
        raise Refused(why) from None


def decrypt(key: bytes, nonce: bytes, sealed: bytes, ad: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(nonce, sealed, ad)
    except Exception:
        raise Refused("does not open") from None


def puzzle_bits(seed: bytes, e_i: bytes, nonce: bytes) -> int:
    """Count the zero bits that a puzzle's hash begins with."""
    return 256 - int.from_bytes(sha(b"ctl1 puzzle" + seed + e_i + nonce), "big").bit_length()


def smallest_solution(seed: bytes, e_i: bytes, bits: int) -> bytes:
    number = 0
    while puzzle_bits(seed, e_i, struct.pack(">QQ", 0, number)) < bits:
        number += 1
    return struct.pack(">QQ", 0, number)


def master_statement(h: bytes, public: bytes, chain: list[bytes]) -> bytes:
    return b"ctl1/handshake/master\0" + h + sha(public + b"".join(struct.pack(">I", len(c)) + c for c in chain))


def minion_statement(h: bytes, id: str, kind: str, public: bytes) -> bytes:
    name = id.encode()
    return b"ctl1/handshake/minion\0" + h + sha(struct.pack(">I", len(name)) + name + kind.encode() + public)


def certificate(old_seed: bytes, new_seed: bytes, serial: int, not_before: int, not_after: int) -> bytes:
    keys = [ed25519.Ed25519PrivateKey.from_private_bytes(seed) for seed in (old_seed, new_seed)]
    said = b"".join(key.public_key().public_bytes_raw() for key in keys)
    said += struct.pack(">QQQ", serial, not_before, not_after)
    return said + b"".join(key.sign(b"ctl1/rotate\0" + b"master" + said) for key in keys)


def follow_chain(chain: list[bytes], pin: bytes, now_ms: int) -> bytes:
    """Return the fingerprint of the key that a chain leads to from the pinned one."""
    serial = -1
    for cert in chain:
        old, new, said = cert[:32], cert[32:64], cert[:88]
        if fingerprint(1, old) != pin:
            continue
        for public, signature in ((old, cert[88:152]), (new, cert[152:216])):
            check_signature(public, signature, b"ctl1/rotate\0" + b"master" + said, "certificate")
        number, not_before, not_after = struct.unpack(">QQQ", said[64:])
        need(len(cert) == 216 and number > serial and not_before <= now_ms <= not_after, "certificate")
        serial, pin = number, fingerprint(1, new)
    return pin


def sign_key_change(seed: bytes, id: str, old: bytes, new: bytes) -> bytes:
    said = b"ctl1/rotate\0minion" + struct.pack(">I", len(id)) + id.encode() + old + new
    return ed25519.Ed25519PrivateKey.from_private_bytes(seed).sign(said)


def token_key(token: tuple[bytes, bytes]) -> bytes:
    return hmac_sha(token[1], b"ctl1 enroll key" + token[0])


@dataclass
class Symmetric:
    h: bytes = sha(NAME)
    ck: bytes = sha(NAME)

    def mix(self, data: bytes) -> None:
        self.h = sha(self.h + struct.pack(">I", len(data)) + data)

    def key(self, secret: bytes) -> None:
        self.ck = hmac_sha(self.ck, secret)

    def derive(self, label: bytes) -> bytes:
        return HKDFExpand(hashes.SHA256(), 32, b"ctl1 " + label + self.h).derive(self.ck)

    def seal(self, label: bytes, fields: list[Any]) -> bytes:
        return AESGCM(self.derive(label)).encrypt(bytes(12), codec.encode(fields), self.h)

    def open(self, label: bytes, sealed: bytes) -> Any:
        return codec.decode(decrypt(self.derive(label), bytes(12), sealed, self.h))

    def keys(self) -> Keys:
        return Keys(self.derive(b"up"), self.derive(b"dn"), self.derive(b"sub"), self.derive(b"sid")[:16])


@dataclass
class Keys:
    up: bytes
    dn: bytes
    sub: bytes
    sid: bytes

    def topic(self) -> bytes:
        return b"S" + self.sid + hmac_sha(self.sub, b"ctl1 sub")[:16]


@dataclass
class Minion:
    """The initiator of a handshake."""

    seed: bytes
    id: str
    random: Random
    kind: str = "agent"
    pin: bytes | None = None
    versions: dict[str, Any] = field(default_factory=dict)
    last_log_off: int = 0
    token: tuple[bytes, bytes] | None = None
    state: Symmetric = field(default_factory=Symmetric)
    handshake: bytes = b""
    master: bytes = b""

    def hello(self) -> bytes:
        nonce = self.random(32)
        self.ephemeral = x25519.X25519PrivateKey.from_private_bytes(self.random(32))
        pin = self.pin[:16] if self.pin else bytes(16)
        frame = hdr(1) + nonce + self.ephemeral.public_key().public_bytes_raw() + pin + bytes(16 + 16 + 8)
        assert len(frame) == 128
        self.state.mix(frame)
        return frame

    def challenge(self, frame: bytes) -> bytes:
        clear, sealed = frame[:88], frame[88:]
        need(clear[:8] == hdr(2), "not a CHALLENGE")
        self.handshake = clear[72:88]
        self.state.mix(clear)
        self.state.key(self.ephemeral.exchange(x25519.X25519PublicKey.from_public_bytes(clear[40:72])))
        public, chain, signature, t_ms = self.state.open(b"k2", sealed)
        if self.pin is not None:
            need(fingerprint(1, public) == follow_chain(chain, self.pin, t_ms), "another master")
        check_signature(public, signature, master_statement(self.state.h, public, chain), "master's signature")
        self.master = public
        self.state.mix(sealed)
        return self._auth()

    def _auth(self) -> bytes:
        key = ed25519.Ed25519PrivateKey.from_private_bytes(self.seed)
        public = key.public_key().public_bytes_raw()
        signature = key.sign(minion_statement(self.state.h, self.id, self.kind, public))
        enroll = None
        if self.token is not None:
            enroll = [self.token[0], hmac_sha(token_key(self.token), b"ctl1 enroll" + self.state.h + public)]
        fields = [self.id, self.kind, public, signature, self.versions, self.last_log_off, enroll]
        sealed = self.state.seal(b"k3", fields)
        self.state.mix(sealed)
        return hdr(3) + self.handshake + sealed

    def result(self, frame: bytes) -> tuple[list[Any], Keys]:
        need(frame[:24] == hdr(4) + self.handshake, "not this handshake's RESULT")
        fields = self.state.open(b"k4", frame[24:])
        if self.token is not None:
            proof = hmac_sha(token_key(self.token), b"ctl1 enroll master" + self.state.h)
            need(fields[4] == proof, "the token is not known")
        self.state.mix(frame[24:])
        return fields, self.state.keys()


@dataclass
class Master:
    """The responder of a handshake."""

    seed: bytes
    random: Random
    chain: list[bytes] = field(default_factory=list)
    token: tuple[bytes, bytes] | None = None
    state: Symmetric = field(default_factory=Symmetric)
    handshake: bytes = b""

    def hello(self, frame: bytes, t_ms: int) -> bytes:
        need(len(frame) == 128 and frame[:8] == hdr(1) and frame[120:] == bytes(8), "not a HELLO")
        self.state.mix(frame)
        nonce = self.random(32)
        ephemeral = x25519.X25519PrivateKey.from_private_bytes(self.random(32))
        self.handshake = self.random(16)
        clear = hdr(2) + nonce + ephemeral.public_key().public_bytes_raw() + self.handshake
        self.state.mix(clear)
        self.state.key(ephemeral.exchange(x25519.X25519PublicKey.from_public_bytes(frame[40:72])))
        key = ed25519.Ed25519PrivateKey.from_private_bytes(self.seed)
        public = key.public_key().public_bytes_raw()
        signature = key.sign(master_statement(self.state.h, public, self.chain))
        sealed = self.state.seal(b"k2", [public, self.chain, signature, t_ms])
        self.state.mix(sealed)
        return clear + sealed

    def auth(self, frame: bytes) -> list[Any]:
        need(frame[:24] == hdr(3) + self.handshake, "not this handshake's AUTH")
        fields: list[Any] = self.state.open(b"k3", frame[24:])
        id, kind, public, signature = fields[:4]
        check_signature(public, signature, minion_statement(self.state.h, id, kind, public), "minion's signature")
        if self.token is not None:
            proof = hmac_sha(token_key(self.token), b"ctl1 enroll" + self.state.h + public)
            need(fields[6] == [self.token[0], proof], "the token is not proved")
        self.state.mix(frame[24:])
        return fields

    def result(self, fields: list[Any]) -> tuple[bytes, Keys]:
        if self.token is not None:
            fields = [*fields[:4], hmac_sha(token_key(self.token), b"ctl1 enroll master" + self.state.h)]
        sealed = self.state.seal(b"k4", fields)
        self.state.mix(sealed)
        return hdr(4) + self.handshake + sealed, self.state.keys()


def counter_nonce(counter: int) -> bytes:
    return bytes(4) + struct.pack(">Q", counter)


def seal_frame(key: bytes, head: bytes, counter: int, fields: list[Any]) -> bytes:
    return head + AESGCM(key).encrypt(counter_nonce(counter), codec.encode(fields), head)


def make_request(keys: Keys, counter: int, method: str, rid: bytes, args: dict[str, Any]) -> bytes:
    return seal_frame(keys.up, hdr(0x10) + keys.sid + struct.pack(">Q", counter), counter, [method, rid, args])


def make_reply(keys: Keys, counter: int, irt: int, code: Any, body: Any) -> bytes:
    return seal_frame(keys.dn, hdr(0x11) + keys.sid + struct.pack(">QQ", counter, irt), counter, [code, body])


def make_push(keys: Keys, counter: int, kind: str, body: Any) -> bytes:
    return seal_frame(keys.dn, hdr(0x12) + keys.sid + struct.pack(">Q", counter), counter, [kind, body])


def open_frame(keys: Keys, kind: int, frame: bytes) -> tuple[int, int | None, Any]:
    """Open a session frame of a type; returns its counter, what it answers, and its fields."""
    need(frame[:24] == hdr(kind) + keys.sid, "another type or session")
    size = 40 if kind == 0x11 else 32
    counter = struct.unpack(">Q", frame[24:32])[0]
    answers = struct.unpack(">Q", frame[32:40])[0] if kind == 0x11 else None
    key = keys.up if kind == 0x10 else keys.dn
    return counter, answers, codec.decode(decrypt(key, counter_nonce(counter), frame[size:], frame[:size]))


def make_publication(
    group_key: bytes,
    signing_seed: bytes,
    master_fp: bytes,
    epoch_id: bytes,
    seq: int,
    ts_ms: int,
    log_off: int,
    body: bytes,
) -> bytes:
    head = hdr(0x20) + master_fp[:8] + epoch_id + struct.pack(">QQQ", seq, ts_ms, log_off)
    signature = ed25519.Ed25519PrivateKey.from_private_bytes(signing_seed).sign(b"ctl1/publication\0" + head + body)
    return head + AESGCM(group_key).encrypt(counter_nonce(seq), signature + body, head)


def open_publication(group: list[Any], master_fp: bytes, packet: bytes) -> tuple[int, int, int, bytes]:
    """Open a packet under a group; returns seq, time, offset and body."""
    epoch_id, group_key, public = group[:3]
    head = packet[:48]
    need(head[:24] == hdr(0x20) + master_fp[:8] + epoch_id, "another master or epoch")
    seq, ts_ms, log_off = struct.unpack(">QQQ", head[24:])
    need(seq > group[3], "before the start")
    plain = decrypt(group_key, counter_nonce(seq), packet[48:], head)
    check_signature(public, plain[:64], b"ctl1/publication\0" + head + plain[64:], "forged")
    return seq, ts_ms, log_off, plain[64:]
