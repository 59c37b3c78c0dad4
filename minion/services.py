"""What a job's process may ask of its daemon: a table of handlers, each given the job and its arguments.

`ports.py` is the other end. The same table serves the daemon and `ctl-call`, over what `Host` offers.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from ..common.errors import CtlError, MasterUnavailable
from ..common.wire import pack_payload
from .files import FileCache
from .pillar import PillarMemory
from .state_lock import StateLock
from .tasks import Tasks

log = logging.getLogger(__name__)

EVENT_TIMEOUT_S = 10.0


class Asker(Protocol):
    """Who asks: something that takes the answer."""

    def reply(self, good: bool, value: Any) -> None:
        """Take the answer to what was asked last."""
        ...


class Host(Protocol):
    """What the daemon, or `ctl-call`, can do for a job."""

    files: FileCache
    pillar: PillarMemory
    lock: StateLock

    async def ask_master(self, method: str, args: dict[str, Any], timeout: float | None = None) -> Any:
        """Make a request to the master."""
        ...

    @property
    def has_session(self) -> bool:
        """Whether there is a master to ask."""
        ...

    def running(self) -> list[dict[str, Any]]:
        """List the running jobs."""
        ...

    def kill(self, jid: str, number: int) -> bool:
        """Send a signal to a running job."""
        ...

    async def refresh(self, what: str) -> bool:
        """Renew grains, pillar or users' plugins."""
        ...

    async def change_key(self) -> tuple[str, str]:
        """Replace this minion's key; return the old and the new fingerprint."""
        ...

    def packed_grains(self) -> bytes:
        """Return the grains as they are now."""
        ...


class Services:
    """Answers what the jobs' processes ask."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._tasks = Tasks()
        self._handlers: dict[str, Callable[..., Awaitable[Any]]] = {
            "pillar": self._pillar,
            "event": self._event,
            "running": self._running,
            "kill": self._kill,
            "refresh": self._refresh,
            "change_key": self._change_key,
            "grains": self._grains,
            "state_lock": self._state_lock,
            "file_envs": self._file_envs,
            "file_find": self._file_find,
            "file_fetch": self._file_fetch,
            "file_list": self._file_list,
            "file_take": self._file_take,
            "file_push": self._file_push,
            "staged_take": self._staged_take,
        }

    async def close(self) -> None:
        """Stop answering."""
        await self._tasks.close()

    def take(self, asker: Asker, jid: str, op: str, args: list[Any]) -> None:
        """Answer one question, when the answer is there."""
        self._tasks.start(self._answer(asker, jid, op, args), f"{op} for job {jid}")

    async def _answer(self, asker: Asker, jid: str, op: str, args: list[Any]) -> None:
        asker.reply(*await self.answer(jid, op, args))

    async def answer(self, jid: str, op: str, args: list[Any]) -> tuple[bool, Any]:
        """Return whether it went well, and the answer or what describes the error."""
        handler = self._handlers.get(op)
        try:
            if handler is None:
                raise CtlError(f"a job asked its daemon for {op!r}, which it cannot do")
            return True, await handler(jid, *args)
        except CtlError as error:
            return False, [getattr(error, "name", type(error).__name__), str(error), error.code]
        except Exception as error:  # the boundary around one handler: the job must get an answer
            log.exception("%s for job %s failed", op, jid)
            return False, [type(error).__name__, f"{op}: {error}", "error"]

    async def _pillar(
        self, jid: str, saltenv: str | None, pillarenv: str | None, override: bytes | None, fresh: bool
    ) -> bytes:
        return await self._host.pillar.get(saltenv, pillarenv, override, fresh)

    async def _event(self, jid: str, tag: str, data: bytes) -> bool:
        if not self._host.has_session:
            return False
        try:
            await self._host.ask_master("event", {"tag": tag, "data": data}, EVENT_TIMEOUT_S)
        except MasterUnavailable:
            return False
        return True

    async def _running(self, jid: str) -> bytes:
        return pack_payload(self._host.running())

    async def _kill(self, jid: str, target: str, number: int) -> bool:
        return self._host.kill(target, number)

    async def _refresh(self, jid: str, what: str) -> bool:
        return await self._host.refresh(what)

    async def _change_key(self, jid: str) -> list[str]:
        return list(await self._host.change_key())

    async def _grains(self, jid: str) -> bytes:
        return self._host.packed_grains()

    async def _state_lock(self, jid: str, queue: bool | int, concurrent: bool) -> dict[str, Any] | None:
        info = next((job for job in self._host.running() if job["jid"] == jid), None)
        if info is None:  # a returner asks, and nobody would give the turn back
            raise CtlError("the job has returned: it can run no more states")
        return await self._host.lock.take(jid, info, queue, concurrent)

    async def _file_envs(self, jid: str) -> list[str]:
        return await self._host.files.environments()

    async def _file_find(self, jid: str, saltenv: str, paths: list[str]) -> list[Any]:
        return await self._host.files.find(saltenv, paths)

    async def _file_fetch(self, jid: str, saltenv: str, path: str, digest: bytes, size: int) -> str:
        return str(await self._host.files.fetch(saltenv, path, digest, size))

    async def _file_list(self, jid: str, saltenv: str, prefix: str, what: str) -> list[Any]:
        return await self._host.files.list(saltenv, prefix, what)

    async def _file_take(self, jid: str, saltenv: str, path: str, digest: bytes, size: int) -> str | None:
        taken = await self._host.files.take(saltenv, path, digest, size)
        return None if taken is None else str(taken)

    async def _file_push(self, jid: str, path: str, name: str) -> int:
        return await self._host.files.transfers.push(path, name)

    async def _staged_take(self, jid: str, handle: bytes, digest: bytes, size: int, name: str) -> str:
        return str(await self._host.files.transfers.take("staged_chunk", {"handle": handle}, digest, size, name))
