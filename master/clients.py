"""What clients on the master's machine may ask: one function an operation, in a table that is a literal.

Every request is authenticated, and permitted (`access.permit`) before anything is done for it; a job is asked about
once more with the functions and the minions that it is really for. Runners come through the same table, in the name of
who started them.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from .. import __version__
from ..common.errors import CtlError, JobError
from ..common.ipc_server import Peer
from . import client_auth, client_events, client_files, client_jobs, client_keys, client_queries, client_runs
from .acl import Action, Principal
from .desk import Desk
from .follow import Stream

Operation = Callable[[Desk, Principal, Mapping[str, Any], Stream], Awaitable[Any]]


async def ping(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Say that the master is here, and which."""
    return {"version": __version__, "fingerprint": desk.fingerprint, "pid": os.getpid()}


MAX_CHANGED = 50

OPERATIONS: Final[dict[str, Operation]] = {
    "ping": ping,
    "publish": client_jobs.publish,
    "follow": client_jobs.follow,
    "targets": client_jobs.targets,
    "returns": client_jobs.returns,
    "events": client_events.events,
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
    "key.token.create": client_keys.create_token,
    "key.token.list": client_keys.list_tokens,
    "key.token.revoke": client_keys.revoke_token,
    "key.rotate_master": client_keys.rotate_master,
    "key.finish_rotation": client_keys.finish_rotation,
    "job.active": client_queries.active_jobs,
    "job.list": client_queries.list_jobs,
    "job.get": client_queries.get_job,
    "minion.status": client_queries.minion_status,
    "cache.grains": client_queries.grains,
    "cache.pillar": client_queries.pillar,
    "token.make": client_auth.make_token,
    "token.list": client_auth.list_tokens,
    "token.revoke": client_auth.revoke_tokens,
    "audit.head": client_auth.audit_head,
}


async def handle(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> Any:
    """Do one operation for a principal."""
    name = request.get("op")
    operation = OPERATIONS.get(name) if isinstance(name, str) else None
    record = desk.access.permit(principal, Action(str(name)))
    if operation is None:
        raise JobError(f"there is no operation {name!r}")
    try:
        result = await operation(desk, principal, request, stream)
    except CtlError as error:
        desk.access.outcome(record, principal, f"failed: {error.code}")
        raise
    desk.access.outcome(record, principal, "done", **_changed(result))
    return result


def _changed(result: Any) -> dict[str, Any]:
    """Return what a record shows of a result: the keys or tokens that were changed, by their names."""
    if not isinstance(result, dict):
        return {}
    rows = result.get("ids") or result.get("revoked") or result.get("names") or result.get("name")
    rows = rows if isinstance(rows, list) else [rows] if isinstance(rows, str) else []
    names = [str(row[0] if isinstance(row, list | tuple) else row) for row in rows]
    return {"changed": names[:MAX_CHANGED], "count": len(names)} if names else {}


async def serve(desk: Desk, request: dict[str, Any], peer: Peer, stream: Stream) -> Any:
    """Do one operation for whoever is at the other end of the clients' socket."""
    return await handle(desk, await desk.access.authenticator.identify(request, peer), request, stream)
