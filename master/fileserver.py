"""The file server: the state tree for minions, by content.

Looks at the disk in threads of its own, never on the loop. What a path may mean is decided by `common.files`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ..common.config import MasterConfig
from ..common.errors import CtlError, RequestRefused
from ..common.files import Roots
from ..common.log import Limiter
from ..common.wire import MAX_CHUNK_BYTES
from .gitfs import GitEnvironments, combined
from .pillar_git import update_pillars

log = logging.getLogger(__name__)

T = TypeVar("T")

THREADS = 4
PAGE_NAMES = 4000
PAGE_BYTES = 512 * 1024


class FileServer:
    """Serves the state tree of the master's configuration: its file roots, and what is fetched with git."""

    def __init__(self, config: MasterConfig) -> None:
        self._config = config
        self._stop = threading.Event()
        self._git = GitEnvironments(config, self._stop)
        self._directories = combined(config, self._git)
        self._updating = asyncio.Lock()
        self._limiter = Limiter()
        self._roots = Roots(
            self._directories,
            ignore_glob=config.file_ignore_glob,
            ignore_regex=config.file_ignore_regex,
            follow_symlinks=config.fileserver_followsymlinks,
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="files")
        self._fetcher = ThreadPoolExecutor(2, thread_name_prefix="git")

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def run(self) -> None:
        """Fetch git repositories now and then, for as long as there are any."""
        interval = max(1.0, self._config.gitfs_update_interval)
        while self._git or any("git" in entry for entry in self._config.ext_pillar if isinstance(entry, dict)):
            await self.update()
            await asyncio.sleep(interval)

    async def update(self) -> list[str]:
        """Fetch git repositories and look at the trees anew; return a sentence for each that failed."""
        async with self._updating:
            loop = asyncio.get_running_loop()
            trees = loop.run_in_executor(self._fetcher, self._fetch_trees, loop)
            pillars = loop.run_in_executor(self._fetcher, _catching, lambda: update_pillars(self._config, self._stop))
            problems = [problem for found in await asyncio.gather(trees, pillars) for problem in found]
            self._use_directories()
            self.forget_listings()
        for problem in problems:
            if self._limiter.allows(problem):
                log.error("%s", problem)
        return problems

    def _fetch_trees(self, loop: asyncio.AbstractEventLoop) -> list[str]:
        """Fetch what the state tree is made of; what is there is served while a slow remote still keeps us waiting."""

        def changed() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._use_directories)

        return _catching(lambda: self._git.update(changed)[1] if self._git else [])

    def _use_directories(self) -> None:
        directories = combined(self._config, self._git)
        if directories != self._directories:
            self._directories = directories
            self._roots.use(directories)

    def forget_listings(self) -> None:
        """Read the tree anew at the next listing."""
        self._roots.forget_listings()

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

    async def fetch(self, saltenv: str, files: Sequence[tuple[str, bytes]]) -> list[bytes | None]:
        """Return small files whole, as many as fit a chunk; None for the rest, and for what has another digest."""
        return await self._in_thread(lambda: self._read_small(saltenv, files))

    def _read_small(self, saltenv: str, files: Sequence[tuple[str, bytes]]) -> list[bytes | None]:
        room = MAX_CHUNK_BYTES
        found: list[bytes | None] = []
        for path, digest in files:
            data = self._read_whole(saltenv, path, digest, room)
            room -= len(data or b"")
            found.append(data)
        return found

    def _read_whole(self, saltenv: str, path: str, digest: bytes, room: int) -> bytes | None:
        known = self._roots.look_up(path, saltenv)
        if known is None or known[1].size > room or bytes.fromhex(known[1].digest) != digest:
            return None
        try:
            data = _read_part(known[0], 0, room + 1)
        except RequestRefused:
            return None
        return data if len(data) == known[1].size else None

    async def chunk(self, saltenv: str, path: str, digest: bytes, offset: int, length: int) -> bytes:
        """Return a part of a file whose content has this digest; refuses with `changed` where it has not any more."""
        return await self._in_thread(lambda: self._read(saltenv, path, digest, offset, length))

    def _read(self, saltenv: str, path: str, digest: bytes, offset: int, length: int) -> bytes:
        found = self._roots.look_up(path, saltenv)
        if found is None or bytes.fromhex(found[1].digest) != digest:
            raise RequestRefused("changed", "the file has changed since it was looked up")
        return _read_part(found[0], offset, length)

    def close(self) -> None:
        """End the threads, and what git does."""
        self._stop.set()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._fetcher.shutdown(wait=True, cancel_futures=True)


def _catching(work: Callable[[], list[str]]) -> list[str]:
    """Fetch, and return what went wrong as sentences."""
    try:
        return work()
    except (CtlError, OSError) as error:
        return [f"git repositories cannot be fetched: {error}"]


def _read_part(path: str, offset: int, length: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RequestRefused("changed", f"the file cannot be read: {error.strerror}") from error


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
