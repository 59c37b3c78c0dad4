"""Publications: who may read them, in which order they go out, under which keys.

Owns the XPUB socket, the epoch and the slots. A subscription gets nothing until it has shown the token of a session:
that subscription is then the session's presence. Jobs go out strictly in the order of the job log.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Any

from ..common import publication, wire
from ..common.config import MasterConfig
from ..common.crypto import Random
from ..common.log import Limiter
from ..common.session import HEAD, topic_session
from ..common.sockets import Heartbeat, Publisher
from .jobs import JobRecord
from .keys import KeyTable
from .presence import Presence
from .sessions import Session, SessionTable
from .slots import Slots

log = logging.getLogger(__name__)

REVOCATION_BATCH_SECONDS = 0.1


class Publications:
    """The master's publication side. `open` binds its socket; `head` is the last offset that was published."""

    def __init__(
        self,
        config: MasterConfig,
        fingerprint: str,
        *,
        keys: KeyTable,
        sessions: SessionTable,
        presence: Presence,
        now_ms: Callable[[], int],
        random: Random = os.urandom,
    ) -> None:
        self._config = config
        self._fingerprint = fingerprint
        self._keys = keys
        self._sessions = sessions
        self._presence = presence
        self._random = random
        self._packets = publication.Publisher(publication.Epoch.create(random, fingerprint), now_ms)
        self._socket: Publisher | None = None
        self._slots = Slots()
        self._limiter = Limiter()
        self._rotated = 0.0
        self._rotation: asyncio.Task[None] | None = None
        self.head = 0
        self.published = 0

    def open(self) -> int:
        """Bind the socket; return its port."""
        heartbeat = Heartbeat(self._config.heartbeat_seconds, self._config.heartbeat_timeout_seconds)
        self._socket = Publisher(
            self._config.interface,
            self._config.publish_port,
            self._subscribed,
            self._unsubscribed,
            heartbeat=heartbeat,
        )
        return self._socket.port

    async def close(self) -> None:
        """Close the socket."""
        if self._rotation is not None:
            self._rotation.cancel()
            await asyncio.gather(self._rotation, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()

    @property
    def epoch_id(self) -> bytes:
        """The current epoch's id."""
        return self._packets.epoch.id

    def group(self, minion: str) -> list[Any]:
        """Return what a minion needs to read publications from here on; it gets a slot."""
        return self._packets.group(self._slots.take(minion), self.head)

    def publish(self, record: JobRecord, expires_ms: int) -> None:
        """Publish a job that is on disk. Called in the order of the log."""
        body = record.body(slots=self._slots.bitmap(record.expected), epoch=self.epoch_id, expires_ms=expires_ms)
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
        sid = topic_session(topic)
        session = self._sessions.get(sid) if sid else None
        if session is None or not session.is_agent or not session.crypto.check_topic(topic):
            # a SUB socket must ask for "G" too; it gets it together with its own topic
            if topic != publication.TOPIC and self._limiter.allows("gate"):
                log.warning("a subscription of %d bytes shows no session; it receives nothing", len(topic))
            return
        assert self._socket is not None
        self._socket.attach(publication.TOPIC, topic)
        session.subscriptions += 1
        self._send_head(session, topic)
        self._presence.update(session)

    def _send_head(self, session: Session, topic: bytes) -> None:
        assert self._socket is not None
        state = [self._packets.epoch.id, self._packets.seq, self.head]
        self._socket.send(topic, session.crypto.push(HEAD, state))

    def _unsubscribed(self, topic: bytes) -> None:
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
        self._packets.rotate(publication.Epoch.create(self._random, self._fingerprint))
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
