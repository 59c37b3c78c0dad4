"""The master: one asyncio process that owns both sockets, the sessions, the job log, the clients' socket.

`async with Master(config) as master:` starts one and stops it; tests run it in their own loop, with ports 0. `serve`
runs until cancelled. This file puts the parts together and takes them apart; what they do is in theirs.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .. import __version__
from ..common import sockets
from ..common.config import MasterConfig
from ..common.errors import StorageError
from ..common.handshake import Claim
from ..common.instance import InstanceLock
from ..common.ipc_server import Bounds, Peer, Server
from ..common.ipc_server import Stream as IpcStream
from ..common.log import Limiter
from ..common.session import SessionKeys
from ..common.writers import make_own_directory
from . import clients, socket_group
from .access import Access
from .admission import Bucket
from .channel import Channel
from .clock import Clock
from .desk import Desk
from .enrolment import Enrolment
from .events import EventBus
from .fileserver import FileServer
from .grains_cache import GrainsCache
from .guard import MIB
from .guard_loop import GuardLoop
from .handshakes import Handshakes
from .identity import Identity
from .joblog import JobLog
from .keydesk import KeyDesk
from .keys import Claimed, KeyState, KeyTable
from .pillars import Pillars
from .presence import Presence
from .publish import Publications
from .sessions import SessionTable
from .store_sqlite import SqliteJobStore
from .targets import Resolver
from .tasks import Tasks
from .transfers import Pushed, Staged, Transfers
from .uploads import Uploads
from .workers import WorkerPool

log = logging.getLogger(__name__)

START_SECONDS = 60.0
SWEEP_SECONDS = 1.0
SLOW_SWEEP_SECONDS = 30.0
EXPIRE_SECONDS = 300.0
SPREAD_MINIONS_PER_SECOND = 1000
LATE_TICK_SECONDS = 0.5
KEY_LINES_A_SECOND = 0.5
KEY_LINES_AT_ONCE = 60.0


def raise_open_files() -> tuple[int, int]:
    """Raise the limit of open files as far as it goes; return the old limit and the new one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard


class Master:
    """One master. `ret_port` and `publish_port` are the ports it listens on, `fingerprint` is its key's."""

    def __init__(self, config: MasterConfig) -> None:
        self.config = config
        self.ret_port = 0
        self.publish_port = 0
        self.desk: Desk
        self._tasks = Tasks()
        self._closers: list[Callable[[], Awaitable[None] | None]] = []
        self._channel = Channel(config)
        self._limiter = Limiter()
        self._lines = Bucket(KEY_LINES_AT_ONCE, 0.0)
        self._closed = False

    @property
    def socket_path(self) -> Path:
        """Where clients on this machine connect."""
        return self.config.sock_dir / "master" / "ctl.sock"

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the master's key, once it has started."""
        return self.desk.fingerprint

    @property
    def _data(self) -> Path:
        return self.config.data_dir / "master"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close("done" if error is None else f"{type(error).__name__}: {error}")

    # -- life

    async def start(self) -> None:
        """Start; undoes itself where something fails."""
        try:
            async with asyncio.timeout(START_SECONDS):
                await self._start()
        except BaseException:
            await self.close("it did not start")
            raise

    async def _start(self) -> None:
        self._closers.append(InstanceLock(self._data, "ctl-master").close)
        soft, hard = raise_open_files()
        log.info("open files: limit %d, raised from %d", hard, soft)
        make_own_directory(self.config.pki_dir)
        identity = await asyncio.to_thread(Identity, self.config.pki_dir)
        guard = await self._make_guard(hard)
        self.desk, handshakes = await self._build(identity, guard)
        self.publish_port = self.desk.publications.open()
        self._closers.append(self.desk.publications.close)
        self._channel.attach(self.desk, handshakes, guard)
        guard.attach(self._drained, self._channel.reopen, self.desk.publications.reopen)
        self.ret_port = self._channel.open()
        self._closers.append(self._channel.close)
        self._tasks.spawn(guard.run(), "transport guard")
        self._tasks.spawn(self.desk.publications.run(), "heartbeats and epochs")
        self._tasks.spawn(self._sweep(handshakes), "sweep")
        self._tasks.spawn(self._expire(), "expire jobs")
        self._tasks.spawn(self.desk.files.run(), "fetch git repositories")
        self._closers.append(self._tasks.close)
        self._tasks.spawn(self.desk.access.run(), "audit log and tokens")
        await self._open_door()
        log.info(
            "ctl-master %s is up: requests on port %d, publications on port %d, key %s",
            __version__,
            self.ret_port,
            self.publish_port,
            self.fingerprint,
        )

    async def _open_door(self) -> None:
        """Open the clients' socket, to root and to the group that may reach it."""
        group = socket_group.find_group(self.config.sock_group) if self.config.sock_group else None
        server = Server(self.socket_path, self._serve_client, bounds=self._bounds())
        await server.start()
        self._closers.append(server.close)
        if group is not None:
            socket_group.give(self.socket_path, group)

    async def _make_guard(self, descriptors: int) -> GuardLoop:
        if sockets.is_old():
            log.warning("libzmq is too old: %s", sockets.describe_library())
        blind = not await asyncio.to_thread(sockets.tells_connections)
        if blind:
            log.warning("this libzmq does not tell connections apart: floods end by opening the sockets anew")
        return GuardLoop(self.config, descriptors=descriptors, blind=blind, members=self._accepted)

    def _accepted(self) -> int:
        return len(self.desk.keys.accepted_ids())

    def _drained(self) -> int:
        return min(self._channel.drained, self.desk.publications.drained)

    async def _build(self, identity: Identity, guard: GuardLoop) -> tuple[Desk, Handshakes]:
        """Make the parts, from the ones that know nobody to the ones that know many."""
        config, loop = self.config, asyncio.get_running_loop()
        keys, store, grains = await self._open_databases()
        keys.note_after = identity.changed_ms / 1000
        clock = Clock(store.last()[2])
        sessions, presence, events = SessionTable(config.session_idle_seconds), Presence(), EventBus()
        publications = Publications(
            config, identity, keys=keys, sessions=sessions, presence=presence, now_ms=clock.now_ms, guard=guard
        )
        joblog = JobLog(
            store,
            sender=publications,
            presence=presence,
            events=events,
            now_ms=clock.now_ms,
            now=loop.time,
            keepalive=config.keepalive_seconds,
        )
        self._closers.append(joblog.close)
        await asyncio.to_thread(joblog.recover)
        publications.head = joblog.head
        pillars, workers = self._make_workers(grains)
        files, uploads, transfers = await self._make_files()
        enrolment = Enrolment(config, keys, events, loop.time)
        handshakes = self._make_handshakes(identity, keys, enrolment, publications, clock, guard)
        keydesk = KeyDesk(
            keys, identity, sessions, presence, publications, joblog, grains, pillars.cache, transfers.pushed, events,
            handshakes.nudge, self._channel.renew_sessions, clock.now_ms, guard.revoke,
        )  # fmt: skip
        presence.listen(self._presence_changed)
        access = await asyncio.to_thread(Access.open, config, self._data, clock.now_ms, loop.time)
        self._closers.append(access.close)
        resolver = Resolver(keys, grains, pillars.cache, config.nodegroups, pillars.ensure)
        desk = Desk(
            config, identity, keys, keydesk, sessions, presence, publications, store, joblog, uploads, grains,
            pillars, resolver, files, transfers, workers, events, self._tasks, clock.now_ms, loop.time, access,
        )  # fmt: skip
        return desk, handshakes

    def _make_workers(self, grains: GrainsCache) -> tuple[Pillars, WorkerPool]:
        # runners have workers of their own: one that asks for a pillar must not wait for itself
        renderers, workers = WorkerPool(self.config), WorkerPool(self.config)
        self._closers += [renderers.close, workers.close]
        pillars = Pillars(self.config, grains, renderers)
        self._closers.append(pillars.close)
        return pillars, workers

    async def _make_files(self) -> tuple[FileServer, Uploads, Transfers]:
        files, uploads = FileServer(self.config), Uploads(self._data / "bodies", int(self.config.upload_quota * MIB))
        transfers = Transfers(Pushed(self.config), Staged(self.config))
        self._closers += [files.close, uploads.close]
        await asyncio.to_thread(uploads.prepare)
        await asyncio.to_thread(transfers.prepare)
        return files, uploads, transfers

    def _make_handshakes(
        self,
        identity: Identity,
        keys: KeyTable,
        enrolment: Enrolment,
        publications: Publications,
        clock: Clock,
        guard: GuardLoop,
    ) -> Handshakes:
        return Handshakes(
            self.config,
            identity,
            keys,
            enrolment,
            send=self._channel.send,
            group=publications.invite,
            params=self._params,
            started=self._session_started,
            told=self._told,
            now_ms=clock.now_ms,
            guard=guard,
        )

    async def _open_databases(self) -> tuple[KeyTable, SqliteJobStore, GrainsCache]:
        config = self.config

        def open_keys() -> KeyTable:
            return KeyTable(
                self._data / "keys.db", max_pending=config.max_pending, pending_per_source=config.pending_per_source
            )

        keys = await asyncio.to_thread(open_keys)
        self._closers.append(keys.close)
        store = await asyncio.to_thread(SqliteJobStore, self._data / "jobs.db", self._data / "bodies")
        self._closers.append(store.close)
        grains = await asyncio.to_thread(GrainsCache, self._data / "cache.db")
        self._closers.append(grains.close)
        return keys, store, grains

    async def close(self, reason: str = "") -> None:
        """Stop: intake first, then work, then what it stands on. Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        log.info("ctl-master stops: %s", reason)
        while self._closers:
            done = self._closers.pop()()
            if done is not None:
                await done

    async def serve(self) -> None:
        """Run until cancelled."""
        await asyncio.get_running_loop().create_future()

    # -- what the parts tell

    async def _serve_client(self, request: dict[str, Any], peer: Peer, stream: IpcStream) -> Any:
        return await clients.serve(self.desk, request, peer, stream)

    def _bounds(self) -> Bounds:
        config = self.config
        known = self.desk.access.authenticator.of_peer
        return Bounds(
            connections=config.client_connections,
            per_user=config.client_connections_per_user,
            trusts=lambda peer: peer.is_full or bool(known(peer).grants),
        )

    def _params(self) -> dict[str, Any]:
        config = self.config
        return {
            "publish_port": self.publish_port,
            "idle_seconds": config.session_idle_seconds,
            "rekey_seconds": config.rekey_seconds,
            "keepalive_seconds": config.keepalive_seconds,
            "heartbeat_seconds": config.heartbeat_seconds,
            "publication_heartbeat_seconds": config.publication_heartbeat_seconds,
            "spread_seconds": len(self.desk.keys.accepted_ids()) / SPREAD_MINIONS_PER_SECOND,
        }

    def _session_started(
        self,
        claim: Claim,
        claimed: Claimed,
        session_keys: SessionKeys,
        group: list[Any] | None,
        routing_id: bytes,
        address: str,
    ) -> None:
        generation = claimed.key.generation if claimed.key else 0
        self._channel.session_started(claim, generation, session_keys, group, routing_id, address)

    def _told(self, claim: Claim, claimed: Claimed, address: str) -> None:
        acts = {KeyState.ACCEPTED: "accept", KeyState.PENDING: "pend", KeyState.REJECTED: "reject"}
        act = acts.get(claimed.state, "denied")
        # a key that found no room in the table gets no line of its own: whoever makes keys could fill the log
        subject = (claim.id, claim.public) if claimed.key is not None else address
        refused = claimed.state is not KeyState.ACCEPTED and self._limiter.allows(subject)
        if refused and self._lines.take(KEY_LINES_A_SECOND, KEY_LINES_AT_ONCE, self.desk.now()):
            log.warning("minion %s at %s has the key %s: %s", claim.id, address, claim.fingerprint, claimed.state.value)
        if claimed.new or claimed.state is KeyState.ACCEPTED or self._limiter.allows(("event", claim.id)):
            self.desk.events.fire("salt/auth", {"id": claim.id, "act": act, "result": act == "accept"})

    def _presence_changed(self, minion: str, connected: bool) -> None:
        log.info("minion %s is %s", minion, "connected" if connected else "not connected any more")
        events = self.desk.events
        if connected:
            events.fire(f"salt/minion/{minion}/start", {"id": minion})
        change = {"new": [minion], "lost": []} if connected else {"new": [], "lost": [minion]}
        events.fire("salt/presence/change", change)

    # -- what is done from time to time

    async def _sweep(self, handshakes: Handshakes) -> None:
        loop = asyncio.get_running_loop()
        slow_at = loop.time() + SLOW_SWEEP_SECONDS
        while True:
            due = loop.time() + SWEEP_SECONDS
            await asyncio.sleep(SWEEP_SECONDS)
            if (late := loop.time() - due) > LATE_TICK_SECONDS and self._limiter.allows("late"):
                log.warning("the master's loop was held up for %.1f s", late)
            self.desk.joblog.sweep()
            handshakes.sweep()
            if loop.time() >= slow_at:
                slow_at = loop.time() + SLOW_SWEEP_SECONDS
                self._channel.sweep()
                self.desk.uploads.expire(loop.time())
                self.desk.transfers.expire(loop.time())

    async def _expire(self) -> None:
        while True:
            try:
                if count := await self.desk.joblog.expire(self.config.keep_jobs_seconds):
                    log.info("%d jobs left the job cache", count)
                self.desk.keys.tokens.note_time()
            except StorageError as error:
                log.error("old jobs cannot be removed: %s", error)
            await asyncio.sleep(EXPIRE_SECONDS)
