"""Clients' operations on tokens and on the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from ..common.errors import JobError
from .acl import Principal
from .client_jobs import read
from .desk import Desk
from .follow import Stream
from .tokens import as_row


class Revoke(msgspec.Struct, frozen=True):
    """Which tokens to revoke: one by its name, or all of an account (`pam:somebody`)."""

    name: Annotated[str, msgspec.Meta(max_length=64)] = ""
    account: Annotated[str, msgspec.Meta(max_length=256)] = ""


async def make_token(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Make a token for the account that has just authenticated."""
    secret, token = await desk.access.authenticator.make_token(principal)
    row = as_row(token)
    return {"token": secret, **{key: row[key] for key in ("name", "eauth", "user", "made_ms", "expires_ms")}}


async def list_tokens(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """List the valid tokens."""
    found = await asyncio.to_thread(desk.access.tokens.valid)
    return {"tokens": [as_row(token) for token in found]}


async def revoke_tokens(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Revoke tokens; when this returns, they open nothing any more."""
    asked: Revoke = read(Revoke, request)
    method, _, user = asked.account.partition(":")
    if not asked.name and not (method and user):
        raise JobError("a token's name, or an account (method:user), is needed")
    names = await asyncio.to_thread(desk.access.tokens.revoke, asked.name, method, user)
    return {"revoked": names}


async def audit_head(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Say how far the audit log goes; everything up to there is on the disk."""
    head = await asyncio.to_thread(desk.access.audit.head)
    return {"path": str(desk.access.audit.path), "number": head.number, "hash": head.hash}
