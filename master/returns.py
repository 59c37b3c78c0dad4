"""Returns of jobs: checked against what the minion was expected to do, passed on at once, confirmed once stored."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from ..common.errors import CtlError, JobError, RequestRefused
from ..common.log import Limiter
from . import messages
from .desk import Desk
from .jobs import STATED_ENDS, End, Job, State
from .messages import read
from .sessions import Session
from .store import INLINE_BYTES

log = logging.getLogger(__name__)

_limiter = Limiter()


async def take_return(desk: Desk, session: Session, args: Mapping[str, Any]) -> dict[str, Any]:
    """Take the end of a job. The answer means: it is on the master's disk."""
    message = read(messages.Return, args)
    job = await _expected_job(desk, session, message.jid)
    if await _came_before(desk, job, session.id):
        await _refuse_another(desk, session, message)
        return {"stored": True}
    end = await _end(desk, session, message)
    try:
        _still_stands(session)
        # the same one may have come again while this one's body went to disk
        stored = None if await _came_before(desk, job, session.id) else desk.joblog.ended(job, end)
    except CtlError:
        desk.store.abandon_body(end.digest)
        raise
    if stored is None:
        desk.store.abandon_body(end.digest)
    else:
        await asyncio.wrap_future(stored)
    return {"stored": True}


async def _came_before(desk: Desk, job: Job, minion: str) -> bool:
    """Say whether the minion's own end of a job is on disk; one that is on its way there is waited for."""
    under_way = desk.joblog.being_stored(job.jid, minion)
    if under_way is not None:
        await asyncio.wrap_future(under_way[1])
        return True
    mark = job.mark_of(minion)
    return mark.ended and not mark.inferred


async def _refuse_another(desk: Desk, session: Session, message: messages.Return) -> None:
    """Refuse a return that is not the one that is stored: the first one stays."""
    end = await asyncio.to_thread(desk.store.end, message.jid, session.id)
    if end is None:
        return
    size = len(message.payload) or message.size
    same = (end.state, end.retcode, end.success, end.size) == (
        message.state, message.retcode, message.success, size,
    )  # fmt: skip
    if not same or (end.payload and message.payload and end.payload != message.payload):
        raise _refused(session, message.jid, "already_returned", "another return of it is stored")


def _still_stands(session: Session) -> None:
    """Refuse what was under way when the minion's key was taken away."""
    if session.closed:
        raise RequestRefused("not_allowed", "the session has ended")


async def _expected_job(desk: Desk, session: Session, jid: str) -> Job:
    job = desk.joblog.active.get(jid)
    if job is None:
        try:
            job = await desk.joblog.load(jid)
        except JobError:
            raise _refused(session, jid, "unknown_job", "there is no such job") from None
    if session.id not in job.record.expected.members:
        raise _refused(session, jid, "not_expected", "the job is not expected of this minion")
    return job


def _refused(session: Session, jid: str, code: str, why: str) -> RequestRefused:
    if _limiter.allows((session.id, code)):
        log.warning("minion %s returned job %s: %s", session.id, jid, why)
    return RequestRefused(code, why)


async def _end(desk: Desk, session: Session, message: messages.Return) -> End:
    if message.state not in STATED_ENDS:
        raise RequestRefused("arguments", f"{message.state!r} is no end of a job")
    payload, digest, size = message.payload, None, len(message.payload)
    if not payload and message.size:
        path, digest = await desk.uploads.finish(session.id, message.jid, message.size)
        await asyncio.to_thread(desk.store.adopt_body, path, digest)
        size = message.size
    elif size > INLINE_BYTES:
        digest = await asyncio.to_thread(desk.store.put_body, payload)
        payload = b""
    return End(
        id=session.id,
        state=State(message.state),
        reason=message.reason,
        fun=message.fun if isinstance(message.fun, str) else ",".join(message.fun),
        retcode=message.retcode,
        success=message.success,
        out=message.out,
        truncated=message.truncated,
        size=size,
        payload=payload,
        digest=digest,
        stored_ms=desk.now_ms(),
    )


async def take_chunk(desk: Desk, session: Session, args: Mapping[str, Any]) -> dict[str, Any]:
    """Take a part of a large return."""
    message = read(messages.ReturnChunk, args)
    await _expected_job(desk, session, message.jid)
    received = await desk.uploads.add(session.id, message.jid, message.offset, message.size, message.data, desk.now())
    return {"received": received}


async def take_call(desk: Desk, session: Session, args: Mapping[str, Any]) -> dict[str, Any]:
    """Put what a `ctl-call` did into the job cache."""
    message = read(messages.CallReturn, args)
    payload, digest = message.payload, None
    if len(payload) > INLINE_BYTES:
        digest, payload = await asyncio.to_thread(desk.store.put_body, payload), b""
    _still_stands(session)
    end = End(
        id=session.id,
        state=State.RETURNED,
        fun=message.fun,
        retcode=message.retcode,
        success=message.success,
        out=message.out,
        truncated=message.truncated,
        size=len(message.payload),
        payload=payload,
        digest=digest,
    )
    jid = await desk.joblog.record_call(session.id, end, message.arg, f"minion {session.id}")
    return {"jid": jid}
