"""Reach a path's parent directory by descriptor, so that nobody who may write on the way can lead us elsewhere.

A job runs as root inside directories that other users own. Such a user may swap a component for a symlink between a
check and an action. So the way is walked one component at a time with `O_NOFOLLOW`, and a symlink is followed only
where whoever made it could have written to its target anyway: it belongs to root or to us, or it leads to a directory
of its own owner.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MAX_LINKS = 40
_WALK = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_RDONLY


class Place(NamedTuple):
    """A name in an open directory: what the calls with `dir_fd=` take."""

    directory: int
    name: str


@contextlib.contextmanager
def open_parent(path: str | Path, *, follow: bool = False) -> Iterator[Place]:
    """Open the directory that holds `path`; with `follow`, the one that holds what the symlink at `path` points to.

    Raises `OSError`: `FileNotFoundError` where the directory is missing, `ELOOP` for a symlink that is not to be
    trusted. The descriptor is closed at the end of the `with` block.
    """
    walk = _Walk()
    directory, _, name = os.path.abspath(path).rpartition("/")
    try:
        walk.enter(directory or "/")
        for _ in range(MAX_LINKS):
            target = _link_target(walk.fd, name) if follow and name else None
            if target is None:
                break
            owner = os.stat(name, dir_fd=walk.fd, follow_symlinks=False).st_uid
            head, _, name = target.rstrip("/").rpartition("/")
            walk.enter(head or ("/" if target.startswith("/") else "."))
            walk.check_owner(owner, path)
        yield Place(walk.fd, name or ".")
    finally:
        walk.close()


@contextlib.contextmanager
def open_directory(path: str | Path) -> Iterator[int]:
    """Open the directory `path` itself, walked to in the same way, and close it at the end of the `with` block."""
    walk = _Walk()
    try:
        walk.enter(os.path.abspath(path))
        yield walk.fd
    finally:
        walk.close()


def make_directories(path: str | Path, *, mode: int | None = None, uid: int = -1, gid: int = -1) -> list[str]:
    """Make the directory `path` and those above it that are missing, with this mode and owner; return what was made."""
    walk = _Walk()
    made: list[str] = []
    gone = ""
    try:
        for word in os.path.abspath(path).split("/")[1:]:
            gone += f"/{word}"
            try:
                walk.enter(word)
            except FileNotFoundError:
                with contextlib.suppress(FileExistsError):  # somebody else was faster
                    _make(walk.fd, word, mode, uid, gid)
                    made.append(gone)
                walk.enter(word)
    finally:
        walk.close()
    return made


def make_directory(path: str | Path, *, mode: int | None = None, uid: int = -1, gid: int = -1) -> None:
    """Make one directory, with this mode and owner; the one that holds it must be there."""
    with open_parent(path) as place:
        _make(place.directory, place.name, mode, uid, gid)


def _make(directory: int, name: str, mode: int | None, uid: int, gid: int) -> None:
    # Nobody else gets in before owner and mode are set.
    os.mkdir(name, 0o777 if mode is None else 0o700, dir_fd=directory)
    fd = os.open(name, _WALK, dir_fd=directory)
    try:
        if (uid, gid) != (-1, -1):
            os.fchown(fd, uid, gid)
        if mode is not None:
            os.fchmod(fd, mode)
    finally:
        os.close(fd)


class _Walk:
    """A descriptor that moves down a path."""

    def __init__(self) -> None:
        self.fd = os.open("/", _WALK)
        self._links = 0

    def close(self) -> None:
        os.close(self.fd)

    def enter(self, path: str) -> None:
        """Move along `path`, from the root where it is absolute."""
        if path.startswith("/"):
            self._replace(os.open("/", _WALK))
        for word in path.split("/"):
            if word and word != ".":
                self._step(word)

    def _step(self, word: str) -> None:
        try:
            self._replace(os.open(word, _WALK, dir_fd=self.fd))
            return
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                error.filename = word
                raise
        target = _link_target(self.fd, word)
        if target is None:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), word)
        self._links += 1
        if self._links > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), word)
        owner = os.stat(word, dir_fd=self.fd, follow_symlinks=False).st_uid
        self.enter(target)
        self.check_owner(owner, word)

    def check_owner(self, owner: int, path: str | Path) -> None:
        """Refuse where a symlink of `owner` has led to a directory that is not theirs."""
        if owner not in (0, os.geteuid(), os.fstat(self.fd).st_uid):
            raise OSError(errno.ELOOP, "a symlink of another user leads out of that user's directories", str(path))

    def _replace(self, fd: int) -> None:
        os.close(self.fd)
        self.fd = fd


def _link_target(directory: int, name: str) -> str | None:
    try:
        if stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            return os.readlink(name, dir_fd=directory)
    except FileNotFoundError:
        pass
    return None
