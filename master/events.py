"""The event bus: what happens on this master, by tag, to whoever subscribed.

Tags are Salt's (`salt/job/<jid>/ret/<id>`, `salt/minion/<id>/start`, ...). What a minion fires itself arrives only
under `minion/<id>/<tag>`. A subscriber that reads too slowly loses the newest events and is told how many.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import translate
from typing import Any

from ..common.wire import pack_payload

MAX_QUEUED = 1000
MAX_QUEUED_BYTES = 16 * 1024 * 1024
MAX_TAG_CHARS = 256
TAG = re.compile(rf"[^\x00-\x1f\x7f]{{1,{MAX_TAG_CHARS}}}")


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `data` is packed, `stamp` is UTC in ISO form."""

    tag: str
    data: bytes
    stamp: str


@dataclass(eq=False, slots=True)
class Subscription:
    """A subscriber's bounded queue. `missed` counts what did not fit since it last asked."""

    tags: Sequence[str]
    missed: int = 0
    _queue: deque[Event] = field(default_factory=deque)
    _bytes: int = 0
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _pattern: re.Pattern[str] | None = None

    def __post_init__(self) -> None:
        self._pattern = re.compile("|".join(translate(tag) for tag in self.tags)) if self.tags else None

    def wants(self, tag: str) -> bool:
        """Whether an event of this tag is subscribed to."""
        return self._pattern is None or self._pattern.match(tag) is not None

    def offer(self, event: Event) -> None:
        """Queue an event, or count it as missed."""
        if len(self._queue) >= MAX_QUEUED or self._bytes + len(event.data) > MAX_QUEUED_BYTES:
            self.missed += 1
            return
        self._queue.append(event)
        self._bytes += len(event.data)
        self._ready.set()

    async def next(self) -> Event:
        """Wait for the next event. After a gap, it is `salt/event/missed` with the number of events lost."""
        while not self._queue:
            self._ready.clear()
            await self._ready.wait()
        event = self._queue.popleft()
        self._bytes -= len(event.data)
        if self.missed and not self._queue:
            lost, self.missed = self.missed, 0
            self._queue.append(_make("salt/event/missed", {"missed": lost}))
        return event


class EventBus:
    """Where the master's parts tell what happened, and clients listen."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def subscribe(self, tags: Sequence[str] = ()) -> Subscription:
        """Subscribe to events whose tag matches one of the globs (to all without any)."""
        subscription = Subscription(tuple(tags))
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription."""
        self._subscriptions.discard(subscription)

    def fire(self, tag: str, data: dict[str, Any] | Callable[[], dict[str, Any]]) -> None:
        """Tell of an event. `data` may be a function: it is called only where somebody listens."""
        listeners = [subscription for subscription in self._subscriptions if subscription.wants(tag)]
        if not listeners:
            return
        event = _make(tag, data() if callable(data) else data)
        for subscription in listeners:
            subscription.offer(event)


def _make(tag: str, data: dict[str, Any]) -> Event:
    stamp = datetime.now(UTC).replace(tzinfo=None).isoformat()
    return Event(tag, pack_payload({**data, "_stamp": stamp}), stamp)


def minion_tag(minion: str, tag: str) -> str | None:
    """Return the tag under which an event that a minion fired arrives; None for a tag that is not allowed."""
    return f"minion/{minion}/{tag}" if TAG.fullmatch(tag) else None
