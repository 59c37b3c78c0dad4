"""What a minion's session may ask: one function a method, in a table that is a literal.

The minion's identity is its session's; nothing in a request names another. Arguments are typed messages. A method
answers at once, or later where the disk, a thread or a worker has to be waited for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from ..common.errors import RequestRefused
from ..common.log import Limiter
from ..common.payload import has_at_most
from ..common.wire import unpack_payload
from . import messages, returns
from .desk import Desk
from .events import minion_tag
from .messages import read
from .sessions import Session

log = logging.getLogger(__name__)

MAX_EVENT_BYTES = 256 * 1024
SMALL_GRAINS_BYTES = 64 * 1024
MAX_GRAINS_ELEMENTS = 50_000
_limiter = Limiter()

Args = Mapping[str, Any]
Answer = dict[str, Any] | list[Any] | None
Method = Callable[[Desk, Session, Args], Answer | Awaitable[Answer]]


def register(desk: Desk, session: Session, args: Args) -> Answer:
    """Take a minion's grains; with its subscription seen, it counts as connected from now on."""
    message = read(messages.Register, args)
    _check_grains(desk, message.grains)
    desk.grains.put(session.id, message.grains)
    session.registered = True
    desk.presence.update(session)
    return {}


def _check_grains(desk: Desk, grains: bytes) -> None:
    """Refuse grains that are too large, or that would be once they are unpacked."""
    most = desk.config.grains_max_kib * 1024
    if len(grains) > most:
        raise RequestRefused("quota", f"grains of {len(grains)} bytes; {most} are taken (grains_max_kib)")
    if len(grains) > SMALL_GRAINS_BYTES and not has_at_most(grains, MAX_GRAINS_ELEMENTS):
        raise RequestRefused("quota", f"grains with more than {MAX_GRAINS_ELEMENTS} values")


def catch_up(desk: Desk, session: Session, args: Args) -> Answer:
    """Return the jobs after an offset that expect this minion and may still begin."""
    message = read(messages.CatchUp, args)
    if session.superseded:  # the newer session asks for itself; this may be another machine with the same key
        return {"jobs": [], "head": message.offset, "more": False}
    if message.offset > desk.joblog.head and _limiter.allows(("offset", session.id)):
        log.warning(
            "minion %s knows offset %d of the job log, and its head is %d: was the job log set back?",
            session.id,
            message.offset,
            desk.joblog.head,
        )
    return desk.joblog.catch_up(session.id, message.offset)


def ack(desk: Desk, session: Session, args: Args) -> Answer:
    """Note that a minion has these jobs, and which of them have begun."""
    message = read(messages.Acknowledge, args)
    desk.joblog.acknowledged(session.id, message.jids)
    desk.joblog.running(session.id, message.running)
    return None


def progress(desk: Desk, session: Session, args: Args) -> Answer:
    """Pass on progress of a job."""
    message = read(messages.Progress, args)
    desk.joblog.progressed(session.id, message.jid, message.kind, message.data)
    return None


def keepalive(desk: Desk, session: Session, args: Args) -> Answer:
    """Note which jobs run, and tell the time."""
    message = read(messages.Acknowledge, args)
    if session.is_agent:
        desk.joblog.alive(session.id, message.jids)
    return {"t_master_ms": desk.now_ms()}


def group_get(desk: Desk, session: Session, args: Args) -> Answer:
    """Return what is needed to read publications from here on."""
    if not session.is_agent:
        raise RequestRefused("not_allowed", "only a minion's daemon reads publications")
    return desk.publications.group(session)


async def rotate_key(desk: Desk, session: Session, args: Args) -> Answer:
    """Take a minion's new key in the place of the one that its session is of."""
    message = read(messages.RotateKey, args)
    await desk.keydesk.rotate_key(session, message.public, message.by_old, message.by_new)
    if session.public != message.public:  # the answer goes out before the loop's next turn
        asyncio.get_running_loop().call_soon(desk.keydesk.end_sessions, session.id, session.public)
    return {}


async def pillar(desk: Desk, session: Session, args: Args) -> Answer:
    """Render this minion's pillar, or give the one that was rendered last."""
    return await desk.pillars.answer(session.id, read(messages.Pillar, args))


def pillar_chunk(desk: Desk, session: Session, args: Args) -> Answer:
    """Return a part of a pillar that was too large for one message."""
    return desk.pillars.chunk(session.id, read(messages.PillarChunk, args))


async def file_find(desk: Desk, session: Session, args: Args) -> Answer:
    """Look up many files."""
    message = read(messages.FileFind, args)
    return {"files": await desk.files.find(message.saltenv, message.paths)}


async def file_list(desk: Desk, session: Session, args: Args) -> Answer:
    """List a page of the tree."""
    message = read(messages.FileList, args)
    names, more = await desk.files.list_names(message.saltenv, message.prefix, message.what, message.after)
    return {"names": names, "more": more}


def file_envs(desk: Desk, session: Session, args: Args) -> Answer:
    """List the environments."""
    return {"envs": desk.files.environments()}


async def file_chunk(desk: Desk, session: Session, args: Args) -> Answer:
    """Return a part of a file."""
    message = read(messages.FileChunk, args)
    data = await desk.files.chunk(message.saltenv, message.path, message.digest, message.offset, message.length)
    return {"data": data}


async def file_fetch(desk: Desk, session: Session, args: Args) -> Answer:
    """Return small files whole; nil for one that has changed, or has no room in this answer."""
    message = read(messages.FileFetch, args)
    return {"files": await desk.files.fetch(message.saltenv, message.files)}


async def file_push(desk: Desk, session: Session, args: Args) -> Answer:
    """Take a part of a file that a minion pushes."""
    message = read(messages.FilePush, args)
    pushed = desk.transfers.pushed
    return await pushed.add(session.id, message.name, message.offset, message.size, message.data, desk.now())


async def staged_chunk(desk: Desk, session: Session, args: Args) -> Answer:
    """Return a part of a file that a client copies to minions."""
    message = read(messages.StagedChunk, args)
    return {"data": await desk.transfers.staged.chunk(message.handle, message.offset, message.length, desk.now())}


def event(desk: Desk, session: Session, args: Args) -> Answer:
    """Pass on an event under the minion's own name, whatever its tag says."""
    message = read(messages.Event, args)
    tag = minion_tag(session.id, message.tag)
    if tag is None or len(message.data) > MAX_EVENT_BYTES:
        raise RequestRefused("arguments", "the event's tag or size is not allowed")
    desk.events.fire(
        tag, lambda: {"id": session.id, "data": unpack_payload(message.data) if message.data else {}, "trusted": False}
    )
    return {}


def goodbye(desk: Desk, session: Session, args: Args) -> Answer:
    """A minion stops: it is not connected any more."""
    desk.presence.lost(session)
    desk.sessions.remove(session)
    return None


METHODS: Final[dict[str, Method]] = {
    "register": register,
    "catch_up": catch_up,
    "ack": ack,
    "progress": progress,
    "keepalive": keepalive,
    "return": returns.take_return,
    "return_chunk": returns.take_chunk,
    "call_return": returns.take_call,
    "group_get": group_get,
    "rotate_key": rotate_key,
    "pillar": pillar,
    "pillar_chunk": pillar_chunk,
    "file_find": file_find,
    "file_list": file_list,
    "file_envs": file_envs,
    "file_chunk": file_chunk,
    "file_fetch": file_fetch,
    "file_push": file_push,
    "staged_chunk": staged_chunk,
    "event": event,
    "goodbye": goodbye,
}
# These have no reply.
ONE_WAY: Final = frozenset({"ack", "progress", "goodbye"})
# Doing these twice is not the same as doing them once, so a repeated request gets the first one's answer.
ONCE: Final = frozenset({"event", "call_return"})
# A ctl-call has no jobs and no presence.
AGENT_ONLY: Final = frozenset({"register", "catch_up", "ack", "return", "return_chunk", "group_get", "rotate_key"})
