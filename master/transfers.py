"""Files on their way between the master's machine and minions that are not of the state tree.

`Pushed` takes what minions push (`cp.push`): off by default, each into the minion's own area, in order, within a quota.
`Staged` keeps what clients copy to minions (`ctl-cp`) for the time of the job, under a handle that only the job names.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..common.config import MasterConfig
from ..common.directory import make_directories
from ..common.errors import RequestRefused, StorageError
from ..common.files import check_relative, safe_join

MIB = 1024 * 1024
IDLE_SECONDS = 600.0
STAGED_SECONDS = 3600.0
MAX_PUSHES_PER_MINION = 8
MAX_PUSHED_FILES = 20_000
MAX_STAGED = 4096
MAX_STAGED_BYTES = 4 * 1024 * MIB
HANDLE_BYTES = 16


@dataclass(slots=True, eq=False)
class Incoming:
    """A file that comes in chunks, in order."""

    path: Path
    size: int
    touched: float
    owner: int | str
    received: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def add(self, offset: int, data: bytes, now: float) -> int:
        """Add the next chunk; one that is here already counts as added. Return how much is here."""
        async with self.lock:
            self.touched = now
            if offset + len(data) <= self.received:
                return self.received
            if offset != self.received or offset + len(data) > self.size:
                raise RequestRefused("arguments", f"the next chunk begins at {self.received} of {self.size} bytes")
            try:
                await asyncio.to_thread(self._append, data)
            except OSError as error:
                raise StorageError(f"the file cannot be stored: {error.strerror}") from error
            self.received += len(data)
            return self.received

    def _append(self, data: bytes) -> None:
        self.digest.update(data)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)


class Pushed:
    """What minions push, below `directory`/<id>/files."""

    def __init__(self, config: MasterConfig) -> None:
        self._config = config
        self._directory = config.cachedir / "master" / "minions"
        self._coming: dict[tuple[str, str], Incoming] = {}

    async def add(self, minion: str, name: str, offset: int, size: int, data: bytes, now: float) -> dict[str, Any]:
        """Take a chunk of the file that the minion calls `name`; with the last one it appears under that name."""
        if not self._config.file_recv:
            raise RequestRefused("not_allowed", "this master takes no files from minions (file_recv)")
        relative = check_relative(name.lstrip("/"))
        key = (minion, relative)
        coming = self._coming.get(key)
        if (
            coming is None
            and 0 < offset == size - len(data)
            and await asyncio.to_thread(self._has, minion, relative, size)
        ):
            return {"received": size}  # the last chunk again: its answer was lost
        if coming is None or coming.size != size or (offset == 0 and coming.received > len(data)):
            coming = await self._begin(minion, relative, size, now)
        received = await coming.add(offset, data, now)
        if received == size and self._coming.get(key) is coming:
            del self._coming[key]
            await asyncio.to_thread(self._finish, minion, relative, coming)
        return {"received": received}

    async def _begin(self, minion: str, relative: str, size: int, now: float) -> Incoming:
        self._drop((minion, relative))
        if size > self._config.file_recv_max_size * MIB:
            raise RequestRefused("quota", f"a pushed file has at most {self._config.file_recv_max_size:g} MiB")
        own = [coming for (owner, _), coming in self._coming.items() if owner == minion]
        if len(own) >= MAX_PUSHES_PER_MINION:
            raise RequestRefused("busy", f"{len(own)} files are being pushed already")
        area = self._directory / minion
        coming = Incoming(area / f".push-{secrets.token_hex(8)}", size, now, minion)
        self._coming[minion, relative] = coming  # counts for whoever begins meanwhile
        try:
            await asyncio.to_thread(self._check_room, area, relative, sum(one.size for one in own) + size)
            await asyncio.to_thread(coming.path.touch, 0o600)
        except BaseException:
            self._coming.pop((minion, relative), None)
            raise
        return coming

    def _check_room(self, area: Path, relative: str, wanted: int) -> None:
        (area / "files").mkdir(parents=True, exist_ok=True, mode=0o700)
        used, count = _usage(area / "files")
        with contextlib.suppress(OSError):
            used -= safe_join(area / "files", relative).stat().st_size
        if used + wanted > self._config.file_recv_quota * MIB:
            raise RequestRefused("quota", f"this minion's files take {used} bytes already (file_recv_quota)")
        if count >= MAX_PUSHED_FILES:
            raise RequestRefused("quota", f"this minion has pushed {count} files already")

    def _has(self, minion: str, relative: str, size: int) -> bool:
        try:
            return safe_join(self._directory / minion / "files", relative).stat().st_size == size
        except OSError:
            return False

    def _finish(self, minion: str, relative: str, coming: Incoming) -> None:
        area = self._directory / minion / "files"
        try:
            where = safe_join(area, relative)
            make_directories(where.parent, mode=0o700)
            os.replace(coming.path, safe_join(area, relative))
        except OSError as error:
            coming.path.unlink(missing_ok=True)
            raise RequestRefused("arguments", f"the file cannot be kept under this name: {error.strerror}") from error

    def _drop(self, key: tuple[str, str]) -> None:
        coming = self._coming.pop(key, None)
        if coming is not None:
            coming.path.unlink(missing_ok=True)

    def forget(self, minion: str) -> None:
        """Remove everything that a minion has pushed."""
        for key in [key for key in self._coming if key[0] == minion]:
            self._drop(key)
        shutil.rmtree(self._directory / minion, ignore_errors=True)

    def prepare(self) -> None:
        """Remove what an earlier run of the master left unfinished."""
        for left in self._directory.glob("*/.push-*"):
            left.unlink(missing_ok=True)

    def expire(self, now: float) -> None:
        """Throw away what nobody goes on with."""
        for key in [key for key, coming in self._coming.items() if now - coming.touched > IDLE_SECONDS]:
            self._drop(key)


class Staged:
    """What clients copy to minions."""

    def __init__(self, config: MasterConfig) -> None:
        self._directory = config.cachedir / "master" / "staged"
        self._kept: dict[bytes, Incoming] = {}

    def prepare(self) -> None:
        """Begin with an empty directory."""
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True, mode=0o700)

    async def add(self, owner: int, handle: bytes, offset: int, size: int, data: bytes, now: float) -> dict[str, Any]:
        """Take a chunk from a client; without a handle a new file begins. Its digest is told at its end."""
        kept = self._kept.get(handle) if handle else None
        if kept is None:
            if handle:
                raise RequestRefused("unknown_handle", "there is no such file to add to")
            handle, kept = self._begin(owner, size, now)
        elif kept.owner != owner:
            raise RequestRefused("unknown_handle", "there is no such file to add to")
        received = await kept.add(offset, data, now)
        digest = kept.digest.digest() if received == kept.size else b""
        return {"handle": handle, "received": received, "digest": digest}

    def _begin(self, owner: int, size: int, now: float) -> tuple[bytes, Incoming]:
        self.expire(now)
        total = sum(kept.size for kept in self._kept.values())
        if len(self._kept) >= MAX_STAGED or total + size > MAX_STAGED_BYTES:
            raise RequestRefused("busy", "too much is being copied to minions already; try again later")
        handle = secrets.token_bytes(HANDLE_BYTES)
        path = self._directory / secrets.token_hex(16)
        path.touch(mode=0o600)
        self._kept[handle] = Incoming(path, size, now, owner)
        return handle, self._kept[handle]

    async def chunk(self, handle: bytes, offset: int, length: int, now: float) -> bytes:
        """Return a part of a file."""
        kept = self._kept.get(handle)
        if kept is None or kept.received != kept.size:
            raise RequestRefused("unknown_handle", "there is no such file to fetch")
        kept.touched = now
        return await asyncio.to_thread(_read_part, kept.path, offset, length)

    def remove(self, owner: int, handle: bytes) -> None:
        """Remove a file of this owner; none there is no mistake."""
        kept = self._kept.get(handle)
        if kept is not None and kept.owner == owner:
            del self._kept[handle]
            kept.path.unlink(missing_ok=True)

    def expire(self, now: float) -> None:
        """Remove what nobody has used for an hour."""
        for handle, kept in list(self._kept.items()):
            if now - kept.touched > STAGED_SECONDS:
                del self._kept[handle]
                kept.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Transfers:
    """Both ways."""

    pushed: Pushed
    staged: Staged

    def prepare(self) -> None:
        """Remove what an earlier run left."""
        self.pushed.prepare()
        self.staged.prepare()

    def expire(self, now: float) -> None:
        """Remove what nobody goes on with."""
        self.pushed.expire(now)
        self.staged.expire(now)


def _read_part(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        return os.pread(file.fileno(), length, offset)


def _usage(directory: Path) -> tuple[int, int]:
    """Return how many bytes and files there are below a directory."""
    used = count = 0
    for where, _dirs, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                used += os.lstat(os.path.join(where, name)).st_size
                count += 1
    return used, count
