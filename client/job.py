"""Publish a job, or follow one that was published, and get what happens to it as typed events."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..common.payload import pack_payload, unpack_payload
from .connection import Exchange, Pool

DELIMITER = ":"
# In a list of arguments, a mapping with this key holds keyword arguments: Salt's way, kept for its users.
KEYWORD_MARK = "__kwarg__"


class Published(NamedTuple):
    """The job is on the master's disk and expected of `minions`: `(id, connected)` each."""

    jid: str
    minions: tuple[tuple[str, bool], ...]

    @property
    def ids(self) -> list[str]:
        """The ids of the expected minions."""
        return [minion for minion, _ in self.minions]


class Acknowledged(NamedTuple):
    """A minion has the job."""

    id: str


class Return(NamedTuple):
    """What a minion returned."""

    id: str
    jid: str
    fun: Any
    ret: Any
    retcode: int = 0
    success: bool = True
    out: str = ""
    state: str = "returned"
    reason: str = ""
    truncated: bool = False

    def full(self) -> dict[str, Any]:
        """Return it as Salt's clients give it: the return under `ret`, and what is known beside it."""
        data = {"ret": self.ret, "retcode": self.retcode, "success": self.success, "jid": self.jid, "fun": self.fun}
        data |= {"out": self.out} if self.out else {}
        data |= {"truncated": True} if self.truncated else {}
        return data

    @property
    def good(self) -> bool:
        """Whether the function succeeded."""
        return self.retcode == 0 and self.success and self.state == "returned"


class Progress(NamedTuple):
    """News of a running job: a state's result, a line of output."""

    id: str
    kind: str
    data: Any


class Absent(NamedTuple):
    """A minion that is waited for no longer, and why."""

    id: str
    reason: str
    state: str = ""

    @property
    def sentence(self) -> str:
        """What stands in a minion's place where its return would be."""
        return f"Minion did not return. [{self.reason}]"


class Finished(NamedTuple):
    """There is nobody left to wait for."""

    jid: str
    returned: tuple[str, ...] = ()
    missing: Mapping[str, str] = {}


Event = Published | Acknowledged | Return | Progress | Absent | Finished


class Request(NamedTuple):
    """A job to publish, as a client asks for it; times in seconds.

    `timeout` limits silence, `job_timeout` how long the job may run, `window` how long it waits for a minion that is
    away, `max_time` how long this client waits (0: no limit). `wait` is to wait out the window. `auth` are credentials.
    A `private` job is sent to the minions that are meant alone; `secret` are names or positions of arguments that
    nobody else is to see. `returners` are plugins of the minions that get each return, too.
    """

    tgt: str | Sequence[str]
    fun: str | Sequence[str]
    arg: Sequence[Any] = ()
    kwarg: Mapping[str, Any] = {}
    tgt_type: str = "glob"
    delimiter: str = DELIMITER
    timeout: float = 5.0
    job_timeout: float = 0.0
    window: float = 60.0
    wait: bool = False
    max_time: float = 0.0
    progress: bool = False
    metadata: Any = None
    subset: int = 0
    auth: Mapping[str, Any] | None = None
    private: bool = False
    secret: Sequence[str] = ()
    returners: Sequence[str] = ()

    def arguments(self, follow: bool) -> dict[str, Any]:
        """Return the arguments of the operation `publish`."""
        fun = self.fun if isinstance(self.fun, str) else list(self.fun)
        payload = {"fun": fun, "arg": list(self.arg), "kwarg": dict(self.kwarg)}
        payload |= {"ret": list(self.returners)} if self.returners else {}
        return {
            **self.target(),
            "fun": fun,
            "payload": pack_payload(payload),
            "timeout": self.timeout,
            "job_timeout": self.job_timeout,
            "window": self.window,
            "wait": self.wait,
            "max_time": self.max_time,
            "follow": follow,
            "progress": self.progress,
            "metadata": None if self.metadata is None else pack_payload(self.metadata),
            "request_id": os.urandom(16).hex(),
            "subset": self.subset,
            "private": self.private,
            "secret": list(self.secret),
        }

    def target(self) -> dict[str, Any]:
        """Return the arguments that say which minions are meant."""
        auth = {"auth": self.auth} if self.auth else {}
        if isinstance(self.tgt, str):
            return {"tgt": self.tgt, "tgt_type": self.tgt_type, "delimiter": self.delimiter, **auth}
        kind = "list" if self.tgt_type == "glob" else self.tgt_type
        return {"tgt": list(self.tgt), "tgt_type": kind, "delimiter": self.delimiter, **auth}


def publish(pool: Pool, request: Request, follow: bool = True) -> Stream:
    """Publish a job and return the events of it; without `follow` they end once it is published.

    Raises `NoMinions`, `TargetError`, `AuthorizationError` or `MasterUnavailable`; then there is no job.
    """
    return Stream(Exchange(pool, "publish", request.arguments(follow)))


def follow(pool: Pool, jid: str, timeout: float, wait: bool = False, max_time: float = 0.0) -> Stream:
    """Return the events of a job that was published before; returns that have come already are among them."""
    return Stream(Exchange(pool, "follow", {"jid": jid, "timeout": timeout, "wait": wait, "max_time": max_time}))


def returns(pool: Pool, jid: str) -> Stream:
    """Return what the job cache holds of a job."""
    return Stream(Exchange(pool, "returns", {"jid": jid}))


def targets(pool: Pool, request: Request) -> tuple[tuple[str, bool], ...]:
    """Return the minions that a job would be expected of, each with whether it is connected."""
    data = pool.call("targets", **request.target())
    return tuple((str(minion), bool(connected)) for minion, connected in data["minions"])


class Stream:
    """The events of one job, to iterate over once. Close it, or use `with`, where you do not read to the end."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._partial: dict[str, tuple[dict[str, Any], list[bytes]]] = {}

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        while True:
            kind, data = next(self._exchange)
            event = self._decode(kind, data)
            if event is not None:
                return event

    def ready(self, timeout: float | None) -> bool:
        """Wait at most `timeout` seconds for something to arrive; say whether it has."""
        return self._exchange.ready(timeout)

    def fileno(self) -> int:
        """Return the descriptor to wait on; -1 where there is nothing to wait for."""
        return self._exchange.fileno()

    def close(self) -> None:
        """Stop following; the job goes on."""
        self._exchange.close()

    def _decode(self, kind: str, data: Any) -> Event | None:
        if kind == "return":
            return self._take_return(data)
        if kind == "part":
            return self._take_part(data)
        decoder = _DECODERS.get(kind)  # what a newer master may add is passed over
        return decoder(data) if decoder else None

    def _take_return(self, data: dict[str, Any]) -> Return | None:
        if data.get("parts"):
            self._partial[data["id"]] = (data, [])
            return None
        return decode_return(data, data.get("payload") or b"")

    def _take_part(self, data: dict[str, Any]) -> Return | None:
        header, parts = self._partial[data["id"]]
        parts.append(data["data"])
        if len(parts) < header["parts"]:
            return None
        del self._partial[data["id"]]
        return decode_return(header, b"".join(parts))


def decode_return(data: Mapping[str, Any], payload: bytes) -> Return:
    """Build a return from its envelope and its payload; without one, the reason stands in its place."""
    reason = str(data.get("reason") or "")
    return Return(
        id=str(data["id"]),
        jid=str(data.get("jid", "")),
        fun=data.get("fun", ""),
        ret=unpack_payload(payload) if payload else reason or None,
        retcode=int(data.get("retcode", 0)),
        success=bool(data.get("success", True)),
        out=str(data.get("out") or ""),
        state=str(data.get("state") or "returned"),
        reason=reason,
        truncated=bool(data.get("truncated")),
    )


def _decode_progress(data: Mapping[str, Any]) -> Progress:
    body = data.get("data")
    return Progress(str(data["id"]), str(data.get("kind", "")), unpack_payload(body) if body else None)


def _decode_job(data: Mapping[str, Any]) -> Published:
    return Published(str(data["jid"]), tuple((str(minion), bool(there)) for minion, there in data["minions"]))


def _decode_result(data: Mapping[str, Any]) -> Finished:
    returned = tuple(str(minion) for minion in data.get("returned") or ())
    return Finished(str(data.get("jid", "")), returned, dict(data.get("missing") or {}))


_DECODERS: dict[str, Any] = {
    "job": _decode_job,
    "ack": lambda data: Acknowledged(str(data["id"])),
    "progress": _decode_progress,
    "absent": lambda data: Absent(str(data["id"]), str(data.get("reason", "")), str(data.get("state", ""))),
    "result": _decode_result,
}
