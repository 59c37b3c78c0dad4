"""Tokens: what stands for an authentication for some hours, so that a password is asked for once.

A token is 32 random bytes, told once to whom it was made for. The database keeps its SHA-256, the account, the user of
this machine that may use it, and its times. Time only goes forward here: the latest ever seen is kept, so setting the
clock back revives nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any, Final

from ..common import database
from ..common.database import Database
from ..common.errors import JobError

TOKEN_BYTES = 32
MAX_PER_ACCOUNT = 100
NAME_CHARS = 16
NOTE_MS = 1000  # how exactly the times of use and the latest time are kept
# A clock before this has not been set: what is made under it would be valid for years.
EARLIEST_MS: Final = 1_735_689_600_000  # the beginning of 2025

MIGRATION: Final = """
CREATE TABLE tokens (
    digest BLOB PRIMARY KEY,
    method TEXT NOT NULL,
    user TEXT NOT NULL,
    uid INTEGER NOT NULL,
    stamp TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    used_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tokens_by_account ON tokens (method, user);
CREATE TABLE latest (one INTEGER PRIMARY KEY CHECK (one = 1), ms INTEGER NOT NULL);
INSERT INTO latest VALUES (1, 0)
"""
_COLUMNS = "digest, method, user, uid, stamp, made_ms, expires_ms, used_ms"


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; `name` is what lists and people call it by, `stamp` what its account was like."""

    digest: bytes
    method: str
    user: str
    uid: int
    stamp: str
    made_ms: int
    expires_ms: int
    used_ms: int

    @property
    def name(self) -> str:
        """A short name, of no use to get in with."""
        return self.digest.hex()[:NAME_CHARS]


class TokenTable:
    """The tokens of one master. Its methods read and write the disk: call them from a thread."""

    def __init__(
        self,
        base: Database,
        *,
        life: float,
        idle: float,
        now_ms: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._base = base
        self._life_ms = int(life * 1000)
        self._idle_ms = int(idle * 1000)
        self._now_ms = now_ms
        self._random = random
        self._latest: int = base.read("SELECT ms FROM latest")[0][0]
        self._noted = self._latest

    def now_ms(self) -> int:
        """Return the time, which never goes back, whatever the clock does and however often the master starts."""
        self._latest = max(self._latest, self._now_ms())
        return self._latest

    def make(self, method: str, user: str, uid: int, stamp: str) -> tuple[bytes, Token]:
        """Make a token for an account, to be used by one user of this machine; raises `JobError`."""
        now = self.now_ms()
        if now < EARLIEST_MS:
            raise JobError("the clock of this machine has not been set; no token is made")
        secret = self._random(TOKEN_BYTES)
        token = Token(_digest(secret), method, user, uid, stamp, now, now + self._life_ms, now)

        def work(cursor: database.Cursor) -> None:
            self._note(cursor, now)
            cursor.execute("DELETE FROM tokens WHERE expires_ms <= ?", (now,))
            (count,) = cursor.execute(
                "SELECT count(*) FROM tokens WHERE method=? AND user=?", (method, user)
            ).fetchone()
            if count >= MAX_PER_ACCOUNT:
                raise JobError(f"{method}:{user} has {count} tokens; revoke some (ctl-run auth.revoke)")
            cursor.execute(f"INSERT INTO tokens ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?)", astuple(token))  # noqa: S608 - constant

        self._base.write_now(work)
        return secret, token

    def find(self, secret: bytes, uid: int) -> Token | None:
        """Return the token if this user may use it now; one that is too old is forgotten."""
        if len(secret) != TOKEN_BYTES:
            return None
        rows = self._base.read(f"SELECT {_COLUMNS} FROM tokens WHERE digest=?", (_digest(secret),))  # noqa: S608
        now = self.now_ms()
        if not rows or rows[0][3] != uid:
            self.note_time()
            return None
        token = Token(*rows[0])
        if token.expires_ms <= now or self._is_idle(token, now):
            self._forget(token, now)
            return None
        if now - token.used_ms >= NOTE_MS:
            self._base.write_now(lambda cursor: self._use(cursor, token, now))
        return token

    def valid(self) -> list[Token]:
        """List the tokens that are valid, the oldest first."""
        now = self.now_ms()
        rows = self._base.read(f"SELECT {_COLUMNS} FROM tokens WHERE expires_ms > ? ORDER BY made_ms", (now,))  # noqa: S608
        return [token for token in (Token(*row) for row in rows) if not self._is_idle(token, now)]

    def revoke(self, name: str = "", method: str = "", user: str = "") -> list[str]:
        """Forget one token, or all of an account; return the names of those that were."""
        chosen = [
            token
            for token in self.valid()
            if (name and token.name == name) or (user and (token.method, token.user) == (method, user))
        ]

        def work(cursor: database.Cursor) -> None:
            for token in chosen:
                cursor.execute("DELETE FROM tokens WHERE digest=?", (token.digest,))

        self._base.write_now(work)
        return [token.name for token in chosen]

    def sweep(self) -> None:
        """Keep the time, and forget what is too old."""
        now = self.now_ms()

        def work(cursor: database.Cursor) -> None:
            self._note(cursor, now)
            cursor.execute("DELETE FROM tokens WHERE expires_ms <= ?", (now,))

        self._base.write_now(work)

    def note_time(self) -> None:
        """Keep the latest time, where it has moved on enough."""
        now = self.now_ms()
        if now - self._noted >= NOTE_MS:
            self._base.write_now(lambda cursor: self._note(cursor, now))

    def _is_idle(self, token: Token, now: int) -> bool:
        return self._idle_ms > 0 and now - token.used_ms >= self._idle_ms

    def _use(self, cursor: database.Cursor, token: Token, now: int) -> None:
        self._note(cursor, now)
        cursor.execute("UPDATE tokens SET used_ms=max(used_ms, ?) WHERE digest=?", (now, token.digest))

    def _forget(self, token: Token, now: int) -> None:
        def work(cursor: database.Cursor) -> None:
            self._note(cursor, now)
            cursor.execute("DELETE FROM tokens WHERE digest=?", (token.digest,))

        self._base.write_now(work)

    def _note(self, cursor: database.Cursor, now: int) -> None:
        cursor.execute("UPDATE latest SET ms=max(ms, ?)", (now,))
        self._noted = now


def as_row(token: Token) -> dict[str, Any]:
    """Return what lists show of a token."""
    return {
        "name": token.name,
        "eauth": token.method,
        "user": token.user,
        "uid": token.uid,
        "made_ms": token.made_ms,
        "expires_ms": token.expires_ms,
        "used_ms": token.used_ms,
    }


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
