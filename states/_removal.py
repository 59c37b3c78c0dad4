"""Take files and directories away, by descriptor and without following a symlink."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from pathlib import Path

from ..common.directory import Place, open_parent
from ..common.errors import CommandExecutionError


def remove_path(path: str | Path) -> None:
    """Remove a file, a symlink, or a directory with everything in it."""
    if os.path.realpath(os.path.dirname(path)) == os.path.realpath(path):
        raise CommandExecutionError(f"{path} is the root of all files, and is not removed")
    with open_parent(path) as place:
        remove_at(place)


def remove_at(place: Place) -> None:
    """Remove what is at a place in an open directory."""
    status = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        shutil.rmtree(place.name, dir_fd=place.directory)
    else:
        os.unlink(place.name, dir_fd=place.directory)


def set_aside(path: str | Path, name: str) -> None:
    """Rename a file or directory to `name`, beside it or an absolute path; what has that name is removed."""
    other = os.path.join(os.path.dirname(path), name)
    if os.path.lexists(other):
        remove_path(other)
    with open_parent(path) as old, open_parent(other) as new:
        os.rename(old.name, new.name, src_dir_fd=old.directory, dst_dir_fd=new.directory)


def place_symlink(path: str | Path, target: str) -> None:
    """Make a symlink, or point the one that is there elsewhere at once."""
    with open_parent(path) as place:
        name = f".ctl-{secrets.token_hex(8)}"
        os.symlink(target, name, dir_fd=place.directory)
        try:
            os.rename(name, place.name, src_dir_fd=place.directory, dst_dir_fd=place.directory)
        except BaseException:
            os.unlink(name, dir_fd=place.directory)
            raise
