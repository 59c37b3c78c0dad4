"""SQLite: open, migrate, read from any thread, write through one thread with group commit.

The only importer of `sqlite3`. A write is a function that is given a cursor; its future resolves once it is on disk
(WAL, `synchronous=FULL`). What arrives during a commit goes into the next one together.

A disk that is full fails writes until there is space again. A disk that fails to sync is not asked twice: what it holds
is not known any more, so every write is refused from then on. A closed database is sealed (see `seal`), so that what
changed while nobody had it open is seen at the next opening.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from . import crash
from . import seal as seals
from .errors import StorageError
from .writers import make_own_directory

log = logging.getLogger(__name__)

T = TypeVar("T")
Cursor = sqlite3.Cursor
Write = Callable[[sqlite3.Cursor], Any]
IntegrityError = sqlite3.IntegrityError

MAX_GROUP = 512
_STOP: Any = object()
# What is wrong with the write itself; everything else is wrong with the disk or the file, and fails the whole commit.
_ITS_OWN_FAULT = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError)
_SYNC_FAILED = frozenset({sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC})


class Database:
    """One database file. Made by `Database.open`; safe to use from many threads; `close()` ends its writer."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        self.path = path
        self._durable = durable
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[Write, Future[Any]]] = queue.SimpleQueue()
        self._closed = False
        self._failed = ""
        self._before_commit, self._after_commit = f"{path.stem}.before_commit", f"{path.stem}.after_commit"
        self._thread = threading.Thread(target=self._write_loop, name=f"writer {path.name}", daemon=True)

    @classmethod
    def open(cls, path: Path, migrations: Sequence[str], *, durable: bool = True) -> Database:
        """Open or make the database at `path` (mode 0600) and bring its schema up to date.

        `migrations[n]` is the SQL that leads from version n to n + 1. A version newer than known is refused.
        `durable=False` gives up safety against power loss (caches). Raises `StorageError`.
        """
        database = cls(path, durable=durable)
        try:
            make_own_directory(path.parent)
            seals.check(path)
            path.touch(mode=0o600, exist_ok=True)
            with_connection = database._connect()
            try:
                _migrate(with_connection, path, migrations)
            finally:
                with_connection.close()
            with contextlib.suppress(PermissionError):
                seals.sync(path.parent.parent)  # the directory may be new, too
        except StorageError:
            raise
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"the database {path} cannot be opened: {_in_words(error)}") from error
        database._thread.start()
        return database

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={'FULL' if self._durable else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    def _reader(self) -> sqlite3.Connection:
        reader: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if reader is None:
            reader = self._local.connection = self._connect()
            with self._lock:
                self._readers.append(reader)
        return reader

    def read(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Run a query and return its rows; sees everything committed before. Raises `StorageError`."""
        if self._closed:
            raise StorageError(f"the database {self.path} is closed")
        try:
            return self._reader().execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"the database {self.path} cannot be read: {error}") from error

    def write(self, work: Callable[[sqlite3.Cursor], T]) -> Future[T]:
        """Queue `work`; the future holds what it returned, once that is committed.

        An error of `work` undoes it alone and is the future's; an error of the commit is a `StorageError` for
        everything that was in it.
        """
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # who stops waiting for a write does not stop the write
        if self._closed or self._failed:
            future.set_exception(StorageError(self._failed or f"the database {self.path} is closed"))
            return future
        self._queue.put((work, future))
        return future

    def write_now(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        """Run `work` in the writer and wait until it is committed."""
        return self.write(work).result()

    def close(self) -> None:
        """Finish what is queued, then close."""
        if self._closed:
            return
        self._closed = True
        self._queue.put((_STOP, Future()))
        self._thread.join()
        with self._lock:
            for reader in self._readers:
                reader.close()
            self._readers.clear()
        if not self._failed:
            seals.seal(self.path)

    def _write_loop(self) -> None:
        connection: sqlite3.Connection | None = None
        try:
            while (group := self._next_group()) is not None:
                try:
                    connection = connection or self._connect()
                    self._commit(connection, group)
                except Exception as error:  # the boundary around one commit: who waits for it must hear of it
                    self._fail(group, error)
                    if connection is not None:
                        _give_up(connection)
                        connection = None
                group.clear()  # nothing large is held while it waits for the next
        finally:
            if connection is not None:
                connection.close()

    def _next_group(self) -> list[tuple[Write, Future[Any]]] | None:
        group = [self._queue.get()]
        while group[-1][0] is not _STOP and len(group) < MAX_GROUP:
            try:
                group.append(self._queue.get_nowait())
            except queue.Empty:
                break
        if group[-1][0] is _STOP:
            group.pop()
            if not group:
                return None
            self._queue.put((_STOP, Future()))
        return group

    def _commit(self, connection: sqlite3.Connection, group: list[tuple[Write, Future[Any]]]) -> None:
        if self._failed:
            raise StorageError(self._failed)
        done: list[tuple[Future[Any], Any]] = []
        connection.execute("BEGIN IMMEDIATE")
        cursor = connection.cursor()
        for work, future in group:
            self._run_one(cursor, work, future, done)
        crash.at(self._before_commit)
        connection.execute("COMMIT")
        crash.at(self._after_commit)
        for future, value in done:
            future.set_result(value)

    def _run_one(
        self, cursor: sqlite3.Cursor, work: Write, future: Future[Any], done: list[tuple[Future[Any], Any]]
    ) -> None:
        cursor.execute("SAVEPOINT one")
        try:
            value = work(cursor)
        except Exception as error:  # the boundary around one writer's function: it is undone alone
            if isinstance(error, sqlite3.Error) and not isinstance(error, _ITS_OWN_FAULT):
                raise
            cursor.execute("ROLLBACK TO one")
            cursor.execute("RELEASE one")
            future.set_exception(error)
            return
        cursor.execute("RELEASE one")
        done.append((future, value))

    def _fail(self, group: list[tuple[Write, Future[Any]]], error: Exception) -> None:
        """Tell everybody who waits for a commit that failed; after a failed sync, everybody who comes later, too."""
        if getattr(error, "sqlite_errorcode", 0) in _SYNC_FAILED:
            self._failed = f"the disk failed to sync the database {self.path}: nothing more is written before a restart"
            log.critical("the disk failed to sync the database %s: nothing more is written before a restart", self.path)
        elif not self._failed:
            log.error("the database %s did not take a write: %s", self.path, _in_words(error))
        text = self._failed or f"the database {self.path} did not take a write: {_in_words(error)}"
        for _work, future in group:
            if not future.done():
                future.set_exception(StorageError(text))


def _in_words(error: Exception) -> str:
    """Say what went wrong; a full disk in the words that people look for."""
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
        return "no space left on the device"
    return str(error)


def _give_up(connection: sqlite3.Connection) -> None:
    """Close a connection whose commit failed: what it had begun is undone by that."""
    try:
        connection.close()
    except sqlite3.Error as error:
        log.debug("a connection did not close: %s", error)


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        raise StorageError(
            f"the database {path} has version {version}, and this ctl knows versions up to {len(migrations)}",
            hint="use the ctl that wrote it, or a newer one",
        )
    for number in range(version, len(migrations)):
        connection.executescript(f"BEGIN IMMEDIATE;\n{migrations[number]};\nPRAGMA user_version={number + 1};\nCOMMIT;")


def quick_check(database: Database) -> list[str]:
    """Return what SQLite's own check finds wrong with the file; an empty list is a sound one."""
    return [row[0] for row in database.read("PRAGMA quick_check") if row[0] != "ok"]


def query_file(path: Path, sql: str, parameters: Sequence[Any]) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run one query of a database that is not ours, without a chance to write; return column names and rows."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
    except sqlite3.Error as error:
        raise StorageError(f"the database {path} cannot be opened: {error}") from error
    try:
        cursor = connection.execute(sql, parameters)
        return [column[0] for column in cursor.description or ()], cursor.fetchall()
    except sqlite3.Error as error:
        raise StorageError(f"the database {path} cannot be queried: {error}") from error
    finally:
        connection.close()
