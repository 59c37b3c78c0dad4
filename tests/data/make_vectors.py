"""Write `protocol-vectors.json`: frames of the protocol made from randomness and times that the file itself states.

Run it from the root of the tree, after a change of the protocol's version: `python tests/data/make_vectors.py`. A
vector that changes without a new version is a break of the protocol. The file's fields are described at the end of
`docs/protocol.md`.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ctl.common import crypto, handshake, publication, puzzle, session, succession, wire

TARGET = Path(__file__).with_name("protocol-vectors.json")
NOW_MS = 1_790_000_000_123
SEEDS = {"master": hashlib.sha256(b"vector master").digest(), "minion": hashlib.sha256(b"vector minion").digest()}
OLD_SEEDS = [hashlib.sha256(b"vector master, %d" % number).digest() for number in (1, 2)]
NEW_SEED = hashlib.sha256(b"vector minion, new").digest()
TOKEN = hashlib.sha256(b"vector token id").digest()[:16], hashlib.sha256(b"vector token").digest()


def stream(label: str) -> Callable[[int], bytes]:
    """Return a source of bytes: block i is SHA-256(label || u32 i), the blocks one after the other."""
    blocks = (hashlib.sha256(label.encode() + number.to_bytes(4, "big")).digest() for number in itertools.count())
    rest = bytearray()

    def take(count: int) -> bytes:
        while len(rest) < count:
            rest.extend(next(blocks))
        found = bytes(rest[:count])
        del rest[:count]
        return found

    return take


def plainly(value: Any) -> Any:
    """Return `value` with bytes written as {"hex": ...}, which JSON can hold."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, dict):
        return {key: plainly(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plainly(item) for item in value]
    return value


def make() -> dict[str, Any]:
    """Return all vectors."""
    master, minion = crypto.IdentityKey(SEEDS["master"]), crypto.IdentityKey(SEEDS["minion"])
    fp = crypto.fingerprint(crypto.MASTER, master.public)
    publisher = publication.Publisher(publication.Epoch.create(stream("epoch"), fp), lambda: NOW_MS)
    agent, keys = _handshake(master, minion, "agent, pinned, accepted", publisher)
    found: dict[str, Any] = plainly(
        {
            "version": wire.PROTOCOL_VERSION,
            "keys": {
                "master": {"seed": SEEDS["master"], "public": master.public, "fingerprint": fp},
                "minion": {
                    "seed": SEEDS["minion"],
                    "public": minion.public,
                    "fingerprint": crypto.fingerprint(crypto.MINION, minion.public),
                },
            },
            "handshakes": [
                agent,
                _handshake(master, minion, "call, first contact, pending")[0],
                _handshake(master, minion, "agent, token, accepted", publisher)[0],
                _handshake(master, minion, "agent, pinned two keys ago, accepted", publisher)[0],
            ],
            "key_change": _key_change(minion),
            "session": _session(keys),
            "publications": _publications(publisher),
            "hints": _hints(keys),
            "puzzles": _puzzles(),
            "payloads": _payloads(),
        }
    )
    return found


def _handshake(
    master: crypto.IdentityKey, minion: crypto.IdentityKey, name: str, publisher: publication.Publisher | None = None
) -> tuple[dict[str, Any], session.SessionKeys]:
    kind = name.split(",")[0]
    old = [crypto.IdentityKey(seed) for seed in OLD_SEEDS] if "ago" in name else []
    pin = crypto.fingerprint(crypto.MASTER, [*old, master][0].public) if "pinned" in name else None
    chain = tuple(
        succession.certify(one, other, number, NOW_MS - 1000 * number, NOW_MS + 1000)
        for number, (one, other) in enumerate(itertools.pairwise([*old, master]), 1)
    )
    token_id, token = TOKEN if "token" in name else (b"", b"")
    token_key = handshake.token_key(token_id, token) if token else None
    status = name.split(", ")[-1]
    versions: dict[str, str | int] = {"ctl": "1.0", "protocol": 1}
    params: dict[str, Any] = {"publish_port": 4605, "idle": 900} if publisher else {"retry_after": 1.5}
    group = publisher.group(7, 41) if publisher else None
    times = iter((NOW_MS, NOW_MS + 5))
    initiator = handshake.Initiator(
        minion,
        "web-1.example",
        kind,
        pin,
        versions,
        40,
        stream(f"{name} initiator"),
        token=(token_id, token_key) if token_key else None,
    )
    responder = handshake.Responder(master, stream(f"{name} responder"), now_ms=lambda: next(times), chain=chain)
    hello = initiator.hello()
    challenge = responder.hello(hello)
    auth = initiator.challenge(challenge)
    responder.auth(auth)
    result, keys = responder.result(status, params, group, token_key)
    initiator.result(result)
    record = {
        "name": name,
        "initiator_random": stream(f"{name} initiator")(64),
        "responder_random": stream(f"{name} responder")(80),
        "id": "web-1.example",
        "kind": kind,
        "pin": pin,
        "versions": versions,
        "last_log_off": 40,
        "result_fields": [status, NOW_MS + 5, params, group, None],
        "challenge_t_ms": NOW_MS,
        "frames": [hello, challenge, auth, result],
        "session_keys": [keys.k_up, keys.k_dn, keys.k_sub, keys.sid] if keys else None,
        "chain": list(chain),
        "token": [token_id, token] if token else None,
    }
    return record, keys or session.SessionKeys(bytes(32), bytes(32), bytes(32), bytes(16))


def _session(keys: session.SessionKeys) -> dict[str, Any]:
    minion, master = session.MinionSession(keys, stream("session")), session.MasterSession(keys)
    args: dict[str, Any] = {"jids": ["20260921143320000123"], "size": 70000, "raw": b"\x00\xff", "none": None}
    rid = stream("session")(16)
    first, _ = minion.request("keepalive", args)
    second, _ = minion.request("return", {"retcode": -129, "rate": 0.5})
    answer = master.reply(0, 0, {"t_master_ms": NOW_MS})
    refusal = master.reply(1, "changed", {"name": "FileServerError", "message": "the file changed"})
    head = master.push("HEAD", [bytes(8), 3, 41])
    return {
        "keys": [keys.k_up, keys.k_dn, keys.k_sub, keys.sid],
        "topic": keys.topic(),
        "requests": [
            {"ctr": 0, "fields": ["keepalive", rid, args], "frame": first},
            {
                "ctr": 1,
                "fields": ["return", stream("session")(32)[16:], {"retcode": -129, "rate": 0.5}],
                "frame": second,
            },
        ],
        "replies": [
            {"ctr": 0, "irt": 0, "fields": [0, {"t_master_ms": NOW_MS}], "frame": answer},
            {
                "ctr": 1,
                "irt": 1,
                "fields": ["changed", {"name": "FileServerError", "message": "the file changed"}],
                "frame": refusal,
            },
        ],
        "pushes": [{"ctr": 2, "fields": ["HEAD", [bytes(8), 3, 41]], "frame": head}],
    }


def _publications(publisher: publication.Publisher) -> dict[str, Any]:
    source = stream("epoch")
    source(publication.EPOCH_ID_BYTES + 32)
    seed = source(32)
    group = publisher.group(7, 41)
    body = wire.pack({"v": 1, "jid": "20260921143320000123", "slots": publication.expected_slots([0, 7, 9])})
    packets = [
        {"seq": 1, "ts_ms": NOW_MS, "log_off": 42, "body": body, "packet": publisher.publish(42, body)},
        {"seq": 2, "ts_ms": NOW_MS + 1, "log_off": 42, "body": b"", "packet": publisher.heartbeat(42)},
    ]
    forger = publication.Epoch(group[0], group[1], crypto.SigningKey(bytes(range(32))), _fp())
    forger.seq = 2
    forged = publication.Publisher(forger, lambda: NOW_MS + 2).publish(43, body)
    return {"group": group, "signing_seed": seed, "packets": packets, "forged_packet": forged}


def _key_change(minion: crypto.IdentityKey) -> dict[str, Any]:
    new = crypto.IdentityKey(NEW_SEED)
    signatures = [succession.sign_change(key, "web-1.example", minion.public, new.public) for key in (minion, new)]
    return {"id": "web-1.example", "new_seed": NEW_SEED, "signatures": signatures}


def _fp() -> str:
    return crypto.fingerprint(crypto.MASTER, crypto.IdentityKey(SEEDS["master"]).public)


def _hints(keys: session.SessionKeys) -> list[dict[str, Any]]:
    known: list[tuple[str, handshake.Hint, dict[str, Any]]] = [
        ("busy", handshake.Busy(3, 12, bytes(range(16))), {"retry_after": 3, "bits": 12, "seed": bytes(range(16))}),
        ("unsupported", handshake.Unsupported((1, 2)), {"suites": [1, 2], "version": 1}),
        ("nosession", handshake.NoSession(keys.sid), {"sid": keys.sid}),
        ("nudge", handshake.Nudge(bytes(range(16, 32))), {"handshake_id": bytes(range(16, 32))}),
    ]
    return [{"name": name, "fields": fields, "frame": handshake.encode_hint(hint)} for name, hint, fields in known]


def _puzzles() -> list[dict[str, Any]]:
    seed, ephemeral = stream("puzzle")(16), stream("puzzle e_i")(32)
    return [
        {"seed": seed, "e_i": ephemeral, "bits": bits, "nonce": puzzle.solve(seed, ephemeral, bits)}
        for bits in (0, 1, 8, 13)
    ]


def _payloads() -> list[dict[str, Any]]:
    values: list[Any] = [
        None,
        True,
        [0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63, 2**64 - 1],
        [-1, -32, -33, -128, -129, -32768, -32769, -(2**31), -(2**31) - 1, -(2**63)],
        [0.0, -1.5, 1e300],
        ["", "é", "a" * 31, "a" * 32, "a" * 256],
        [b"", b"\x00" * 255, b"\x01" * 256],
        {"fun": "test.ping", "arg": [], "kwarg": {"deep": [{"a": [1, {"b": None}]}]}},
        list(range(16)),
        {f"key{number:02}": number for number in range(16)},
    ]
    return [{"value": value, "bytes": wire.pack_payload(value)} for value in values]


def text() -> str:
    """Return the file's content."""
    return json.dumps(make(), indent=1, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="ascii")
