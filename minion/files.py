"""The daemon's side of the master's files: looked up in batches, fetched in chunks, kept by digest.

A file is in the cache under the SHA-256 of its content, so it is fetched once whatever it is called and whoever wants
it. What is in the cache was verified before it got its name.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..common.config import MinionConfig
from ..common.errors import FileServerError, RemoteError
from ..common.wire import MAX_CHUNK_BYTES
from .ports import cached_file
from .tasks import Tasks
from .transfers import Transfers, create_private

log = logging.getLogger(__name__)

PATHS_PER_REQUEST = 900
TIMEOUT_S = 120.0
TRIES = 3
AHEAD_BYTES = 128 * 1024
AHEAD_AT_ONCE = 4
FILES_PER_REQUEST = 300  # a request has at most 1,000 elements, and each file is three
TAKEN_FROM_BYTES = 8 * 1024 * 1024
MAX_CACHE_BYTES = 4 * 1024**3
KEEP_UNUSED_S = 3600.0

Ask = Callable[[str, dict[str, Any], float | None], Awaitable[Any]]
Row = tuple[bytes, int, int] | None  # digest, size, mode


def file_cache_directory(config: MinionConfig) -> Path:
    """Return where this minion keeps the master's files by digest."""
    return config.cachedir / "minion" / "files"


class FileCache:
    """The master's files, through a cache at `directory`."""

    def __init__(self, ask: Ask, directory: Path) -> None:
        self._ask = ask
        self._directory = directory
        self._fetching: dict[bytes, asyncio.Task[Path | None]] = {}
        self._tasks = Tasks()
        self.transfers = Transfers(ask, self._tasks, directory / "taken")
        self._ahead = asyncio.Semaphore(AHEAD_AT_ONCE)

    async def close(self) -> None:
        """Stop fetching."""
        await self._tasks.close()

    async def environments(self) -> list[str]:
        """List the master's environments."""
        return list((await self._ask("file_envs", {}, TIMEOUT_S))["envs"])

    async def find(self, saltenv: str, paths: Sequence[str]) -> list[Row]:
        """Look up files, in as few requests as there can be; small ones that are missing here are fetched ahead."""
        batches = [paths[start : start + PATHS_PER_REQUEST] for start in range(0, len(paths), PATHS_PER_REQUEST)]
        replies = await asyncio.gather(
            *(self._ask("file_find", {"saltenv": saltenv, "paths": list(batch)}, TIMEOUT_S) for batch in batches)
        )
        rows = [_row(row) for reply in replies for row in reply["files"]]
        if len(rows) != len(paths):
            raise FileServerError("the master answered for another number of files than was asked")
        if len(paths) > 1:
            self._fetch_ahead(saltenv, paths, rows)
        return rows

    async def list(self, saltenv: str, prefix: str, what: str) -> list[Any]:
        """List what is in the tree: `files`, `dirs`, or `symlinks` as pairs."""
        names: list[Any] = []
        after = ""
        while True:
            args = {"saltenv": saltenv, "prefix": prefix, "what": what, "after": after}
            reply = await self._ask("file_list", args, TIMEOUT_S)
            names += reply["names"]
            if not reply.get("more") or not reply["names"]:
                return names
            last = names[-1]
            after = last if isinstance(last, str) else last[0]

    async def take(self, saltenv: str, path: str, digest: bytes, size: int) -> Path | None:
        """Fetch a large file for the caller alone, who moves it away; None where it is better got through the cache."""
        if size < TAKEN_FROM_BYTES or digest in self._fetching or cached_file(self._directory, digest.hex()).is_file():
            return None
        ask = {"saltenv": saltenv, "path": path, "digest": digest}
        return await self.transfers.take("file_chunk", ask, digest, size, f"salt://{path}")

    async def fetch(self, saltenv: str, path: str, digest: bytes, size: int) -> Path:
        """Return where the file is, fetched if need be. A file that changed meanwhile is looked up anew."""
        for attempt in range(TRIES):
            try:
                return await self._fetch_once(saltenv, path, digest, size)
            except RemoteError as error:
                if error.code != "changed" or attempt == TRIES - 1:
                    raise
            row = (await self.find(saltenv, [path]))[0]
            if row is None:
                raise FileServerError(f"no file salt://{path} in environment {saltenv!r}")
            digest, size, _mode = row
        raise FileServerError(f"salt://{path} changes too often to be fetched")

    async def _fetch_once(self, saltenv: str, path: str, digest: bytes, size: int) -> Path:
        local = cached_file(self._directory, digest.hex())
        while not local.is_file():
            task = self._fetching.get(digest)
            if task is None:
                task = self._start(digest, self._download(saltenv, path, digest, size, local), path)
            elif await asyncio.shield(task) is None:
                continue  # it was to come with others, and did not: now it is fetched by itself
            await asyncio.shield(task)
            return local
        os.utime(local)
        return local

    def _start(self, digest: bytes, work: Coroutine[Any, Any, Path | None], path: str) -> asyncio.Task[Path | None]:
        task = self._tasks.start(work, f"fetching {path}", awaited=True)
        if task is None:
            raise FileServerError("the minion is stopping")
        self._fetching[digest] = task
        task.add_done_callback(lambda _: self._fetching.pop(digest, None))
        return task

    async def _download(self, saltenv: str, path: str, digest: bytes, size: int, local: Path) -> Path:
        ask = {"saltenv": saltenv, "path": path, "digest": digest}
        return await self.transfers.download("file_chunk", ask, digest, size, local, f"salt://{path}")

    # -- small files ahead of their use

    def _fetch_ahead(self, saltenv: str, paths: Sequence[str], rows: Sequence[Row]) -> None:
        """Fetch the small ones that are missing, many in one request."""
        batch: dict[bytes, tuple[str, int]] = {}
        room = MAX_CHUNK_BYTES
        for path, row in zip(paths, rows, strict=True):
            if row is None or row[1] > AHEAD_BYTES or row[0] in batch or row[0] in self._fetching:
                continue
            if cached_file(self._directory, row[0].hex()).is_file():
                continue
            if row[1] > room or len(batch) == FILES_PER_REQUEST:
                self._start_batch(saltenv, batch)
                batch, room = {}, MAX_CHUNK_BYTES
            batch[row[0]] = (path, row[1])
            room -= row[1]
        if batch:
            self._start_batch(saltenv, batch)

    def _start_batch(self, saltenv: str, batch: dict[bytes, tuple[str, int]]) -> None:
        task = self._tasks.start(self._batch(saltenv, batch), f"fetching {len(batch)} files ahead")
        if task is not None:
            for digest in batch:
                self._fetching[digest] = task
            task.add_done_callback(lambda _: self._forget(batch, task))

    def _forget(self, batch: Iterable[bytes], task: asyncio.Task[Path | None]) -> None:
        for digest in batch:
            if self._fetching.get(digest) is task:
                del self._fetching[digest]

    async def _batch(self, saltenv: str, batch: Mapping[bytes, tuple[str, int]]) -> None:
        async with self._ahead:
            files = [[path, digest] for digest, (path, _size) in batch.items()]
            # Who needs a file that does not come asks for it by itself, and hears then what is wrong.
            with contextlib.suppress(RemoteError, FileServerError, ConnectionError):
                reply = await self._ask("file_fetch", {"saltenv": saltenv, "files": files}, TIMEOUT_S)
                await asyncio.to_thread(_keep_all, self._directory, list(batch), reply["files"])

    # -- keeping the cache small

    async def clean(self, limit: int = MAX_CACHE_BYTES) -> None:
        """Remove what was not used for longest until the cache is below its limit."""
        await asyncio.to_thread(_clean, self._directory, limit)

    async def clear(self) -> int:
        """Remove everything; returns how many files there were."""
        return await asyncio.to_thread(_clean, self._directory, 0, 0.0)


def _row(row: Any) -> Row:
    match row:
        case None:
            return None
        case [bytes(digest), int(size), int(mode)] if len(digest) == 32 and size >= 0:
            return digest, size, mode
    raise FileServerError("the master described a file in an unknown way")


def _keep_all(directory: Path, digests: Sequence[bytes], contents: Sequence[Any]) -> None:
    """Write those files to the cache that have the digest they should have."""
    for digest, content in zip(digests, contents, strict=False):
        if isinstance(content, bytes) and hashlib.sha256(content).digest() == digest:
            local = cached_file(directory, digest.hex())
            temporary = local.with_name(f".{local.name}.{os.urandom(6).hex()}")
            file = create_private(temporary)
            try:
                os.write(file, content)
            finally:
                os.close(file)
            os.replace(temporary, local)


def _clean(directory: Path, limit: int, keep_unused: float = KEEP_UNUSED_S) -> int:
    """Remove the files used longest ago until what is left is below `limit`; recent ones stay in any case."""
    found = []
    for path in [*directory.glob("??/*"), *directory.glob("taken/*")]:
        with contextlib.suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in found)
    newest = time.time() - keep_unused
    removed = 0
    for used, size, path in sorted(found):
        if total <= limit and limit:
            break
        if used <= newest:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            total -= size
            removed += 1
    return removed
