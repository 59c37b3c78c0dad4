"""Becoming the user that a daemon runs as, for good: ids, groups and capabilities; and making its directories ready."""

from __future__ import annotations

import ctypes
import os
import pwd
from collections.abc import Iterable
from pathlib import Path

from .directory import make_directories
from .errors import ConfigError
from .writers import ROOT, user_name

_CAPABILITY_VERSION_3 = 0x20080522
_NO_CAPABILITIES = (ctypes.c_uint32 * 6)()


def find_user(name: str) -> pwd.struct_passwd | None:
    """Return the account to become; None where `name` is empty or who we are. Raises `ConfigError`."""
    if not name:
        return None
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        raise ConfigError(f"there is no user {name!r} on this machine", key="user") from None
    if account.pw_uid == os.geteuid():
        return None
    if os.geteuid() != ROOT:
        raise ConfigError(f"only root can run this as {name}", key="user")
    return account


def become(name: str, directories: Iterable[tuple[Path, int]] = ()) -> None:
    """Become the user `name` with its groups and nothing else; there is no way back.

    Of `directories`, paths with their modes, those that are missing are made the user's first. Raises `ConfigError`
    for an unknown user, and for a directory that belongs to somebody else.
    """
    account = find_user(name)
    if account is None:
        return
    for path, mode in directories:
        _make_ready(path, mode, account)
    os.initgroups(name, account.pw_gid)
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
    if account.pw_uid == ROOT:
        return
    _drop_capabilities()
    _check_no_way_back()


def _make_ready(path: Path, mode: int, account: pwd.struct_passwd) -> None:
    if not path.is_dir():
        make_directories(path.parent, mode=0o755)
        make_directories(path, mode=mode, uid=account.pw_uid, gid=account.pw_gid)
    owner = path.stat().st_uid
    if owner != account.pw_uid:
        raise ConfigError(
            f"this directory belongs to user {user_name(owner)}, and the daemon is to run as {account.pw_name}",
            path=str(path),
            key="user",
            hint=f"chown -R {account.pw_name} {path}",
        )


def _drop_capabilities() -> None:
    """Empty the sets of capabilities: setresuid leaves the inheritable one, which a container may have filled."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, _NO_CAPABILITIES) != 0:
        raise ConfigError(f"the capabilities cannot be given up: {os.strerror(ctypes.get_errno())}", key="user")


def _check_no_way_back() -> None:
    for way in (os.setuid, os.setgid):
        try:
            way(ROOT)
        except PermissionError:
            continue
        raise ConfigError("root's privileges could not be given up", key="user")
