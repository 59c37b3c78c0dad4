"""Copy a directory with all it holds, by descriptor: nobody who may write on either side can lead a copy elsewhere."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..common.directory import open_directory, open_parent
from ._attributes import Attributes

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SOURCE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK_BYTES = 1 << 20


def copy_tree(source: str | Path, target: str | Path, owner: Attributes, *, preserve: bool) -> None:
    """Put a copy of the directory `source` at `target`, in the place of what is there.

    Everything gets the owner given, or with `preserve` the one it has; the directory itself the mode given.
    Devices, pipes and sockets are left out. Where it fails, what was at `target` is still there.
    """
    name = f".ctl-{secrets.token_hex(8)}"
    with open_directory(source) as old, open_parent(target) as place:
        os.mkdir(name, 0o700, dir_fd=place.directory)
        try:
            with _opened(name, _DIRECTORY, place.directory) as new:
                _copy_entries(old, new, owner, preserve)
                _finish(new, os.fstat(old), owner, preserve, owner.mode)
            _clear(place.name, place.directory)
            os.rename(name, place.name, src_dir_fd=place.directory, dst_dir_fd=place.directory)
        except BaseException:
            shutil.rmtree(name, dir_fd=place.directory, ignore_errors=True)
            raise


def _clear(name: str, directory: int) -> None:
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(status.st_mode):
        shutil.rmtree(name, dir_fd=directory)
    else:
        os.unlink(name, dir_fd=directory)


@contextmanager
def _opened(name: str, flags: int, directory: int, mode: int = 0o600) -> Iterator[int]:
    fd = os.open(name, flags, mode, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)


def _copy_entries(old: int, new: int, owner: Attributes, preserve: bool) -> None:
    for name in sorted(os.listdir(old)):
        mode = os.stat(name, dir_fd=old, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(name, dir_fd=old), name, dir_fd=new)
        elif stat.S_ISDIR(mode):
            os.mkdir(name, 0o700, dir_fd=new)
            with _opened(name, _DIRECTORY, old) as inner, _opened(name, _DIRECTORY, new) as made:
                _copy_entries(inner, made, owner, preserve)
                _finish(made, os.fstat(inner), owner, preserve, None)
        elif stat.S_ISREG(mode):
            with _opened(name, _SOURCE, old) as file, _opened(name, _NEW, new) as made:
                while chunk := os.read(file, _CHUNK_BYTES):
                    _write(made, chunk)
                _finish(made, os.fstat(file), owner, preserve, None)


def _write(fd: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(fd, view) :]


def _finish(fd: int, status: os.stat_result, owner: Attributes, preserve: bool, mode: int | None) -> None:
    """Give what was copied its owner and mode; the owner first, since a change of it takes the set-uid bits away."""
    uid = status.st_uid if preserve else -1 if owner.uid is None else owner.uid
    gid = status.st_gid if preserve else -1 if owner.gid is None else owner.gid
    if (uid, gid) != (-1, -1):
        os.fchown(fd, uid, gid)
    os.fchmod(fd, stat.S_IMODE(status.st_mode) if mode is None else mode)


def tree_digest(directory: str | Path) -> str:
    """Return a digest of what a directory holds: names, kinds and contents, as far as `copy_tree` copies them."""
    digest = hashlib.sha256()
    with open_directory(directory) as fd:
        _digest_entries(fd, "", digest)
    return digest.hexdigest()


def _digest_entries(directory: int, prefix: str, digest: hashlib._Hash) -> None:
    for name in sorted(os.listdir(directory)):
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        path = f"{prefix}{name}".encode("utf-8", "surrogateescape")
        if stat.S_ISLNK(mode):
            digest.update(b"link\0%s\0%s\0" % (path, os.fsencode(os.readlink(name, dir_fd=directory))))
        elif stat.S_ISDIR(mode):
            digest.update(b"directory\0%s\0" % path)
            with _opened(name, _DIRECTORY, directory) as inner:
                _digest_entries(inner, f"{prefix}{name}/", digest)
        elif stat.S_ISREG(mode):
            with _opened(name, _SOURCE, directory) as file, open(file, "rb", closefd=False) as stream:
                content = hashlib.file_digest(stream, "sha256").digest()
            digest.update(b"file\0%s\0%s" % (path, content))
