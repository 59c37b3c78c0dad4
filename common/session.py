"""The frames of a session: requests and replies, pushes, and the topic that shows a minion is there. Pure.

A session is made by a handshake and lives independently of connections. `MinionSession` and `MasterSession` are its
two ends; each counts what it sends, refuses a counter it has seen, and says when its keys are worn. Times and limits on
time belong to the caller.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from . import crypto, wire
from .errors import LateFrame, ReplayError, WireError

REKEY_MESSAGES: Final = 2**20
REKEY_BYTES: Final = 4 * 2**30
REKEY_SECONDS: Final = 3600.0
MAX_MESSAGES: Final = 2**24
MAX_BYTES: Final = 16 * 2**30
MAX_SECONDS: Final = 7200.0

RID_BYTES: Final = 16
MAX_METHOD_CHARS: Final = 64
MAX_CODE_CHARS: Final = 64
MAX_OUTSTANDING: Final = 4096

HEAD: Final = "HEAD"  # the push that opens a minion's presence: [epoch_id, seq, log_off]
JOB: Final = "JOB"  # the push that brings a job for few minions: [ts_ms, body of a publication]

_REQUEST: Final = wire.header(wire.REQUEST)
_REPLY: Final = wire.header(wire.REPLY)
_PUSH: Final = wire.header(wire.PUSH)
_SHORT: Final = struct.Struct(">8s16sQ")  # of a request and a push
_LONG: Final = struct.Struct(">8s16sQQ")  # of a reply
_COUNTER: Final = struct.Struct(">4xQ")  # the nonce


@dataclass(frozen=True, slots=True, repr=False)
class SessionKeys:
    """The keys of one session and its public name; each end makes its own `MinionSession` or `MasterSession` of it."""

    k_up: bytes
    k_dn: bytes
    k_sub: bytes
    sid: bytes

    def topic(self) -> bytes:
        """Return the topic that only this session's minion can name: its presence, and where pushes go."""
        return b"S" + self.sid + crypto.mac(self.k_sub, b"ctl1 sub")[:16]


class Request(NamedTuple):
    """A request as the master opened it; `ctr` is what the reply answers, `rid` stays the same over retries."""

    method: str
    rid: bytes
    args: dict[str, Any]
    ctr: int


class Reply(NamedTuple):
    """A reply as the minion opened it; `code` is 0, or a word with `body` {name, message}."""

    irt: int
    code: int | str
    body: Any


class Push(NamedTuple):
    """A message of the master that answers nothing."""

    kind: str
    body: Any


def topic_session(topic: bytes) -> bytes | None:
    """Return the session id in a session's topic, or None where `topic` does not have that shape."""
    return topic[1:17] if len(topic) == 33 and topic[:1] == b"S" else None


class _Wear:
    """Counts the frames and bytes that went under a session's keys, both ways."""

    __slots__ = ("byte_count", "message_count")

    def __init__(self) -> None:
        self.message_count = 0
        self.byte_count = 0

    def add(self, frame: bytes) -> None:
        self.message_count += 1
        self.byte_count += len(frame)

    def is_out(self) -> bool:
        return self.message_count >= MAX_MESSAGES or self.byte_count >= MAX_BYTES

    def refuse_worn(self) -> None:
        if self.is_out():
            raise WireError("the session's keys are used up")


class _Session:
    """What both ends share: keys made ready once, and the measure of their use."""

    __slots__ = ("_dn", "_sent", "_up", "_wear", "keys", "sid")

    def __init__(self, keys: SessionKeys) -> None:
        self.keys = keys
        self.sid = keys.sid
        self._up = crypto.Aead(keys.k_up)
        self._dn = crypto.Aead(keys.k_dn)
        self._sent = 0
        self._wear = _Wear()

    @property
    def message_count(self) -> int:
        """Frames sealed and opened so far."""
        return self._wear.message_count

    @property
    def byte_count(self) -> int:
        """Bytes of the frames sealed and opened so far."""
        return self._wear.byte_count

    def needs_rekey(self, age: float, limit: float = REKEY_SECONDS) -> bool:
        """Say whether it is time for a new handshake; `age` is the session's, in seconds."""
        return age >= limit or self.message_count >= REKEY_MESSAGES or self.byte_count >= REKEY_BYTES

    def is_exhausted(self, age: float, limit: float = MAX_SECONDS) -> bool:
        """Say whether nothing more may go under these keys."""
        return age >= limit or self._wear.is_out()

    def topic(self) -> bytes:
        """Return this session's own topic (see `SessionKeys.topic`)."""
        return self.keys.topic()

    def _next(self) -> int:
        self._wear.refuse_worn()
        counter = self._sent
        self._sent += 1
        return counter

    def _count(self, frame: bytes) -> bytes:
        if len(frame) > wire.MAX_FRAME_BYTES:
            raise WireError(f"a session frame of {len(frame)} bytes is larger than {wire.MAX_FRAME_BYTES}")
        self._wear.add(frame)
        return frame

    def _check(self, frame: bytes, expected: bytes, header_bytes: int) -> None:
        """Refuse what costs nothing to refuse: size, header, session."""
        if not header_bytes + crypto.TAG_BYTES <= len(frame) <= wire.MAX_FRAME_BYTES:
            raise WireError(f"a session frame cannot have {len(frame)} bytes")
        wire.check_header(frame, expected)
        if frame[8:24] != self.sid:
            raise WireError("a frame of another session")
        self._wear.refuse_worn()


class MinionSession(_Session):
    """The minion's end: makes requests, opens replies and pushes."""

    __slots__ = ("_last_push", "_last_reply", "_outstanding", "_random")

    def __init__(self, keys: SessionKeys, random: crypto.Random = os.urandom) -> None:
        super().__init__(keys)
        self._random = random
        self._outstanding: dict[int, None] = {}
        self._last_push = -1
        self._last_reply = -1

    def request(
        self, method: str, args: dict[str, Any], rid: bytes | None = None, *, one_way: bool = False
    ) -> tuple[bytes, int]:
        """Return the frame of a request and the counter that its reply will name; `one_way` expects no reply.

        A retry gives the first try's `rid`; the frame is new each time.
        """
        rid = self._random(RID_BYTES) if rid is None else rid
        plain = wire.pack([method, rid, args])
        counter = self._next()
        header = _SHORT.pack(_REQUEST, self.sid, counter)
        frame = self._count(header + self._up.seal(_COUNTER.pack(counter), plain, header))
        if not one_way:
            self._expect(counter)
        return frame, counter

    def reply(self, frame: bytes) -> Reply:
        """Open a reply; raise ReplayError unless it answers a request that has no answer yet."""
        self._check(frame, _REPLY, _LONG.size)
        _, _, counter, answered = _LONG.unpack_from(frame)
        if answered not in self._outstanding:
            if counter <= self._last_reply:
                raise ReplayError(f"reply {counter} came again, after {self._last_reply}")
            raise LateFrame(f"a reply to request {answered}, which awaits none")
        plain = self._dn.open(_COUNTER.pack(counter), memoryview(frame)[_LONG.size :], frame[: _LONG.size])
        del self._outstanding[answered]
        self._last_reply = max(self._last_reply, counter)
        self._count(frame)
        code, body = _reply_fields(wire.unpack(plain, max_elements=wire.MAX_REPLY_ELEMENTS))
        return Reply(answered, code, body)

    def push(self, frame: bytes) -> Push:
        """Open a push; raise ReplayError for a counter that is not past the last push's."""
        self._check(frame, _PUSH, _SHORT.size)
        _, _, counter = _SHORT.unpack_from(frame)
        if counter <= self._last_push:
            raise ReplayError(f"push {counter} came again, after {self._last_push}")
        plain = self._dn.open(_COUNTER.pack(counter), frame[_SHORT.size :], frame[: _SHORT.size])
        self._last_push = counter
        self._count(frame)
        return _push_fields(wire.unpack(plain, max_elements=wire.MAX_REPLY_ELEMENTS))

    def forget(self, counter: int) -> None:
        """Stop waiting for the reply to request `counter`; one that comes later is refused."""
        self._outstanding.pop(counter, None)

    def _expect(self, counter: int) -> None:
        self._outstanding[counter] = None
        if len(self._outstanding) > MAX_OUTSTANDING:  # the oldest gives way; its caller has long stopped waiting
            del self._outstanding[next(iter(self._outstanding))]


class MasterSession(_Session):
    """The master's end: opens requests, makes replies and pushes, knows its minion's topic."""

    __slots__ = ("_last_request",)

    def __init__(self, keys: SessionKeys) -> None:
        super().__init__(keys)
        self._last_request = -1

    def open_request(self, frame: bytes) -> Request:
        """Open a request; raise ReplayError for a counter that is not past the last one's."""
        self._check(frame, _REQUEST, _SHORT.size)
        _, _, counter = _SHORT.unpack_from(frame)
        if counter <= self._last_request:
            raise ReplayError(f"request {counter} came again, after {self._last_request}")
        plain = self._up.open(_COUNTER.pack(counter), frame[_SHORT.size :], frame[: _SHORT.size])
        self._last_request = counter
        self._count(frame)
        return _request_fields(wire.unpack(plain), counter)

    def reply(self, ctr: int, code: int | str, body: Any) -> bytes:
        """Return the frame that answers request `ctr`: code 0 and a result, or an error's word and {name, message}."""
        if not _good_code(code):
            raise ValueError(f"a reply's code is 0 or a word, not {code!r}")
        plain = wire.pack([code, body], wire.MAX_REPLY_ELEMENTS)
        counter = self._next()
        header = _LONG.pack(_REPLY, self.sid, counter, ctr)
        return self._count(header + self._dn.seal(_COUNTER.pack(counter), plain, header))

    def push(self, kind: str, body: Any) -> bytes:
        """Return a frame for the session's topic, such as HEAD."""
        plain = wire.pack([kind, body], wire.MAX_REPLY_ELEMENTS)
        counter = self._next()
        header = _SHORT.pack(_PUSH, self.sid, counter)
        return self._count(header + self._dn.seal(_COUNTER.pack(counter), plain, header))

    def check_topic(self, topic: bytes) -> bool:
        """Say whether a subscription's topic is this session's, token included."""
        return crypto.same(topic, self.topic())


def _request_fields(fields: Any, counter: int) -> Request:
    match fields:
        case [str(method), bytes(rid), dict(args)] if 0 < len(method) <= MAX_METHOD_CHARS and len(rid) == RID_BYTES:
            return Request(method, rid, args, counter)
    raise WireError("a request is not [method, rid, args]")


def _reply_fields(fields: Any) -> tuple[int | str, Any]:
    match fields:
        case [(int() | str()) as code, body] if _good_code(code):
            return code, body
    raise WireError("a reply is not [code, body]")


def _push_fields(fields: Any) -> Push:
    match fields:
        case [str(kind), body] if 0 < len(kind) <= MAX_METHOD_CHARS:
            return Push(kind, body)
    raise WireError("a push is not [kind, body]")


def _good_code(code: int | str) -> bool:
    return 0 < len(code) <= MAX_CODE_CHARS if isinstance(code, str) else type(code) is int and code == 0


__all__ = [
    "HEAD",
    "JOB",
    "MasterSession",
    "MinionSession",
    "Push",
    "Reply",
    "Request",
    "SessionKeys",
    "topic_session",
]
