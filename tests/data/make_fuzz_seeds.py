"""Write those seeds of fuzz targets that are no text, below `fuzz/`: `python tests/data/make_fuzz_seeds.py`.

Seeds that are text are written by hand, and inputs that broke a target once are kept under names that begin with
`found-`; this leaves both alone.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from ctl.common import crypto, ipc, wire
from ctl.common.hints import Busy, Hint, NoSession, Nudge, Unsupported, encode_hint

HERE = Path(__file__).parent
VECTORS = json.loads((HERE / "protocol-vectors.json").read_text())


def bytes_in(value: Any) -> list[bytes]:
    """Return every byte string of the protocol's test vectors."""
    if isinstance(value, dict):
        if set(value) == {"hex"}:
            return [bytes.fromhex(value["hex"])]
        value = list(value.values())
    return [found for item in value for found in bytes_in(item)] if isinstance(value, list) else []


def script(*steps: bytes) -> bytes:
    """Put the steps of a dialogue together."""
    return b"".join(steps)


def dialogues() -> dict[str, dict[str, bytes]]:
    """Whole conversations: each step is what, who, whom, which frame, and what else it takes."""
    shake = [b"\0\0\0\0\0", b"\1\0\0\0", b"\2\0\0\1", b"\3\0\0\2", b"\4\0\0\0\0\1", b"\5\0\0\3"]
    other = [step[:1] + b"\1\1" + step[3:] for step in shake]
    return {
        "shake": {
            "whole": script(*shake),
            "two": script(*(step for pair in zip(shake, other, strict=True) for step in pair)),
            "impostor": script(shake[0], b"\1\0\2\0", b"\2\0\0\1", b"\3\0\2\2"),
            "changed": script(*shake[:2], b"\6\0\0\1\0\x20\3\2", b"\2\0\0\2", *shake[2:]),
        },
        "talk": {
            "whole": b"\0\0\0\0" + b"\1\0\0" + b"\2\0\0\0" + b"\1\0\1" + b"\3\0\0" + b"\1\0\2",
            "again": b"\0\0\0\0" + b"\1\0\0" * 3 + b"\1\1\0" + b"\5\0\0\0\x30\3\1" + b"\1\0\1",
        },
        "broadcast": {
            "whole": b"\0\0\0" + b"\2\0\x80" + b"\1\0\0" + b"\2\1\x80" + b"\3\0" + b"\4\0\0" + b"\0\0\0" + b"\2\2\x80",
            "again": b"\0\0\0" + b"\2\0\x80" * 2 + b"\6\0\0" + b"\2\1\x80" + b"\5\0\0\x40\3\2" + b"\2\2\x80",
        },
    }  # fmt: skip


def seeds() -> dict[str, dict[str, bytes]]:
    """Return every seed by target and name."""
    frames = {f"vector{n}": found for n, found in enumerate(bytes_in(VECTORS)) if len(found) >= 24}
    hints: list[Hint] = [Busy(2, 8, bytes(16)), Unsupported((1, 2)), NoSession(b"s" * 16), Nudge(b"n" * 16)]
    values: dict[str, Any] = {
        "nothing": None,
        "list": [1, -1, 2**63, 1.5, True, "text", b"bytes", [], {}],
        "map": {"a": {"b": [1, {"c": "x"}]}, "id": "other", "os": "x\nroot: y"},
        "state": {
            "test_|-a_|-a_|-nop": {"result": True, "changes": {"a": {"old": 1}}, "comment": "x", "__run_num__": 0}
        },
    }
    packed = {name: wire.pack_payload(value) for name, value in values.items()}
    packed["numbers"] = wire.pack_payload({1: 2, None: b"x", 1.5: [float("inf")]})
    packed["deep"] = b"\x91" * 70 + b"\xc0"
    packed["huge"] = b"\xdf\xff\xff\xff\xff"
    packed["extension"] = b"\xd6\xff\0\0\0\1"
    job = {"v": 1, "jid": "2" * 20, "log_off": 1, "tgt": "web*", "tgt_type": "glob", "delimiter": ":", "slots": b"\x08"}
    job |= {"epoch": b"e" * 8, "expires_ms": 1, "timeout": 0.0, "user": "root", "progress": False, "payload": b"\xc0"}
    compound = {**job, "tgt": ["G@os:Debian", "or", "db*"], "tgt_type": "compound"}
    asked = {"op": "publish", "tgt": "*", "fun": "test.ping", "payload": b"\xc0", "jid": "1" * 20, "offset": 1}
    message = {"jid": "1" * 20, "jids": ["1" * 20], "paths": ["a"], "saltenv": "base", "size": 1, "data": b"x"}
    message |= {"offset": 0, "digest": bytes(32), "length": 1, "tag": "x", "grains": b"\x80", "state": "returned"}
    pem = crypto.public_pem(crypto.IdentityKey(bytes(32)).public)
    found: dict[str, dict[str, bytes]] = {
        "frame": {**{f"hint{n}": encode_hint(hint) for n, hint in enumerate(hints)}, **dict(list(frames.items())[:8])},
        "envelope": packed,
        "payload": packed,
        "shown": packed,
        "crafted": {f"{name}{n}": bytes([n]) + data for name, data in packed.items() for n in range(3)},
        "job": {"glob": wire.pack(job), "compound": wire.pack(compound)},
        "request": {f"kind{n}": bytes([n]) + wire.pack({**message, **asked}) for n in (0, 5, 9, 15)},
        "socket": {
            "one": ipc.encode(asked),
            "two": ipc.encode({"op": "ping"}) * 2,
            "long": struct.pack("!I", 2**31) + b"x",
            "error": ipc.encode({"name": "TargetError", "code": "target", "message": "x", "position": 3})[4:],
        },
        "key": {"fingerprint": b"SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", "pem": pem.encode()},
    }
    return found | dialogues()


def main() -> None:
    """Write the files."""
    for target, named in seeds().items():
        (HERE / "fuzz" / target).mkdir(parents=True, exist_ok=True)
        for name, data in named.items():
            (HERE / "fuzz" / target / name).write_bytes(data)


if __name__ == "__main__":
    main()
