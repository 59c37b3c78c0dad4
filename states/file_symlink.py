"""Manage symlinks."""

from __future__ import annotations

import os
from typing import Any

from ..common.arguments import Mode
from ..common.errors import CommandExecutionError
from ..common.state.plan import Changes, Plan, Step, change, same
from ._accounts import group_name, user_name
from ._attributes import Attributes, attributes, differences, differences_of_new, parse_mode, set_attributes
from ._managed import check_name, file_status, parents_step
from ._planning import Missing, planning
from ._removal import place_symlink, remove_path, set_aside

__virtualname__ = "file"


@planning
def symlink(
    name: str,
    target: str,
    force: bool = False,
    backupname: str | None = None,
    makedirs: bool = False,
    user: str | int | None = None,
    group: str | int | None = None,
    mode: Mode | None = None,
    inherit_user_and_group: bool = False,
    atomic: bool = True,
    disallow_copy_and_unlink: bool = False,
    follow_symlinks: bool = False,
) -> Plan:
    """Make sure that `name` is a symlink to `target`.

    target
        What it points to; need not exist.
    force, backupname
        What to do with a file or directory of that name: remove it, or rename it. Another symlink is replaced.
    makedirs, mode
        Make the directory that it is in, with this mode.
    user, group
        The owner of the link itself.
    inherit_user_and_group
        Give a link that replaces another the owner that the other one has, as far as it is not given.

    `atomic`, `disallow_copy_and_unlink` and `follow_symlinks` are accepted for trees that have them: a link is always
    put in place at once, and a file is only ever renamed.

    SLS example:

        /etc/localtime:
          file.symlink:
            - target: /usr/share/zoneinfo/UTC
    """
    path = check_name(name)
    owner = attributes(user, group)
    status = file_status(path, follow=False)
    if status is not None and os.path.islink(path) and os.readlink(path) == target:
        found = differences(owner, status)
        if not found:
            who = f"{user_name(status.st_uid)}:{group_name(status.st_gid)}"
            return same(f"Symlink {path} is present and owned by {who}")
        step = _owner_step(path, owner, found)
        return change(f"Ownership of symlink {path} would be changed", found, step, done=f"Symlink {path} updated")
    if inherit_user_and_group and status is not None and os.path.islink(path):
        owner = attributes(status.st_uid if user is None else user, status.st_gid if group is None else group)
    steps, changes = _obstacle_steps(path, force, backupname)
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        if not makedirs:
            raise Missing(f"the directory {parent} is not there (makedirs: True would make it)")
        steps.append(parents_step(parent, owner, parse_mode(mode)))
    changes["change" if os.path.islink(path) else "new"] = path

    def link() -> Changes:
        place_symlink(path, target)
        set_attributes(path, owner)
        return {"new": path, **differences_of_new(owner)}

    return change(
        f"Symlink {path} to {target} is set for creation",
        changes,
        *steps,
        Step(f"link {path} to {target}", link),
        done=f"Created new symlink {path} -> {target}",
    )


def _owner_step(path: str, owner: Attributes, found: Changes) -> Step:
    def apply() -> Changes:
        set_attributes(path, owner)
        return found

    return Step(f"set the owner of {path}", apply)


def _obstacle_steps(path: str, force: bool, backupname: str | None) -> tuple[list[Step], dict[str, Any]]:
    """Plan to take away what has the link's name and is no symlink."""
    if not os.path.lexists(path) or os.path.islink(path):
        return [], {}
    if backupname:
        aside = backupname

        def move() -> Changes:
            set_aside(path, aside)
            return {"backup": f"{path} was renamed to {aside}"}

        return [Step(f"rename {path} to {aside}", move)], {"backup": f"{path} will be renamed to {aside}"}
    if not force:
        raise CommandExecutionError(f"{path} is there and is no symlink (force: True would remove it)")

    what = "Directory" if os.path.isdir(path) else "File"

    def clear() -> Changes:
        remove_path(path)
        return {"forced": f"{what} was forcibly replaced"}

    return [Step(f"remove {path}", clear)], {"forced": f"{what} would be forcibly replaced"}
