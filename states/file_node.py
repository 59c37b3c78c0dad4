"""Manage further names of files, and files that are devices or pipes."""

from __future__ import annotations

import os
import secrets
import stat
from typing import Any

from ..common.arguments import Mode
from ..common.directory import open_parent
from ..common.errors import CommandExecutionError
from ..common.state.plan import Changes, Plan, Step, change, same
from ._attributes import Attributes, attributes, differences, differences_of_new, parse_mode, set_at, set_attributes
from ._managed import check_name, file_status, parents_step
from ._planning import Missing, planning

__virtualname__ = "file"

_KINDS = {
    "c": ("Character device", stat.S_IFCHR),
    "b": ("Block device", stat.S_IFBLK),
    "p": ("Fifo pipe", stat.S_IFIFO),
}


@planning
def hardlink(
    name: str,
    target: str,
    force: bool = False,
    makedirs: bool = False,
    user: str | int | None = None,
    group: str | int | None = None,
    dir_mode: Mode | None = None,
) -> Plan:
    """Make sure that `name` is a further name of the file `target`.

    target
        A file on the same file system.
    force
        Replace another file of that name.
    makedirs, user, group, dir_mode
        Make the directory that it is in, with this owner and mode.

    SLS example:

        /srv/mirror/image.iso:
          file.hardlink:
            - target: /srv/images/image.iso
    """
    path, origin = check_name(name), check_name(target)
    wanted = file_status(origin, follow=False)
    if wanted is None:
        raise Missing(f"the target {origin} is not there")
    if stat.S_ISDIR(wanted.st_mode):
        raise CommandExecutionError(f"the target {origin} is a directory, which has one name only")
    found = file_status(path, follow=False)
    if found is not None and (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
        return same(f"Target of hard link {path} is already pointing to {origin}")
    if found is not None and stat.S_ISDIR(found.st_mode):
        raise CommandExecutionError(f"{path} is a directory")
    if found is not None and not force:
        raise CommandExecutionError(f"{path} is there and is another file (force: True would replace it)")
    steps = _parents(path, makedirs, attributes(user, group), parse_mode(dir_mode))

    def link() -> Changes:
        _link(origin, path)
        return {"new": path}

    return change(
        f"Hard link {path} to {origin} is set for creation",
        {"new": path},
        *steps,
        Step(f"link {path} to {origin}", link),
        done=f"Created new hard link {path} -> {origin}",
    )


def _parents(path: str, makedirs: bool, owner: Attributes, dir_mode: int | None) -> list[Step]:
    parent = os.path.dirname(path)
    if os.path.isdir(parent):
        return []
    if not makedirs:
        raise Missing(f"the directory {parent} is not there (makedirs: True would make it)")
    return [parents_step(parent, owner, dir_mode)]


def _link(origin: str, path: str) -> None:
    with open_parent(origin) as old, open_parent(path) as new:
        name = f".ctl-{secrets.token_hex(8)}"
        os.link(old.name, name, src_dir_fd=old.directory, dst_dir_fd=new.directory, follow_symlinks=False)
        try:
            os.rename(name, new.name, src_dir_fd=new.directory, dst_dir_fd=new.directory)
        except BaseException:
            os.unlink(name, dir_fd=new.directory)
            raise


@planning
def mknod(
    name: str,
    ntype: str,
    major: int = 0,
    minor: int = 0,
    user: str | int | None = None,
    group: str | int | None = None,
    mode: Mode = "0600",
) -> Plan:
    """Make sure that a device or a named pipe is there, with the given owner and mode.

    ntype
        `c` for a character device, `b` for a block device, `p` for a pipe.
    major, minor
        The numbers of the device.

    SLS example:

        /dev/chr:
          file.mknod:
            - ntype: c
            - major: 180
            - minor: 31
            - mode: '0660'
    """
    path = check_name(name)
    if ntype not in _KINDS:
        raise CommandExecutionError(f"ntype is c, b or p, not {ntype!r}")
    word, kind = _KINDS[ntype]
    device = 0 if ntype == "p" else os.makedev(major, minor)
    owner = attributes(user, group, mode)
    status = file_status(path, follow=False)
    if status is None:
        return _plan_node(path, word, kind, device, owner)
    if stat.S_IFMT(status.st_mode) != kind:
        raise CommandExecutionError(f"{path} is there and is no {word.lower()}")
    if ntype != "p" and status.st_rdev != device:
        have = f"{os.major(status.st_rdev)}, {os.minor(status.st_rdev)}"
        raise CommandExecutionError(f"{path} is there with the numbers {have}, not {major}, {minor}")
    changes = differences(owner, status)
    if not changes:
        return same(f"{word} {path} is in the correct state")

    def apply() -> Changes:
        set_attributes(path, owner)
        return changes

    step = Step(f"set owner and mode of {path}", apply)
    return change(f"{word} {path} is set to be changed", changes, step, done=f"{word} {path} updated")


def _plan_node(path: str, word: str, kind: int, device: int, owner: Attributes) -> Plan:
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        raise Missing(f"the directory {parent} is not there")
    new: dict[str, Any] = {"new": f"{word} {path} created", **differences_of_new(owner)}

    def make() -> Changes:
        with open_parent(path) as place:
            # Nobody else gets in before owner and mode are set.
            os.mknod(place.name, kind | 0o600, device, dir_fd=place.directory)
            set_at(place, owner)
        return new

    return change(f"{word} {path} is set to be created", new, Step(f"make {path}", make), done=f"{word} {path} created")
