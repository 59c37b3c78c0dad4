"""Replace a file's content at once: a reader sees the old content or the new, with its final owner and mode."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from .directory import Place, open_parent

_CHUNK_BYTES = 1 << 20
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def atomic_write(
    path: str | Path,
    content: bytes | Iterable[bytes],
    *,
    mode: int | None = None,
    uid: int | None = None,
    gid: int | None = None,
    follow: bool = False,
    sync: bool = False,
) -> None:
    """Write `content` (bytes, or chunks of them) to `path` by renaming a new file over it.

    What is not given of mode, uid and gid stays as the file has it; a new file gets the process's defaults. A symlink
    at `path` is replaced, or with `follow` what it points to is (`directory.open_parent` says which are trusted).
    With `sync` the content is on disk before the name is. Nothing temporary is left behind.
    """
    with open_parent(path, follow=follow) as place:
        old = _stat(place)
        if old is not None and stat.S_ISREG(old.st_mode):
            mode = stat.S_IMODE(old.st_mode) if mode is None else mode
            uid = old.st_uid if uid is None else uid
            gid = old.st_gid if gid is None else gid
        chunks: Iterable[bytes] = (content,) if isinstance(content, bytes) else content
        _replace(place, chunks, mode, (uid, gid), sync)


def move_into_place(source: Path, path: str | Path, *, mode: int | None = None, follow: bool = False) -> None:
    """Give a file of ours the name `path`, as `atomic_write` would write its content; `source` is gone then.

    Within a file system nothing is copied.
    """
    try:
        with open_parent(path, follow=follow) as place:
            old = _stat(place)
            fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if old is not None and stat.S_ISREG(old.st_mode):
                    mode = stat.S_IMODE(old.st_mode) if mode is None else mode
                    _set_owner(fd, old.st_uid, old.st_gid)
                os.fchmod(fd, 0o666 & ~_umask() if mode is None else mode)
            finally:
                os.close(fd)
            try:
                os.rename(source, place.name, dst_dir_fd=place.directory)
                return
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EBUSY):
                    raise
        atomic_write(path, file_chunks(source), mode=mode, follow=follow)
    finally:
        source.unlink(missing_ok=True)


def file_chunks(path: str | Path) -> Iterator[bytes]:
    """Give a file's content in pieces."""
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _umask() -> int:
    """Return the process's umask without setting it, which other threads would notice."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        return next((int(line.split()[1], 8) for line in status if line.startswith("Umask:")), 0o022)


def _replace(
    place: Place, chunks: Iterable[bytes], mode: int | None, owner: tuple[int | None, int | None], sync: bool
) -> None:
    name = f".ctl-{secrets.token_hex(8)}"
    # Without a mode, the kernel applies the umask to 0666; with one, nobody else reads before it is set.
    fd = os.open(name, _CREATE, 0o666 if mode is None else 0o600, dir_fd=place.directory)
    try:
        try:
            _fill(fd, chunks)
            _set_owner(fd, *owner)
            if mode is not None:
                os.fchmod(fd, mode)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        _rename(place, name)
    except BaseException:
        os.unlink(name, dir_fd=place.directory)
        raise
    if sync:
        os.fsync(place.directory)


def _fill(fd: int, chunks: Iterable[bytes]) -> None:
    for chunk in chunks:
        view = memoryview(chunk)
        while view:
            view = view[os.write(fd, view) :]


def _set_owner(fd: int, uid: int | None, gid: int | None) -> None:
    now = os.fstat(fd)
    uid = now.st_uid if uid is None else uid
    gid = now.st_gid if gid is None else gid
    if (uid, gid) != (now.st_uid, now.st_gid):
        os.fchown(fd, uid, gid)


def _rename(place: Place, name: str) -> None:
    try:
        os.rename(name, place.name, src_dir_fd=place.directory, dst_dir_fd=place.directory)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        # A file that is a mount point of its own (/etc/hosts in a container) can only be written in place.
        _copy_over(place, name)
        os.unlink(name, dir_fd=place.directory)


def _copy_over(place: Place, name: str) -> None:
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.directory)
    try:
        flags = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        target = os.open(place.name, flags, dir_fd=place.directory)
        try:
            _fill(target, iter(lambda: os.read(source, 1 << 20), b""))
            wanted = os.fstat(source)
            _set_owner(target, wanted.st_uid, wanted.st_gid)
            os.fchmod(target, stat.S_IMODE(wanted.st_mode))
        finally:
            os.close(target)
    finally:
        os.close(source)


def _stat(place: Place) -> os.stat_result | None:
    try:
        return os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
