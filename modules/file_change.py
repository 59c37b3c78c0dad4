"""Make, change and remove files, directories and links.

A path is walked to by descriptor: nobody who may write to a directory on the way can have a change land elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator

from ..common.atomic import atomic_write
from ..common.directory import make_directories, open_parent
from ..common.errors import CommandExecutionError
from ._file_path import absolute, doing, find_gid, find_uid, mode_text, opened, optional_gid, optional_uid, parse_mode
from .file import list_backups

__virtualname__ = "file"
__func_alias__ = {"copy_": "copy"}

_CHUNK_BYTES = 1 << 20


def set_mode(path: str, mode: str | int) -> str:
    """Set the mode of a file, in octal digits, and return it. A symlink is followed.

    CLI example: `ctl '*' file.set_mode /etc/passwd 0644`
    """
    path = absolute(path)
    number = parse_mode(mode)
    with doing("change the mode of", path), opened(path) as node:
        os.chmod(node, number)
        return mode_text(os.stat(node).st_mode)


def chown(path: str, user: str | int | None, group: str | int | None = None) -> None:
    """Set the owner and group of a file, by names or ids; what is not given stays. A symlink is followed.

    CLI example: `ctl '*' file.chown /etc/passwd root root`
    """
    path = absolute(path)
    _set_owner(path, user, group, follow=True)


def lchown(path: str, user: str | int | None, group: str | int | None = None) -> None:
    """Set the owner and group of a file, or of a symlink itself.

    CLI example: `ctl '*' file.lchown /etc/localtime root root`
    """
    path = absolute(path)
    _set_owner(path, user, group, follow=False)


def chgrp(path: str, group: str | int) -> None:
    """Set the group of a file. A symlink is followed.

    CLI example: `ctl '*' file.chgrp /etc/passwd root`
    """
    path = absolute(path)
    _set_owner(path, None, group, follow=True)


def _set_owner(path: str, user: str | int | None, group: str | int | None, *, follow: bool) -> None:
    uid, gid = optional_uid(user), optional_gid(group)
    with doing("change the owner of", path):
        if follow:
            with opened(path) as node:
                os.chown(node, -1 if uid is None else uid, -1 if gid is None else gid)
        else:
            with open_parent(path) as place:
                ids = (-1 if uid is None else uid, -1 if gid is None else gid)
                os.chown(place.name, *ids, dir_fd=place.directory, follow_symlinks=False)


def touch(name: str, atime: float | None = None, mtime: float | None = None) -> bool:
    """Make an empty file where there is none, and set its times: to now, or to seconds since 1970.

    CLI example: `ctl '*' file.touch /var/log/emptyfile`
    """
    name = absolute(name)
    now = time.time()
    times = None
    if atime is not None or mtime is not None:
        times = (now if atime is None else atime, now if mtime is None else mtime)
    with doing("touch", name), open_parent(name, follow=True) as place:
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        with contextlib.suppress(IsADirectoryError):
            os.close(os.open(place.name, flags, 0o666, dir_fd=place.directory))
        os.utime(place.name, times, dir_fd=place.directory, follow_symlinks=False)
    return True


def truncate(path: str, length: int) -> None:
    """Cut a file off after `length` bytes, or fill it up to them with zeros.

    CLI example: `ctl '*' file.truncate /path/to/file 512`
    """
    path = absolute(path)
    with doing("truncate", path), _writing(path) as file:
        os.ftruncate(file, length)


def seek_write(path: str, data: str, offset: int) -> int:
    """Write a text over what a file has from `offset` on; returns how many bytes were written.

    CLI example: `ctl '*' file.seek_write /path/to/file 'some data' 4096`
    """
    path = absolute(path)
    content = data.encode("utf-8", "surrogateescape")
    with doing("write", path), _writing(path) as file:
        written = 0
        while written < len(content):
            written += os.pwrite(file, content[written:], offset + written)
    return written


@contextlib.contextmanager
def _writing(path: str) -> Iterator[int]:
    with open_parent(path, follow=True) as place:
        file = os.open(place.name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.directory)
    try:
        yield file
    finally:
        os.close(file)


def mkdir(
    dir_path: str, user: str | int | None = None, group: str | int | None = None, mode: str | int | None = None
) -> bool:
    """Make a directory and those above it that are missing, with this owner and mode; one that is there stays.

    CLI example: `ctl '*' file.mkdir /opt/app/logs user=app mode=0750`
    """
    path = absolute(dir_path)
    number = None if mode is None else parse_mode(mode)
    uid = -1 if user in (None, "") else find_uid(user or 0)
    gid = -1 if group in (None, "") else find_gid(group or 0)
    with doing("make the directory", path):
        make_directories(path, mode=number, uid=uid, gid=gid)
    return True


def makedirs(
    path: str, user: str | int | None = None, group: str | int | None = None, mode: str | int | None = None
) -> bool:
    """Make the directory that is to hold `path` (all of it, where it ends with a slash), like `file.mkdir`.

    CLI example: `ctl '*' file.makedirs /opt/app/conf/app.ini`
    """
    return mkdir(os.path.dirname(absolute(path)), user, group, mode)


def makedirs_perms(
    name: str, user: str | int | None = None, group: str | int | None = None, mode: str | int = "0755"
) -> bool:
    """Make a directory and those above it that are missing, with this owner and mode.

    CLI example: `ctl '*' file.makedirs_perms /opt/code`
    """
    return mkdir(name, user, group, mode)


def remove(path: str) -> bool:
    """Remove a file, a symlink, or a directory with all it holds. True: it was there and is gone.

    CLI example: `ctl '*' file.remove /tmp/foo`
    """
    path = absolute(path)
    if os.path.abspath(path) == "/":
        raise CommandExecutionError("the root directory is not removed")
    try:
        with doing("remove", path), open_parent(path) as place:
            if stat.S_ISDIR(os.lstat(place.name, dir_fd=place.directory).st_mode):
                shutil.rmtree(place.name, dir_fd=place.directory)
            else:
                os.unlink(place.name, dir_fd=place.directory)
    except CommandExecutionError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return False
        raise
    return True


def rmdir(path: str, recurse: bool = False, older_than: float | None = None) -> bool | list[str]:
    """Remove a directory that is empty; with `recurse`, every one below it that is empty, and return which.

    `older_than` spares directories that were changed in the last so many days.

    CLI example: `ctl '*' file.rmdir /tmp/foo/`
    """
    path = absolute(path)
    newest = None if older_than is None else time.time() - older_than * 86400
    removed = []
    for directory, _, _ in os.walk(path, topdown=False) if recurse else [(path, [], [])]:
        with doing("remove the directory", directory), open_parent(directory) as place:
            if newest is not None and os.lstat(place.name, dir_fd=place.directory).st_mtime > newest:
                continue
            try:
                os.rmdir(place.name, dir_fd=place.directory)
            except OSError as error:
                if not (recurse and error.errno == errno.ENOTEMPTY):
                    raise
                continue
            removed.append(directory)
    return removed if recurse else bool(removed)


def rename(src: str, dst: str) -> bool:
    """Rename a file or directory within a file system; what is at `dst` is replaced.

    CLI example: `ctl '*' file.rename /path/to/src /path/to/dst`
    """
    src, dst = absolute(src), absolute(dst)
    with doing(f"rename {src} to", dst), open_parent(src) as source, open_parent(dst) as target:
        os.rename(source.name, target.name, src_dir_fd=source.directory, dst_dir_fd=target.directory)
    return True


def move(src: str, dst: str, disallow_copy_and_unlink: bool = False) -> dict[str, bool | str]:
    """Move a file or directory, to another file system too unless `disallow_copy_and_unlink`.

    Into `dst` where that is a directory.

    CLI example: `ctl '*' file.move /path/to/src /path/to/dst`
    """
    src, dst = absolute(src), absolute(dst)
    if os.path.isdir(dst) and not os.path.islink(dst):
        dst = os.path.join(dst, os.path.basename(src.rstrip("/")))
    try:
        rename(src, dst)
    except CommandExecutionError as error:
        cause = error.__cause__
        if disallow_copy_and_unlink or not isinstance(cause, OSError) or cause.errno != 18:  # EXDEV
            raise
        copy_(src, dst, recurse=True)
        remove(src)
    return {"result": True, "comment": f"'{src}' moved to '{dst}'"}


def link(src: str, path: str) -> bool:
    """Give the file `src` a second name, `path`.

    CLI example: `ctl '*' file.link /path/to/file /path/to/link`
    """
    src, path = absolute(src), absolute(path)
    with doing(f"link {src} to", path), open_parent(src) as source, open_parent(path) as target:
        os.link(
            source.name,
            target.name,
            src_dir_fd=source.directory,
            dst_dir_fd=target.directory,
            follow_symlinks=False,
        )
    return True


def symlink(src: str, path: str, force: bool = False, atomic: bool = False) -> bool:
    """Make a symlink at `path` that points to `src`; one that does already stays.

    With `force`, whatever file or symlink is at `path` is replaced, at once; `atomic` means the same.

    CLI example: `ctl '*' file.symlink /usr/share/zoneinfo/UTC /etc/localtime force=True`
    """
    path = absolute(path)
    with doing("make the symlink", path), open_parent(path) as place:
        old = _node(place.name, place.directory)
        if old is None:
            os.symlink(src, place.name, dir_fd=place.directory)
            return True
        if stat.S_ISLNK(old.st_mode) and os.readlink(place.name, dir_fd=place.directory) == src:
            return True
        if not (force or atomic):
            raise CommandExecutionError(f"{path} is already there and does not point to {src}", hint="force=True")
        if stat.S_ISDIR(old.st_mode):
            raise CommandExecutionError(f"{path} is a directory, which a symlink does not replace")
        temporary = f".ctl-{secrets.token_hex(8)}"
        os.symlink(src, temporary, dir_fd=place.directory)
        os.rename(temporary, place.name, src_dir_fd=place.directory, dst_dir_fd=place.directory)
    return True


def _node(name: str, directory: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def copy_(src: str, dst: str, recurse: bool = False, remove_existing: bool = False) -> bool:
    """Copy a file, or with `recurse` a directory, with owner and mode; symlinks are copied as such.

    A file goes into `dst` where that is a directory. With `remove_existing` what is at `dst` is removed first.

    CLI example: `ctl '*' file.copy /path/to/src /path/to/dst recurse=True remove_existing=True`
    """
    src, dst = absolute(src), absolute(dst)
    if not os.path.lexists(src):
        raise CommandExecutionError(f"cannot copy {src}: there is no such file or directory")
    if os.path.isdir(src):
        if not recurse:
            raise CommandExecutionError(f"cannot copy {src}: it is a directory", hint="recurse=True copies it whole")
        if remove_existing:
            remove(dst)
        _copy_directory(src, dst)
        return True
    if os.path.isdir(dst):
        dst = os.path.join(dst, os.path.basename(src))
    if remove_existing:
        remove(dst)
    _copy_file(src, dst, follow=True)
    return True


def _copy_directory(src: str, dst: str) -> None:
    found = os.lstat(src)
    with doing("make the directory", dst):
        make_directories(dst, mode=stat.S_IMODE(found.st_mode), uid=found.st_uid, gid=found.st_gid)
    for entry in sorted(os.listdir(src)):
        source, target = os.path.join(src, entry), os.path.join(dst, entry)
        mode = os.lstat(source).st_mode
        if stat.S_ISLNK(mode):
            symlink(os.readlink(source), target, force=True)
        elif stat.S_ISDIR(mode):
            _copy_directory(source, target)
        elif stat.S_ISREG(mode):
            _copy_file(source, target, follow=False)


def _copy_file(src: str, dst: str, *, follow: bool) -> None:
    flags = os.O_RDONLY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    with doing(f"copy {src} to", dst):
        file = os.open(src, flags)
        try:
            found = os.fstat(file)
            # A file that is there keeps its own owner and mode, as a copy with cp(1) does.
            new = not os.path.exists(dst)
            atomic_write(
                dst,
                iter(lambda: os.read(file, _CHUNK_BYTES), b""),
                mode=stat.S_IMODE(found.st_mode) if new else None,
                uid=found.st_uid if new and os.geteuid() == 0 else None,
                gid=found.st_gid if new and os.geteuid() == 0 else None,
                follow=True,
            )
        finally:
            os.close(file)


def restore_backup(path: str, backup_id: int) -> dict[str, bool | str]:
    """Put a backup of a file back, by its number in `file.list_backups`.

    CLI example: `ctl '*' file.restore_backup /etc/nginx/nginx.conf 0`
    """
    location = _backup_location(path, backup_id)
    _copy_file(location, absolute(path), follow=False)
    return {"result": True, "comment": f"Successfully restored {location} to {path}"}


def delete_backup(path: str, backup_id: int) -> dict[str, bool | str]:
    """Delete a backup of a file, by its number in `file.list_backups`.

    CLI example: `ctl '*' file.delete_backup /etc/nginx/nginx.conf 0`
    """
    location = _backup_location(path, backup_id)
    remove(location)
    return {"result": True, "comment": f"Successfully removed {location}"}


def _backup_location(path: str, backup_id: int) -> str:
    backups = list_backups(path)
    if backup_id not in backups:
        raise CommandExecutionError(f"{path} has no backup {backup_id}", hint="file.list_backups lists them")
    return str(backups[backup_id]["Location"])
