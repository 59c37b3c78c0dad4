"""Clients and events: who may see which, and the stream of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from ..common.errors import JobError
from ..common.wire import unpack_payload
from . import acl
from .acl import Action, Principal
from .client_jobs import read
from .desk import Desk
from .events import Event
from .follow import Stream
from .jobs import JID

MAX_REMEMBERED = 1000


class Events(msgspec.Struct, frozen=True):
    """Which events, by globs on their tags; all of them without any."""

    tags: Annotated[list[str], msgspec.Meta(max_length=256)] = []


async def events(desk: Desk, principal: Principal, request: Mapping[str, Any], stream: Stream) -> None:
    """Tell of events until the client goes: those that it may see."""
    asked: Events = read(Events, request)
    subscription = desk.events.subscribe(asked.tags)
    view = View(desk, principal)
    try:
        while not stream.closed:
            event = await subscription.next()
            if await view.shows(event):
                await stream.send("event", {"tag": event.tag, "data": event.data, "stamp": event.stamp})
    finally:
        desk.events.unsubscribe(subscription)


class View:
    """What somebody may see of the events: all, those of granted tags, else those of the own jobs."""

    def __init__(self, desk: Desk, principal: Principal) -> None:
        self._desk = desk
        self._principal = principal
        self._owners: OrderedDict[str, str] = OrderedDict()

    async def shows(self, event: Event) -> bool:
        """Say whether an event may be seen."""
        if acl.allows(self._principal, Action("event", shown=event.tag)):
            return True
        owner = await self._owner(event)
        return owner is not None and acl.allows(self._principal, Action("event", shown=event.tag, owner=owner))

    async def _owner(self, event: Event) -> str | None:
        """Return whose job or runner an event is about; None where it is about none."""
        words = event.tag.split("/")
        if len(words) < 4 or words[0] != "salt" or not JID.fullmatch(words[2]):
            return None
        if words[1] == "run":
            data = unpack_payload(event.data)
            return str(data.get("user")) if isinstance(data, dict) else None
        return await self._owner_of_job(words[2]) if words[1] == "job" else None

    async def _owner_of_job(self, jid: str) -> str | None:
        owner = self._owners.get(jid)
        if owner is None:
            try:
                owner = (await self._desk.joblog.load(jid)).record.user
            except JobError:
                return None
            self._owners[jid] = owner
            if len(self._owners) > MAX_REMEMBERED:
                self._owners.popitem(last=False)
        return owner
