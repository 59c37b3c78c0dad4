"""Read files, directories and what the system knows about them.

The functions that change something are in `file_change.py`, those that edit text in `file_edit.py`.
"""

from __future__ import annotations

import glob
import os
import re
import stat as stat_module
import time
from pathlib import Path
from typing import Any

from ..common import process
from ..common.context import current
from ..common.errors import CommandExecutionError
from ._file_find import file_digest, parse_search, run_search
from ._file_path import absolute, doing, find_gid, find_uid, group_name, mode_text, regex_flags, type_name, user_name

BACKUP_TIME = "%a_%b_%d_%H:%M:%S_%f_%Y"
_ACCESS = {"f": os.F_OK, "r": os.R_OK, "w": os.W_OK, "x": os.X_OK}
_HASH_BY_LENGTH = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}


def file_exists(path: str) -> bool:
    """Say whether there is a regular file at `path` (or a symlink to one).

    CLI example: `ctl '*' file.file_exists /etc/passwd`
    """
    return os.path.isfile(os.path.expanduser(path))


def directory_exists(path: str) -> bool:
    """Say whether there is a directory at `path` (or a symlink to one).

    CLI example: `ctl '*' file.directory_exists /etc`
    """
    return os.path.isdir(os.path.expanduser(path))


def path_exists_glob(path: str) -> bool:
    """Say whether anything matches a glob.

    CLI example: `ctl '*' file.path_exists_glob '/etc/pam*/pass*'`
    """
    return next(glob.iglob(os.path.expanduser(path)), None) is not None


def is_link(path: str) -> bool:
    """Say whether `path` is a symlink.

    CLI example: `ctl '*' file.is_link /etc/localtime`
    """
    return os.path.islink(os.path.expanduser(path))


def is_hardlink(path: str) -> bool:
    """Say whether `path` is a file with more than one name.

    CLI example: `ctl '*' file.is_hardlink /path/to/file`
    """
    found = _lstat(path)
    return found is not None and not stat_module.S_ISDIR(found.st_mode) and found.st_nlink > 1


def is_blkdev(name: str) -> bool:
    """Say whether `name` is a block device.

    CLI example: `ctl '*' file.is_blkdev /dev/sda`
    """
    found = _lstat(name)
    return found is not None and stat_module.S_ISBLK(found.st_mode)


def is_chrdev(name: str) -> bool:
    """Say whether `name` is a character device.

    CLI example: `ctl '*' file.is_chrdev /dev/null`
    """
    found = _lstat(name)
    return found is not None and stat_module.S_ISCHR(found.st_mode)


def is_fifo(name: str) -> bool:
    """Say whether `name` is a named pipe.

    CLI example: `ctl '*' file.is_fifo /run/initctl`
    """
    found = _lstat(name)
    return found is not None and stat_module.S_ISFIFO(found.st_mode)


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(os.path.expanduser(path))
    except (FileNotFoundError, NotADirectoryError):
        return None


def access(path: str, mode: str) -> bool:
    """Say whether this process may use `path`: `f` it exists, `r` read, `w` write, `x` execute or enter.

    CLI example: `ctl '*' file.access /etc/shadow r`
    """
    wanted = 0
    for letter in mode:
        if letter not in _ACCESS:
            raise CommandExecutionError(f"there is no kind of access {letter!r} (known: f, r, w, x)")
        wanted |= _ACCESS[letter]
    return os.access(absolute(path), wanted)


def read(path: str, binary: bool = False) -> str | bytes:
    """Return the content of a file: as text, or as bytes with `binary`.

    CLI example: `ctl '*' file.read /etc/hostname`
    """
    path = absolute(path)
    with doing("read", path):
        content = Path(path).read_bytes()
    return content if binary else content.decode("utf-8", "replace")


def seek_read(path: str, size: int, offset: int) -> bytes:
    """Return up to `size` bytes of a file from `offset` on.

    CLI example: `ctl '*' file.seek_read /var/log/syslog 100 0`
    """
    path = absolute(path)
    with doing("read", path), open(path, "rb") as file:
        file.seek(offset)
        return file.read(size)


def contains(path: str, text: str) -> bool:
    """Say whether a line of a file holds a text; False where there is no file.

    CLI example: `ctl '*' file.contains /etc/crontab 'mymaintenance.sh'`
    """
    path = absolute(path)
    if not os.path.exists(path):
        return False
    with doing("read", path), open(path, encoding="utf-8", errors="surrogateescape") as file:
        wanted = text.strip()
        return any(wanted in line for line in file)


def contains_regex(path: str, regex: str, lchar: str = "") -> bool:
    """Say whether a regular expression is found in a line of a file; `lchar` is taken off the start of lines first.

    CLI example: `ctl '*' file.contains_regex /etc/crontab '^17 '`
    """
    path = absolute(path)
    if not os.path.exists(path):
        return False
    pattern = _compile(regex)
    with doing("read", path), open(path, encoding="utf-8", errors="surrogateescape") as file:
        return any(pattern.search(line.lstrip(lchar) if lchar else line) for line in file)


def contains_glob(path_glob: str, glob: str) -> bool:
    """Say whether a line of a file that matches `path_glob` matches a glob.

    CLI example: `ctl '*' file.contains_glob /etc/foobar '*cheese*'`
    """
    from fnmatch import fnmatchcase

    for name in _glob(path_glob):
        with doing("read", name), open(name, encoding="utf-8", errors="surrogateescape") as file:
            if any(fnmatchcase(line.rstrip("\n"), glob) for line in file):
                return True
    return False


def _glob(pattern: str) -> list[str]:
    return sorted(glob.glob(absolute(pattern)))


def _compile(pattern: str, flags: int = 0) -> re.Pattern[str]:
    try:
        return re.compile(pattern, flags)
    except re.error as error:
        raise CommandExecutionError(f"the regular expression {pattern!r} is wrong: {error}") from None


def search(
    path: str,
    pattern: str,
    flags: int | str | list[str] = 8,
    bufsize: int | str = 1,
    ignore_if_missing: bool = False,
    multiline: bool = False,
) -> bool:
    """Say whether a regular expression is found in a file, in the whole of it at once.

    `flags` are a number or names (`[IGNORECASE]`); by default `^` and `$` match at each line. `bufsize` is accepted for
    trees that have it.

    CLI example: `ctl '*' file.search /etc/crontab 'mymaintenance.sh'`
    """
    path = absolute(path)
    if ignore_if_missing and not os.path.exists(path):
        return False
    number = regex_flags(flags) | (re.MULTILINE if multiline else 0)
    with doing("read", path):
        text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
    return _compile(pattern, number).search(text) is not None


def grep(path: str, pattern: str, *opts: str) -> dict[str, Any]:
    """Run grep(1) with a pattern over the files that match a glob; returns pid, retcode, stdout and stderr.

    CLI example: `ctl '*' file.grep /etc/passwd nobody -- -i -B2`
    """
    names = _glob(path) or [absolute(path)]
    words = [word for option in opts for word in str(option).split() if word != "--"]
    done = process.tool(["grep", *words, "-e", pattern, "--", *names], ok=None)
    return {
        "pid": done.pid,
        "retcode": done.retcode,
        "stdout": done.text.rstrip(),
        "stderr": done.error_text.rstrip(),
    }


def find(path: str, *args: str, **kwargs: Any) -> list[Any]:
    """Find files below `path` (a glob) and return their paths.

    Tests, all of which must hold: `name`, `iname`, `ipath` (globs), `regex`, `iregex` (on the whole path),
    `type` (letters of b c d p f l s), `owner`, `group` (names or ids, several with commas), `size` (`+10k` at least,
    `-1m` at most), `mtime` (`3d` or `+3d` longer ago, `-3d` since), `grep` (a regular expression in a line).
    `mindepth` and `maxdepth` bound the depth. `print` chooses what is returned: names of path, name, user, group, type,
    mode, size, mtime, md5. `delete` removes what was found, of these kinds (`delete=f`). `exec` runs a command for
    each, with `{}` for the path; no shell is involved.

    CLI example: `ctl '*' file.find /var/log name='*.log' mtime=+30d size=+10m print=path,size`
    """
    options = dict(word.split("=", 1) for word in args if isinstance(word, str) and "=" in word)
    options |= {key: value for key, value in kwargs.items() if not key.startswith("__")}
    return run_search(absolute(path), parse_search(options, time.time()))


def stats(path: str, hash_type: str | None = None, follow_symlinks: bool = True) -> dict[str, Any]:
    """Return what is known about a file: inode, owner, times, size, mode, type, and its hash where one is asked for.

    CLI example: `ctl '*' file.stats /etc/passwd hash_type=sha256`
    """
    path = absolute(path)
    with doing("look at", path):
        found = os.stat(path) if follow_symlinks else os.lstat(path)
    result: dict[str, Any] = {
        "inode": found.st_ino,
        "uid": found.st_uid,
        "gid": found.st_gid,
        "group": group_name(found.st_gid),
        "user": user_name(found.st_uid),
        "atime": found.st_atime,
        "mtime": found.st_mtime,
        "ctime": found.st_ctime,
        "size": found.st_size,
        "mode": mode_text(found.st_mode),
        "type": type_name(found.st_mode),
        "target": os.path.realpath(path),
    }
    if hash_type and result["type"] == "file":
        result["sum"] = file_digest(path, hash_type)
    return result


def lstat(path: str) -> dict[str, Any]:
    """Return what lstat(2) says about a path, without following a symlink.

    CLI example: `ctl '*' file.lstat /etc/localtime`
    """
    path = absolute(path)
    with doing("look at", path):
        found = os.lstat(path)
    names = ("st_atime", "st_ctime", "st_gid", "st_mode", "st_mtime", "st_nlink", "st_size", "st_uid")
    return {name: getattr(found, name) for name in names}


def statvfs(path: str) -> dict[str, int]:
    """Return what is known about the file system that holds a path.

    CLI example: `ctl '*' file.statvfs /var`
    """
    path = absolute(path)
    with doing("look at the file system of", path):
        found = os.statvfs(path)
    return {name: getattr(found, name) for name in dir(found) if name.startswith("f_")}


def get_hash(path: str, form: str = "sha256", chunk_size: int = 65536) -> str:
    """Return the hash of a file's content in hex digits. `chunk_size` is accepted for trees that have it.

    CLI example: `ctl '*' file.get_hash /etc/shadow sha512`
    """
    return file_digest(absolute(path), form)


def get_sum(file: str, form: str = "sha256") -> str:
    """Return the hash of a file's content, or a sentence where there is no file.

    CLI example: `ctl '*' file.get_sum /etc/passwd sha512`
    """
    path = absolute(file)
    return file_digest(path, form) if os.path.isfile(path) else "File not found"


def check_hash(path: str, file_hash: str) -> bool:
    """Say whether a file has this hash: hex digits alone, or `sha256=…` or `sha256:…`.

    CLI example: `ctl '*' file.check_hash /etc/fstab sha256=1f2e…`
    """
    form, separator, digits = file_hash.partition("=" if "=" in file_hash else ":")
    if not separator:
        form, digits = _HASH_BY_LENGTH.get(len(file_hash), ""), file_hash
        if not form:
            raise CommandExecutionError(f"{file_hash!r} has the length of no known hash", hint="write sha256=…")
    return file_digest(absolute(path), form) == digits.strip().lower()


def get_mode(path: str, follow_symlinks: bool = True) -> str:
    """Return the mode of a file in octal digits (`0644`).

    CLI example: `ctl '*' file.get_mode /etc/passwd`
    """
    mode: str = stats(path, follow_symlinks=follow_symlinks)["mode"]
    return mode


def get_uid(path: str, follow_symlinks: bool = True) -> int:
    """Return the uid of a file's owner.

    CLI example: `ctl '*' file.get_uid /etc/passwd`
    """
    uid: int = stats(path, follow_symlinks=follow_symlinks)["uid"]
    return uid


def get_gid(path: str, follow_symlinks: bool = True) -> int:
    """Return the gid of a file's group.

    CLI example: `ctl '*' file.get_gid /etc/passwd`
    """
    gid: int = stats(path, follow_symlinks=follow_symlinks)["gid"]
    return gid


def get_user(path: str, follow_symlinks: bool = True) -> str:
    """Return the name of a file's owner.

    CLI example: `ctl '*' file.get_user /etc/passwd`
    """
    return user_name(get_uid(path, follow_symlinks))


def get_group(path: str, follow_symlinks: bool = True) -> str:
    """Return the name of a file's group.

    CLI example: `ctl '*' file.get_group /etc/passwd`
    """
    return group_name(get_gid(path, follow_symlinks))


def uid_to_user(uid: int) -> str:
    """Return the name of a uid, or its digits where it has none.

    CLI example: `ctl '*' file.uid_to_user 0`
    """
    return user_name(int(uid))


def user_to_uid(user: str | None = None) -> int:
    """Return the uid of a user; of the one that runs the job where none is given.

    CLI example: `ctl '*' file.user_to_uid root`
    """
    return os.geteuid() if user is None else find_uid(user)


def gid_to_group(gid: int) -> str:
    """Return the name of a gid, or its digits where it has none.

    CLI example: `ctl '*' file.gid_to_group 0`
    """
    return group_name(int(gid))


def group_to_gid(group: str) -> int:
    """Return the gid of a group.

    CLI example: `ctl '*' file.group_to_gid root`
    """
    return find_gid(group)


def readlink(path: str, canonicalize: bool = False) -> str:
    """Return where a symlink points to; with `canonicalize`, the absolute path without any symlink in it.

    CLI example: `ctl '*' file.readlink /etc/localtime`
    """
    path = absolute(path)
    with doing("read the symlink", path):
        target = os.readlink(path)
    return os.path.realpath(path) if canonicalize else target


def readdir(path: str) -> list[str]:
    """List the names in a directory, `.` and `..` first.

    CLI example: `ctl '*' file.readdir /etc`
    """
    path = absolute(path)
    with doing("list", path):
        return [".", "..", *sorted(os.listdir(path))]


def diskusage(path: str) -> int:
    """Return how many bytes the files below a path hold.

    CLI example: `ctl '*' file.diskusage /var/log`
    """
    path = absolute(path)
    with doing("look at", path):
        found = os.lstat(path)
    if not stat_module.S_ISDIR(found.st_mode):
        return found.st_size
    total, seen = 0, set()
    for folder, _, names in os.walk(path):
        for name in names:
            status = _lstat(os.path.join(folder, name))
            if status is not None and (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_size
    return total


def dirname(path: str) -> str:
    """Return a path without its last part.

    CLI example: `ctl '*' file.dirname /etc/ctl/minion`
    """
    return os.path.dirname(path)


def basename(path: str) -> str:
    """Return the last part of a path.

    CLI example: `ctl '*' file.basename /etc/ctl/minion`
    """
    return os.path.basename(path)


def join(*args: str) -> str:
    """Join parts of a path.

    CLI example: `ctl '*' file.join / usr local`
    """
    return os.path.join(*(str(part) for part in args)) if args else ""


def normpath(path: str) -> str:
    """Return a path without `.`, `..` and doubled slashes, as text; nothing is looked up.

    CLI example: `ctl '*' file.normpath /etc/../usr//local`
    """
    return os.path.normpath(path)


def pardir() -> str:
    """Return the name of the parent directory, `..`.

    CLI example: `ctl '*' file.pardir`
    """
    return os.pardir


def list_backups(path: str, limit: int | None = None) -> dict[int, dict[str, Any]]:
    """List the backups of a file that states made, the newest first, by number.

    CLI example: `ctl '*' file.list_backups /etc/nginx/nginx.conf limit=3`
    """
    path = absolute(path)
    folder = _backup_folder(path)
    found = []
    for name in os.listdir(folder) if folder.is_dir() else ():
        moment = _backup_moment(name, os.path.basename(path))
        if moment is not None:
            found.append((moment, str(folder / name)))
    found.sort(reverse=True)
    return {
        number: {
            "Backup Time": time.strftime("%a %b %d %Y %H:%M:%S", moment[0]) + f".{moment[1]}",
            "Size": os.lstat(location).st_size,
            "Location": location,
        }
        for number, (moment, location) in enumerate(found[: limit or None])
    }


def _backup_folder(path: str) -> Path:
    """Return the directory that backups of a file are kept in."""
    cache = current().config.get("cachedir") or "/var/cache/ctl"
    return Path(str(cache)) / "file_backup" / os.path.dirname(path).lstrip("/")


def _backup_moment(name: str, base: str) -> tuple[time.struct_time, str] | None:
    from datetime import datetime

    if not name.startswith(f"{base}_"):
        return None
    try:
        moment = datetime.strptime(name[len(base) + 1 :], BACKUP_TIME)  # noqa: DTZ007  # local time, as it was written
    except ValueError:
        return None
    return moment.timetuple(), f"{moment.microsecond:06d}"
