"""What follows from a change of keys: sessions end, publications get new keys, caches are cleared, waiters are nudged.

In this order, so that after a rejection or deletion is confirmed nothing new can be read with the old key: the change
is on disk, the sessions are gone, the epoch is new.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from ..common import crash, crypto
from ..common.errors import RequestRefused
from ..common.succession import check_change
from .admission import Buckets
from .events import EventBus
from .grains_cache import GrainsCache, PackedCache
from .identity import Identity
from .joblog import JobLog
from .keys import Change, Key, KeyState, KeyTable
from .presence import Presence
from .publish import Publications
from .sessions import Session, SessionTable
from .transfers import Pushed

log = logging.getLogger(__name__)

T = TypeVar("T")
KEY_CHANGES_A_SECOND = 1 / 60
KEY_CHANGES_AT_ONCE = 3

# Salt's words for what was done to a key, in events.
ACTS = {KeyState.ACCEPTED: "accept", KeyState.REJECTED: "reject", KeyState.DENIED: "denied", KeyState.PENDING: "pend"}


class KeyDesk:
    """Carries out what administrators decide about keys."""

    def __init__(
        self,
        keys: KeyTable,
        identity: Identity,
        sessions: SessionTable,
        presence: Presence,
        publications: Publications,
        joblog: JobLog,
        grains: GrainsCache,
        pillar: PackedCache,
        pushed: Pushed,
        events: EventBus,
        nudge: Callable[[str, bytes], None],
        renew_sessions: Callable[[], Coroutine[Any, Any, None]],
        now_ms: Callable[[], int],
        cut: Callable[[str], None],
    ) -> None:
        self._cut = cut
        self._keys = keys
        self._identity = identity
        self._pushed = pushed
        self._renew_sessions = renew_sessions
        self._now_ms = now_ms
        self._changes = Buckets(KEY_CHANGES_A_SECOND, KEY_CHANGES_AT_ONCE)
        self._one_at_a_time = asyncio.Lock()
        self._sessions = sessions
        self._presence = presence
        self._publications = publications
        self._joblog = joblog
        self._grains = grains
        self._pillar = pillar
        self._events = events
        self._nudge = nudge
        self._under_way: set[asyncio.Task[Any]] = set()

    async def change(self, work: Callable[[], Sequence[Change]], dry_run: bool = False) -> list[Change]:
        """Do `work` on the key table, off the loop, and what follows from it; also where the caller goes away."""
        return await self._see_through(self._change(work, dry_run))

    async def _see_through(self, work: Coroutine[Any, Any, T]) -> T:
        """Do work to its end, also where the caller goes away."""
        task = asyncio.get_running_loop().create_task(work, name="change keys")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _change(self, work: Callable[[], Sequence[Change]], dry_run: bool) -> list[Change]:
        changes = list(await asyncio.to_thread(work))
        crash.at("master.key.committed")
        if not dry_run:
            await self._follow_up(changes)
        crash.at("master.key.followed")
        return changes

    async def _follow_up(self, changes: Sequence[Change]) -> None:
        revoked = [change.before for change in changes if change.before.state is KeyState.ACCEPTED]
        for key in revoked:
            self._revoke(key)
        if revoked:
            await self._publications.rotate_after_revocation()
        for change in changes:
            if change.after is None and self._keys.accepted(change.before.id) is None:
                await asyncio.to_thread(self._pushed.forget, change.before.id)
        for change in changes:
            self._tell(change)

    def _revoke(self, key: Key) -> None:
        self.end_sessions(key.id, key.public)
        if not self._sessions.of(key.id):
            self._cut(key.id)
        self._grains.drop(key.id)
        self._pillar.drop(key.id)
        self._joblog.forget_minion(key.id, "The minion's key was taken away")

    # -- the master's own key

    async def rotate_master(self) -> str:
        """Put a new master's key in force, and have the minions come for it; return its fingerprint."""
        return await self._see_through(self._rotate_master())

    async def _rotate_master(self) -> str:
        async with self._one_at_a_time:
            await asyncio.to_thread(self._identity.rotate, self._now_ms())
        self._keys.note_after = self._identity.changed_ms / 1000
        self._publications.rotate()
        self._events.fire("salt/key", {"act": "rotate_master", "fingerprint": self._identity.fingerprint})
        await self._renew_sessions()
        return self._identity.fingerprint

    async def finish_rotation(self) -> bool:
        """Forget the master's keys before the one in force; False where there are none."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._identity.finish)

    # -- a minion's new key

    async def rotate_key(self, session: Session, public: bytes, by_old: bytes, by_new: bytes) -> None:
        """Take a minion's new key: the old one is rejected, its other sessions are gone, the epoch is new.

        This session is to be ended with `end_sessions` once it has its answer. Raises `RequestRefused`. Where the new
        key's own session asks again, it has been done.
        """
        if session.public == public:
            return
        if not check_change(session.id, session.public, public, by_old, by_new):
            raise RequestRefused("not_allowed", "the change of the key is not signed by both keys")
        if not self._changes.take(session.id, asyncio.get_running_loop().time()):
            raise RequestRefused("quota", "this minion changes its key too often")
        await self._see_through(self._replace(session, public))

    async def _replace(self, session: Session, new: bytes) -> None:
        minion = session.id
        await asyncio.to_thread(self._keys.replace, minion, session.public, new)
        self.end_sessions(minion, session.public, but=session)
        log.info("minion %s has a new key: %s", minion, crypto.fingerprint(crypto.MINION, new))
        self._events.fire("salt/key", {"id": minion, "act": "rotate", "result": True})
        await self._publications.rotate_after_revocation()

    def end_sessions(self, minion: str, public: bytes, but: Session | None = None) -> None:
        """End the sessions of a key."""
        for session in self._sessions.of(minion):
            if session.public == public and session is not but:
                self._presence.lost(session)
                self._sessions.remove(session)

    def _tell(self, change: Change) -> None:
        after = change.after
        act = ACTS[after.state] if after else "delete"
        log.info("key %s of %s: %s (was %s)", change.before.fingerprint, change.before.id, act, change.before.state)
        self._events.fire("salt/key", {"id": change.before.id, "act": act, "result": True})
        if after is not None and after.state is KeyState.ACCEPTED:
            self._nudge(after.id, after.public)
