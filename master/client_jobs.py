"""Clients' operations on jobs: publish, follow, look at targets, read returns."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import msgspec

from ..common.calls import Call, parse_calls, parse_returners
from ..common.errors import CtlError, JobError, NoMinions, TargetError
from ..common.matchers import split_list
from ..common.secret_arguments import masked
from ..common.target import Target as Parsed
from ..common.wire import pack_payload, unpack_payload
from .acl import Action, Principal
from .desk import Desk
from .follow import Stream, follower, send_return
from .joblog import Request
from .jobs import JID, Job
from .targets import GLOB_CHARACTERS, Resolved, View, Wanted, subset
from .waiting import Policy

NO_MINIONS = "No minions matched the target. No command was sent, no jid was assigned."
PUBLIC_PAYLOAD_BYTES = 64 * 1024  # more is for the minions that are meant alone
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
    private: bool = False
    secret: Annotated[list[Annotated[str, msgspec.Meta(max_length=128)]], msgspec.Meta(max_length=64)] = []


def read(kind: Any, request: Mapping[str, Any]) -> Any:
    """Return a request's arguments as `kind`; raises `JobError` for what does not fit."""
    try:
        return msgspec.convert(request, kind, strict=True, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise JobError(f"the request's arguments do not fit: {error}") from None


async def _resolve(desk: Desk, principal: Principal, asked: Target | Publish) -> Resolved:
    try:
        resolved = await desk.resolver.resolve(Wanted(asked.tgt, asked.tgt_type, asked.delimiter))
    except TargetError as error:
        if not principal.is_full:
            error.hint = ""  # it names what else there is
        raise
    if not resolved.ids and principal.is_full:
        raise NoMinions(NO_MINIONS)
    if principal.grants.needs_pillar:
        await desk.pillars.ensure([minion for minion in resolved.ids if minion not in desk.pillars.cache])
    return resolved


def _action(desk: Desk, operation: str, asked: Target | Publish, resolved: Resolved, calls: Any = None) -> Action:
    """Describe what is asked of minions. Of ids that nobody has, too: whether they exist is not everybody's to know."""
    view = View(desk.grains, desk.pillars.cache)

    def matches(minion: str, one: Parsed) -> bool:
        view.id = minion
        return one.matches(view)

    named = [minion for minion in _named(asked) if minion not in resolved.ids]
    minions = [*resolved.ids, *named] if named else resolved.ids
    shown = asked.tgt if isinstance(asked.tgt, str) else ",".join(asked.tgt)
    return Action(operation, calls, minions, matches, shown=shown, needs=resolved.needs)


def _named(asked: Target | Publish) -> Sequence[str]:
    """Return the ids that a target spells out, where it does."""
    if asked.tgt_type == "list":
        return split_list(asked.tgt) if isinstance(asked.tgt, str) else asked.tgt
    plain = isinstance(asked.tgt, str) and asked.tgt_type == "glob" and not GLOB_CHARACTERS & set(asked.tgt)
    return [str(asked.tgt)] if plain else []


async def publish(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Publish a job; with `follow`, tell what becomes of it until there is nobody left to wait for."""
    asked: Publish = read(Publish, request)
    calls, returners = _calls(asked)
    resolved = await _resolve(desk, principal, asked)
    action = replace(_action(desk, "publish", asked, resolved, calls), returners=returners)
    record = desk.access.permit(principal, action)
    if not resolved.ids:
        raise NoMinions(NO_MINIONS)
    minions = subset(resolved.ids, asked.subset, desk.presence)
    try:
        job = await desk.joblog.publish(await _job(desk, principal, asked, resolved, minions))
    except CtlError as error:
        desk.access.outcome(record, principal, f"failed: {error.code}")
        raise
    desk.access.outcome(record, principal, "published", jid=job.jid, count=len(minions))
    # a request that is repeated gives its first job, which must be of the same user
    desk.access.permit(principal, Action("follow", owner=job.record.user))
    return await _tell(desk, job, asked, stream, wait_for_it=asked.follow)


async def _job(desk: Desk, principal: Principal, asked: Publish, resolved: Resolved, minions: Sequence[str]) -> Request:
    shown = await _shown(asked)
    return Request(
        expected=minions,
        tgt=resolved.tgt,
        tgt_type=resolved.kind,
        delimiter=asked.delimiter,
        fun=asked.fun if isinstance(asked.fun, str) else ",".join(asked.fun),
        payload=asked.payload if shown is None else shown,
        hidden=None if shown is None else asked.payload,
        private=asked.private or shown is not None or len(asked.payload) > PUBLIC_PAYLOAD_BYTES,
        user=principal.user,
        window=desk.config.delivery_window if asked.window is None else asked.window,
        timeout=asked.job_timeout,
        metadata=asked.metadata,
        progress=asked.progress,
        request_id=asked.request_id,
    )


async def _shown(asked: Publish) -> bytes | None:
    """Return the payload with its secrets masked; None where it has none."""
    inside = unpack_payload(asked.payload)
    if not inside.get("arg") and not inside.get("kwarg"):
        return None
    found = await asyncio.to_thread(masked, inside, frozenset(asked.secret))  # may import a module
    return None if found is None else pack_payload(found)


def _calls(asked: Publish) -> tuple[list[Call], list[str]]:
    """Return what is called, and the returners' names.

    What is authorised must be what is run, so the payload must name the same functions.
    """
    inside = unpack_payload(asked.payload)
    if not isinstance(inside, dict) or inside.get("fun") != asked.fun:
        raise JobError("the payload does not name the function that the request names")
    try:
        return parse_calls(inside), parse_returners(inside)
    except (TypeError, ValueError, LookupError, AttributeError):
        raise JobError("the payload's arguments are no arguments of functions") from None


async def load(desk: Desk, principal: Principal, operation: str, jid: str) -> Job:
    """Return a job that this principal may see; raises `JobError` for one that is not known."""
    if not JID.fullmatch(jid):
        raise JobError(f"there is no job {jid[:40]} in the job cache")
    job = await desk.joblog.load(jid)
    desk.access.permit(principal, Action(operation, owner=job.record.user))
    return job


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
    job = await load(desk, principal, "follow", asked.jid)
    return await _tell(desk, job, asked, stream, wait_for_it=True)


async def targets(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Say which minions a target means."""
    asked: Target = read(Target, request)
    resolved = await _resolve(desk, principal, asked)
    desk.access.permit(principal, _action(desk, "targets", asked, resolved))
    if not resolved.ids:
        raise NoMinions(NO_MINIONS)
    return {"minions": [[minion, minion in desk.presence] for minion in resolved.ids]}


async def returns(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Read what the job cache holds of a job."""
    jid = read(FollowJob, request).jid
    job = await load(desk, principal, "returns", jid)
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
