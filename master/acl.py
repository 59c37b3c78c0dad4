"""Who may do what: the one door that every request of a client goes through.

Root and the daemon's own user may do everything; others nothing yet (`publisher_acl` will widen this, here and nowhere
else). A principal is what the kernel says of the other end of the socket; no name inside a request counts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..common.errors import AuthorizationError
from ..common.ipc_server import Peer


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who asks for something."""

    user: str
    uid: int
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """What is asked for: an operation and, for a job, its functions and the minions it was resolved to."""

    operation: str
    functions: Sequence[str] = field(default=())
    minions: Sequence[str] = field(default=())


def principal_of(peer: Peer) -> Principal:
    """Return the principal at the other end of the clients' socket."""
    return Principal(peer.user, peer.uid, peer.groups)


def authorise(principal: Principal, action: Action) -> None:
    """Raise `AuthorizationError` unless this principal may do this."""
    if principal.uid in (0, os.geteuid()):
        return
    raise AuthorizationError(
        f"user {principal.user} may not {action.operation}", hint="use root or the user that the master runs as"
    )
