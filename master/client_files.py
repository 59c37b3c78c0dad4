"""Clients and files: what `ctl-cp` stages for minions, and the state tree's being read anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from .acl import Principal
from .client_jobs import read
from .desk import Desk
from .follow import Stream
from .transfers import MAX_STAGED_BYTES

Handle = Annotated[bytes, msgspec.Meta(max_length=64)]


class Stage(msgspec.Struct, frozen=True):
    """A chunk of a file for minions."""

    size: Annotated[int, msgspec.Meta(ge=0, le=MAX_STAGED_BYTES)]
    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    data: bytes = b""
    handle: Handle = b""


class Unstage(msgspec.Struct, frozen=True):
    """Files that no minion needs any more."""

    handles: list[Handle]


async def stage(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Take a chunk of a file for minions."""
    asked: Stage = read(Stage, request)
    staged = desk.transfers.staged
    return await staged.add(principal.uid, asked.handle, asked.offset, asked.size, asked.data, desk.now())


async def unstage(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> None:
    """Remove files that no minion needs any more."""
    asked: Unstage = read(Unstage, request)
    for handle in asked.handles:
        desk.transfers.staged.remove(principal.uid, handle)


async def update(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> dict[str, Any]:
    """Fetch git repositories, and read the tree anew."""
    return {"problems": await desk.files.update()}


async def forget(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> None:
    """Read the tree anew at the next listing."""
    desk.files.forget_listings()
