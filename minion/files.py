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
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from ..common.config import MinionConfig
from ..common.errors import FileServerError, RemoteError
from ..common.wire import MAX_CHUNK_BYTES
from .ports import cached_file
from .tasks import Tasks

log = logging.getLogger(__name__)

PATHS_PER_REQUEST = 900
WINDOW_CHUNKS = 8
TIMEOUT_S = 120.0
TRIES = 3
AHEAD_BYTES = 128 * 1024
AHEAD_FILES = 2000
AHEAD_AT_ONCE = 16
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
        self._fetching: dict[bytes, asyncio.Task[Path]] = {}
        self._tasks = Tasks()
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
        if local.is_file():
            os.utime(local)
            return local
        task = self._fetching.get(digest)
        if task is None:
            task = self._tasks.start(self._download(saltenv, path, digest, size, local), f"fetching {path}")
            if task is None:
                raise FileServerError("the minion is stopping")
            self._fetching[digest] = task
            task.add_done_callback(lambda _: self._fetching.pop(digest, None))
        return await asyncio.shield(task)

    async def _download(self, saltenv: str, path: str, digest: bytes, size: int, local: Path) -> Path:
        temporary = local.with_name(f".{local.name}.{os.urandom(6).hex()}")
        file = await asyncio.to_thread(_create, temporary)
        try:
            found = hashlib.sha256()
            async with contextlib.aclosing(self._chunks(saltenv, path, digest, size)) as chunks:
                async for data in chunks:
                    await asyncio.to_thread(_append, file, found, data)
            if found.digest() != digest:
                raise FileServerError(f"salt://{path}: what the master sent does not have the digest it named")
            os.replace(temporary, local)
        finally:
            os.close(file)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        return local

    async def _chunks(self, saltenv: str, path: str, digest: bytes, size: int) -> AsyncGenerator[bytes, None]:
        """Yield a file's chunks in order, while a window of them is on its way."""
        starts = iter(range(0, size, MAX_CHUNK_BYTES))
        window: list[asyncio.Task[bytes]] = []

        def ask_for(start: int) -> asyncio.Task[bytes]:
            args = {"saltenv": saltenv, "path": path, "digest": digest, "offset": start}
            args["length"] = min(MAX_CHUNK_BYTES, size - start)
            task = self._tasks.start(self._chunk(args), f"a chunk of {path}")
            if task is None:
                raise FileServerError("the minion is stopping")
            return task

        try:
            window = [ask_for(start) for _, start in zip(range(WINDOW_CHUNKS), starts, strict=False)]
            while window:
                data = await window.pop(0)
                following = next(starts, None)
                if following is not None:
                    window.append(ask_for(following))
                yield data
        finally:
            for task in window:
                task.cancel()
            await asyncio.gather(*window, return_exceptions=True)

    async def _chunk(self, args: dict[str, Any]) -> bytes:
        data = (await self._ask("file_chunk", args, TIMEOUT_S))["data"]
        if len(data) != args["length"]:
            raise FileServerError(f"salt://{args['path']}: the master sent a chunk of the wrong size")
        return bytes(data)

    # -- small files ahead of their use

    def _fetch_ahead(self, saltenv: str, paths: Sequence[str], rows: Sequence[Row]) -> None:
        missing = [
            (path, row[0], row[1])
            for path, row in zip(paths, rows, strict=True)
            if row is not None and row[1] <= AHEAD_BYTES and row[0] not in self._fetching
        ]
        for path, digest, size in missing[:AHEAD_FILES]:
            if not cached_file(self._directory, digest.hex()).is_file():
                self._tasks.start(self._one_ahead(saltenv, path, digest, size), f"fetching {path} ahead")

    async def _one_ahead(self, saltenv: str, path: str, digest: bytes, size: int) -> None:
        async with self._ahead:
            # Who needs the file asks again, and hears then what is wrong.
            with contextlib.suppress(RemoteError, FileServerError, ConnectionError):
                await self._fetch_once(saltenv, path, digest, size)

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


def _create(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _append(file: int, digest: Any, data: bytes) -> None:
    digest.update(data)
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _clean(directory: Path, limit: int, keep_unused: float = KEEP_UNUSED_S) -> int:
    """Remove the files used longest ago until what is left is below `limit`; recent ones stay in any case."""
    found = []
    for path in directory.glob("??/*"):
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
