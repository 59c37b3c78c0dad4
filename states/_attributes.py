"""Owner, group and mode of files: what is wanted, how that differs from what is, and setting it by descriptor."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from ..common.directory import Place, open_parent
from ._accounts import gid_of, uid_of

_PATH_ONLY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is wanted; None is left as it is. `user` and `group` are as the state names them."""

    uid: int | None = None
    gid: int | None = None
    mode: int | None = None
    user: str | int | None = None
    group: str | int | None = None


AS_IT_IS = Attributes()


def attributes(user: str | int | None, group: str | int | None, mode: str | int | None = None) -> Attributes:
    """Look up what a state asks for; raises `Missing` for an unknown user or group."""
    return Attributes(uid_of(user), gid_of(group), parse_mode(mode), user, group)


def parse_mode(mode: str | int | None) -> int | None:
    """Read a mode in octal digits (`0644`, `644`, a number whose digits they are); None for none and for `keep`."""
    if mode is None or mode in ("", "keep"):
        return None
    return int(str(mode).removeprefix("0o"), 8)


def mode_text(mode: int) -> str:
    """Write a mode as four octal digits."""
    return f"{stat.S_IMODE(mode):04o}"


def differences(wanted: Attributes, status: os.stat_result) -> dict[str, str]:
    """Return what would change of a file with this `status`, in the shape of a state's changes."""
    changes: dict[str, str] = {}
    if wanted.uid is not None and wanted.uid != status.st_uid:
        changes["user"] = str(wanted.user)
    if wanted.gid is not None and wanted.gid != status.st_gid:
        changes["group"] = str(wanted.group)
    if wanted.mode is not None and wanted.mode != stat.S_IMODE(status.st_mode):
        changes["mode"] = mode_text(wanted.mode)
    return changes


def differences_of_new(wanted: Attributes) -> dict[str, str]:
    """Return what a file that we make now gets beyond our own owner and the usual mode."""
    changes: dict[str, str] = {}
    if wanted.uid is not None and wanted.uid != os.geteuid():
        changes["user"] = str(wanted.user)
    if wanted.gid is not None and wanted.gid != os.getegid():
        changes["group"] = str(wanted.group)
    if wanted.mode is not None:
        changes["mode"] = mode_text(wanted.mode)
    return changes


def set_attributes(path: str | Path, wanted: Attributes, *, follow: bool = False) -> None:
    """Give a file or directory its wanted owner and mode; a symlink only its owner, unless it is followed."""
    with open_parent(path, follow=follow) as place:
        set_at(place, wanted)


def set_at(place: Place, wanted: Attributes) -> None:
    """Give the file at a place in an open directory its wanted owner and mode."""
    fd = os.open(place.name, _PATH_ONLY, dir_fd=place.directory)
    try:
        status = os.fstat(fd)
        changes = differences(wanted, status)
        link = stat.S_ISLNK(status.st_mode)
        if "user" in changes or "group" in changes:
            uid = -1 if wanted.uid is None else wanted.uid
            gid = -1 if wanted.gid is None else wanted.gid
            if link:
                os.chown(place.name, uid, gid, dir_fd=place.directory, follow_symlinks=False)
            else:
                os.chown(f"/proc/self/fd/{fd}", uid, gid)
        # A change of owner takes the set-uid bits away, so a wanted mode is set again after one.
        if wanted.mode is not None and not link and changes:
            os.chmod(f"/proc/self/fd/{fd}", wanted.mode)
    finally:
        os.close(fd)
