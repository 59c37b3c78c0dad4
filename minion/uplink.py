"""The session of a `ctl-call`: asks the master for what one function needs, on a loop beside the function's thread."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from ..common.config import MinionConfig
from ..common.errors import CtlError, MasterUnavailable
from ..common.handshake import CALL
from ..common.wire import pack_payload
from ..common.writers import make_own_directory
from .channel import Channel
from .files import FileCache, file_cache_directory
from .identity import Identity
from .job import Job
from .pillar import PillarMemory
from .services import Services
from .state_lock import StateLock
from .tasks import Tasks
from .trust import Trust


class Uplink:
    """A session of kind `call`, and what `services.Host` and `connection.Listener` ask for, with no jobs of its own."""

    def __init__(self, config: MinionConfig, loop: asyncio.AbstractEventLoop) -> None:
        self._config = config
        self._loop = loop
        self._grains: Mapping[str, Any] = {"id": config.id}
        self._tasks = Tasks()
        self.key = f"call-{os.getpid()}-{id(self)}"
        for directory in (config.pki_dir, config.data_dir / "minion", file_cache_directory(config)):
            make_own_directory(directory)
        self.channel = Channel(config, Identity(config.pki_dir), Trust.of(config), self, kind=CALL)
        self.files = FileCache(self.channel.ask, file_cache_directory(config))
        self.pillar = PillarMemory(self.channel.ask, self.packed_grains)
        self.lock = StateLock(config.data_dir / "minion")
        self._services = Services(self)

    async def __aenter__(self) -> Uplink:
        self._tasks.start(self.channel.run(), "channel")
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._services.close()
        await self.files.close()
        await self.channel.goodbye()
        await self._tasks.close()
        self.lock.close()

    async def wait(self, timeout: float) -> None:
        """Wait for the session; raises `MasterUnavailable`."""
        await self.channel.wait_for_session(timeout)

    # -- for the function's thread (ports.Daemon)

    def ask(self, op: str, *args: Any) -> tuple[bool, Any]:
        """Answer what the function asks of a daemon; called from its thread."""
        return asyncio.run_coroutine_threadsafe(self._services.answer(self.key, op, list(args)), self._loop).result()

    def tell(self, op: str, *args: Any) -> None:
        """Progress goes nowhere: whoever called is waiting for the return right here."""

    def request(self, method: str, args: dict[str, Any], timeout: float) -> Any:
        """Make a request to the master from the function's thread."""
        return asyncio.run_coroutine_threadsafe(self.channel.ask(method, args, timeout), self._loop).result()

    def use_grains(self, grains: Mapping[str, Any]) -> None:
        """Tell the master these grains where it renders the pillar."""
        self._grains = grains

    # -- services.Host

    async def ask_master(self, method: str, args: dict[str, Any], timeout: float | None = None) -> Any:
        """Make a request to the master."""
        return await self.channel.ask(method, args, timeout)

    @property
    def has_session(self) -> bool:
        """Whether there is a master to ask."""
        return self.channel.has_session

    def running(self) -> list[dict[str, Any]]:
        """List no jobs: those of the daemon are its own."""
        return [{"jid": self.key, "fun": "ctl-call", "pid": os.getpid()}]

    def kill(self, jid: str, number: int) -> bool:
        """There is no job here to send a signal to."""
        return False

    async def refresh(self, what: str) -> bool:
        """Renew what this session holds; the rest is renewed in the function's own thread."""
        if what == "pillar":
            await self.pillar.get(fresh=True)
        elif what == "files":
            await self.files.clear()
        elif what not in ("grains", "modules"):
            raise CtlError(f"there is no {what!r} to refresh", hint="grains, pillar, modules or files")
        return True

    async def change_key(self) -> tuple[str, str]:
        """Refuse: the key is the daemon's to change."""
        raise CtlError("only the minion's daemon changes its key", hint="ctl '<id>' minion.rotate_key on the master")

    def packed_grains(self) -> bytes:
        """Return the grains as they are now."""
        return pack_payload(dict(self._grains))

    # -- connection.Listener

    def running_jids(self) -> list[str]:
        """List no jobs."""
        return []

    async def grains(self) -> bytes:
        """A session of this kind does not register."""
        raise MasterUnavailable("a session of kind call does not register")

    def take_job(self, job: Job) -> None:
        """A session of this kind gets no jobs."""

    def set_connected(self, connected: bool) -> None:
        """Nobody waits for this here."""
