"""This minion's pillar, as the master rendered it: kept packed in memory, rendered anew where that is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ..common.errors import WireError
from ..common.wire import MAX_CHUNK_BYTES, MAX_PAYLOAD_BYTES

Ask = Callable[[str, dict[str, Any], float | None], Awaitable[Any]]

TIMEOUT_S = 180.0


class PillarMemory:
    """The pillar of this minion. `grains` are sent along where the master cannot know them (`ctl-call`)."""

    def __init__(self, ask: Ask, grains: Callable[[], bytes] | None = None) -> None:
        self._ask = ask
        self._grains = grains
        self._packed: bytes | None = None
        self._lock = asyncio.Lock()

    async def get(
        self,
        saltenv: str | None = None,
        pillarenv: str | None = None,
        override: bytes | None = None,
        fresh: bool = False,
    ) -> bytes:
        """Return the packed pillar; raises `RemoteError` or `MasterUnavailable`."""
        if saltenv is not None or pillarenv is not None or override is not None:
            return await self._render(saltenv, pillarenv, override, fresh)
        async with self._lock:
            if fresh or self._packed is None:
                self._packed = await self._render(None, None, None, fresh)
            return self._packed

    async def _render(self, saltenv: str | None, pillarenv: str | None, override: bytes | None, fresh: bool) -> bytes:
        args: dict[str, Any] = {
            "saltenv": saltenv,
            "pillarenv": pillarenv,
            "override": override,
            "grains": self._grains() if self._grains is not None else None,
            "fresh": fresh,
        }
        reply = await self._ask("pillar", args, TIMEOUT_S)
        if "payload" in reply:
            return bytes(reply["payload"])
        return await self._fetch(reply["handle"], int(reply["size"]))

    async def _fetch(self, handle: Any, size: int) -> bytes:
        """Get a pillar that is too large for one reply, in chunks."""
        if not 0 <= size <= MAX_PAYLOAD_BYTES:
            raise WireError(f"the master offers a pillar of {size} bytes")
        data = bytearray()
        while len(data) < size:
            args = {"handle": handle, "offset": len(data), "length": min(MAX_CHUNK_BYTES, size - len(data))}
            part = (await self._ask("pillar_chunk", args, TIMEOUT_S))["data"]
            if not part:
                raise WireError("the master ended a pillar early")
            data += part
        return bytes(data)
