"""What clients on the master's machine may ask: one function an operation, in a table that is a literal.

Every request passes `acl.authorise` first; a job is authorised once more with the functions and the minions that it is
really for. Runners come through the same table, in the name of who started them.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

import msgspec

from .. import __version__
from ..common.errors import JobError
from ..common.ipc_server import Peer
from . import acl, client_files, client_jobs, client_keys, client_queries, client_runs
from .acl import Action, Principal
from .desk import Desk
from .follow import Stream

Operation = Callable[[Desk, Principal, Mapping[str, Any], Stream], Awaitable[Any]]


class Events(msgspec.Struct, frozen=True):
    """Which events, by globs on their tags; all of them without any."""

    tags: Annotated[list[str], msgspec.Meta(max_length=256)] = []


async def ping(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Say that the master is here, and which."""
    return {"version": __version__, "fingerprint": desk.fingerprint, "pid": os.getpid()}


async def events(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> None:
    """Tell of events until the client goes."""
    asked: Events = client_jobs.read(Events, request)
    subscription = desk.events.subscribe(asked.tags)
    try:
        while not stream.closed:
            event = await subscription.next()
            await stream.send("event", {"tag": event.tag, "data": event.data, "stamp": event.stamp})
    finally:
        desk.events.unsubscribe(subscription)


OPERATIONS: Final[dict[str, Operation]] = {
    "ping": ping,
    "publish": client_jobs.publish,
    "follow": client_jobs.follow,
    "targets": client_jobs.targets,
    "returns": client_jobs.returns,
    "events": events,
    "stage": client_files.stage,
    "unstage": client_files.unstage,
    "files.update": client_files.update,
    "files.forget": client_files.forget,
    "run": client_runs.run,
    "key.list": client_keys.list_keys,
    "key.accept": client_keys.accept,
    "key.reject": client_keys.reject,
    "key.delete": client_keys.delete,
    "key.print": client_keys.print_keys,
    "key.finger": client_keys.finger,
    "key.preseed": client_keys.preseed,
    "job.active": client_queries.active_jobs,
    "job.list": client_queries.list_jobs,
    "job.get": client_queries.get_job,
    "minion.status": client_queries.minion_status,
    "cache.grains": client_queries.grains,
    "cache.pillar": client_queries.pillar,
}


async def handle(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> Any:
    """Do one operation for a principal."""
    name = request.get("op")
    operation = OPERATIONS.get(name) if isinstance(name, str) else None
    if operation is None:
        raise JobError(f"there is no operation {name!r}")
    acl.authorise(principal, Action(str(name)))
    return await operation(desk, principal, request, stream)


async def serve(desk: Desk, request: dict[str, Any], peer: Peer, stream: Stream) -> Any:
    """Do one operation for whoever is at the other end of the clients' socket."""
    return await handle(desk, acl.principal_of(peer), request, stream)
