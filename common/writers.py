"""Who could have written what is about to be believed: configuration, plugins, keys; and directories of our own.

What another user can write is as good as that user's word, so it is refused with the name of the place. A directory
that everybody may write into is safe only where it is root's and sticky, as /tmp is.
"""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

from .directory import make_directories
from .errors import ConfigError, PluginError

ROOT = 0


def other_writers(path: Path) -> tuple[str, str] | None:
    """Say who else could have written `path`, and what to do about it; None where nobody could.

    Looked at are the file and its directory (their owners and groups), and whether everybody may write to any directory
    above. Raises `OSError` where the path is not there.
    """
    real = path.resolve()
    for place in (real, *real.parents):
        info = place.stat()
        if info.st_mode & stat.S_IWOTH and not _is_safe_though_shared(info):
            return f"everyone can write {place}", f"chmod o-w {place}"
    for place in (real, real.parent):
        info = place.stat()
        if info.st_uid not in (ROOT, os.geteuid()):
            return f"user {user_name(info.st_uid)} can write {place}", f"chown root {place}"
        if info.st_mode & stat.S_IWGRP and info.st_gid not in (ROOT, os.getegid()):
            return f"a group can write {place}", f"chmod g-w {place}"
    return None


def check_plugin(path: Path) -> None:
    """Raise `PluginError` for a plugin's file that somebody else could have written: it is not run."""
    if found := other_writers(path):
        raise PluginError(f"{path} is not loaded: {found[0]}", hint=found[1])


def _is_safe_though_shared(info: os.stat_result) -> bool:
    return stat.S_ISDIR(info.st_mode) and bool(info.st_mode & stat.S_ISVTX) and info.st_uid == ROOT


def user_name(uid: int) -> str:
    """Return a user's name, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def make_own_directory(path: Path, mode: int = 0o700) -> None:
    """Make a directory of ours with this mode, whatever the umask; those above that are missing get 0755.

    One that is there stays as it is, and raises `ConfigError` where it is another user's or everybody may write to it.
    """
    if not path.is_dir():
        make_directories(path.parent, mode=0o755)
        make_directories(path, mode=mode)
    check_own_directory(path)


def check_own_directory(path: Path) -> None:
    """Raise `ConfigError` where a directory is not ours to use, or everybody may write to it."""
    info = path.stat()
    me = user_name(os.geteuid())
    if info.st_mode & stat.S_IWOTH and not _is_safe_though_shared(info):
        raise ConfigError("everyone can write this directory", path=str(path), hint=f"chmod o-w {path}")
    if os.geteuid() != ROOT and not (info.st_uid == os.geteuid() or os.access(path, os.W_OK | os.X_OK)):
        problem = f"this directory belongs to user {user_name(info.st_uid)}, and {me} cannot write it"
        raise ConfigError(problem, path=str(path), hint=f"chown {me} {path}")
