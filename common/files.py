"""File roots: what `salt://` and `ctl://` paths mean on the machine that has the files.

Owns the mapping from an environment and a tree-relative path to a file below one of the environment's roots, the
digests of those files and the listings of the tree. The master's file server and a masterless minion share it. No
path from elsewhere becomes a path on disk except through `safe_join`.
"""

from __future__ import annotations

import bisect
import fnmatch
import os
import re
import stat
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .context import FileInfo
from .errors import FileServerError, nearest

SCHEMES = ("salt://", "ctl://")
MAX_PATH_BYTES = 1024
# The environment whose directories serve all that are not named.
ANY_ENVIRONMENT = "__env__"
MAX_NAME_BYTES = 255
MAX_CACHED_DIGESTS = 100_000
# What changed this short a time ago may change again within one tick of its time stamp, so it is not remembered.
SETTLED_NS = 50_000_000


def is_tree_url(source: str) -> bool:
    """Say whether `source` is a `salt://` or `ctl://` URL."""
    return source.startswith(SCHEMES)


def split_url(url: str) -> tuple[str, str | None]:
    """Take `salt://a/b?saltenv=dev` apart into the path in the tree and the environment it names, if any.

    `salt://|name` is the spelling for a path with special characters. A string without a scheme is a path.
    """
    for scheme in SCHEMES:
        if url.startswith(scheme):
            url = url[len(scheme) :]
            break
    path, mark, saltenv = url.rpartition("?saltenv=")
    if not mark:
        path, saltenv = url, ""
    return path.removeprefix("|").lstrip("/"), saltenv or None


def check_relative(path: str) -> str:
    """Return `path` where it is one that stays below a root, normalised; raise `FileServerError` else.

    Looks at the text only. A backslash is an ordinary character of a name (systemd's units have them), but not where
    it spells `..` or a root elsewhere.
    """
    words = [word for word in path.split("/") if word not in ("", ".")]
    try:
        encoded = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise FileServerError(f"{_shown(path)} holds characters that no name of a file has") from None
    if not words or path.startswith(("/", "\\")) or "\0" in path:
        raise FileServerError(f"{_shown(path)} is not a path in the tree")
    if any(".." in word.split("\\") for word in words):
        raise FileServerError(f"{_shown(path)} leads out of the tree")
    if len(encoded) > MAX_PATH_BYTES or any(len(os.fsencode(word)) > MAX_NAME_BYTES for word in words):
        raise FileServerError(f"{_shown(path)} is too long for a path in the tree")
    return "/".join(words)


def safe_join(root: str | Path, relative: str, *, follow_symlinks: bool = False) -> Path:
    """Join a path from elsewhere to `root`; raise `FileServerError` where it would lead out of it.

    Symlinks that end inside the root are fine; others only with `follow_symlinks`. The path need not exist.
    """
    joined = os.path.join(root, check_relative(relative))
    if not follow_symlinks and not _inside(os.path.realpath(joined), os.path.realpath(root)):
        raise FileServerError(f"{_shown(relative)} leads out of the tree")
    return Path(joined)


def _inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _shown(path: str) -> str:
    text = path if len(path) <= 80 else path[:77] + "..."
    return ascii(text)


class Digests:
    """SHA-256 of files, remembered for as long as a file's inode, size and times stay the same."""

    def __init__(self, limit: int = MAX_CACHED_DIGESTS) -> None:
        self._limit = limit
        self._known: OrderedDict[str, tuple[tuple[int, ...], str]] = OrderedDict()

    def of(self, path: str, status: os.stat_result) -> str:
        """Return the digest of the file at `path`, whose `os.stat` is `status`, as 64 hex digits."""
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = self._known.get(path)
        if known is not None and known[0] == key:
            return known[1]
        import hashlib  # `ctl-call` begins without it

        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > SETTLED_NS:
            self._known[path] = (key, digest)
            if len(self._known) > self._limit:
                self._known.popitem(last=False)
        return digest


@dataclass(slots=True)
class _Listing:
    """What one environment's tree holds, sorted; `stamps` are the change times of its directories when read."""

    files: list[str]
    dirs: list[str]
    symlinks: dict[str, str]
    stamps: dict[str, int]
    read_ns: int

    def still_true(self) -> bool:
        """Say whether no directory has changed, which is only known of stamps that had settled when read."""
        settled = self.read_ns - SETTLED_NS
        return all(stamp < settled and _stamp(path) == stamp for path, stamp in self.stamps.items())


@dataclass(slots=True)
class _Scan:
    """A walk over the roots of one environment; the first root that has a name wins."""

    files: dict[str, str] = field(default_factory=dict)
    dirs: set[str] = field(default_factory=set)
    symlinks: dict[str, str] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)


class Roots:
    """The files of local directories, by environment (implements `context.FileSource`).

    `roots` maps each environment to its directories; the first directory that has a file wins. The directories of
    `__env__` serve the environments that are not named: their names take the place of `__env__` in them. Paths that
    match `ignore_glob` or `ignore_regex` do not exist. A symlink counts where it ends inside some root of its
    environment; others only with `follow_symlinks`.
    """

    def __init__(
        self,
        roots: Mapping[str, Sequence[str | Path]],
        *,
        ignore_glob: Iterable[str] = (),
        ignore_regex: Iterable[str] = (),
        follow_symlinks: bool = False,
    ) -> None:
        self.use(roots)
        self._follow = follow_symlinks
        patterns = [fnmatch.translate(glob) for glob in ignore_glob]
        self._ignored = [re.compile(pattern).match for pattern in patterns]
        self._ignored += [re.compile(pattern).search for pattern in ignore_regex]
        self._digests = Digests()

    def use(self, roots: Mapping[str, Sequence[str | Path]]) -> None:
        """Serve these directories from now on; what is known of their files stays known."""
        self._roots = {env: [os.path.abspath(path) for path in paths] for env, paths in roots.items()}
        self._listings: dict[str, _Listing] = {}

    def environments(self) -> list[str]:
        """List the environments, in the order of the configuration."""
        return list(self._roots)

    def find(self, paths: Sequence[str], saltenv: str) -> dict[str, FileInfo | None]:
        """Look up many files; a path that is no file maps to None."""
        inside = self._real_roots(saltenv)
        return {path: self._info(path, saltenv, inside) for path in paths}

    def fetch(self, path: str, saltenv: str) -> Path:
        """Return where the file is; raise `FileServerError` where there is none."""
        found = self.locate(path, saltenv)
        if found is None:
            raise FileServerError(f"no file salt://{path} in environment {saltenv!r}")
        return found

    def locate(self, path: str, saltenv: str) -> Path | None:
        """Return the path on disk of a file of the tree, or None where there is no such file."""
        found = self._find(path, saltenv, self._real_roots(saltenv))
        return Path(found[0]) if found else None

    def look_up(self, path: str, saltenv: str) -> tuple[str, FileInfo] | None:
        """Return where a file of the tree is on disk and what it is, or None where there is no such file."""
        found = self._find(path, saltenv, self._real_roots(saltenv))
        info = self._describe(*found) if found else None
        return (found[0], info) if found and info else None

    def forget_listings(self) -> None:
        """Read every tree anew at the next listing."""
        self._listings = {}

    def list_files(self, saltenv: str, prefix: str = "") -> list[str]:
        """List the files whose path starts with the directory `prefix` (all without one), sorted."""
        return _below(self._listing(saltenv).files, prefix)

    def list_dirs(self, saltenv: str, prefix: str = "") -> list[str]:
        """List the directories below `prefix`, empty ones included."""
        return _below(self._listing(saltenv).dirs, prefix)

    def list_symlinks(self, saltenv: str, prefix: str = "") -> dict[str, str]:
        """Map each symlink below `prefix` that stays inside the tree to its target."""
        links = self._listing(saltenv).symlinks
        return {name: links[name] for name in _below(sorted(links), prefix)}

    def tree_fingerprint(self, saltenv: str) -> str:
        """Return a digest that changes when any file of the environment is added, removed or written to."""
        import hashlib

        scan = self._scan(saltenv)
        digest = hashlib.sha256()
        for name, path in sorted(scan.files.items()):
            try:
                status = os.stat(path)
            except OSError:
                continue
            stamp = f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
            digest.update(f"{name}\0{stamp}\0".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def _info(self, path: str, saltenv: str, inside: Sequence[str]) -> FileInfo | None:
        found = self._find(path, saltenv, inside)
        return self._describe(*found) if found else None

    def _describe(self, where: str, status: os.stat_result) -> FileInfo | None:
        try:
            digest = self._digests.of(where, status)
        except FileNotFoundError:
            return None
        return FileInfo(digest, status.st_size, stat.S_IMODE(status.st_mode))

    def _find(self, path: str, saltenv: str, inside: Sequence[str]) -> tuple[str, os.stat_result] | None:
        relative = check_relative(path)
        directories = self._directories(saltenv)
        if self._is_ignored(relative):
            return None
        for root in directories:
            where = os.path.join(root, relative)
            try:
                status = os.stat(where)
            except (OSError, ValueError):
                continue
            if stat.S_ISREG(status.st_mode) and self._may_serve(where, inside):
                return where, status
        return None

    def _directories(self, saltenv: str) -> list[str]:
        known = self._roots.get(saltenv)
        if known is None and ANY_ENVIRONMENT in self._roots:
            found = self._stand_ins(saltenv)
            if found:
                return found
        if known is None:
            near = nearest(saltenv, self._roots)
            hint = f"did you mean {near!r}?" if near else f"known: {', '.join(self._roots) or 'none'}"
            raise FileServerError(f"no such environment {_shown(saltenv)}", hint=hint)
        return known

    def _stand_ins(self, saltenv: str) -> list[str]:
        """Return the directories of `__env__` for an environment: none where it has none of its own."""
        if check_relative(saltenv) != saltenv:  # a peer names it: one spelling for each, which stays below the root
            return []
        found = [root.replace(ANY_ENVIRONMENT, saltenv) for root in self._roots[ANY_ENVIRONMENT]]
        return found if any(map(os.path.isdir, found)) else []

    def _is_ignored(self, relative: str) -> bool:
        return any(match(relative) for match in self._ignored)

    def _real_roots(self, saltenv: str) -> list[str]:
        return [os.path.realpath(root) for root in self._directories(saltenv)]

    def _may_serve(self, path: str, inside: Sequence[str]) -> bool:
        """Say whether a path ends inside one of these directories (a root itself may be reached by a symlink)."""
        if self._follow:
            return True
        real = os.path.realpath(path)
        return any(_inside(real, root) for root in inside)

    def _listing(self, saltenv: str) -> _Listing:
        known = self._listings.get(saltenv)
        if known is not None and known.still_true():
            return known
        now = time.time_ns()
        scan = self._scan(saltenv)
        listing = _Listing(sorted(scan.files), sorted(scan.dirs), scan.symlinks, scan.stamps, now)
        self._listings[saltenv] = listing
        return listing

    def _scan(self, saltenv: str) -> _Scan:
        scan = _Scan()
        inside = self._real_roots(saltenv)
        for root in self._directories(saltenv):
            self._walk(scan, inside, root, "", ())
        return scan

    def _walk(
        self, scan: _Scan, inside: Sequence[str], directory: str, prefix: str, above: tuple[tuple[int, int], ...]
    ) -> None:
        scan.stamps[directory] = _stamp(directory)
        try:
            status = os.stat(directory)
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
        except OSError:
            return
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            return
        for entry in entries:
            name = prefix + entry.name
            if not self._is_ignored(name) and self._note(scan, inside, entry, name):
                self._walk(scan, inside, entry.path, name + "/", (*above, identity))

    def _note(self, scan: _Scan, inside: Sequence[str], entry: os.DirEntry[str], name: str) -> bool:
        """Note an entry in the scan; True where it is a directory to go into."""
        if name in scan.files:
            return False
        if entry.is_symlink():
            if not self._may_serve(entry.path, inside):
                return False
            scan.symlinks.setdefault(name, os.readlink(entry.path))
        if entry.is_dir():
            scan.dirs.add(name)
            return True
        if entry.is_file() and name not in scan.dirs:
            scan.files[name] = entry.path
        return False


def _below(names: list[str], prefix: str) -> list[str]:
    start = prefix.strip("/")
    if not start:
        return list(names)
    # "0" is the character after "/".
    return names[bisect.bisect_left(names, start + "/") : bisect.bisect_left(names, start + "0")]


def _stamp(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return -1
