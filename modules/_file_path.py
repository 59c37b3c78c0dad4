"""What the functions of `file` share: paths as users give them, names and ids of owners, errors as sentences."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
from collections.abc import Iterator

from ..common.directory import open_parent
from ..common.errors import CommandExecutionError

_TYPES = (
    (stat.S_ISREG, "file"),
    (stat.S_ISDIR, "dir"),
    (stat.S_ISLNK, "link"),
    (stat.S_ISBLK, "block"),
    (stat.S_ISCHR, "char"),
    (stat.S_ISFIFO, "pipe"),
    (stat.S_ISSOCK, "socket"),
)


def absolute(path: str | os.PathLike[str]) -> str:
    """Return `path` with `~` expanded; refuse a relative one, which would depend on who runs us."""
    text = os.path.expanduser(os.fspath(path))
    if not os.path.isabs(text):
        raise CommandExecutionError(f"{path} is not an absolute path")
    return text


@contextlib.contextmanager
def doing(what: str, path: str) -> Iterator[None]:
    """Turn the system's refusal to `what` (`read`, `remove`) a path into a sentence."""
    try:
        yield
    except OSError as error:
        raise CommandExecutionError(f"cannot {what} {path}: {error.strerror or error}") from error


@contextlib.contextmanager
def opened(path: str, *, follow: bool = True) -> Iterator[str]:
    """Give a name below `/proc/self/fd` that means what is at `path` now, whatever is put there meanwhile."""
    with open_parent(path, follow=follow) as place:
        node = os.open(place.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.directory)
    try:
        if follow and stat.S_ISLNK(os.fstat(node).st_mode):
            raise OSError(40, "too many levels of symbolic links", path)
        yield f"/proc/self/fd/{node}"
    finally:
        os.close(node)


def find_uid(user: str | int) -> int:
    """Return the uid of a user's name, or of digits; raises where no such user is known."""
    try:
        return pwd.getpwnam(str(user)).pw_uid
    except KeyError:
        pass
    try:
        return int(user)
    except ValueError:
        raise CommandExecutionError(f"there is no user {user!r} on this machine") from None


def find_gid(group: str | int) -> int:
    """Return the gid of a group's name, or of digits; raises where no such group is known."""
    try:
        return grp.getgrnam(str(group)).gr_gid
    except KeyError:
        pass
    try:
        return int(group)
    except ValueError:
        raise CommandExecutionError(f"there is no group {group!r} on this machine") from None


def user_name(uid: int) -> str:
    """Return a uid's user, or its digits where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


def group_name(gid: int) -> str:
    """Return a gid's group, or its digits where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        return str(gid)


def optional_uid(user: str | int | None) -> int | None:
    """Return a uid, or None where no user is given."""
    return None if user is None or user == "" else find_uid(user)


def optional_gid(group: str | int | None) -> int | None:
    """Return a gid, or None where no group is given."""
    return None if group is None or group == "" else find_gid(group)


def type_name(mode: int) -> str:
    """Return the kind of node that a mode says: file, dir, link, block, char, pipe or socket."""
    return next((name for test, name in _TYPES if test(mode)), "unknown")


def mode_text(mode: int) -> str:
    """Return the permission bits as octal digits, at least four of them."""
    return f"{stat.S_IMODE(mode):04o}"


def parse_mode(mode: str | int) -> int:
    """Return permission bits written in octal digits as a number."""
    try:
        value = int(str(mode).removeprefix("0o"), 8)
    except ValueError:
        value = -1
    if not 0 <= value <= 0o7777:
        raise CommandExecutionError(f"the mode {mode!r} is not written in octal digits, such as 0644")
    return value


def regex_flags(flags: int | str | list[str] | None) -> int:
    """Return the flags of a regular expression: a number, or names (`MULTILINE`, `[IGNORECASE, DOTALL]`)."""
    import re

    if flags is None:
        return 0
    if isinstance(flags, int):
        return flags
    result = 0
    for word in [flags] if isinstance(flags, str) else flags:
        found = getattr(re, str(word).upper(), None)
        if not isinstance(found, re.RegexFlag):
            raise CommandExecutionError(f"{word!r} is no flag of regular expressions (such as MULTILINE or IGNORECASE)")
        result |= int(found)
    return result
