"""Users and groups by name or number, looked up once for as long as the account files stay the same."""

from __future__ import annotations

import functools
import grp
import os
import pwd

from ._planning import Missing


def uid_of(user: str | int | None) -> int | None:
    """Return the number of a user given by name or number; raises `Missing` for an unknown name."""
    if user is None or user == "":
        return None
    if isinstance(user, int):
        return user
    return _uid(user, _stamp("/etc/passwd"))


def gid_of(group: str | int | None) -> int | None:
    """Return the number of a group given by name or number; raises `Missing` for an unknown name."""
    if group is None or group == "":
        return None
    if isinstance(group, int):
        return group
    return _gid(group, _stamp("/etc/group"))


def user_name(uid: int) -> str:
    """Return the name of a user, or the number in digits where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """Return the name of a group, or the number in digits where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


@functools.lru_cache(maxsize=1024)
def _uid(user: str, _stamp: tuple[int, int]) -> int:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        if user.isdecimal():
            return int(user)
    raise Missing(f"there is no user {user!r}")


@functools.lru_cache(maxsize=1024)
def _gid(group: str, _stamp: tuple[int, int]) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        if group.isdecimal():
            return int(group)
    raise Missing(f"there is no group {group!r}")


def _stamp(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return (0, 0)
    return (status.st_ino, status.st_mtime_ns)
