"""Publications: who may read them, in which order they go out, under which keys.

Owns the XPUB socket, the epoch and the slots. A subscription gets nothing until it has shown the token of a session:
that subscription is then the session's presence. Jobs go out strictly in the order of the job log: one for many minions
to all at once under the group's key, one for few to each of them under its session's, where nobody else sees it and the
rest of the fleet has no work with it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from typing import Any

from ..common import publication, wire
from ..common.config import MasterConfig
from ..common.crypto import Random
from ..common.errors import RequestRefused, WireError
from ..common.log import Limiter
from ..common.session import HEAD, JOB, topic_session
from ..common.sockets import Publisher
from .binding import bind_again
from .guard import FRAME_BYTES, PUBLISH
from .guard_loop import GuardLoop
from .identity import Identity
from .jobs import JobRecord
from .keys import KeyTable
from .presence import Presence
from .sessions import Session, SessionTable
from .slots import Slots

log = logging.getLogger(__name__)

REVOCATION_BATCH_SECONDS = 0.1


class Publications:
    """The master's publication side. `open` binds its socket; `head` is the last offset that was published to all."""

    def __init__(
        self,
        config: MasterConfig,
        identity: Identity,
        *,
        keys: KeyTable,
        sessions: SessionTable,
        presence: Presence,
        now_ms: Callable[[], int],
        guard: GuardLoop,
        random: Random = os.urandom,
    ) -> None:
        self._config = config
        self._guard = guard
        self._identity = identity
        self._keys = keys
        self._sessions = sessions
        self._presence = presence
        self._random = random
        self._now_ms = now_ms
        self._packets = publication.Publisher(publication.Epoch.create(random, identity.fingerprint), now_ms)
        self._socket: Publisher | None = None
        self._slots = Slots()
        self._limiter = Limiter()
        self._rotated = 0.0
        self._rotation: asyncio.Task[None] | None = None
        self.head = 0
        self.published = 0

    @property
    def drained(self) -> int:
        """How often every subscription that was here had been handed out."""
        return self._socket.drained if self._socket is not None else 0

    def open(self, port: int | None = None) -> int:
        """Bind the socket, to the configured port where none is given; return its port."""
        self._socket = Publisher(
            self._config.interface,
            self._config.publish_port if port is None else port,
            self._subscribed,
            self._unsubscribed,
            watcher=self._guard.port(PUBLISH),
            silence=self._config.heartbeat_timeout_seconds,
        )
        return self._socket.port

    async def reopen(self) -> None:
        """Throw the socket away with all that is in it, and bind another to the same port; sessions go on."""
        assert self._socket is not None
        socket, self._socket = self._socket, None
        socket.close()
        for session in list(self._sessions.by_sid.values()):
            session.subscriptions = 0
            self._presence.lost(session)
        await bind_again(lambda: self.open(socket.port))

    async def close(self) -> None:
        """Close the socket."""
        if self._rotation is not None:
            self._rotation.cancel()
            await asyncio.gather(self._rotation, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
            self._socket = None  # what is committed from here on is caught up with after the next start

    @property
    def epoch_id(self) -> bytes:
        """The current epoch's id."""
        return self._packets.epoch.id

    def invite(self, minion: str, instance: str) -> list[Any]:
        """Return what a new session of a minion needs to read publications from here on.

        The slot is the minion's own only where this is the same process as before; else it is once the session is used.
        """
        newest = self._sessions.agent(minion)
        if newest is None and minion not in self._slots:
            slot = self._slots.take(minion)
        elif newest is not None and newest.slot >= 0 and newest.instance == instance != "":
            slot = newest.slot if newest.epoch == self.epoch_id else self._slots.take(minion)
        else:
            slot = self._slots.offer(minion, {session.slot for session in self._sessions.of(minion)})
        return self._packets.group(slot, self.head)

    def began(self, session: Session) -> None:
        """A session was used for the first time: from here on, its slot is the minion's."""
        if session.is_agent and session.epoch == self.epoch_id and not session.superseded:
            self._slots.use(session.id, session.slot)

    def group(self, session: Session) -> list[Any]:
        """Return what a session needs to read publications of the present epoch; one that was replaced gets nothing."""
        if session.superseded:
            raise RequestRefused("superseded", "another session of this minion reads the publications")
        session.epoch, session.slot = self.epoch_id, self._slots.take(session.id)
        return self._packets.group(session.slot, self.head)

    def publish(self, record: JobRecord) -> None:
        """Send a job that is on disk on its way. Called in the order of the log."""
        if self.is_direct(record):
            self.send_to(record, record.expected.ids)
        else:
            self._publish(record, record.expires_ms)

    def is_direct(self, record: JobRecord) -> bool:
        """Say whether a job goes to each of its minions alone."""
        return len(record.expected.ids) <= self._config.direct_minions

    def send_to(self, record: JobRecord, minions: Iterable[str]) -> None:
        """Push a job to those of these minions that are connected, each under its own session's key."""
        body = wire.pack(record.body(slots=b"", epoch=b"", expires_ms=record.expires_ms))
        for minion in minions:
            session = self._presence.session(minion)
            if session is None or self._socket is None:
                continue
            try:
                self._socket.send(session.topic, session.crypto.push(JOB, [self._now_ms(), body]))
            except WireError as error:
                log.error("job %s cannot be sent to %s: %s", record.jid, minion, error)

    def _publish(self, record: JobRecord, expires_ms: int) -> None:
        make = record.announcement if record.private else record.body
        body = make(slots=self._slots.bitmap(record.expected), epoch=self.epoch_id, expires_ms=expires_ms)
        self.head = record.log_off
        self.published += 1
        self._send(self._packets.publish(record.log_off, wire.pack(body)))

    def heartbeat(self) -> None:
        """Publish the head of the log."""
        self._send(self._packets.heartbeat(self.head))

    def _send(self, packet: bytes) -> None:
        if self._socket is not None:
            self._socket.send(publication.TOPIC, packet)

    # -- the gate

    def _subscribed(self, topic: bytes) -> None:
        assert self._socket is not None
        connection = self._guard.subscribes(self._socket.descriptor, len(topic) + 1 + FRAME_BYTES)
        sid = topic_session(topic)
        session = self._sessions.get(sid) if sid else None
        if session is None or not session.is_agent or not session.crypto.check_topic(topic):
            # a SUB socket must ask for "G" too; it gets it together with its own topic
            if topic != publication.TOPIC and self._limiter.allows("gate"):
                log.warning("a subscription of %d bytes shows no session; it receives nothing", len(topic))
            self._guard.stray(connection)
            return
        self._guard.shown(connection, session.id)
        self._socket.attach(publication.TOPIC, topic)
        session.topic = topic
        session.subscriptions += 1
        self._send_head(session, topic)
        self._presence.update(session)

    def _send_head(self, session: Session, topic: bytes) -> None:
        assert self._socket is not None
        state = [self._packets.epoch.id, self._packets.seq, self.head]
        self._socket.send(topic, session.crypto.push(HEAD, state))

    def _unsubscribed(self, topic: bytes) -> None:
        if self._socket is not None:
            self._guard.subscribes(self._socket.descriptor, len(topic) + 1 + FRAME_BYTES)
        sid = topic_session(topic)
        session = self._sessions.get(sid) if sid else None
        if session is None or not session.crypto.check_topic(topic):
            return
        session.subscriptions = max(0, session.subscriptions - 1)
        if not session.subscribed:  # a connection that was replaced may end long after the one that replaced it began
            self._presence.lost(session)

    # -- epochs

    def rotate(self) -> None:
        """Begin a new epoch now: what is published from here on, holders of the old keys cannot read."""
        self._packets.rotate(publication.Epoch.create(self._random, self._identity.fingerprint))
        self._slots.renew(frozenset(self._keys.accepted_ids()))
        self._rotated = asyncio.get_running_loop().time()
        log.info("a new epoch began: %s", self.epoch_id.hex())
        self.heartbeat()

    async def rotate_after_revocation(self) -> None:
        """Begin a new epoch; revocations that follow within a tenth of a second share the next one."""
        if self._rotation is None or self._rotation.done():
            self._rotation = asyncio.get_running_loop().create_task(self._rotate_soon(), name="rotate")
        await asyncio.shield(self._rotation)

    async def _rotate_soon(self) -> None:
        wait = self._rotated + REVOCATION_BATCH_SECONDS - asyncio.get_running_loop().time()
        if wait > 0:
            await asyncio.sleep(wait)
        self.rotate()

    async def run(self) -> None:
        """Send heartbeats and rotate old epochs, until cancelled."""
        loop = asyncio.get_running_loop()
        self._rotated = loop.time()
        while True:
            await asyncio.sleep(self._config.publication_heartbeat_seconds)
            if loop.time() - self._rotated >= self._config.epoch_seconds:
                self.rotate()
            else:
                self.heartbeat()
