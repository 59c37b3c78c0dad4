"""The abuse that wants a session: what accepted, revoked and tapping minions and clients do. Each returns what it saw.

A function raises `AssertionError` where something was let through that must not be.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from attackers import Peer, Ports, Raw, until

from ctl.common import wire
from ctl.common.errors import CtlError
from ctl.common.wire import pack_payload

MIB = 1024 * 1024
METHODS = (
    "register", "catch_up", "ack", "progress", "keepalive", "return", "return_chunk", "call_return", "group_get",
    "pillar", "pillar_chunk", "file_find", "file_list", "file_envs", "file_chunk", "file_fetch", "event",
)  # fmt: skip


class Bench(Protocol):
    """What a row needs of the bench."""

    ports: Ports

    def call(self, op: str, **arguments: Any) -> Any:
        """Do one operation of the clients' socket."""
        ...

    def accepted(self, name: str, address: str) -> Peer:
        """Return an accepted minion with a session."""
        ...

    @property
    def log(self) -> str:
        """What the master has logged."""
        ...


def flips(frame: bytes) -> Iterator[bytes]:
    """Yield the frame with one bit of each of its bytes turned, and cut off at each length."""
    for position in range(len(frame)):
        yield frame[:position] + bytes([frame[position] ^ (1 << position % 8)]) + frame[position + 1 :]
        yield frame[:position]


def answered(raw: Raw, kinds: set[int], seconds: float = 0.3) -> int:
    """Count the frames of these types that come within a time."""
    count, deadline = 0, time.monotonic() + seconds
    with contextlib.suppress(OSError):
        while (left := deadline - time.monotonic()) > 0:
            (found,) = raw.receive(left)
            count += len(found) > 4 and found[4] in kinds
    return count


def tampered(bench: Bench, seconds: float) -> dict[str, Any]:
    """B08: nothing that was tampered with is accepted, and the session survives it."""
    peer = bench.accepted("bad-tampered", "127.60.0.1")
    other = bench.accepted("bad-tampered-2", "127.60.0.2")
    frame, _ = peer.request("keepalive", jids=[])
    sent = accepted = 0
    swapped = [
        frame[:8] + other.session.sid + frame[24:],
        frame[:4] + b"\x11" + frame[5:],
        frame[:4] + b"\x12" + frame[5:],
    ]
    for wrong in [*flips(frame), *swapped]:
        if sent % 100 == 0:
            accepted += answered(peer.raw, {wire.REPLY})
            peer.open()
        with contextlib.suppress(OSError):
            peer.raw.send(wrong)
        sent += 1
    accepted += answered(peer.raw, {wire.REPLY})
    peer.open()
    assert accepted == 0, f"{accepted} tampered frames were answered"
    assert isinstance(peer.ask("keepalive", jids=[]), dict), "the session is gone"
    return {"frames": sent, "accepted": accepted}


def bombs(bench: Bench, seconds: float) -> dict[str, Any]:
    """B10: small on the wire, huge once unpacked, or not well formed."""
    peer = bench.accepted("bad-bombs", "127.60.0.3")
    empty_maps = b"\xdd" + (900_000).to_bytes(4, "big") + b"\x80" * 900_000
    small_maps = b"\xdd" + (400_000).to_bytes(4, "big") + b"\x80" * 400_000
    wrong = [
        empty_maps, small_maps, b"\x91" * 100_000 + b"\xc0", b"\xd6\xff\0\0\0\0", b"\xc7\x0c\xff" + bytes(12),
        b"\xa2\xff\xfe", b"\x01\x01", b"\xdf\xff\xff\xff\xff", b"\xcb\x7f\xf8" + bytes(6),
    ]  # fmt: skip
    seen: Counter[str] = Counter()
    for _ in until(seconds):
        for data in wrong:
            answer = peer.ask("register", grains=data, versions={})
            seen[answer if isinstance(answer, str) else "taken"] += 1
            answer = peer.ask("event", tag="x", data=data[: 200 * 1024])
            seen["event " + (answer if isinstance(answer, str) else "taken")] += 1
    assert seen["taken"] == 0, "grains that are none were taken"
    return dict(seen)


def _again(peer: Peer) -> None:
    """Connect again as soon as that goes: a source that was cut for what it did is kept out for a while."""
    time.sleep(0.1)
    with contextlib.suppress(OSError):
        peer.open()


def heavy(bench: Bench, seconds: float) -> dict[str, Any]:
    """B11: requests of a megabyte as fast as they go."""
    peer = bench.accepted("bad-heavy", "127.60.0.4")
    data, sent, cut = bytes(900_000), 0, 0
    busy = 0
    for _ in until(seconds):
        try:
            peer.raw.send(peer.session.request("event", {"tag": "x", "data": data}, one_way=True)[0])
            sent += 1
            while peer.raw.waiting():
                busy += len(peer.raw.receive(1.0)) > 0
        except (OSError, CtlError):
            cut += 1
            _again(peer)
    return {"mib_per_s": round(sent * len(data) / MIB / seconds), "answers": busy, "cut": cut}


def busy(bench: Bench, seconds: float) -> dict[str, Any]:
    """B11: every method, a thousand times a second altogether and more, whatever is answered."""
    peer = bench.accepted("bad-busy", "127.60.0.5")
    jid = "20200101000000000000"
    args = {
        "grains": pack_payload({"a": os.urandom(4)}), "versions": {}, "offset": 0, "jids": [jid], "jid": jid,
        "kind": "x", "data": b"", "state": "returned", "fun": "test.ping", "size": 0, "payload": b"\xc0",
        "saltenv": "base",
        "paths": ["top.sls"], "path": "top.sls", "digest": bytes(32), "length": 1, "files": [], "tag": "x",
        "handle": bytes(16), "fresh": True,
    }  # fmt: skip
    codes: Counter[str] = Counter()
    sent = cut = 0
    for _ in until(seconds):
        for method in METHODS:
            try:
                frame, _ = peer.session.request(method, args, one_way=True)
                peer.raw.send(frame)
                sent += 1
            except (OSError, CtlError):
                cut += 1
                _again(peer)
        with contextlib.suppress(OSError):
            while peer.raw.waiting():
                peer.raw.receive(1.0)
                codes["answers"] += 1
    return {"per_s": round(sent / seconds), "cut": cut, **codes}


def returns(bench: Bench, seconds: float) -> dict[str, Any]:
    """B12: returns of jobs that are not for this minion, of no job, of other ids, and a second one that differs."""
    peer, victim = bench.accepted("bad-returns", "127.60.0.6"), bench.accepted("victim", "127.60.0.7")
    payload = pack_payload({"fun": "test.ping", "arg": [], "kwarg": {}})
    theirs = bench.call("publish", tgt="victim", fun="test.ping", payload=payload, window=600.0)["jid"]
    ours = bench.call("publish", tgt="bad-returns", fun="test.ping", payload=payload, window=600.0)["jid"]

    def give(jid: str, value: Any, **more: Any) -> Any:
        packed = pack_payload(value)
        return peer.ask(
            "return", jid=jid, state="returned", fun="test.ping", success=True, size=len(packed), payload=packed, **more
        )

    codes: Counter[str] = Counter()
    assert give(ours, "first") == {"stored": True}
    for number, _ in enumerate(until(min(seconds, 5.0))):
        assert give(theirs, "forged") == "not_expected"
        assert give(f"{number:020}", "forged") == "unknown_job"
        assert give(ours, "forged", id="victim") == "identity"
        assert give(ours, "second") == "already_returned"
        assert give(ours, "first") == {"stored": True}
        codes["rounds"] += 1
    states = bench.call("job.get", jid=theirs)["states"]
    assert states == {"victim": "sent"}, states
    victim.close()
    return dict(codes)


def hoard(bench: Bench, seconds: float) -> dict[str, Any]:
    """B13: files until the quota, small ones without end, and grains of a megabyte."""
    peer = bench.accepted("bad-hoard", "127.60.0.8")
    codes: Counter[str] = Counter()
    chunk = bytes(512 * 1024)
    for number, _ in enumerate(until(seconds / 2)):
        answer = peer.ask("file_push", name=f"big/{number}", offset=0, size=len(chunk), data=chunk)
        codes[f"big {answer if isinstance(answer, str) else 'taken'}"] += 1
    for number, _ in enumerate(until(seconds / 2)):
        answer = peer.ask("file_push", name=f"small/{number}", offset=0, size=1, data=b"x")
        codes[f"small {answer if isinstance(answer, str) else 'taken'}"] += 1
    answer = peer.ask("register", grains=pack_payload({"x": "y" * 900_000}), versions={})
    assert answer == "quota", answer
    assert codes["big taken"] <= 130, codes
    return dict(codes)


def replay(bench: Bench, seconds: float) -> dict[str, Any]:
    """B14: frames of a session and of a handshake, sent again on this connection and on others."""
    peer = bench.accepted("bad-replay", "127.60.0.9")
    frames = [peer.request("event", tag="x", data=b"")[0] for _ in range(50)]
    for frame in frames:
        peer.raw.send(frame)
    first = answered(peer.raw, {wire.REPLY}, 1.0)
    again = 0
    for _ in range(4):
        peer.open()
        for frame in frames:
            with contextlib.suppress(OSError):
                peer.raw.send(frame)
        again += answered(peer.raw, {wire.REPLY})
    assert first == 50, first
    assert again == 0, f"{again} replayed frames were answered"
    return {"answered_once": first, "again": again}


def revoked(bench: Bench, seconds: float) -> dict[str, Any]:
    """B15: after its key was rejected a minion reads and does nothing, however often it comes."""
    peer = bench.accepted("bad-revoked", "127.60.0.10")
    tap = peer.subscribe()
    assert tap.receive(5.0)[0].startswith(b"S"), "no HEAD"
    bench.call("key.reject", match="bad-revoked", include=["accepted"])
    payload = pack_payload({"fun": "test.ping", "arg": [], "kwarg": {}})
    codes: Counter[str] = Counter()
    read = 0
    for _ in until(seconds):
        bench.call("publish", tgt="*", fun="test.ping", payload=payload, window=0.0)
        with contextlib.suppress(OSError):
            while tap.waiting():
                read += len(tap.receive(0.5)[-1])
        try:
            codes[str(peer.ask("catch_up", offset=0, timeout=0.5))] += 1
        except OSError as error:
            codes[type(error).__name__] += 1
            with contextlib.suppress(OSError):
                peer.open()
                tap = peer.subscribe()
    assert read == 0, f"{read} bytes were read after the key was rejected"
    assert set(codes) <= {"nosession", "ConnectionResetError", "BrokenPipeError", "TimeoutError"}, codes
    return {"bytes_read": read, **codes}


def targets(bench: Bench, seconds: float) -> dict[str, Any]:
    """B21: what a client of the master may ask that would take for ever."""
    payload = pack_payload({"fun": "test.ping", "arg": [], "kwarg": {}})
    huge = [
        ("(a+)+$", "pcre"), ("(.*)*(.*)*(.*)*x", "pcre"), ("(" * 5000 + ")" * 5000, "pcre"), ("a" * MIB, "glob"),
        (" or ".join(["web*"] * 150_000), "compound"), ([f"m{n}" for n in range(100_000)], "list"),
        ("E@" + "(a|aa)+" * 500, "compound"), ("os:(a+)+$", "grain_pcre"),
    ]  # fmt: skip
    took: dict[str, float] = {}
    for tgt, kind in huge:
        began = time.monotonic()
        with contextlib.suppress(CtlError):
            bench.call("publish", tgt=tgt, tgt_type=kind, fun="test.ping", payload=payload, window=0.0)
        took[f"{kind} {len(tgt)}"] = round(time.monotonic() - began, 2)
    assert max(took.values()) < 2.0, took
    return took


def lines(bench: Bench, seconds: float) -> dict[str, Any]:
    """B22: nothing that a peer says begins a line of the log or reaches a terminal's controls."""
    peer = bench.accepted("bad-lines", "127.60.0.11")
    evil = "x\n2020-01-01 00:00:00 CRITICAL forged\r\x1b[2J\x9b31m\u2028"
    peer.ask("register", grains=pack_payload({"os": evil, evil: 1}), versions={"ctl": evil})
    peer.ask("event", tag=evil, data=b"")
    peer.ask("keepalive", jids=[], id=evil)
    peer.ask(evil[:60], x=1)
    peer.ask("return", jid="20200101000000000000", state=evil[:16], fun=evil, reason=evil)
    peer.ask("file_find", saltenv=evil, paths=[evil])
    text = bench.log
    assert not any(line.startswith("2020-01-01") for line in text.splitlines()), "a forged line"
    assert not any(mark in text for mark in ("\x1b", "\x9b", "\r")), "a control character"
    return {"log_kib": len(text) // 1024}


INSIDERS: dict[str, Callable[[Any, float], dict[str, Any]]] = {
    "tampered": tampered,
    "bombs": bombs,
    "heavy": heavy,
    "busy": busy,
    "returns": returns,
    "hoard": hoard,
    "replay": replay,
    "revoked": revoked,
    "targets": targets,
    "lines": lines,
}
