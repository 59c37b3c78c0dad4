"""The enrolment tokens of this master: which ids each may enrol, how often, and until when.

Of a token only the key that proves it is kept, in the database of keys. A use is counted in the same transaction that
accepts a key. Times are compared with the latest that was ever seen here, so that a clock that is set back revives
nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from ..common.database import Cursor, Database
from ..common.enrol_token import EnrolToken
from ..common.errors import KeyTableError

MIGRATION = """
    CREATE TABLE tokens (
        id BLOB PRIMARY KEY, key BLOB NOT NULL, match TEXT NOT NULL, uses INTEGER NOT NULL, used INTEGER NOT NULL,
        created REAL NOT NULL, expires REAL NOT NULL, creator TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE clock (one INTEGER PRIMARY KEY CHECK (one = 1), seen REAL NOT NULL);
"""
MAX_TOKENS = 10_000
NAME_CHARS = 16
KEEP_SECONDS = 30 * 86400.0
NOTE_SECONDS = 3600.0

Count = Callable[[Cursor], None]


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One token: for ids that match a glob, `uses` times in all, until `expires` (seconds since 1970)."""

    id: bytes
    key: bytes
    match: str
    uses: int
    used: int
    created: float
    expires: float
    creator: str

    @property
    def name(self) -> str:
        """What it is called in lists: the beginning of its id."""
        return self.id.hex()[:NAME_CHARS]

    def shown(self) -> list[object]:
        """Return what lists show: [name, match, uses, used, created, expires, creator]."""
        return [self.name, self.match, self.uses, self.used, self.created, self.expires, self.creator]

    def refusal(self, minion: str, now: float) -> str:
        """Say why it does not enrol this id now; empty where it does."""
        if now >= self.expires:
            return "expired"
        if self.used >= self.uses:
            return "used up"
        return "" if fnmatchcase(minion.lower(), self.match.lower()) else f"for {self.match}"


class EnrolTokens:
    """The tokens in the database of keys; safe to use from several threads."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._clock = now
        self._lock = threading.RLock()
        rows = database.read("SELECT id, key, match, uses, used, created, expires, creator FROM tokens")
        self._tokens = {row[0]: TokenRow(*row) for row in rows}
        seen = database.read("SELECT seen FROM clock")
        self._seen = self._noted = float(seen[0][0]) if seen else 0.0

    def now(self) -> float:
        """Return the time, which never goes back, not across restarts either."""
        self._seen = max(self._seen, self._clock())
        return self._seen

    def create(self, match: str, uses: int, seconds: float, creator: str, master: str) -> EnrolToken:
        """Make a token for the ids that match a glob; it is on disk when this returns."""
        if uses < 1 or seconds <= 0:
            raise KeyTableError("an enrolment token needs at least one use, and some time")
        with self._lock:
            self._forget_old()
            if len(self._tokens) >= MAX_TOKENS:
                raise KeyTableError(f"there are {MAX_TOKENS} enrolment tokens already", hint="ctl-key token revoke")
            now, made = self.now(), EnrolToken.create(os.urandom, master)
            row = TokenRow(made.id, made.key, match, uses, 0, now, now + seconds, creator)

            def work(cursor: Cursor) -> None:
                values = (row.id, row.key, match, uses, 0, row.created, row.expires, creator)
                cursor.execute("INSERT INTO tokens VALUES (?,?,?,?,?,?,?,?)", values)
                self._note(cursor)

            self._database.write(work).result()
            self._tokens[row.id] = row
        return made

    def rows(self) -> list[TokenRow]:
        """List the tokens, the oldest first."""
        with self._lock:
            return sorted(self._tokens.values(), key=lambda row: row.created)

    def revoke(self, name: str) -> list[TokenRow]:
        """Remove the tokens whose name begins so (eight characters at least); it is on disk when this returns."""
        if len(name) < NAME_CHARS // 2:
            raise KeyTableError(f"{name!r} is too short to name a token", hint="ctl-key token list")
        with self._lock:
            gone = [row for row in self._tokens.values() if row.id.hex().startswith(name.lower())]
            self._database.write(lambda cursor: self._delete(cursor, gone)).result()
            for row in gone:
                del self._tokens[row.id]
        return gone

    def find(self, token_id: bytes) -> TokenRow | None:
        """Return a token."""
        return self._tokens.get(token_id)

    def take(self, token_id: bytes, minion: str) -> Count:
        """Take one use for an id, and return what counts it in the transaction that accepts the key.

        Raises `KeyTableError` where the token is not good for this id now. `give_back` undoes it if that fails.
        """
        with self._lock:
            row = self._tokens.get(token_id)
            why = row.refusal(minion, self.now()) if row is not None else "not known"
            if row is None or why:
                raise KeyTableError(f"the enrolment token is {why}")
            self._tokens[token_id] = replace(row, used=row.used + 1)

        def work(cursor: Cursor) -> None:
            cursor.execute("UPDATE tokens SET used=used+1 WHERE id=? AND used<uses", (token_id,))
            if cursor.rowcount != 1:
                raise KeyTableError("the enrolment token is used up")
            self._note(cursor)

        return work

    def give_back(self, token_id: bytes) -> None:
        """The transaction that was to count a use failed."""
        with self._lock:
            if (row := self._tokens.get(token_id)) is not None:
                self._tokens[token_id] = replace(row, used=max(0, row.used - 1))

    def note_time(self) -> None:
        """Put down the time, once an hour."""
        if self.now() - self._noted >= NOTE_SECONDS:
            self._database.write(self._note)

    def _note(self, cursor: Cursor) -> None:
        self._noted = self.now()
        cursor.execute("INSERT OR REPLACE INTO clock (one, seen) VALUES (1, ?)", (self._noted,))

    def _forget_old(self) -> None:
        old = [row for row in self._tokens.values() if row.expires + KEEP_SECONDS < self.now()]
        if old:
            self._database.write(lambda cursor: self._delete(cursor, old))
        for row in old:
            del self._tokens[row.id]

    @staticmethod
    def _delete(cursor: Cursor, rows: list[TokenRow]) -> None:
        cursor.executemany("DELETE FROM tokens WHERE id=?", [(row.id,) for row in rows])
