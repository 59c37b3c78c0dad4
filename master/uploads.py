"""Returns too large for one message: their chunks on the way to becoming a body of the job cache.

A chunk goes to a temporary file at its offset, in any order, and again if it must. Nothing a minion says names a file.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from ..common.errors import RequestRefused, StorageError

log = logging.getLogger(__name__)

MAX_UPLOADS = 256
MAX_UPLOADS_PER_MINION = 8
MAX_BYTES_PER_MINION = 256 * 1024 * 1024
MAX_CHUNKS = 4096  # a return of the largest size has 128
IDLE_SECONDS = 600.0


@dataclass(slots=True)
class Upload:
    """One return on its way: a file, and which chunks are in it (offset -> length)."""

    path: Path
    descriptor: int
    size: int
    touched: float
    writing: int = 0  # chunks that a thread is writing
    chunks: dict[int, int] = field(default_factory=dict)

    @property
    def received(self) -> int:
        """How many bytes from the start on are here."""
        position = 0
        while (length := self.chunks.get(position)) is not None:
            position += length
        return position


class Uploads:
    """The uploads that are under way, by minion and jid, in the directory of the bodies."""

    def __init__(self, directory: Path, most_of_minion: int = MAX_BYTES_PER_MINION) -> None:
        self._directory = directory
        self._most_of_minion = most_of_minion
        self._uploads: dict[tuple[str, str], Upload] = {}

    def prepare(self) -> None:
        """Remove what an earlier run of the master left unfinished."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in self._directory.glob("upload-*"):
            left.unlink(missing_ok=True)

    async def add(self, minion: str, jid: str, offset: int, size: int, data: bytes, now: float) -> int:
        """Add a chunk; return how many bytes from the start on are here."""
        if not data or offset + len(data) > size:
            raise RequestRefused("arguments", "a chunk does not lie within its return")
        upload = self._uploads.get((minion, jid))
        if upload is not None and upload.size != size:
            self.drop(minion, jid)
            upload = None
        if upload is None:
            upload = self._begin(minion, jid, size, now)
        if len(upload.chunks) >= MAX_CHUNKS:
            raise RequestRefused("arguments", f"a return comes in {MAX_CHUNKS} chunks at most")
        upload.touched = now
        upload.writing += 1
        try:
            await asyncio.to_thread(_write, os.dup(upload.descriptor), data, offset)
        except OSError as error:
            raise StorageError(f"a return cannot be stored: {error}") from error
        finally:
            upload.writing -= 1
        upload.chunks[offset] = len(data)
        return upload.received

    def _begin(self, minion: str, jid: str, size: int, now: float) -> Upload:
        own = [upload for key, upload in self._uploads.items() if key[0] == minion]
        if own and sum(upload.size for upload in own) + size > self._most_of_minion:
            raise RequestRefused("busy", f"{len(own)} large returns of this minion are under way already")
        if len(own) >= MAX_UPLOADS_PER_MINION:
            raise RequestRefused("busy", f"{len(own)} large returns are under way already")
        if len(self._uploads) >= MAX_UPLOADS:
            self.expire(now)
        if len(self._uploads) >= MAX_UPLOADS:
            raise RequestRefused("busy", "too many large returns are under way")
        try:
            descriptor, name = tempfile.mkstemp(prefix="upload-", dir=self._directory)
        except OSError as error:
            raise StorageError(f"a return cannot be stored: {error}") from error
        upload = self._uploads[minion, jid] = Upload(Path(name), descriptor, size, now)
        return upload

    async def finish(self, minion: str, jid: str, size: int) -> tuple[Path, bytes]:
        """Return the file and the digest of a return that is here as a whole; the file is the caller's now."""
        upload = self._uploads.get((minion, jid))
        if upload is None or upload.size != size or upload.received != size or upload.writing:
            received = upload.received if upload else 0
            raise RequestRefused("incomplete", f"{received} of {size} bytes are here")
        del self._uploads[minion, jid]
        os.close(upload.descriptor)
        return upload.path, await asyncio.to_thread(_digest, upload.path)

    def drop(self, minion: str, jid: str) -> None:
        """Throw an upload away."""
        upload = self._uploads.pop((minion, jid), None)
        if upload is not None:
            os.close(upload.descriptor)
            upload.path.unlink(missing_ok=True)

    def expire(self, now: float) -> None:
        """Throw away what nobody goes on with."""
        for key in [key for key, upload in self._uploads.items() if now - upload.touched > IDLE_SECONDS]:
            self.drop(*key)

    def close(self) -> None:
        """Throw everything away; minions send it again."""
        for key in list(self._uploads):
            self.drop(*key)


def _write(descriptor: int, data: bytes, offset: int) -> None:
    """Write by a descriptor of its own: the upload's may be closed, and its number used again, meanwhile."""
    try:
        os.pwrite(descriptor, data, offset)
    finally:
        os.close(descriptor)


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
