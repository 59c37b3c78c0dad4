"""Pillar for minions: rendered in worker processes, remembered packed, handed out in one message or in chunks."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..common.config import MasterConfig
from ..common.errors import CtlError, RequestRefused, WireError
from ..common.log import Limiter
from ..common.wire import MAX_CHUNK_BYTES
from . import messages
from .grains_cache import GrainsCache, PackedCache
from .workers import WorkerPool

log = logging.getLogger(__name__)

MAX_HANDLES = 1024
MAX_HANDLES_PER_MINION = 4
ENSURE_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class _Parked:
    minion: str
    generation: int
    payload: bytes


class PillarCache(PackedCache):
    """The pillar that was rendered last for each minion, and how often a minion of that id was forgotten.

    A key that is deleted or rejected ends its minion's pillar, also the one that is being rendered just then: whoever
    has the id next must not get it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._generations: dict[str, int] = {}

    def generation(self, minion: str) -> int:
        """Return a number that is another after `drop`."""
        return self._generations.get(minion, 0)

    def drop(self, minion: str) -> None:
        """Forget a minion's pillar, also where it is still being rendered."""
        self._generations[minion] = self.generation(minion) + 1
        super().drop(minion)


class Pillars:
    """The pillar of each minion. `cache` holds what was rendered last of the ordinary kind."""

    def __init__(self, config: MasterConfig, grains: GrainsCache, workers: WorkerPool) -> None:
        self.cache = PillarCache()
        self._config = config
        self._grains = grains
        self._workers = workers
        self._rendering: dict[tuple[Any, ...], asyncio.Future[bytes]] = {}
        self._handles: OrderedDict[bytes, _Parked] = OrderedDict()
        self._limiter = Limiter()

    async def answer(self, minion: str, message: messages.Pillar) -> dict[str, Any]:
        """Return the pillar that a minion asks for, or a handle to fetch it in chunks."""
        ordinary = not (message.saltenv or message.pillarenv or message.override)
        payload = b""
        if ordinary and not message.fresh:
            payload = self.cache.payload(minion)
        if not payload:
            payload = await self.render(minion, message)
        if len(payload) <= MAX_CHUNK_BYTES:
            return {"payload": payload}
        return {"size": len(payload), "handle": self._park(minion, payload)}

    async def render(self, minion: str, message: messages.Pillar) -> bytes:
        """Render a minion's pillar now; several who ask for the same at once share one rendering."""
        generation = self.cache.generation(minion)
        key = (minion, generation, message.saltenv, message.pillarenv, message.override, message.grains)
        running = self._rendering.get(key)
        if running is None:
            running = asyncio.ensure_future(self._render(minion, message, generation))
            self._rendering[key] = running
            running.add_done_callback(lambda done: self._rendered(key, done))
        return await asyncio.shield(running)

    def _rendered(self, key: tuple[Any, ...], done: asyncio.Future[bytes]) -> None:
        self._rendering.pop(key, None)
        if not done.cancelled():
            done.exception()  # whoever waits for it gets it; where nobody does any more, it is nobody's

    async def close(self) -> None:
        """Stop rendering."""
        running = list(self._rendering.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _render(self, minion: str, message: messages.Pillar, generation: int) -> bytes:
        request = {
            "op": "pillar",
            "id": minion,
            "grains": message.grains if message.grains is not None else self._grains.payload(minion),
            "saltenv": message.saltenv,
            "pillarenv": message.pillarenv,
            "override": message.override,
        }
        done = await self._workers.request(request, timeout=self._config.render_timeout)
        if self.cache.generation(minion) != generation:
            raise RequestRefused("changed", "the minion's key has changed while its pillar was rendered")
        payload: bytes = done["payload"]
        for problem in done.get("problems", ()):
            if self._limiter.allows((minion, problem)):
                log.warning("the pillar of %s: %s", minion, problem)
        if not (message.saltenv or message.pillarenv or message.override):
            self._remember(minion, payload)
        return payload

    def _remember(self, minion: str, payload: bytes) -> None:
        try:
            self.cache.put(minion, payload)
        except WireError as error:
            log.warning("the pillar of %s is not kept for targets: %s", minion, error)

    async def ensure(self, minions: Sequence[str]) -> None:
        """Render the pillar of minions whose pillar is not known, as far as their grains are."""
        known = [minion for minion in minions if minion in self._grains]
        gate = asyncio.Semaphore(ENSURE_AT_ONCE)

        async def one(minion: str) -> None:
            async with gate:
                if minion not in self._grains:
                    return  # its key was taken away meanwhile
                try:
                    await self.render(minion, messages.Pillar())
                except CtlError as error:
                    log.warning("the pillar of %s is not known to targets: %s", minion, error)

        await asyncio.gather(*(one(minion) for minion in known))

    def _park(self, minion: str, payload: bytes) -> bytes:
        handle = secrets.token_bytes(16)
        self._handles[handle] = _Parked(minion, self.cache.generation(minion), payload)
        own = [key for key, parked in self._handles.items() if parked.minion == minion]
        for old in own[:-MAX_HANDLES_PER_MINION]:
            del self._handles[old]
        if len(self._handles) > MAX_HANDLES:
            self._handles.popitem(last=False)
        return handle

    def chunk(self, minion: str, message: messages.PillarChunk) -> dict[str, Any]:
        """Return a part of a parked pillar; the last part ends it."""
        parked = self._handles.get(message.handle)
        if parked is None or (parked.minion, parked.generation) != (minion, self.cache.generation(minion)):
            raise RequestRefused("unknown_handle", "there is no such pillar to fetch")
        end = message.offset + message.length
        if end >= len(parked.payload):
            del self._handles[message.handle]
        return {"data": parked.payload[message.offset : end]}
