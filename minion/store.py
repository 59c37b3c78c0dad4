"""The minion's database: which jobs it has started, which returns the master has not confirmed, how far it has read."""

from __future__ import annotations

from pathlib import Path

from ..common.database import Database

STARTED = "started"
ENDED = "ended"

MIGRATIONS = (
    """
    CREATE TABLE ledger (
        jid TEXT PRIMARY KEY, fun TEXT NOT NULL, master BLOB NOT NULL, state TEXT NOT NULL,
        keep_until_ms INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX ledger_keep ON ledger (keep_until_ms);
    CREATE TABLE outbox (
        jid TEXT PRIMARY KEY, master BLOB NOT NULL, head BLOB NOT NULL, payload BLOB NOT NULL,
        stored_ms INTEGER NOT NULL
    );
    CREATE TABLE offsets (master BLOB PRIMARY KEY, log_off INTEGER NOT NULL) WITHOUT ROWID;
    """,
)


def open_store(directory: Path) -> Database:
    """Open the minion's database below its data directory; raises `StorageError`."""
    return Database.open(directory / "minion.db", MIGRATIONS)
