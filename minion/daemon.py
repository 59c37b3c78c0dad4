"""The minion: one process with its channel, ledger, outbox, files and jobs, from start to close.

`async with Minion(config) as minion:` runs one. Many may run in one process and share one fork helper, as tests do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from typing import Any

from ..common.config import MinionConfig
from ..common.errors import CtlError
from ..common.extmods import load_directories
from ..common.handshake import AGENT
from ..common.instance import InstanceLock
from ..common.wire import pack_payload, unpack_payload
from ..common.writers import make_own_directory
from .channel import Channel
from .files import FileCache, file_cache_directory
from .helper_process import Generations, Helper
from .identity import Identity
from .job import Job
from .jobs import Jobs
from .ledger import Ledger, Offsets
from .outbox import Outbox
from .pillar import PillarMemory
from .process import Process
from .services import Services
from .state_lock import StateLock
from .store import open_store
from .tasks import Tasks
from .trust import Trust

log = logging.getLogger(__name__)

FLUSH_OFFSETS_S = 5.0
FORGET_S = 60.0
CLEAN_S = 3600.0
LAST_RETURNS_S = 1.5
MAX_NAMED = 900  # what one keepalive can name
KEY_TIMEOUT_S = 60.0


class Minion:
    """One minion. `connected` is set while the master counts it as connected."""

    def __init__(self, config: MinionConfig, helper: Helper | None = None) -> None:
        self.config = config
        self.connected = asyncio.Event()
        self._helpers = Generations(helper)
        self._tasks = Tasks()
        self._stack = contextlib.AsyncExitStack()
        self._closing = False
        self._packed_config = pack_payload(config.raw)
        self._plugin_dirs = load_directories(config.raw)
        self._file_cache = str(file_cache_directory(config))
        self._packed_grains = pack_payload({"id": config.id})
        self._grains_ready = asyncio.Event()
        self._pillar_asked = False

    # -- start and end

    async def __aenter__(self) -> Minion:
        await self.start()
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Start; raises ConfigError or StorageError, with everything undone that was begun."""
        try:
            self._open()
        except BaseException:
            await self._stack.aclose()
            raise
        self._tasks.start(self.channel.run(), "channel")
        self._tasks.start(self._first_grains(), "grains")
        self._tasks.start(self._keep_house(), "housekeeping")
        log.info("minion %s started (pid %d)", self.config.id, os.getpid())

    def _open(self) -> None:
        """Open everything, in an order in which each part finds what it needs; the stack closes in reverse."""
        config, stack = self.config, self._stack
        directory = config.data_dir / "minion"
        stack.callback(InstanceLock(directory, "ctl-minion").close)
        stack.callback(self._helpers.close)
        self._helpers.start()
        make_own_directory(config.pki_dir)
        for path in (config.cachedir / "minion", file_cache_directory(config)):
            make_own_directory(path)
        self._identity = Identity(config.pki_dir)
        database = open_store(directory)
        stack.callback(database.close)
        self.ledger = Ledger(database)
        self._offsets = Offsets(database)
        stack.callback(self._offsets.flush)
        self.channel = Channel(config, self._identity, Trust.of(config), self, kind=AGENT, position=self._offsets)
        self.outbox = Outbox(
            database,
            self.channel.ask,
            self.channel.wait_for_master,
            max_bytes=config.outbox_max_bytes,
            now_ms=self.now_ms,
        )
        stack.push_async_callback(self.outbox.close)
        self.lock = StateLock(directory)
        stack.callback(self.lock.close)
        self.files = FileCache(self.channel.ask, file_cache_directory(config))
        stack.push_async_callback(self.files.close)
        self.pillar = PillarMemory(self.channel.ask)
        self._services = Services(self)
        stack.push_async_callback(self._services.close)
        self.jobs = Jobs(config, self, self._helpers, self.ledger, self.outbox)
        self.outbox.resume()
        self.jobs.report_unfinished()
        stack.push_async_callback(self._tasks.close)
        stack.push_async_callback(self._finish)

    async def close(self, reason: str = "closed") -> None:
        """Stop: first taking jobs, then the jobs (within their grace), then the returns, then the rest."""
        if self._closing:
            return
        self._closing = True
        log.info("minion %s stops: %s", self.config.id, reason)
        await self._stack.aclose()

    async def _finish(self) -> None:
        grace = max(0.0, self.config.shutdown_seconds - LAST_RETURNS_S)
        await self.jobs.close(grace)
        confirmed = await self.outbox.flush(LAST_RETURNS_S if self.channel.has_session else 0.0)
        if not confirmed:
            log.warning("%d returns are kept for the next start", len(self.outbox))
        await self.channel.goodbye()

    # -- what the channel asks (connection.Listener)

    def running_jids(self) -> list[str]:
        """List the jobs that run, and those whose return is still on its way: the master must not give them up."""
        return [*self.jobs.jids(), *self.outbox.jids()][:MAX_NAMED]

    async def grains(self) -> bytes:
        """Return the packed grains, once they were collected."""
        await self._grains_ready.wait()
        return self._packed_grains

    def take_job(self, job: Job) -> None:
        """Take a job from the master."""
        self.jobs.take(job)

    def set_connected(self, connected: bool) -> None:
        """Hear that the master counts this minion as connected, or no longer does."""
        if not connected:
            self.connected.clear()
            return
        self.connected.set()
        if not self._pillar_asked:
            self._pillar_asked = True
            self._tasks.start(self._first_pillar(), "pillar")

    async def _first_pillar(self) -> None:
        """Ask for the pillar once, so that the master knows what pillar targets match here."""
        try:
            await self.pillar.get()
        except CtlError as error:
            log.warning("the master did not render the pillar: %s", error)

    # -- what jobs need (jobs.Minion)

    def now_ms(self) -> int:
        """Return the master's time."""
        return self.channel.clock.now_ms()

    def tell(self, method: str, args: dict[str, Any]) -> bool:
        """Send the master what has no reply."""
        return self.channel.tell(method, args)

    def message(self, jid: str, user: str, payload: bytes) -> dict[str, Any]:
        """Return what a job's process is given."""
        return {
            "kind": "job",
            "jid": jid,
            "user": user,
            "payload": payload,
            "id": self.config.id,
            "config": self._packed_config,
            "grains": self._packed_grains,
            "plugin_dirs": self._plugin_dirs,
            "file_cache": self._file_cache,
            "return_max": self.config.return_max_bytes,
            "log_level": log.getEffectiveLevel(),
        }

    def on_ask(self, process: Process, jid: str, op: str, args: list[Any]) -> None:
        """Answer what a job's process asks."""
        self._services.take(process, jid, op, args)

    async def live_data(self, needs: frozenset[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the grains and, where a target reads it, the pillar, as they are now."""
        grains = unpack_payload(await self.grains())
        pillar = unpack_payload(await self.pillar.get()) if "pillar" in needs else {}
        return grains, pillar

    async def job_ended(self, jid: str) -> None:
        """Take back what a job had of the minion."""
        await self.lock.release(jid)

    # -- what jobs' processes can ask (services.Host)

    async def ask_master(self, method: str, args: dict[str, Any], timeout: float | None = None) -> Any:
        """Make a request to the master."""
        return await self.channel.ask(method, args, timeout)

    @property
    def has_session(self) -> bool:
        """Whether there is a master to ask."""
        return self.channel.has_session

    def running(self) -> list[dict[str, Any]]:
        """Describe the running jobs."""
        return self.jobs.running()

    def kill(self, jid: str, number: int) -> bool:
        """Send a signal to a running job."""
        return self.jobs.kill(jid, number)

    async def change_key(self) -> tuple[str, str]:
        """Replace this minion's key by a new one; return both fingerprints, the old one first."""
        before, change = self._identity.fingerprint, self._identity.begin_change(self.config.id)
        try:
            # its session ends with its key: the master must know before that which jobs run, to wait for them
            await self.channel.ask("keepalive", {"jids": self.running_jids()}, KEY_TIMEOUT_S)
            await self.channel.ask("rotate_key", change, KEY_TIMEOUT_S)
            self._identity.promote()
        finally:
            self._identity.end_change()
        self.channel.reconnect("this minion has a new key")
        return before, self._identity.fingerprint

    def packed_grains(self) -> bytes:
        """Return the grains as they are now."""
        return self._packed_grains

    async def refresh(self, what: str) -> bool:
        """Renew `grains`, `pillar`, `modules` or the cache of `files`; done when it is, and when the master knows."""
        if what == "grains":
            return await self._collect_grains() and await self._register()
        if what == "pillar":
            await self.pillar.get(fresh=True)
            return True
        if what == "modules":
            self._helpers.renew()
            return True
        if what == "files":
            await self.files.clear()
            return True
        raise CtlError(f"there is no {what!r} to refresh", hint="grains, pillar, modules or files")

    # -- grains

    async def _first_grains(self) -> None:
        await self._collect_grains()
        self._grains_ready.set()

    async def _collect_grains(self) -> bool:
        try:
            result = await self.jobs.run_internal("grains")
        except CtlError as error:
            log.error("the grains could not be collected: %s", error)
            return False
        if not result.success:
            return False
        self._packed_grains = result.payload
        return True

    async def _register(self) -> bool:
        if not self.connected.is_set():
            return True  # it will register when it is connected again
        await self.channel.register(self._packed_grains)
        return True

    # -- housekeeping

    async def _keep_house(self) -> None:
        """Write the offsets, forget old jobs, keep the cache small."""
        elapsed = 0.0
        while True:
            if elapsed % CLEAN_S == 0:
                await self.files.clean()
            await asyncio.sleep(FLUSH_OFFSETS_S)
            elapsed += FLUSH_OFFSETS_S
            self._offsets.flush()
            if elapsed % FORGET_S == 0 and self.channel.clock.known:
                self.ledger.forget_old(self.now_ms())
