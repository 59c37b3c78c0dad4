"""Clients' operations on jobs: publish, follow, look at targets, read returns."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from ..common.errors import JobError, NoMinions
from ..common.wire import unpack_payload
from . import acl
from .acl import Action, Principal
from .desk import Desk
from .follow import Stream, follower, send_return
from .joblog import Request
from .jobs import Job
from .targets import Resolved, Wanted, subset
from .waiting import Policy

MAX_WINDOW_SECONDS = 7 * 86400.0
Seconds = Annotated[float, msgspec.Meta(ge=0, le=MAX_WINDOW_SECONDS)]


class Target(msgspec.Struct, frozen=True):
    """Which minions."""

    tgt: str | list[str]
    tgt_type: str = "glob"
    delimiter: str = ":"


class Follow(msgspec.Struct, frozen=True):
    """How to wait for a job."""

    timeout: Seconds | None = None
    wait: bool = False
    max_time: Seconds = 0.0
    progress: bool = False


class FollowJob(Follow, frozen=True, kw_only=True):
    """Which job to wait for, and how."""

    jid: str


class Publish(Follow, frozen=True, kw_only=True):
    """A job to publish."""

    tgt: str | list[str]
    fun: str | list[str]
    payload: bytes
    tgt_type: str = "glob"
    delimiter: str = ":"
    job_timeout: Seconds = 0.0
    window: Seconds | None = None
    follow: bool = False
    metadata: bytes | None = None
    request_id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    subset: int = 0


def read(kind: Any, request: Mapping[str, Any]) -> Any:
    """Return a request's arguments as `kind`; raises `JobError` for what does not fit."""
    try:
        return msgspec.convert(request, kind, strict=True, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise JobError(f"the request's arguments do not fit: {error}") from None


async def _resolve(desk: Desk, tgt: str | Sequence[str], kind: str, delimiter: str) -> Resolved:
    resolved = await desk.resolver.resolve(Wanted(tgt, kind, delimiter))
    if not resolved.ids:
        raise NoMinions("No minions matched the target. No command was sent, no jid was assigned.")
    return resolved


async def publish(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Publish a job; with `follow`, tell what becomes of it until there is nobody left to wait for."""
    asked: Publish = read(Publish, request)
    functions = [asked.fun] if isinstance(asked.fun, str) else asked.fun
    _check_payload(asked)
    resolved = await _resolve(desk, asked.tgt, asked.tgt_type, asked.delimiter)
    minions = subset(resolved.ids, asked.subset, desk.presence)
    acl.authorise(principal, Action("publish", functions, minions))
    job = await desk.joblog.publish(
        Request(
            expected=minions,
            tgt=resolved.tgt,
            tgt_type=resolved.kind,
            delimiter=asked.delimiter,
            fun=",".join(functions),
            payload=asked.payload,
            user=principal.user,
            window=desk.config.delivery_window if asked.window is None else asked.window,
            timeout=asked.job_timeout,
            metadata=asked.metadata,
            progress=asked.progress,
            request_id=asked.request_id,
        )
    )
    return await _tell(desk, job, asked, stream, wait_for_it=asked.follow)


def _check_payload(asked: Publish) -> None:
    """What is authorised must be what is run: the payload names the same functions as the request."""
    inside = unpack_payload(asked.payload)
    if not isinstance(inside, dict) or inside.get("fun") != asked.fun:
        raise JobError("the payload does not name the function that the request names")


async def _tell(desk: Desk, job: Job, asked: Follow, stream: Stream, *, wait_for_it: bool) -> dict[str, Any]:
    presence = desk.presence
    minions = [[minion, minion in presence] for minion in job.record.expected.ids]
    if not wait_for_it:
        await stream.send("job", {"jid": job.jid, "minions": minions})
        return {"jid": job.jid, "minions": list(job.record.expected.ids), "returned": [], "missing": {}}
    timeout = desk.config.timeout if asked.timeout is None else asked.timeout
    policy = Policy(timeout, asked.max_time, asked.wait, desk.config.keepalive_seconds)
    one = follower(desk.joblog, presence, job, policy, progress=asked.progress, now=desk.now)
    return await one.run(stream, first=("job", {"jid": job.jid, "minions": minions}))


async def follow(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Tell what becomes of a job that was published before."""
    asked: FollowJob = read(FollowJob, request)
    job = await desk.joblog.load(asked.jid)
    return await _tell(desk, job, asked, stream, wait_for_it=True)


async def targets(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Say which minions a target means."""
    asked: Target = read(Target, request)
    resolved = await _resolve(desk, asked.tgt, asked.tgt_type, asked.delimiter)
    return {"minions": [[minion, minion in desk.presence] for minion in resolved.ids]}


async def returns(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Read what the job cache holds of a job."""
    jid = read(FollowJob, request).jid
    job = await desk.joblog.load(jid)
    for minion in job.record.expected.ids:
        mark = job.mark_of(minion)
        if not mark.ended or mark.inferred:
            continue
        under_way = desk.joblog.being_stored(jid, minion)
        if under_way is not None:
            await asyncio.wrap_future(under_way[1])
        end = await asyncio.to_thread(desk.store.end, jid, minion)
        if end is not None:
            await send_return(stream, desk.joblog, jid, end)
    return {"jid": jid, "minions": list(job.record.expected.ids), "states": job.states()}
