"""Which minion keys this master knows, and what it thinks of them.

An id belongs to at most one key: the one that is accepted, or that waits for acceptance first. Another key for the same
id is `denied`: noted as a candidate (four at most), never in the way. A rejected key is remembered as such. Ids that
differ only in case are one id. The table is the same class for the running master and for `ctl-key` while no master
runs; it is safe to use from several threads, and what a method returns is on disk.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from ..common import crypto
from ..common.config import ID_PATTERN
from ..common.database import Cursor, Database, quick_check
from ..common.errors import KeyTableError, StorageError
from ..common.log import Limiter
from .admission import Buckets
from .enrol_tokens import MIGRATION as TOKENS
from .enrol_tokens import Count, EnrolTokens

log = logging.getLogger(__name__)

MAX_CANDIDATES = 4
SEEN_AGAIN_SECONDS = 60.0
MINUTE = 60.0

MIGRATIONS = (
    """
    CREATE TABLE keys (
        folded TEXT NOT NULL, public BLOB NOT NULL, id TEXT NOT NULL, state TEXT NOT NULL,
        generation INTEGER NOT NULL, address TEXT NOT NULL, first_seen REAL NOT NULL, last_seen REAL NOT NULL,
        PRIMARY KEY (folded, public)
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX keys_holder ON keys (folded) WHERE state IN ('accepted', 'pending');
    """,
    TOKENS,
)


class KeyState(StrEnum):
    """What the master thinks of a key."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DENIED = "denied"


HOLDERS = frozenset({KeyState.ACCEPTED, KeyState.PENDING})
ALL_STATES = frozenset(KeyState)


@dataclass(frozen=True, slots=True)
class Key:
    """One key and what is known of it. `generation` grows with every change of its state."""

    id: str
    public: bytes
    state: KeyState
    generation: int
    address: str = ""
    first_seen: float = 0.0
    last_seen: float = 0.0

    @property
    def folded(self) -> str:
        """The id as it is compared."""
        return self.id.lower()

    @property
    def fingerprint(self) -> str:
        """The key's fingerprint."""
        return crypto.fingerprint(crypto.MINION, self.public)


@dataclass(frozen=True, slots=True)
class Change:
    """A key that was (or with `dry_run` would be) changed: before, and after (None where it is deleted)."""

    before: Key
    after: Key | None

    def row(self) -> list[str]:
        """Return [id, fingerprint, state before], as programs show it."""
        return [self.before.id, self.before.fingerprint, self.before.state.value]


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a minion that showed a key is told, and whether this is news."""

    state: KeyState
    key: Key | None
    new: bool = False


Keys = list[Key]
Changes = list[Change]
Names = list[str]


class KeyTable:
    """The table of keys in the database at `path`."""

    def __init__(
        self,
        path: Path,
        *,
        max_pending: int = 1000,
        pending_per_source: float = 10,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = Database.open(path, MIGRATIONS)
        self._lock = threading.RLock()
        self._now = now
        self._max_pending = max_pending
        self._sources = Buckets(pending_per_source / MINUTE, max(1, int(pending_per_source)))
        self._keys: dict[str, dict[bytes, Key]] = {}
        self._accepted: dict[str, Key] = {}
        self._ids: tuple[str, ...] | None = None
        self._limiter = Limiter()
        self.version = 0  # changes with every change of the set of accepted ids
        self.note_after = 0.0  # that a key was seen after this time is noted, however short ago it was noted before
        self._load(path)

    def _load(self, path: Path) -> None:
        try:
            if problems := quick_check(self._database):
                raise StorageError(
                    f"the key database {path} is damaged: {problems[0]}", hint="restore it from a backup"
                )
            rows = self._database.read("SELECT id, public, state, generation, address, first_seen, last_seen FROM keys")
            for minion, public, state, *rest in rows:
                self._set(Key(minion, public, KeyState(state), *rest))
        except ValueError as error:
            self._database.close()
            raise StorageError(
                f"the key database {path} is damaged: {error}", hint="restore it from a backup"
            ) from error
        except StorageError:
            self._database.close()
            raise
        self.tokens = EnrolTokens(self._database, self._now)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    # -- what is known

    def accepted(self, minion: str) -> Key | None:
        """Return the accepted key of an id."""
        return self._accepted.get(minion)

    def known(self, minion: str, public: bytes) -> Key | None:
        """Return what is known of a key that claims an id."""
        with self._lock:
            return self._keys.get(minion.lower(), {}).get(public)

    def accepted_ids(self) -> tuple[str, ...]:
        """Return every accepted id, sorted; the same object until one changes."""
        with self._lock:
            if self._ids is None:
                self._ids = tuple(sorted(self._accepted))
            return self._ids

    def all(self) -> Keys:
        """Return every key, sorted by id."""
        with self._lock:
            return sorted(
                (key for keys in self._keys.values() for key in keys.values()), key=lambda key: (key.id, key.public)
            )

    def behind(self) -> Names:
        """Return the accepted ids that were not heard of since `note_after`."""
        return [key.id for key in self.all() if key.state is KeyState.ACCEPTED and key.last_seen < self.note_after]

    def list(self) -> dict[str, dict[str, object]]:
        """Return what `ctl-key -L` shows: {id: fingerprint} for the accepted ones, and for each other state
        {id: [[fingerprint, address, first seen, last seen], ...]}."""
        accepted: dict[str, object] = {}
        others: dict[str, dict[str, list[object]]] = {"pending": {}, "rejected": {}, "denied": {}}
        for key in self.all():
            if key.state is KeyState.ACCEPTED:
                accepted[key.id] = key.fingerprint
            else:
                row = [key.fingerprint, key.address, key.first_seen, key.last_seen]
                others[key.state.value].setdefault(key.id, []).append(row)
        return {"accepted": accepted, **{state: dict(found) for state, found in others.items()}}

    def find(self, match: str = "", fingerprint: str = "") -> Keys:
        """Return the keys whose id matches a glob, or that have a fingerprint."""
        if fingerprint:
            wanted = crypto.fingerprint_bytes(fingerprint)
            return [key for key in self.all() if crypto.fingerprint_digest(crypto.MINION, key.public) == wanted]
        return [key for key in self.all() if fnmatchcase(key.folded, match.lower())]

    # -- minions

    def claim(self, minion: str, public: bytes, address: str, *, trusted: bool = False) -> Claimed:
        """A minion proved to hold a key and claims an id: note it, and say what it is to be told.

        A `trusted` address may bring any number of keys. Does not wait for the disk: nothing here but a key's being
        known depends on it.
        """
        if not ID_PATTERN.fullmatch(minion):
            raise KeyTableError(f"{minion[:140]!r} is no minion id")
        with self._lock:
            keys = self._keys.get(minion.lower(), {})
            known = keys.get(public)
            if known is not None and known.id != minion:
                return Claimed(KeyState.DENIED, None)
            holder = _holder(keys)
            if known is not None and (known.state is not KeyState.DENIED or holder is not None):
                return Claimed(known.state, self._see_again(known, address))
            if known is None and not trusted and not self._sources.take(address, time.monotonic()):
                return Claimed(KeyState.PENDING if holder is None else KeyState.DENIED, None)
            return self._claim_new(minion, public, address, holder)

    def _claim_new(self, minion: str, public: bytes, address: str, holder: Key | None) -> Claimed:
        state = KeyState.PENDING if holder is None else KeyState.DENIED
        now = self._now()
        key = Key(minion, public, state, self._next_generation(minion), address, now, now)
        evicted = self._room_for(key)
        if evicted is None:
            return Claimed(state, None)
        self._put([key], evicted)
        return Claimed(state, key, new=True)

    def _room_for(self, key: Key) -> Keys | None:
        """Choose which keys have to go for a new one; None where it may not come in."""
        if key.state is KeyState.DENIED:
            denied = [k for k in self._keys[key.folded].values() if k.state is KeyState.DENIED]
            return [min(denied, key=_staleness)] if len(denied) >= MAX_CANDIDATES else []
        pending = [k for keys in self._keys.values() for k in keys.values() if k.state is KeyState.PENDING]
        if len(pending) < self._max_pending:
            return []
        if self._limiter.allows("pending"):
            log.warning("%d keys wait for acceptance: the stalest give way to new ones (max_pending)", len(pending))
        return [min(pending, key=_staleness)] if pending else None

    def _see_again(self, key: Key, address: str) -> Key:
        now = self._now()
        if key.address == address and now - key.last_seen < SEEN_AGAIN_SECONDS and key.last_seen >= self.note_after:
            return key
        seen = replace(key, address=address, last_seen=now)
        self._put([seen], [])
        return seen

    def settle(self, key: Key, state: KeyState, token: bytes | None = None) -> tuple[Future[None], Callable[[], None]]:
        """Accept or reject a key that waits, by a rule; the future is done once that is on disk.

        With a `token`, whose use is counted in the same transaction, a key that another one is in line before is
        accepted in its place. Raises `KeyTableError` where the key does not wait any more, or the token is not good.
        What comes with the future is to be called where it fails, not in its callback.
        """
        with self._lock:
            current, holder = self.known(key.id, key.public), _holder(self._keys.get(key.folded, {}))
            rival = holder if holder is not None and holder.public != key.public else None
            waits = current is not None and current.state in (KeyState.PENDING, KeyState.DENIED)
            if (
                current is None
                or not waits
                or (rival is not None and (token is None or rival.state is KeyState.ACCEPTED))
            ):
                raise KeyTableError(f"the key of {key.id} does not wait for acceptance")
            count = self.tokens.take(token, key.id) if token is not None else None
            changes = [self._to(current, state)]
            if rival is not None:
                changes.insert(0, self._to(rival, KeyState.DENIED))
            future = self._put([change.after for change in changes if change.after is not None], [], count)
            return future, lambda: self._unsettle(changes, token)

    def _unsettle(self, changes: Changes, token: bytes | None) -> None:
        with self._lock:
            for change in changes:
                self._set(change.before)
            if token is not None:
                self.tokens.give_back(token)

    def replace(self, minion: str, old: bytes, new: bytes) -> Changes:
        """Put a new key in the place of an accepted one, which is rejected from then on (the minion changed it)."""
        with self._lock:
            holder, keys = self._accepted.get(minion), self._keys.get(minion.lower(), {})
            if holder is None or holder.public != old or new in keys:
                raise KeyTableError(f"the accepted key of {minion} is another one")
            now = self._now()
            made = Key(minion, new, KeyState.PENDING, 0, holder.address, now, now)
            rejected = sorted((key for key in keys.values() if key.state is KeyState.REJECTED), key=_staleness)
            forgotten = [Change(key, None) for key in rejected[: len(rejected) + 1 - MAX_CANDIDATES]]
            changes = [self._to(holder, KeyState.REJECTED), self._to(made, KeyState.ACCEPTED)]
            return self._carry_out([*forgotten, *changes], dry_run=False)

    # -- administrators

    def accept(
        self, match: str = "", *, fingerprint: str = "", include: Iterable[str] = (), dry_run: bool = False
    ) -> Changes:
        """Accept pending keys by glob (with `include`, also rejected or denied ones), or one key by fingerprint.

        An id with several candidates is refused until a fingerprint says which. A fingerprint that takes the place of
        an accepted key denies that one.
        """
        states = frozenset({KeyState.PENDING}) | _states(include)
        with self._lock:
            chosen = self._chosen(match, fingerprint, states)
            if not fingerprint:
                self._check_candidates(chosen)
            changes = [self._to(key, KeyState.ACCEPTED) for key in chosen if key.state is not KeyState.ACCEPTED]
            for key in chosen:
                holder = _holder(self._keys[key.folded])
                if holder is not None and holder.public != key.public:
                    changes.insert(0, self._to(holder, KeyState.DENIED))
            return self._carry_out(changes, dry_run)

    def reject(
        self, match: str = "", *, fingerprint: str = "", include: Iterable[str] = (), dry_run: bool = False
    ) -> Changes:
        """Reject pending keys by glob (with `include`, also accepted or denied ones), or any key by fingerprint."""
        states = frozenset({KeyState.PENDING}) | _states(include)
        with self._lock:
            chosen = [key for key in self._chosen(match, fingerprint, states) if key.state is not KeyState.REJECTED]
            return self._carry_out([self._to(key, KeyState.REJECTED) for key in chosen], dry_run)

    def delete(
        self, match: str = "", *, fingerprint: str = "", include: Iterable[str] = (), dry_run: bool = False
    ) -> Changes:
        """Forget keys by glob, in any state or only in those of `include`, or one key by fingerprint."""
        states = _states(include) or ALL_STATES
        with self._lock:
            chosen = self._chosen(match, fingerprint, states)
            return self._carry_out([Change(key, None) for key in chosen], dry_run)

    def preseed(self, minion: str, public: bytes) -> Change:
        """Accept a key before its minion ever came. An id that has another accepted key is refused."""
        if not ID_PATTERN.fullmatch(minion):
            raise KeyTableError(f"{minion[:140]!r} is no minion id: letters, digits, '.', '_' and '-', at most 128")
        if len(public) != crypto.KEY_BYTES:
            raise KeyTableError(f"a public key has {crypto.KEY_BYTES} bytes, not {len(public)}")
        with self._lock:
            keys = self._keys.get(minion.lower(), {})
            holder = _holder(keys)
            if holder is not None and holder.public != public and holder.state is KeyState.ACCEPTED:
                raise KeyTableError(f"the id {minion} has an accepted key already", hint=f"ctl-key -d {minion}")
            now = self._now()
            before = keys.get(public) or Key(minion, public, KeyState.PENDING, 0, "", now, now)
            if before.id != minion:
                raise KeyTableError(f"this key is known as {before.id}; ids that differ only in case are one id")
            changes = [self._to(before, KeyState.ACCEPTED)]
            if holder is not None and holder.public != public:
                changes.insert(0, self._to(holder, KeyState.DENIED))
            return self._carry_out(changes, dry_run=False)[-1]

    def _chosen(self, match: str, fingerprint: str, states: frozenset[KeyState]) -> Keys:
        if fingerprint:
            try:
                found = self.find(fingerprint=fingerprint)
            except ValueError as error:
                raise KeyTableError(str(error)) from None
            if not found:
                raise KeyTableError(f"no key has the fingerprint {fingerprint}", hint="ctl-key -F lists them")
            return found
        return [key for key in self.find(match) if key.state in states]

    def _check_candidates(self, chosen: Sequence[Key]) -> None:
        for key in chosen:
            rivals = [k for k in self._keys[key.folded].values() if k.state is not KeyState.REJECTED or k in chosen]
            if len(rivals) > 1:
                raise KeyTableError(
                    f"{len(rivals)} keys claim the id {key.id}",
                    hint="say which with --fingerprint; ctl-key -F lists them",
                )

    def _to(self, key: Key, state: KeyState) -> Change:
        return Change(key, replace(key, state=state, generation=self._next_generation(key.id)))

    def _next_generation(self, minion: str) -> int:
        keys = self._keys.get(minion.lower(), {})
        return max((key.generation for key in keys.values()), default=0) + 1

    def _carry_out(self, changes: Changes, dry_run: bool) -> Changes:
        if dry_run or not changes:
            return changes
        # what gives up an id goes first, so that two keys never hold it
        changes = sorted(changes, key=lambda change: change.after is not None and change.after.state in HOLDERS)
        after = [change.after for change in changes if change.after]
        future = self._put(after, [change.before for change in changes if change.after is None])
        try:
            future.result()
        except StorageError:
            for key in after:
                self._unset(key)
            for change in changes:
                if change.before.generation:
                    self._set(change.before)
            raise
        return changes

    # -- memory and disk

    def _put(self, keys: Sequence[Key], gone: Sequence[Key], count: Count | None = None) -> Future[None]:
        for key in gone:
            self._unset(key)
        for key in keys:
            self._set(key)

        def work(cursor: Cursor) -> None:
            if count is not None:
                count(cursor)
            for key in gone:
                cursor.execute("DELETE FROM keys WHERE folded=? AND public=?", (key.folded, key.public))
            for key in keys:
                cursor.execute(
                    "INSERT INTO keys (folded, public, id, state, generation, address, first_seen, last_seen) "
                    "VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (folded, public) DO UPDATE SET state=excluded.state, "
                    "generation=excluded.generation, address=excluded.address, last_seen=excluded.last_seen",
                    (key.folded, key.public, key.id, key.state.value, key.generation, key.address, key.first_seen,
                     key.last_seen),
                )  # fmt: skip

        return self._database.write(work)

    def _set(self, key: Key) -> None:
        self._keys.setdefault(key.folded, {})[key.public] = key
        current = self._accepted.get(key.id)
        if key.state is KeyState.ACCEPTED:
            if current is None:
                self._changed()
            self._accepted[key.id] = key
        elif current is not None and current.public == key.public:
            del self._accepted[key.id]
            self._changed()

    def _unset(self, key: Key) -> None:
        keys = self._keys.get(key.folded, {})
        keys.pop(key.public, None)
        if not keys:
            self._keys.pop(key.folded, None)
        current = self._accepted.get(key.id)
        if current is not None and current.public == key.public:
            del self._accepted[key.id]
            self._changed()

    def _changed(self) -> None:
        self._ids = None
        self.version += 1


def _holder(keys: dict[bytes, Key]) -> Key | None:
    return next((key for key in keys.values() if key.state in HOLDERS), None)


def _staleness(key: Key) -> tuple[bool, float]:
    """Order keys by how little is lost with them: never seen again first, then the oldest."""
    return key.last_seen > key.first_seen, key.last_seen


def _states(names: Iterable[str]) -> frozenset[KeyState]:
    try:
        return frozenset(KeyState(name) for name in names)
    except ValueError as error:
        raise KeyTableError(f"{error} (known: {', '.join(KeyState)})") from None
