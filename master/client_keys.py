"""Clients' operations on keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from ..common import crypto
from .acl import Principal
from .client_jobs import read
from .desk import Desk
from .follow import Stream
from .keys import Change


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
