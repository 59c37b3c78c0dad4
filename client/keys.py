"""The master's keys as `ctl-key` reaches them: through the running master, or in its files while none runs.

A master that is starting holds its instance lock before it answers; it is waited for. Without a master that lock is
taken here, so that no two write to the files.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ..common.errors import MasterUnavailable, StorageError
from ..common.writers import make_own_directory
from .connection import Pool
from .settings import Settings

if TYPE_CHECKING:
    from ..master.identity import Identity
    from ..master.keys import KeyTable

START_SECONDS = 10.0
POLL_SECONDS = 0.1
STATES = ("accepted", "denied", "pending", "rejected")


class Row(NamedTuple):
    """A key that was changed, or would be: its minion, its fingerprint, the state it had."""

    id: str
    fingerprint: str
    state: str


class KeyList(NamedTuple):
    """The fingerprints of each state's keys by minion id; an id may have several that are denied."""

    accepted: Mapping[str, list[str]]
    denied: Mapping[str, list[str]]
    pending: Mapping[str, list[str]]
    rejected: Mapping[str, list[str]]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> KeyList:
        """Build from what the table of keys lists."""
        return cls(*({str(minion): _fingerprints(found) for minion, found in data[state].items()} for state in STATES))

    def ids(self) -> set[str]:
        """Return every id that has a key."""
        return {minion for keys in self for minion in keys}


def _fingerprints(found: Any) -> list[str]:
    return [found] if isinstance(found, str) else [str(row[0]) for row in found]


class TokenLine(NamedTuple):
    """An enrolment token as lists show it; times in seconds since 1970."""

    name: str
    match: str
    uses: int
    used: int
    created: float
    expires: float
    creator: str


class NewToken(NamedTuple):
    """An enrolment token that was made: its text, which is shown once, and its name in lists."""

    text: str
    name: str
    expires: float


class Candidate(NamedTuple):
    """A key that is not accepted: where it came from, and when it was seen first and last."""

    state: str
    id: str
    fingerprint: str
    address: str
    first_seen: float
    last_seen: float


class Keys(Protocol):
    """What can be done with keys, wherever they are."""

    def listed(self) -> KeyList:
        """Return the keys of every state."""
        ...

    def change(
        self, what: str, match: str = "", fingerprint: str = "", include: Sequence[str] = (), dry_run: bool = False
    ) -> list[Row]:
        """`accept`, `reject` or `delete` keys by a glob over ids, or the one with a fingerprint; return which."""
        ...

    def pems(self, match: str) -> dict[str, str]:
        """Return the public keys of ids that match a glob, as PEM."""
        ...

    def preseed(self, minion: str, public: bytes) -> None:
        """Accept a key before its minion ever came."""
        ...

    def candidates(self) -> list[Candidate]:
        """Return every key that is not accepted."""
        ...

    def master_fingerprint(self) -> str:
        """Return the fingerprint of the master's own key; empty where it has none yet."""
        ...

    def create_token(self, match: str, uses: int, seconds: float) -> NewToken:
        """Make an enrolment token for ids that match a glob."""
        ...

    def tokens(self) -> list[TokenLine]:
        """List the enrolment tokens."""
        ...

    def revoke_token(self, name: str) -> list[str]:
        """Remove the enrolment tokens whose name begins so; return which."""
        ...

    def rotate_master(self) -> str:
        """Put a new master's key in force; return its fingerprint."""
        ...

    def finish_rotation(self, force: bool) -> tuple[bool, list[str]]:
        """Forget the master's former keys; return whether it was done, and the minions that it leaves behind."""
        ...

    def close(self) -> None:
        """Let go of what was opened."""
        ...


def open_keys(settings: Settings, wait_seconds: float = START_SECONDS, auth: Mapping[str, Any] | None = None) -> Keys:
    """Reach the keys, through the master if one runs or is about to; raises `MasterUnavailable`.

    With credentials it is only through the master, who knows what they are worth.
    """
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return OnlineKeys(settings, auth)
        except MasterUnavailable as error:
            if auth is not None:
                raise
            keys = OfflineKeys.open(settings, error)
            if keys is not None:
                return keys
            if time.monotonic() >= deadline:
                raise MasterUnavailable(
                    f"a master holds {settings.data_dir / 'master'} and does not answer on {settings.socket}",
                    hint="its log says why",
                ) from None
        time.sleep(POLL_SECONDS)


class OnlineKeys:
    """Keys through the running master."""

    def __init__(self, settings: Settings, auth: Mapping[str, Any] | None = None) -> None:
        self._pool = Pool(settings.socket, auth)
        client, _ = self._pool.take()
        self._pool.give(client)

    def close(self) -> None:
        """Close the connection."""
        self._pool.close()

    def listed(self) -> KeyList:
        """Return the keys of every state."""
        return KeyList.of(self._pool.call("key.list"))

    def change(
        self, what: str, match: str = "", fingerprint: str = "", include: Sequence[str] = (), dry_run: bool = False
    ) -> list[Row]:
        """Accept, reject or delete keys; return which."""
        which = {"fingerprint": fingerprint} if fingerprint else {"match": match}
        found = self._pool.call(f"key.{what}", **which, include=list(include), dry_run=dry_run)
        return [Row(*row) for row in found["ids"]]

    def pems(self, match: str) -> dict[str, str]:
        """Return public keys as PEM."""
        return dict(self._pool.call("key.print", match=match))

    def preseed(self, minion: str, public: bytes) -> None:
        """Accept a key before its minion ever came."""
        self._pool.call("key.preseed", id=minion, public=public)

    def candidates(self) -> list[Candidate]:
        """Return every key that is not accepted."""
        return _candidates(self._pool.call("key.list"))

    def master_fingerprint(self) -> str:
        """Return the fingerprint of the master's key."""
        return str(self._pool.call("ping")["fingerprint"])

    def create_token(self, match: str, uses: int, seconds: float) -> NewToken:
        """Make an enrolment token."""
        found = self._pool.call("key.token.create", match=match, uses=uses, seconds=seconds)
        return NewToken(found["token"], found["name"], found["expires"])

    def tokens(self) -> list[TokenLine]:
        """List the enrolment tokens."""
        return [TokenLine(*row) for row in self._pool.call("key.token.list")["tokens"]]

    def revoke_token(self, name: str) -> list[str]:
        """Remove enrolment tokens."""
        return list(self._pool.call("key.token.revoke", name=name)["names"])

    def rotate_master(self) -> str:
        """Put a new master's key in force."""
        return str(self._pool.call("key.rotate_master")["fingerprint"])

    def finish_rotation(self, force: bool) -> tuple[bool, list[str]]:
        """Forget the master's former keys."""
        found = self._pool.call("key.finish_rotation", force=force)
        return bool(found["finished"]), list(found["behind"])


class OfflineKeys:
    """Keys in the master's files, while no master runs; nothing is made before there is something to write."""

    def __init__(self, settings: Settings, lock: int | None) -> None:
        self._settings = settings
        self._path = settings.data_dir / "master" / "keys.db"
        self._lock = lock
        self._opened: KeyTable | None = None

    @classmethod
    def open(cls, settings: Settings, why: MasterUnavailable) -> OfflineKeys | None:
        """Take the instance's lock; None where a master has it. Raises `why` where this user may not."""
        directory = settings.data_dir / "master"
        if not _exists(directory, why):
            return cls(settings, None)
        _act_as_owner(directory)
        try:
            return cls(settings, _take_lock(directory))
        except BlockingIOError:
            return None
        except PermissionError:
            raise MasterUnavailable(
                f"{why.message}, and this user may not open its files in {directory}",
                hint="use root or the master's own user",
            ) from None

    def close(self) -> None:
        """Close the files and let go of the lock."""
        if self._opened is not None:
            self._opened.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def listed(self) -> KeyList:
        """Return the keys of every state."""
        return KeyList.of(self._table().list()) if self._path.exists() else KeyList({}, {}, {}, {})

    def change(
        self, what: str, match: str = "", fingerprint: str = "", include: Sequence[str] = (), dry_run: bool = False
    ) -> list[Row]:
        """Accept, reject or delete keys; return which."""
        if not self._path.exists():
            return []
        act = getattr(self._table(), what)
        return [Row(*change.row()) for change in act(match, fingerprint=fingerprint, include=include, dry_run=dry_run)]

    def pems(self, match: str) -> dict[str, str]:
        """Return public keys as PEM."""
        from ..common import crypto

        return (
            {key.id: crypto.public_pem(key.public) for key in self._table().find(match)} if self._path.exists() else {}
        )

    def preseed(self, minion: str, public: bytes) -> None:
        """Accept a key before its minion ever came; makes the master's directory where it has none yet."""
        self._make_directory()
        self._table().preseed(minion, public)

    def _make_directory(self) -> None:
        if self._lock is None:
            make_own_directory(self._path.parent)
            self._lock = _take_lock(self._path.parent)

    def candidates(self) -> list[Candidate]:
        """Return every key that is not accepted."""
        return _candidates(self._table().list()) if self._path.exists() else []

    def master_fingerprint(self) -> str:
        """Return the fingerprint of the master's key."""
        from ..common import crypto

        path = self._settings.pki_dir / "master.pem"
        if not path.exists():
            return ""
        return crypto.fingerprint(crypto.MASTER, crypto.IdentityKey.load(path).public)

    def create_token(self, match: str, uses: int, seconds: float) -> NewToken:
        """Make an enrolment token; with the master's fingerprint where it has a key."""
        self._make_directory()
        tokens = self._table().tokens
        made = tokens.create(match, uses, seconds, "", self.master_fingerprint())
        row = tokens.find(made.id)
        assert row is not None
        return NewToken(made.text(), row.name, row.expires)

    def tokens(self) -> list[TokenLine]:
        """List the enrolment tokens."""
        if not self._path.exists():
            return []
        rows = self._table().tokens.rows()
        return [TokenLine(r.name, r.match, r.uses, r.used, r.created, r.expires, r.creator) for r in rows]

    def revoke_token(self, name: str) -> list[str]:
        """Remove enrolment tokens."""
        return [row.name for row in self._table().tokens.revoke(name)] if self._path.exists() else []

    def rotate_master(self) -> str:
        """Put a new master's key in force, for its next start."""
        self._make_directory()
        return self._identity().rotate(time.time_ns() // 1_000_000)

    def finish_rotation(self, force: bool) -> tuple[bool, list[str]]:
        """Forget the master's former keys."""
        self._make_directory()
        identity, table = self._identity(), self._table()
        table.note_after = identity.changed_ms / 1000
        behind = table.behind()
        return (force or not behind) and identity.finish(), behind

    def _identity(self) -> Identity:
        from ..master.identity import Identity

        make_own_directory(self._settings.pki_dir)
        return Identity(self._settings.pki_dir)

    def _table(self) -> KeyTable:
        if self._opened is None:
            from ..master.keys import KeyTable  # the one place where a client reaches into the master's room

            self._opened = KeyTable(self._path)
        return self._opened


def _candidates(found: Mapping[str, Any]) -> list[Candidate]:
    return [
        Candidate(state, str(minion), *row)
        for state in STATES
        if state != "accepted"
        for minion, rows in found[state].items()
        for row in rows
    ]


def _exists(directory: Path, why: MasterUnavailable) -> bool:
    try:
        return directory.is_dir()
    except PermissionError:
        raise why from None


def _take_lock(directory: Path) -> int:
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _act_as_owner(directory: Path) -> None:
    """As root, become the user whose files these are: what is made in passing must be readable to the master."""
    info = directory.stat()
    if os.geteuid() == 0 and info.st_uid != 0:
        try:
            os.setgroups([])
            os.setgid(info.st_gid)
            os.setuid(info.st_uid)
        except OSError as error:
            raise StorageError(f"cannot act as the owner of {directory}: {error.strerror}") from error
