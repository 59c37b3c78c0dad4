"""Clients' questions about jobs, minions and caches; runners are built on them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from ..common.wire import pack_payload, unpack_payload
from . import acl
from .acl import Action, Principal
from .client_jobs import load, read
from .desk import Desk
from .follow import Stream
from .jobs import UNDER_WAY, JobRecord
from .targets import Wanted

MAX_LISTED = 100_000


class ListJobs(msgspec.Struct, frozen=True):
    """Which jobs to list, newest first."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LISTED)] = 10_000
    minion: str = ""
    fun: str = ""


class OneJob(msgspec.Struct, frozen=True):
    """Which job."""

    jid: str


class Which(msgspec.Struct, frozen=True):
    """Which minions; without a target, every one."""

    tgt: str | list[str] = "*"
    tgt_type: str = "glob"
    delimiter: str = ":"


def describe(record: JobRecord, payload: bytes = b"") -> dict[str, Any]:
    """Return what lists and runners show of a job."""
    arguments = unpack_payload(payload) if payload else None
    arguments = arguments if isinstance(arguments, dict) else {}
    return {
        "jid": record.jid,
        "fun": record.fun,
        "arg": pack_payload(arguments.get("arg", [])),
        "kwarg": pack_payload(arguments.get("kwarg", {})),
        "tgt": record.tgt,
        "tgt_type": record.tgt_type,
        "user": record.user,
        "created_ms": record.created_ms,
        "minions": list(record.expected.ids),
        "metadata": record.metadata,
    }


def may_see(principal: Principal, record: JobRecord) -> bool:
    """Say whether somebody may see a job."""
    return acl.allows(principal, Action("job.get", owner=record.user))


async def active_jobs(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> None:
    """Tell of each job that is not over: who returned, who runs it, who has it not."""
    for job in list(desk.joblog.active.values()):
        if not may_see(principal, job.record):
            continue
        marks = {minion: job.mark_of(minion) for minion in job.record.expected.ids}
        await stream.send(
            "job",
            {
                **describe(job.record, job.record.payload),
                "returned": [minion for minion, mark in marks.items() if mark.ended],
                "running": [minion for minion, mark in marks.items() if mark.state in UNDER_WAY],
                "states": job.states(),
            },
        )


async def list_jobs(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> None:
    """Tell of the jobs in the cache, newest first."""
    asked: ListJobs = read(ListJobs, request)
    sees_all = acl.allows(principal, Action("job.get", owner=""))
    limit = asked.limit if sees_all else MAX_LISTED
    found = await asyncio.to_thread(desk.store.list_jobs, limit, minion=asked.minion, fun=asked.fun)
    seen = [summary for summary in found if sees_all or may_see(principal, summary.record)]
    for summary in seen[: asked.limit]:
        await stream.send(
            "job", {**describe(summary.record, summary.record.payload), "minions": [], "ended": summary.ended}
        )


async def get_job(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Return one job and the state of each minion."""
    job = await load(desk, principal, "job.get", read(OneJob, request).jid)
    reasons = {minion: mark.reason for minion, mark in job.marks.items() if mark.reason}
    return {**describe(job.record, job.record.payload), "states": job.states(), "reasons": reasons}


async def minion_status(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Say which accepted minions are connected, and which ctl they run."""
    accepted = desk.keys.accepted_ids()
    up = [minion for minion in accepted if minion in desk.presence]
    down = [minion for minion in accepted if minion not in desk.presence]
    versions = {minion: str(desk.grains.look_up(minion, "ctlversion", ":")) for minion in up if minion in desk.grains}
    return {"up": up, "down": down, "versions": versions}


async def grains(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> None:
    """Tell the grains that are known of minions."""
    for minion in await _which(desk, request):
        if minion in desk.grains:
            await stream.send("grains", {"id": minion, "data": desk.grains.payload(minion)})


async def pillar(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> None:
    """Tell the pillar that was rendered last for minions."""
    ids = await _which(desk, request)
    await desk.pillars.ensure([minion for minion in ids if minion not in desk.pillars.cache])
    for minion in ids:
        if minion in desk.pillars.cache:
            await stream.send("pillar", {"id": minion, "data": desk.pillars.cache.payload(minion)})


async def _which(desk: Desk, request: Mapping[str, Any]) -> list[str]:
    asked: Which = read(Which, request)
    resolved = await desk.resolver.resolve(Wanted(asked.tgt, asked.tgt_type, asked.delimiter))
    return list(resolved.ids)
