"""Clients' runners: started in a worker process, waited for or left running, in the name of who asked."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec

from ..common.calls import Call
from ..common.errors import CtlError, JobError
from ..common.wire import unpack_payload
from .acl import Action, Principal
from .client_jobs import read
from .desk import Desk
from .follow import Stream

log = logging.getLogger(__name__)


class Run(msgspec.Struct, frozen=True):
    """A runner to run."""

    fun: Annotated[str, msgspec.Meta(max_length=256)]
    payload: bytes
    timeout: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    follow: bool = True


@dataclass(slots=True)
class _Items:
    """What an operation streams to a runner."""

    item: Callable[[str, Any], Awaitable[None]]

    @property
    def closed(self) -> bool:
        return False

    async def send(self, kind: str, data: Any) -> None:
        await self.item(kind, data)


@dataclass(slots=True)
class _Caller:
    """Who a runner reports to, and in whose name it asks."""

    desk: Desk
    principal: Principal
    stream: Stream | None

    async def progress(self, data: Any) -> None:
        """Pass progress on."""
        if self.stream is not None and not self.stream.closed:
            await self.stream.send("progress", {"data": data})

    async def call(self, request: dict[str, Any], item: Callable[[str, Any], Awaitable[None]]) -> Any:
        """Do an operation that the runner asks for."""
        from . import clients  # the table there names this file's own operation

        return await clients.handle(self.desk, self.principal, request, _Items(item))


async def run(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Run a runner; without `follow`, return its jid at once."""
    asked: Run = read(Run, request)
    record = desk.access.permit(principal, Action("run", (_call(asked),)))
    jid = desk.joblog.next_jid()
    desk.access.outcome(record, principal, "started", jid=jid)
    if not asked.follow:
        desk.tasks.spawn(_run(desk, principal, asked, jid, None, record), f"runner {asked.fun}")
        return {"jid": jid}
    return await _run(desk, principal, asked, jid, stream, record)


def _call(asked: Run) -> Call:
    """Return what is called, as the worker reads it."""
    given = unpack_payload(asked.payload)
    args, kwargs = (given.get("arg") or [], given.get("kwarg") or {}) if isinstance(given, dict) else (None, None)
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise JobError("the payload holds no arguments of a runner")
    return Call(asked.fun, args, kwargs)


async def _run(
    desk: Desk, principal: Principal, asked: Run, jid: str, stream: Stream | None, record: int
) -> dict[str, Any]:
    try:
        result = await _work(desk, replace(principal, runner=asked.fun), asked, jid, stream)
    except CtlError as error:
        desk.access.outcome(record, principal, f"failed: {error.code}", jid=jid)
        raise
    desk.access.outcome(record, principal, "done" if result["success"] else "failed", jid=jid)
    return result


async def _work(desk: Desk, principal: Principal, asked: Run, jid: str, stream: Stream | None) -> dict[str, Any]:
    about = {"fun": f"runner.{asked.fun}", "jid": jid, "user": principal.user}
    desk.events.fire(f"salt/run/{jid}/new", about)
    message = {"op": "run", "fun": asked.fun, "payload": asked.payload, "jid": jid}
    result = await desk.workers.request(message, timeout=asked.timeout, reply=_Caller(desk, principal, stream))

    def outcome() -> dict[str, Any]:
        return {**about, "return": unpack_payload(result["payload"]), "success": result["success"]}

    desk.events.fire(f"salt/run/{jid}/ret", outcome)
    return {**result, "jid": jid}
