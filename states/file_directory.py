"""Manage directories: that they are there, whose they are, and what they may hold."""

from __future__ import annotations

import os
from typing import Any

from ..common.arguments import Mode
from ..common.directory import make_directory
from ..common.errors import CommandExecutionError
from ..common.state.plan import Changes, Plan, Step, change, same
from ._attributes import Attributes, attributes, differences, parse_mode, set_attributes
from ._managed import check_name, file_status, parents_step
from ._owned_tree import differing, recursion
from ._planning import Missing, planning
from ._removal import remove_path, set_aside
from ._selection import kept_by_others, not_kept

__virtualname__ = "file"


@planning
def directory(
    name: str,
    user: str | int | None = None,
    group: str | int | None = None,
    recurse: list[str] | None = None,
    max_depth: int | None = None,
    dir_mode: Mode | None = None,
    file_mode: Mode | None = None,
    makedirs: bool = False,
    clean: bool = False,
    exclude_pat: str | list[str] | None = None,
    follow_symlinks: bool = False,
    force: bool = False,
    backupname: str | None = None,
    allow_symlink: bool = True,
    children_only: bool = False,
    mode: Mode | None = None,
) -> Plan:
    """Make sure that a directory is there, with the given owner and mode.

    name
        The directory's absolute path.
    user, group, dir_mode (or mode)
        Its owner and its mode.
    makedirs
        Make the directories above it, too.
    recurse
        Which of `user`, `group` and `mode` apply to everything below it; `ignore_files` and `ignore_dirs` leave one
        kind out. Files get `file_mode`, directories `dir_mode`; `max_depth` limits how deep it goes.
    clean
        Remove what is in it, except for what other states of the run manage and what `exclude_pat` matches (a glob,
        or an expression after `E@`).
    force, backupname
        What to do with a file of that name: remove it, or rename it.
    children_only
        Leave the directory's own owner and mode alone.

    SLS example:

        /srv/www:
          file.directory:
            - user: www-data
            - mode: '0755'
            - makedirs: True
    """
    path = check_name(name).rstrip("/") or "/"
    top_mode = parse_mode(dir_mode or mode)
    owner = attributes(user, group)
    own = Attributes(owner.uid, owner.gid, top_mode, user, group)
    steps, changes = _obstacle_steps(path, force, backupname, allow_symlink)
    if changes or not os.path.isdir(path):
        steps += _creation_steps(path, own, makedirs)
        changes[path] = {"directory": "new"}
    else:
        if not children_only:
            steps += _own_steps(path, own, follow_symlinks or os.path.islink(path), changes)
        if recurse:
            steps += _recursion_steps(path, recurse, owner, (top_mode, parse_mode(file_mode)), max_depth, changes)
        if clean:
            steps += _clean_steps(path, exclude_pat, changes)
    if not steps:
        return same(f"The directory {path} is in the correct state")
    return change(
        f"The directory {path} is set to be changed", changes, *steps, done=f"The directory {path} was updated"
    )


def _obstacle_steps(
    path: str, force: bool, backupname: str | None, allow_symlink: bool
) -> tuple[list[Step], dict[str, Any]]:
    """Plan to take away what has the directory's name and is none."""
    if not os.path.lexists(path) or (os.path.isdir(path) and (allow_symlink or not os.path.islink(path))):
        return [], {}
    if backupname:
        aside = backupname

        def move() -> Changes:
            set_aside(path, aside)
            return {"backup": f"{path} was renamed to {aside}"}

        return [Step(f"rename {path} to {aside}", move)], {"backup": f"{path} will be renamed to {aside}"}
    if not force:
        raise CommandExecutionError(f"{path} is there and is no directory (force: True would remove it)")

    what = "Symlink" if os.path.islink(path) else "File"

    def clear() -> Changes:
        remove_path(path)
        return {"forced": f"{what} was forcibly replaced"}

    return [Step(f"remove {path}", clear)], {"forced": f"{what} would be forcibly replaced"}


def _creation_steps(path: str, own: Attributes, makedirs: bool) -> list[Step]:
    parent = os.path.dirname(path)
    steps = []
    if not os.path.isdir(parent):
        if not makedirs:
            raise Missing(f"the directory {parent} is not there (makedirs: True would make it)")
        steps.append(parents_step(parent, own, own.mode))

    def make() -> Changes:
        uid = -1 if own.uid is None else own.uid
        gid = -1 if own.gid is None else own.gid
        make_directory(path, mode=own.mode, uid=uid, gid=gid)
        return {path: {"directory": "new"}}

    return [*steps, Step(f"make the directory {path}", make)]


def _own_steps(path: str, own: Attributes, follow: bool, changes: dict[str, Any]) -> list[Step]:
    status = file_status(path)
    found = differences(own, status) if status else {}
    if not found:
        return []
    changes.update(found)

    def apply() -> Changes:
        set_attributes(path, own, follow=follow)
        return found

    return [Step(f"set owner and mode of {path}", apply)]


def _recursion_steps(
    path: str,
    words: list[str],
    owner: Attributes,
    modes: tuple[int | None, int | None],
    max_depth: int | None,
    changes: dict[str, Any],
) -> list[Step]:
    found = list(differing(path, recursion(words, owner, *modes, max_depth)))
    if not found:
        return []
    seen: dict[str, Any] = {child: differs for child, _, differs in found}
    shown: dict[str, Any] = {"recursion": "Changes silenced"} if "silent" in words else seen
    changes.update(shown)

    def apply() -> Changes:
        for child, wanted, _ in found:
            set_attributes(child, wanted)
        return shown

    return [Step(f"set owner and mode of {len(found)} files and directories below {path}", apply)]


def _clean_steps(path: str, exclude: Any, changes: dict[str, Any]) -> list[Step]:
    extra = not_kept(path, kept_by_others(path), exclude)
    if not extra:
        return []
    changes["removed"] = extra

    def apply() -> Changes:
        for child in extra:
            remove_path(child)
        return {"removed": extra}

    return [Step(f"remove {len(extra)} files and directories from {path}", apply)]
