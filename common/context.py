"""What a running plugin can reach: who it runs for, its data, other functions, its files and its daemon.

A job's process sets one context for itself (its threads see it too). Where several minions share a process, as in
tests, `use()` sets one for the current task or thread.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One file of a state tree: its SHA-256 as 64 hex digits, its size in bytes, its mode (0o644)."""

    digest: str
    size: int
    mode: int = 0o644


class FileSource(Protocol):
    """Where `salt://` and `ctl://` files come from: the roots of this machine, or the master's file server.

    Paths are relative, with forward slashes, without a scheme and without `..`; the caller strips the scheme with
    `files.split_url`. Every method raises `FileServerError` for a path or environment out of bounds.
    """

    def environments(self) -> list[str]: ...

    def find(self, paths: Sequence[str], saltenv: str) -> dict[str, FileInfo | None]:
        """Look up many files in one request; a path that is no file maps to None."""
        ...

    def fetch(self, path: str, saltenv: str) -> Path:
        """Return a local path with the file's content, verified against its digest. Do not change that file."""
        ...

    def list_files(self, saltenv: str, prefix: str = "") -> list[str]: ...

    def list_dirs(self, saltenv: str, prefix: str = "") -> list[str]:
        """List the directories, empty ones included."""
        ...

    def list_symlinks(self, saltenv: str, prefix: str = "") -> dict[str, str]:
        """Map each symlink that stays inside the tree to its target."""
        ...


@runtime_checkable
class LargeFiles(Protocol):
    """A file source that need not keep what is large."""

    def take(self, path: str, saltenv: str) -> Path | None:
        """Return a large file that only the caller has, to be moved away; None where `fetch` is the way."""
        ...


@runtime_checkable
class FileTransfers(Protocol):
    """A daemon with a master to exchange files with that are not of the tree."""

    def push(self, path: str, name: str) -> int:
        """Push a file of this machine to the master, under a name; return its size."""
        ...

    def staged(self, handle: bytes, digest: bytes, size: int, name: str) -> Path:
        """Fetch a file that a client copies to this minion; it is the caller's, to be moved away."""
        ...


class DaemonPort(Protocol):
    """What a job asks of the daemon that runs it."""

    def pillar(
        self,
        *,
        saltenv: str | None = None,
        pillarenv: str | None = None,
        override: Mapping[str, Any] | None = None,
        fresh: bool = False,
    ) -> dict[str, Any]:
        """Return this minion's pillar; rendered anew with `fresh`, an environment or an override, else from memory.

        Errors of rendering are in the key `_errors` (a list of sentences).
        """
        ...

    def event(self, tag: str, data: Mapping[str, Any]) -> bool:
        """Send an event to the master; it arrives under `minion/<id>/<tag>`. False where no master listens."""
        ...

    def progress(self, data: Mapping[str, Any]) -> None:
        """Report progress of the running job (a state's result, a line of output)."""
        ...

    def running(self) -> list[dict[str, Any]]:
        """List the jobs that run on this minion: jid, fun, pid, user, started, arg."""
        ...

    def kill(self, jid: str, signal: int) -> bool:
        """Send a signal to a running job's processes; False where it does not run."""
        ...

    def refresh(self, what: str) -> bool:
        """Have the daemon renew `grains`, `pillar` or `modules` (users' plugins), and wait until it has."""
        ...

    def state_lock(self, queue: bool | int, concurrent: bool) -> dict[str, Any] | None:
        """Take this minion's turn for a state run; None when it is ours, else the job that holds it."""
        ...


@dataclass(slots=True)
class Context:
    """Everything a plugin can reach. `functions`, `states` and `grains` may load lazily."""

    id: str
    config: Mapping[str, Any]
    grains: Mapping[str, Any]
    pillar: MutableMapping[str, Any]
    files: FileSource
    daemon: DaemonPort
    functions: Mapping[str, Function] = field(default_factory=dict)
    states: Mapping[str, Function] = field(default_factory=dict)
    renderers: Mapping[str, Function] = field(default_factory=dict)  # users' own, by their names
    test: bool = False
    jid: str = ""
    # What the job was published to call: a command given to `cmd.run` by hand may use the shell, a plugin's may not.
    fun: str | Sequence[str] = ""
    user: str = ""
    saltenv: str = "base"
    # Salt's __context__: kept for one job. `retcode` in it becomes the job's.
    scratch: dict[str, Any] = field(default_factory=dict)

    def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call an execution function by its name (`pkg.install`), for a purpose of a built-in function's own.

        A name that comes from a job, a state or a template goes through `functions`, which asks what is allowed here.
        """
        find: Callable[[str], Function] = getattr(self.functions, "find", self.functions.__getitem__)
        return find(name)(*args, **kwargs)


_process: list[Context] = []
_task: ContextVar[Context | None] = ContextVar("ctl_context", default=None)


def current() -> Context:
    """Return the context of the running job; raises `LookupError` outside of one."""
    context = _task.get() or (_process[-1] if _process else None)
    if context is None:
        raise LookupError("no job is running here: plugins reach their minion only from inside a job")
    return context


def set_for_process(context: Context) -> None:
    """Make `context` the one of this whole process (a job's child does, once)."""
    _process[:] = [context]


@contextlib.contextmanager
def use(context: Context) -> Iterator[Context]:
    """Make `context` the current one for this task or thread, within a `with` block."""
    token = _task.set(context)
    try:
        yield context
    finally:
        _task.reset(token)
