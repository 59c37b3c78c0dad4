"""The file server: the state tree for minions, by content.

Looks at the disk in threads of its own, never on the loop. What a path may mean is decided by `common.files`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ..common.config import MasterConfig
from ..common.errors import RequestRefused
from ..common.files import Roots

T = TypeVar("T")

THREADS = 4
PAGE_NAMES = 4000
PAGE_BYTES = 512 * 1024


class FileServer:
    """Serves the file roots of the master's configuration."""

    def __init__(self, config: MasterConfig) -> None:
        self._roots = Roots(
            config.file_roots,
            ignore_glob=config.file_ignore_glob,
            ignore_regex=config.file_ignore_regex,
            follow_symlinks=config.fileserver_followsymlinks,
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="files")

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def environments(self) -> list[str]:
        """List the environments."""
        return self._roots.environments()

    async def find(self, saltenv: str, paths: Sequence[str]) -> list[list[Any] | None]:
        """Look up many files: [digest, size, mode] for each, None for what is no file."""

        def work() -> list[list[Any] | None]:
            found = self._roots.find(paths, saltenv)
            return [
                [bytes.fromhex(info.digest), info.size, info.mode] if (info := found[path]) else None for path in paths
            ]

        return await self._in_thread(work)

    async def list_names(self, saltenv: str, prefix: str, what: str, after: str) -> tuple[list[Any], bool]:
        """List a page of files, directories or symlinks (with their targets), in order, and whether more follow."""

        def work() -> tuple[list[Any], bool]:
            if what == "symlinks":
                links = self._roots.list_symlinks(saltenv, prefix)
                return _page([(name, [name, links[name]]) for name in sorted(links) if name > after])
            lists = {"files": self._roots.list_files, "dirs": self._roots.list_dirs}
            return _page([(name, name) for name in lists[what](saltenv, prefix) if name > after])

        return await self._in_thread(work)

    async def chunk(self, saltenv: str, path: str, digest: bytes, offset: int, length: int) -> bytes:
        """Return a part of a file whose content has this digest; refuses with `changed` where it has not any more."""
        return await self._in_thread(lambda: self._read(saltenv, path, digest, offset, length))

    def _read(self, saltenv: str, path: str, digest: bytes, offset: int, length: int) -> bytes:
        info = self._roots.find([path], saltenv)[path]
        where = self._roots.locate(path, saltenv)
        if info is None or where is None or bytes.fromhex(info.digest) != digest:
            raise RequestRefused("changed", "the file has changed since it was looked up")
        try:
            with where.open("rb") as file:
                data = os.pread(file.fileno(), length, offset)
        except OSError as error:
            raise RequestRefused("changed", f"the file cannot be read: {error.strerror}") from error
        return data

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def _page(entries: list[tuple[str, Any]]) -> tuple[list[Any], bool]:
    """Cut a page off: so many names, and so many bytes of them."""
    page: list[Any] = []
    size = 0
    for name, entry in entries:
        size += len(name.encode("utf-8", "surrogateescape")) * (1 if isinstance(entry, str) else 2) + 8
        if len(page) >= PAGE_NAMES or size > PAGE_BYTES:
            return page, True
        page.append(entry)
    return page, False
