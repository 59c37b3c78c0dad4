"""Clients' operations on keys."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from ..common import crypto
from .acl import Principal
from .client_jobs import read
from .desk import Desk
from .follow import Stream
from .keys import Change

log = logging.getLogger(__name__)

MAX_TOKEN_SECONDS = 366 * 86400.0


class Choice(msgspec.Struct, frozen=True):
    """Which keys: by a glob on ids, or by fingerprint; `include` adds states (for `delete`: restricts to them)."""

    match: Annotated[str, msgspec.Meta(max_length=256)] = ""
    fingerprint: Annotated[str, msgspec.Meta(max_length=64)] = ""
    include: list[str] = []
    dry_run: bool = False


class Preseed(msgspec.Struct, frozen=True):
    """A key to accept before its minion comes."""

    id: str
    public: bytes


class NewToken(msgspec.Struct, frozen=True):
    """An enrolment token to make: for ids that match a glob, so many times, for so many seconds."""

    match: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] = "*"
    uses: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    seconds: Annotated[float, msgspec.Meta(gt=0, le=MAX_TOKEN_SECONDS)] = 3600.0


class Token(msgspec.Struct, frozen=True):
    """Which tokens: those whose name begins so."""

    name: Annotated[str, msgspec.Meta(max_length=32)]


class Finish(msgspec.Struct, frozen=True):
    """Whether to leave minions behind that have not come for the master's new key."""

    force: bool = False


async def list_keys(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """List every key by its state."""
    return desk.keys.list()


async def _change(
    desk: Desk, request: Mapping[str, Any], work: Callable[..., Sequence[Change]]
) -> dict[str, list[list[str]]]:
    choice: Choice = read(Choice, request)
    changes = await desk.keydesk.change(
        lambda: work(choice.match, fingerprint=choice.fingerprint, include=choice.include, dry_run=choice.dry_run),
        choice.dry_run,
    )
    return {"ids": [change.row() for change in changes]}


async def accept(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Accept keys."""
    return dict(await _change(desk, request, desk.keys.accept))


async def reject(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Reject keys; when this returns, they can read nothing new."""
    return dict(await _change(desk, request, desk.keys.reject))


async def delete(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Forget keys; when this returns, they can read nothing new."""
    return dict(await _change(desk, request, desk.keys.delete))


async def print_keys(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Return the public keys of ids, as PEM."""
    return {key.id: crypto.public_pem(key.public) for key in desk.keys.find(read(Choice, request).match)}


async def finger(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Return the fingerprints of ids, and the master's own."""
    found = {key.id: key.fingerprint for key in desk.keys.find(read(Choice, request).match)}
    return {**found, "master": desk.fingerprint}


async def preseed(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Accept a key before its minion ever came."""
    asked: Preseed = read(Preseed, request)
    changes = await desk.keydesk.change(lambda: [desk.keys.preseed(asked.id, asked.public)])
    return {"ids": [change.row() for change in changes]}


async def create_token(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Make an enrolment token; its text is in this answer and nowhere else."""
    asked: NewToken = read(NewToken, request)
    tokens = desk.keys.tokens
    made = await asyncio.to_thread(
        tokens.create, asked.match, asked.uses, asked.seconds, principal.user, desk.fingerprint
    )
    row = tokens.find(made.id)
    assert row is not None
    log.info("enrolment token %s: for %s, %d uses, by %s", row.name, row.match, row.uses, principal.user)
    return {"token": made.text(), "name": row.name, "expires": row.expires}


async def list_tokens(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """List the enrolment tokens, without what is secret in them."""
    return {"tokens": [row.shown() for row in desk.keys.tokens.rows()]}


async def revoke_token(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Remove enrolment tokens; when this returns, nobody enrols with them any more."""
    gone = await asyncio.to_thread(desk.keys.tokens.revoke, read(Token, request).name)
    return {"names": [row.name for row in gone]}


async def rotate_master(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Put a new master's key in force."""
    return {"fingerprint": await desk.keydesk.rotate_master()}


async def finish_rotation(
    desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream
) -> dict[str, Any]:
    """Forget the master's former keys, unless that leaves minions behind and is not forced."""
    asked: Finish = read(Finish, request)
    behind = desk.keys.behind()
    if behind and not asked.force:
        return {"finished": False, "behind": behind}
    return {"finished": await desk.keydesk.finish_rotation(), "behind": behind}
