"""The clients' socket and the group that may reach it: the directory 0750, the socket 0660, both the group's."""

from __future__ import annotations

import grp
import os
from pathlib import Path

from ..common.errors import ConfigError

SETTING = "sock_group"
DIRECTORY_MODE = 0o750


def find_group(name: str) -> int:
    """Return a group's number; raises `ConfigError` where there is no such group."""
    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise ConfigError(f"{SETTING}: there is no group {name!r}", key=SETTING, hint=f"groupadd {name}") from None


def give(path: Path, group: int) -> None:
    """Give the socket at `path` and its directory to a group; raises `ConfigError` where that is not allowed."""
    try:
        os.chown(path, -1, group)
        os.chown(path.parent, -1, group)
        os.chmod(path.parent, DIRECTORY_MODE)
    except OSError as error:
        raise ConfigError(
            f"{SETTING}: {path} cannot be given to the group: {error.strerror}",
            key=SETTING,
            hint="the master's user must be a member of it",
        ) from error
