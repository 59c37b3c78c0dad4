"""What follows from a change of keys: sessions end, publications get new keys, caches are cleared, waiters are nudged.

In this order, so that after a rejection or deletion is confirmed nothing new can be read with the old key: the change
is on disk, the sessions are gone, the epoch is new.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from .events import EventBus
from .grains_cache import GrainsCache, PackedCache
from .joblog import JobLog
from .keys import Change, Key, KeyState, KeyTable
from .presence import Presence
from .publish import Publications
from .sessions import SessionTable

log = logging.getLogger(__name__)

# Salt's words for what was done to a key, in events.
ACTS = {KeyState.ACCEPTED: "accept", KeyState.REJECTED: "reject", KeyState.DENIED: "denied", KeyState.PENDING: "pend"}


class KeyDesk:
    """Carries out what administrators decide about keys."""

    def __init__(
        self,
        keys: KeyTable,
        sessions: SessionTable,
        presence: Presence,
        publications: Publications,
        joblog: JobLog,
        grains: GrainsCache,
        pillar: PackedCache,
        events: EventBus,
        nudge: Callable[[str, bytes], None],
    ) -> None:
        self._keys = keys
        self._sessions = sessions
        self._presence = presence
        self._publications = publications
        self._joblog = joblog
        self._grains = grains
        self._pillar = pillar
        self._events = events
        self._nudge = nudge
        self._under_way: set[asyncio.Task[list[Change]]] = set()

    async def change(self, work: Callable[[], Sequence[Change]], dry_run: bool = False) -> list[Change]:
        """Do `work` on the key table, off the loop, and what follows from it; also where the caller goes away."""
        task = asyncio.get_running_loop().create_task(self._change(work, dry_run), name="change keys")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _change(self, work: Callable[[], Sequence[Change]], dry_run: bool) -> list[Change]:
        changes = list(await asyncio.to_thread(work))
        if not dry_run:
            await self._follow_up(changes)
        return changes

    async def _follow_up(self, changes: Sequence[Change]) -> None:
        revoked = [change.before for change in changes if change.before.state is KeyState.ACCEPTED]
        for key in revoked:
            self._revoke(key)
        if revoked:
            await self._publications.rotate_after_revocation()
        for change in changes:
            self._tell(change)

    def _revoke(self, key: Key) -> None:
        for session in self._sessions.of(key.id):
            if session.public == key.public:
                self._presence.lost(session)
                self._sessions.remove(session)
        self._grains.drop(key.id)
        self._pillar.drop(key.id)
        self._joblog.forget_minion(key.id, "The minion's key was taken away")

    def _tell(self, change: Change) -> None:
        after = change.after
        act = ACTS[after.state] if after else "delete"
        log.info("key %s of %s: %s (was %s)", change.before.fingerprint, change.before.id, act, change.before.state)
        self._events.fire("salt/key", {"id": change.before.id, "act": act, "result": True})
        if after is not None and after.state is KeyState.ACCEPTED:
            self._nudge(after.id, after.public)
