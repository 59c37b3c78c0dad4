"""Git repositories as directories of files: fetched by the real git, each commit unpacked once and never changed.

A repository lives in a directory named by the digest of its URL, a tree in one named by the digest of its commit, root
and mountpoint, so no two remotes, branches or environments can share one. A URL's protocol is checked here and by git.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from ..common import process
from ..common.errors import CommandExecutionError, ConfigError
from ..common.files import check_relative
from .git_password import take_password

log = logging.getLogger(__name__)

FETCH_AT_ONCE = 8
LOCK_POLL_S = 0.05
KEEP_UNUSED_S = 3600.0
TOUCH_S = 300.0
PROTOCOLS = ("https", "http", "ssh", "git", "file")
_HELPER = re.compile(r"[A-Za-z0-9+.-]+::")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SCP = re.compile(r"(?!/)[^/:]+:(?!/?/)")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# A peer that says nothing any more: git's HTTP gives up after so many seconds, and ssh asks whether it is there.
_SILENCE = ("-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=30")
_SSH = "ssh -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=10 -o ServerAliveCountMax=3"
_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


def protocol_of(url: str) -> str:
    """Return the protocol that git would speak for `url`; raises `ConfigError` where that is none of git's own."""
    if not url or url.startswith("-") or "\0" in url or "\n" in url:
        raise ConfigError(f"{url!r} is no URL of a git repository")
    if _HELPER.match(url):
        raise ConfigError(f"{url!r} names a program for git to run, which is not allowed")
    if found := _SCHEME.match(url):
        scheme = found[1].lower()
        return {"git+ssh": "ssh", "ssh+git": "ssh"}.get(scheme, scheme)
    return "ssh" if _SCP.match(url) else "file"


def check_url(url: str, protocols: Sequence[str]) -> str:
    """Return `url` where its protocol is allowed; raises `ConfigError`."""
    protocol = protocol_of(url)
    if protocol not in protocols or protocol not in PROTOCOLS:
        raise ConfigError(
            f"the git repository {without_secret(url)} is reached by {protocol}, which git_protocols does not allow",
            hint=f"allowed: {', '.join(protocols)}",
        )
    return url


def without_secret(url: str) -> str:
    """Return a URL without the user and password in it, for a log."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)


class Repository:
    """One remote repository and what is unpacked of it, below `cache`."""

    def __init__(
        self,
        url: str,
        cache: Path,
        protocols: Sequence[str],
        timeout: float = 300.0,
        stop: threading.Event | None = None,
    ) -> None:
        self.url = check_url(url, protocols)
        self._remote, self._password = take_password(self.url)
        self._timeout = timeout
        self._stop = stop  # set when the master stops: what still runs is ended
        self.home = cache / hashlib.sha256(url.encode()).hexdigest()[:32]
        self._git = self.home / "repository"
        self._fetched = self.home / "fetched"
        allowed = [word for name in protocols for word in ("-c", f"protocol.{name}.allow=always")]
        self._options = ["-c", "protocol.allow=never", *allowed, *_SILENCE, "-c", "core.hooksPath=/dev/null"]
        self._options += ["-c", "gc.autoDetach=false", "-c", "core.fsmonitor=false"]
        # a worker process may not map much at once
        self._options += ["-c", "core.packedGitWindowSize=32m", "-c", "core.packedGitLimit=256m"]

    @property
    def fetched_at(self) -> float:
        """When it was fetched last, as seconds since 1970; 0 for never."""
        try:
            return self._fetched.stat().st_mtime
        except OSError:
            return 0.0

    def fetch(self, *, only_first: bool = False, patience: float | None = None) -> None:
        """Fetch all branches and tags; raises `CommandExecutionError` where that fails.

        `only_first`: not where it has been fetched before. `patience` bounds the wait for another process that fetches
        it just now.
        """
        with self._lock("fetch", patience):
            if only_first and self.fetched_at:
                return
            if not (self._git / "HEAD").is_file():
                shutil.rmtree(self._git, ignore_errors=True)
                self._run("init", "--quiet", "--bare", "--template=", "--", str(self._git), inside=False)
            self._run(
                "fetch",
                "--quiet",
                "--prune",
                "--force",
                "--no-tags",
                "--",
                self._remote,
                *_REFSPECS,
                env=self._password,
            )
            self._fetched.touch()

    def refs(self) -> dict[str, str]:
        """Map `heads/<branch>` and `tags/<tag>` to the commits they name."""
        if not (self._git / "HEAD").is_file():
            return {}
        form = "--format=%(objectname) %(*objectname) %(refname)"
        found = {}
        for line in self._run("for-each-ref", form, "refs/heads", "refs/tags").splitlines():
            commit, peeled, name = line.split(" ", 2)
            found[name.removeprefix("refs/")] = peeled or commit
        return found

    def commit(self, ref: str) -> str | None:
        """Return the commit that a branch, a tag or a full commit id names; None where there is none."""
        refs = self.refs()
        found = refs.get(f"heads/{ref}") or refs.get(f"tags/{ref}")
        if found is None and refs and _COMMIT.fullmatch(ref):
            with contextlib.suppress(CommandExecutionError):
                self._run("cat-file", "-e", f"{ref}^{{commit}}")
                return ref
        return found

    def tree(self, commit: str, root: str = "", mountpoint: str = "") -> Path:
        """Return a directory with the files of a commit: those below `root` in it, put below `mountpoint`."""
        root, mountpoint = _clean(root), _clean(mountpoint)
        key = hashlib.sha256("\0".join((commit, root, mountpoint)).encode()).hexdigest()[:32]
        where = self.home / "trees" / key
        if not where.is_dir():
            with self._lock("trees"):
                if not where.is_dir():
                    self._unpack(f"{commit}:{root}" if root else commit, mountpoint, where)
        if time.time() - where.stat().st_mtime > TOUCH_S:
            os.utime(where)
        return where

    def prune(self, keep: Sequence[Path]) -> None:
        """Remove trees that nobody has used for an hour, but for those in `keep`."""
        for path in (self.home / "trees").glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path not in keep and time.time() - path.stat().st_mtime > KEEP_UNUSED_S:
                    shutil.rmtree(path, ignore_errors=True)

    def _unpack(self, treeish: str, mountpoint: str, where: Path) -> None:
        temporary = where.with_name(f".{secrets.token_hex(8)}")
        index = {"GIT_INDEX_FILE": str(temporary) + ".index"}
        temporary.mkdir(parents=True, mode=0o700)
        try:
            prefix = [f"--prefix={mountpoint}/"] if mountpoint else []
            self._run("read-tree", *prefix, treeish, env=index, work_tree=temporary)
            self._warn_of_submodules(self._run("ls-files", "--stage", env=index, work_tree=temporary))
            self._run("checkout-index", "--all", "--force", env=index, work_tree=temporary)
            _drop_links_out_of(temporary)
            os.rename(temporary, where)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            Path(index["GIT_INDEX_FILE"]).unlink(missing_ok=True)

    def _warn_of_submodules(self, listed: str) -> None:
        names = [line.partition("\t")[2] for line in listed.splitlines() if line.startswith("160000 ")]
        if names:
            where = without_secret(self.url)
            log.warning(
                "submodules of %s are not fetched, and their directories are empty: %s", where, ", ".join(names)
            )

    def _run(
        self, *words: str, env: Mapping[str, str] | None = None, inside: bool = True, work_tree: Path | None = None
    ) -> str:
        argv = [process.require_tool("git", "git"), *self._options]
        if inside:
            argv.append(f"--git-dir={self._git}")
        if work_tree is not None:
            argv.append(f"--work-tree={work_tree}")
        done = process.run(
            [*argv, *words],
            env=_environment(env or {}),
            cwd=work_tree or self.home,
            timeout=self._timeout,
            umask=0o022,
            stop=self._stop,
        )
        if done.retcode or done.timed_out:
            why = process.complaint(done).replace(self._remote, "the remote")
            if done.timed_out:
                stopped = self._stop is not None and self._stop.is_set()
                why = "the master stops" if stopped else f"it took longer than {self._timeout:g} s"
            raise CommandExecutionError(f"git {words[0]} of {without_secret(self.url)} failed: {without_secret(why)}")
        return done.text

    @contextlib.contextmanager
    def _lock(self, name: str, patience: float | None = None) -> Iterator[None]:
        """Keep other threads and processes from doing the same: a fetch that hangs does not hold up who unpacks."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.home / "trees").mkdir(exist_ok=True, mode=0o700)
        descriptor = os.open(self.home / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _take(descriptor, patience, without_secret(self.url))
            yield
        finally:
            os.close(descriptor)


def fetch_all(repositories: Iterable[Repository], fetched: Callable[[str], None]) -> None:
    """Fetch repositories beside each other, so that one that hangs keeps no other waiting.

    `fetched` is called as each ends, in the caller's thread, with a sentence where it failed, else with nothing.
    """
    different = {repository.home: repository for repository in repositories}
    if not different:
        return
    with ThreadPoolExecutor(min(FETCH_AT_ONCE, len(different)), thread_name_prefix="git") as threads:
        for done in as_completed([threads.submit(repository.fetch) for repository in different.values()]):
            try:
                done.result()
            except (CommandExecutionError, OSError) as error:
                fetched(str(error))
            else:
                fetched("")


def _take(descriptor: int, patience: float | None, url: str) -> None:
    """Take the lock of a repository, waiting for so many seconds at most."""
    if patience is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise CommandExecutionError(f"{url} is still being fetched") from None
            time.sleep(LOCK_POLL_S)


def _clean(path: str) -> str:
    """Return a path inside a repository or tree without a scheme and slashes around it."""
    path = path.removeprefix("salt://").removeprefix("ctl://").strip("/")
    return check_relative(path) if path not in ("", ".") else ""


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which git asks nobody, and reads no variables that lead it elsewhere."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name.startswith("GIT_SSH")
    }
    kept.setdefault("GIT_SSH_COMMAND", _SSH)
    return {
        **kept,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "LC_ALL": "C.UTF-8",
        "LANGUAGE": "",
        **more,
    }


def _drop_links_out_of(directory: Path) -> None:
    """Remove symlinks that lead out of an unpacked tree: whoever may push must not choose files of this machine."""
    real = os.path.realpath(directory)
    for where, dirs, names in os.walk(directory):
        for name in [*dirs, *names]:
            path = os.path.join(where, name)
            if os.path.islink(path) and not (os.path.realpath(path) + "/").startswith(real + "/"):
                log.warning("a symlink in a git tree leads out of it and is left out: %s", os.path.relpath(path, real))
                os.unlink(path)
