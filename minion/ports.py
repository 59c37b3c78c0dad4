"""What a job reaches its minion through: the daemon, over the job's link, or this machine alone (masterless).

Implements `context.DaemonPort` and `context.FileSource`. `ChildPort` and `ChildFiles` ask the other end of a link,
which `services.py` answers; `LocalDaemon` does without a daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..common.context import FileInfo
from ..common.errors import CtlError, FileServerError, MasterUnavailable, PillarError, RemoteError
from ..common.wire import pack_payload, unpack_payload

Refreshed = Callable[[str], None]


class Daemon(Protocol):
    """The line to the daemon: a job's link, or in `ctl-call` its own loop."""

    def ask(self, op: str, *args: Any) -> tuple[bool, Any]:
        """Return whether it went well, and the answer."""
        ...

    def tell(self, op: str, *args: Any) -> None:
        """Say something that has no answer."""
        ...


_ERRORS: dict[str, type[CtlError]] = {"file": FileServerError, "unavailable": MasterUnavailable}


def ask(link: Daemon, op: str, *args: Any) -> Any:
    """Ask the daemon; raise what it answers with an error."""
    good, value = link.ask(op, *args)
    if good:
        return value
    name, message, code = value
    kind = _ERRORS.get(code)
    raise kind(message) if kind is not None else RemoteError(name, message, code=code)


def cached_file(cache: Path, digest: str) -> Path:
    """Return where the digest cache keeps a file."""
    return cache / digest[:2] / digest


class ChildPort:
    """The daemon, as the process of a job sees it. `on_refresh` is called in it after something was renewed."""

    def __init__(self, link: Daemon) -> None:
        self._link = link
        self.on_refresh: Refreshed = lambda what: None

    def pillar(
        self,
        *,
        saltenv: str | None = None,
        pillarenv: str | None = None,
        override: Mapping[str, Any] | None = None,
        fresh: bool = False,
    ) -> dict[str, Any]:
        """Return this minion's pillar, from the daemon's memory or rendered anew."""
        packed = None if override is None else pack_payload(override)
        return dict(unpack_payload(ask(self._link, "pillar", saltenv, pillarenv, packed, fresh)))

    def event(self, tag: str, data: Mapping[str, Any]) -> bool:
        """Send an event to the master."""
        return bool(ask(self._link, "event", tag, pack_payload(data)))

    def progress(self, data: Mapping[str, Any]) -> None:
        """Report progress of this job."""
        self._link.tell("progress", str(data.get("kind") or "progress"), pack_payload(data))

    def running(self) -> list[dict[str, Any]]:
        """List the jobs that run on this minion."""
        return list(unpack_payload(ask(self._link, "running")))

    def kill(self, jid: str, signal: int) -> bool:
        """Send a signal to a running job's processes."""
        return bool(ask(self._link, "kill", jid, int(signal)))

    def refresh(self, what: str) -> bool:
        """Have the daemon renew something, and take the new state over in this process."""
        done = bool(ask(self._link, "refresh", what))
        self.on_refresh(what)
        return done

    def change_key(self) -> tuple[str, str]:
        """Have the daemon replace this minion's key; return the old and the new fingerprint."""
        old, new = ask(self._link, "change_key")
        return str(old), str(new)

    def grains(self) -> dict[str, Any]:
        """Return the daemon's grains as they are now."""
        return dict(unpack_payload(ask(self._link, "grains")))

    def push(self, path: str, name: str) -> int:
        """Push a file to the master; return its size."""
        return int(ask(self._link, "file_push", path, name))

    def staged(self, handle: bytes, digest: bytes, size: int, name: str) -> Path:
        """Fetch a file that a client copies to this minion; it is the caller's, to be moved away."""
        return Path(ask(self._link, "staged_take", handle, digest, size, name))

    def state_lock(self, queue: bool | int, concurrent: bool) -> dict[str, Any] | None:
        """Take this minion's turn for a state run."""
        holder = ask(self._link, "state_lock", queue, concurrent)
        return None if holder is None else dict(holder)


class ChildFiles:
    """The master's files, as the process of a job sees them: looked up in batches, read from the digest cache."""

    def __init__(self, link: Daemon, cache: Path) -> None:
        self._link = link
        self._cache = cache
        self._found: dict[tuple[str, str], FileInfo] = {}

    def environments(self) -> list[str]:
        """List the environments."""
        return list(ask(self._link, "file_envs"))

    def find(self, paths: Sequence[str], saltenv: str) -> dict[str, FileInfo | None]:
        """Look up many files at once."""
        rows = ask(self._link, "file_find", saltenv, list(paths)) if paths else []
        found: dict[str, FileInfo | None] = {}
        for path, row in zip(paths, rows, strict=True):
            found[path] = info = None if row is None else FileInfo(row[0].hex(), row[1], row[2])
            if info is not None:
                self._found[saltenv, path] = info
        return found

    def fetch(self, path: str, saltenv: str) -> Path:
        """Return a local file with the content; what is in the cache already costs no message."""
        info = self._found.get((saltenv, path)) or self.find([path], saltenv)[path]
        if info is None:
            raise FileServerError(f"no file salt://{path} in environment {saltenv!r}")
        local = cached_file(self._cache, info.digest)
        if local.is_file():
            return local
        return Path(ask(self._link, "file_fetch", saltenv, path, bytes.fromhex(info.digest), info.size))

    def take(self, path: str, saltenv: str) -> Path | None:
        """Return a large file that only the caller has, to be moved away; None where `fetch` is the way."""
        info = self._found.get((saltenv, path)) or self.find([path], saltenv)[path]
        if info is None:
            return None
        taken = ask(self._link, "file_take", saltenv, path, bytes.fromhex(info.digest), info.size)
        return None if taken is None else Path(taken)

    def list_files(self, saltenv: str, prefix: str = "") -> list[str]:
        """List the files below a directory of the tree."""
        return list(ask(self._link, "file_list", saltenv, prefix, "files"))

    def list_dirs(self, saltenv: str, prefix: str = "") -> list[str]:
        """List the directories below a directory of the tree."""
        return list(ask(self._link, "file_list", saltenv, prefix, "dirs"))

    def list_symlinks(self, saltenv: str, prefix: str = "") -> dict[str, str]:
        """Map symlinks below a directory of the tree to their targets."""
        return dict(ask(self._link, "file_list", saltenv, prefix, "symlinks"))


class LazyMapping(MutableMapping[str, Any]):
    """Data (pillar, grains) that is fetched or unpacked at the first look into it."""

    def __init__(self, load: Callable[[], dict[str, Any]]) -> None:
        self._load = load
        self._data: dict[str, Any] | None = None

    def forget(self) -> None:
        """Ask again at the next look."""
        self._data = None

    def _all(self) -> dict[str, Any]:
        if self._data is None:
            self._data = self._load()
        return self._data

    def __getitem__(self, key: str) -> Any:
        return self._all()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._all()[key] = value

    def __delitem__(self, key: str) -> None:
        del self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return repr(self._all())


CompilePillar = Callable[[str | None, str | None, Mapping[str, Any] | None], dict[str, Any]]


class LocalDaemon:
    """A machine without a master: pillar from its own roots, nobody to tell, nothing to wait for."""

    def __init__(self, compile_pillar: CompilePillar) -> None:
        self._compile = compile_pillar
        self._pillar: dict[str, Any] | None = None
        self.on_refresh: Refreshed = lambda what: None

    def pillar(
        self,
        *,
        saltenv: str | None = None,
        pillarenv: str | None = None,
        override: Mapping[str, Any] | None = None,
        fresh: bool = False,
    ) -> dict[str, Any]:
        """Compile the pillar from the roots of this machine; once, unless it is asked for anew."""
        if saltenv is not None or pillarenv is not None or override:
            return self._compiled(saltenv, pillarenv, override)
        if fresh or self._pillar is None:
            self._pillar = self._compiled(None, None, None)
        return dict(self._pillar)

    def _compiled(
        self, saltenv: str | None, pillarenv: str | None, override: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        try:
            return self._compile(saltenv, pillarenv, override)
        except PillarError as error:
            return {"_errors": list(error.problems)}

    def event(self, tag: str, data: Mapping[str, Any]) -> bool:
        """There is no master to tell."""
        return False

    def progress(self, data: Mapping[str, Any]) -> None:
        """There is nobody to tell."""

    def running(self) -> list[dict[str, Any]]:
        """List no jobs: none are known here."""
        return []

    def kill(self, jid: str, signal: int) -> bool:
        """There is no job to send a signal to."""
        return False

    def refresh(self, what: str) -> bool:
        """Renew what this process holds."""
        self._pillar = None
        self.on_refresh(what)
        return True

    def state_lock(self, queue: bool | int, concurrent: bool) -> dict[str, Any] | None:
        """A masterless run takes no turn and waits for nobody."""
        return None
