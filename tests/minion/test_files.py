"""The minion's cache of the master's files: what is fetched together, alone, again, and what is refused."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.common.errors import CommandExecutionError, FileServerError, RemoteError
from ctl.common.wire import MAX_CHUNK_BYTES
from ctl.minion.files import TAKEN_FROM_BYTES, FileCache
from ctl.minion.ports import cached_file


class MasterOfFiles:
    """Answers for a master: `files` is its tree; `asked` the methods it was asked."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked: list[str] = []
        self.pushed: dict[str, bytearray] = {}
        self.spoils: Callable[[str, Any], Any] = lambda method, reply: reply

    async def ask(self, method: str, args: dict[str, Any], timeout: float | None) -> Any:
        self.asked.append(method)
        await asyncio.sleep(0)
        return self.spoils(method, getattr(self, method)(**args))

    def file_find(self, saltenv: str, paths: list[str]) -> Any:
        return {
            "files": [
                [digest_of(self.files[path]), len(self.files[path]), 0o644] if path in self.files else None
                for path in paths
            ]
        }

    def file_fetch(self, saltenv: str, files: list[Any]) -> Any:
        assert sum(len(self.files[path]) for path, _ in files) <= MAX_CHUNK_BYTES
        return {
            "files": [self.files[path] if digest_of(self.files[path]) == digest else None for path, digest in files]
        }

    def file_chunk(self, saltenv: str, path: str, digest: bytes, offset: int, length: int) -> Any:
        if digest_of(self.files[path]) != digest:
            raise RemoteError("RequestRefused", "changed", code="changed")
        return {"data": self.files[path][offset : offset + length]}

    def file_push(self, name: str, offset: int, size: int, data: bytes) -> Any:
        kept = self.pushed.setdefault(name, bytearray())
        assert offset == len(kept)
        kept += data
        return {"received": len(kept)}


def digest_of(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


Scenario = Callable[[MasterOfFiles, FileCache], Awaitable[None]]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    def runner(scenario: Scenario, files: dict[str, bytes]) -> None:
        async def main() -> None:
            master = MasterOfFiles(files)
            cache = FileCache(master.ask, tmp_path / "cache")
            try:
                await scenario(master, cache)
            finally:
                await cache.close()

        asyncio.run(main())

    return runner


async def fetch_all(cache: FileCache, paths: list[str]) -> dict[str, bytes]:
    rows = await cache.find("base", paths)
    found = {}
    for path, row in zip(paths, rows, strict=True):
        assert row is not None
        found[path] = (await cache.fetch("base", path, row[0], row[1])).read_bytes()
    return found


def test_small_files_come_together(run: Callable[..., None]) -> None:
    files = {f"f{number}": b"%d" % number * 300 for number in range(1000)}

    async def scenario(master: MasterOfFiles, cache: FileCache) -> None:
        assert await fetch_all(cache, list(files)) == files
        assert master.asked.count("file_find") == 2
        assert "file_chunk" not in master.asked
        assert 4 <= master.asked.count("file_fetch") <= 8
        asked = len(master.asked)
        assert await fetch_all(cache, list(files)) == files
        assert master.asked[asked:] == ["file_find"] * 2

    run(scenario, files)


@pytest.mark.parametrize("spoilt", [None, b"something else", "text"])
def test_a_small_file_that_did_not_come_is_fetched_alone(run: Callable[..., None], spoilt: Any) -> None:
    files = {"a": b"a" * 100, "b": b"b" * 100, "empty": b""}

    async def scenario(master: MasterOfFiles, cache: FileCache) -> None:
        master.spoils = lambda method, reply: (
            {"files": [spoilt, *reply["files"][1:]]} if method == "file_fetch" else reply
        )
        assert await fetch_all(cache, list(files)) == files
        assert master.asked.count("file_chunk") == 1

    run(scenario, files)


def test_a_large_file_is_verified(run: Callable[..., None], tmp_path: Path) -> None:
    files = {"large": bytes(range(256)) * 10_000}

    async def scenario(master: MasterOfFiles, cache: FileCache) -> None:
        digest = digest_of(files["large"])
        master.spoils = lambda method, reply: {"data": bytes(len(reply["data"]))} if method == "file_chunk" else reply
        with pytest.raises(FileServerError, match="digest"):
            await cache.fetch("base", "large", digest, 2_560_000)
        master.spoils = lambda method, reply: {"data": reply["data"][1:]} if method == "file_chunk" else reply
        with pytest.raises(FileServerError, match="wrong size"):
            await cache.fetch("base", "large", digest, 2_560_000)
        assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
        master.spoils = lambda method, reply: reply
        assert (await cache.fetch("base", "large", digest, 2_560_000)).read_bytes() == files["large"]

    run(scenario, files)


def test_a_file_that_changes_is_looked_up_anew(run: Callable[..., None]) -> None:
    async def scenario(master: MasterOfFiles, cache: FileCache) -> None:
        found = await cache.fetch("base", "x", digest_of(b"old"), 3)
        assert found.read_bytes() == b"new content"
        del master.files["x"]
        master.files["y"] = b""
        with pytest.raises(KeyError):
            await cache.fetch("base", "x", digest_of(b"old"), 3)

    run(scenario, {"x": b"new content"})


def test_large_files_are_taken_past_the_cache(run: Callable[..., None], tmp_path: Path) -> None:
    content = b"x" * TAKEN_FROM_BYTES

    async def scenario(master: MasterOfFiles, cache: FileCache) -> None:
        digest = digest_of(content)
        assert await cache.take("base", "x", digest, 5) is None
        taken = await cache.take("base", "x", digest, len(content))
        assert taken is not None
        assert taken.read_bytes() == content
        assert taken.stat().st_mode & 0o777 == 0o600
        assert not cached_file(tmp_path / "cache", digest.hex()).exists()
        await cache.fetch("base", "x", digest, len(content))
        assert await cache.take("base", "x", digest, len(content)) is None
        assert await cache.clear() == 2

    run(scenario, {"x": content})


def test_files_are_pushed_in_order(run: Callable[..., None], tmp_path: Path) -> None:
    content = bytes(range(256)) * 6000
    (tmp_path / "file").write_bytes(content)
    (tmp_path / "empty").write_bytes(b"")

    async def scenario(master: MasterOfFiles, cache: FileCache) -> None:
        assert await cache.transfers.push(str(tmp_path / "file"), "a/b") == len(content)
        await cache.transfers.push(str(tmp_path / "empty"), "empty")
        assert master.pushed == {"a/b": content, "empty": b""}
        for wrong in (tmp_path, tmp_path / "no", "/dev/null"):
            with pytest.raises(CommandExecutionError):
                await cache.transfers.push(str(wrong), "x")

    run(scenario, {})
