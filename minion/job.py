"""One job as the master published it, taken apart and checked; and whether it is for this minion."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..common import wire
from ..common.errors import TargetError, WireError
from ..common.publication import is_expected

if TYPE_CHECKING:
    from ..common.target import Target

JID = re.compile(r"[0-9]{20}")
VERSION = 1
MAX_NAME_CHARS = 4000
BY_ID = frozenset(("glob", "list", "pcre"))
LIVE = frozenset(("grains", "pillar", "addresses"))


@dataclass(frozen=True, slots=True)
class Job:
    """What the master asks for. `slots` is a bitmap over the slots of `epoch`; empty where the master chose us already.

    A private job is announced to all with the `digest` of its payload, and without it. `secret` says that its arguments
    are not to be shown. `expires_ms` is in the master's time; `timeout` 0 means no limit; `master` says whose job it
    is.
    """

    jid: str
    log_off: int
    tgt: str | tuple[str, ...]
    tgt_type: str
    delimiter: str
    slots: bytes
    epoch: bytes
    expires_ms: int
    timeout: float
    user: str
    progress: bool
    payload: bytes
    master: bytes
    digest: bytes = b""
    secret: bool = False

    def expects(self, slot: int) -> bool:
        """Say whether the bitmap names `slot`."""
        return is_expected(self.slots, slot)

    def target(self) -> Target:
        """Return the parsed target; raises `TargetError`."""
        return _parse(self.tgt, self.tgt_type, self.delimiter)

    def live_terms(self) -> frozenset[str]:
        """Say what the target reads that may have changed here since the master looked."""
        if self.tgt_type in BY_ID:
            return frozenset()
        try:
            return self.target().needs & LIVE
        except TargetError:
            return frozenset()  # the master understood it, and its list is authoritative


@functools.lru_cache(maxsize=64)
def _parse(tgt: str | tuple[str, ...], tgt_type: str, delimiter: str) -> Target:
    from ..common.target import parse  # most jobs name their minions, and need no parser here

    return parse(tgt if isinstance(tgt, str) else list(tgt), tgt_type, delimiter)


def read_job(body: bytes, master: bytes) -> Job:
    """Take a publication's body apart; raises `WireError` where it is no job."""
    fields = wire.unpack(body)
    if not isinstance(fields, dict) or fields.get("v") != VERSION:
        raise WireError("a publication's body is no job of a known version")
    tgt = fields.get("tgt")
    try:
        job = Job(
            jid=_field(fields, "jid", str),
            log_off=_field(fields, "log_off", int),
            tgt=tuple(str(word) for word in tgt) if isinstance(tgt, list) else _field(fields, "tgt", str),
            tgt_type=_field(fields, "tgt_type", str),
            delimiter=_field(fields, "delimiter", str, ":"),
            slots=_field(fields, "slots", bytes, b""),
            epoch=_field(fields, "epoch", bytes, b""),
            expires_ms=_field(fields, "expires_ms", int),
            timeout=float(_field(fields, "timeout", (int, float), 0.0)),
            user=_field(fields, "user", str, ""),
            progress=bool(fields.get("progress")),
            payload=_field(fields, "payload", bytes),
            master=master,
            digest=_field(fields, "digest", bytes, b""),
            secret=bool(fields.get("secret")),
        )
    except OverflowError:
        raise WireError("a job's timeout is no number of seconds") from None
    if not JID.fullmatch(job.jid):
        raise WireError("a job's jid is not 20 digits")
    return job


_REQUIRED: Any = object()


def _field(fields: dict[str, Any], name: str, kind: Any, default: Any = _REQUIRED) -> Any:
    value = fields.get(name, default)
    if value is None and default is not _REQUIRED:
        value = default
    if value is _REQUIRED or not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise WireError(f"a job's {name} is missing or of the wrong type")
    return value


def name_of(payload: dict[str, Any]) -> str:
    """Return the function of a job's payload, or several with commas between."""
    fun = payload.get("fun", "")
    return (fun if isinstance(fun, str) else ",".join(str(name) for name in fun))[:MAX_NAME_CHARS]
