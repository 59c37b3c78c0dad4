"""Files between the master and this minion, in chunks: fetched with a window and verified, pushed in order.

What arrives is hashed and written by two threads while further chunks are on their way. Nothing here knows the cache.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import stat
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

from ..common.errors import CommandExecutionError, FileServerError
from ..common.wire import MAX_CHUNK_BYTES
from .tasks import Tasks

WINDOW_CHUNKS = 8
WRITE_CHUNKS = 4
TIMEOUT_S = 120.0

Ask = Callable[[str, dict[str, Any], float | None], Awaitable[Any]]


class Transfers:
    """Fetches and pushes; files for one caller alone go to `directory`."""

    def __init__(self, ask: Ask, tasks: Tasks, directory: Path) -> None:
        self._ask = ask
        self._tasks = tasks
        self._directory = directory

    async def take(self, method: str, args: dict[str, Any], digest: bytes, size: int, name: str) -> Path:
        """Fetch a file under a name of its own, for one caller, who moves it away."""
        where = self._directory / os.urandom(16).hex()
        return await self.download(method, args, digest, size, where, name)

    async def download(
        self, method: str, args: dict[str, Any], digest: bytes, size: int, local: Path, name: str
    ) -> Path:
        """Fetch a file by `method` to `local`, which appears once its content has the digest."""
        temporary = local.with_name(f".{local.name}.{os.urandom(6).hex()}")
        file = await asyncio.to_thread(create_private, temporary)
        try:
            found = hashlib.sha256()
            async with contextlib.aclosing(self._chunks(method, args, size, name)) as chunks:
                await _store(chunks, file, found)
            if found.digest() != digest:
                raise FileServerError(f"{name}: what the master sent does not have the digest it named")
            os.replace(temporary, local)
        finally:
            os.close(file)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        return local

    async def _chunks(self, method: str, args: dict[str, Any], size: int, name: str) -> AsyncGenerator[bytes, None]:
        """Yield a file's chunks in order, while a window of them is on its way."""
        starts = iter(range(0, size, MAX_CHUNK_BYTES))
        window: list[asyncio.Task[bytes]] = []

        def ask_for(start: int) -> asyncio.Task[bytes]:
            wanted = {**args, "offset": start, "length": min(MAX_CHUNK_BYTES, size - start)}
            task = self._tasks.start(self._chunk(method, wanted, name), f"a chunk of {name}", awaited=True)
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

    async def _chunk(self, method: str, args: dict[str, Any], name: str) -> bytes:
        data = (await self._ask(method, args, TIMEOUT_S))["data"]
        if len(data) != args["length"]:
            raise FileServerError(f"{name}: the master sent a chunk of the wrong size")
        return bytes(data)

    async def push(self, path: str, name: str) -> int:
        """Send a file of this machine to the master, where it is called `name`; return its size."""
        try:
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise CommandExecutionError(f"{path} cannot be read: {error.strerror}") from error
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise CommandExecutionError(f"{path} is no file")
            await self._send(file, status.st_size, name)
        finally:
            os.close(file)
        return status.st_size

    async def _send(self, file: int, size: int, name: str) -> None:
        offset = 0
        while True:
            data = await asyncio.to_thread(os.pread, file, min(MAX_CHUNK_BYTES, size - offset), offset)
            if not data and offset < size:
                raise CommandExecutionError("the file became shorter while it was being pushed")
            args = {"name": name, "offset": offset, "size": size, "data": data}
            received = int((await self._ask("file_push", args, TIMEOUT_S))["received"])
            if received >= size:
                return
            if received <= offset:
                raise FileServerError("the master does not take the file")
            offset = received


async def _store(chunks: AsyncGenerator[bytes, None], file: int, found: Any) -> None:
    """Hash and write chunks; while that is done with some, the next may arrive."""
    step: asyncio.Future[Any] | None = None
    waiting: list[bytes] = []

    def begin() -> asyncio.Future[Any]:
        batch, waiting[:] = tuple(waiting), []
        return asyncio.gather(asyncio.to_thread(_hash, found, batch), asyncio.to_thread(_append, file, batch))

    try:
        async for data in chunks:
            waiting.append(data)
            if step is None or step.done() or len(waiting) == WRITE_CHUNKS:
                if step is not None:
                    await step
                step = begin()
        if step is not None:
            await step
        step = begin()
    finally:
        if step is not None:
            await step


def create_private(path: Path) -> int:
    """Open a new file that only this user may read, in a directory that is made where it is missing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags, 0o600)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return os.open(path, flags, 0o600)


def _hash(found: Any, batch: Iterable[bytes]) -> None:
    for data in batch:
        found.update(data)


def _append(file: int, batch: Iterable[bytes]) -> None:
    for data in batch:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
