"""Copy and rename files and directories of this machine."""

from __future__ import annotations

import os
from dataclasses import replace

from ..common.arguments import Mode
from ..common.directory import open_parent
from ..common.errors import CommandExecutionError
from ..common.state.plan import Changes, Plan, Step, change, same
from ._attributes import Attributes, attributes, mode_text
from ._content import content_of_path
from ._copied_tree import copy_tree, tree_digest
from ._managed import Wanted, check_name, parents_step, plan_file
from ._planning import Missing, planning
from ._removal import remove_path

__virtualname__ = "file"


@planning
def copy(
    name: str,
    source: str,
    force: bool = False,
    makedirs: bool = False,
    preserve: bool = False,
    user: str | int | None = None,
    group: str | int | None = None,
    mode: Mode | None = None,
    dir_mode: Mode | None = None,
    subdir: bool = False,
) -> Plan:
    """Copy a file or directory of this machine, where there is none of that name yet.

    source
        What is copied, an absolute path.
    force
        Replace what is there and differs, a directory as a whole.
    preserve
        Keep the source's owner and mode; else `user`, `group` and `mode` say. Of a directory, `user` and `group` are
        for all that it holds, `mode` is for itself.
    makedirs, dir_mode
        Make the directory that it goes into.
    subdir
        Where `name` is a directory, copy into it.

    SLS example:

        /etc/app.conf:
          file.copy:
            - source: /usr/share/app/app.conf.example
    """
    path, origin = check_name(name), check_name(source)
    if subdir and os.path.isdir(path):
        path = os.path.join(path, os.path.basename(origin.rstrip("/")))
    if os.path.lexists(path) and not force:
        return same(f"{path} is there, and is not replaced (force: True would)")
    if not os.path.exists(origin):
        raise Missing(f"the source {origin} is not there")
    if _is_same(path, origin):
        return same(f"{path} is the source itself")
    _refuse_nested(path, origin)
    owner = _owner(origin, preserve, user, group, mode)
    if os.path.isdir(origin):
        return _plan_directory(path, origin, owner, makedirs, preserve)
    if os.path.isdir(path):
        raise CommandExecutionError(f"{path} is a directory, and the source is a file")
    plan = plan_file(Wanted(path, content_of_path(origin), owner, makedirs))
    return plan if plan.result is True else _named(plan, path, origin)


def _named(plan: Plan, path: str, origin: str) -> Plan:
    """Let a plan say what was copied where; of a file that is replaced, also the difference."""
    predicted = {} if "newfile" in plan.changes else dict(plan.changes)
    own = plan.steps if predicted else [_silent(step) for step in plan.steps]
    steps = [*own, Step(f"copy {origin} to {path}", lambda: {path: origin})]
    made = change(f"{origin} is set to be copied to {path}", {**predicted, path: origin}, *steps)
    return replace(made, done=f"Copied {origin} to {path}")


def _silent(step: Step) -> Step:
    def run() -> None:
        step.run()

    return Step(step.describe, run)


def _is_same(path: str, origin: str) -> bool:
    """Say whether two paths are one directory entry: to replace one by the other would lose it."""
    return os.path.lexists(path) and os.path.samestat(os.lstat(path), os.lstat(origin))


def _refuse_nested(path: str, origin: str) -> None:
    one, other = os.path.realpath(path), os.path.realpath(origin)
    if one.startswith(f"{other}/") or other.startswith(f"{one}/"):
        raise CommandExecutionError(f"one of {origin} and {path} is inside the other")


def _owner(
    origin: str, preserve: bool, user: str | int | None, group: str | int | None, mode: str | None
) -> Attributes:
    if not preserve:
        given = attributes(user, group, mode)
        return given if mode else replace(given, mode=os.stat(origin).st_mode & 0o777)
    status = os.stat(origin)
    return attributes(status.st_uid, status.st_gid, mode_text(status.st_mode))


def _plan_directory(path: str, origin: str, owner: Attributes, makedirs: bool, preserve: bool) -> Plan:
    if os.path.isdir(path) and not os.path.islink(path) and tree_digest(path) == tree_digest(origin):
        return same(f"{path} holds what {origin} holds")
    steps = []
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        if not makedirs:
            raise Missing(f"the directory {parent} is not there (makedirs: True would make it)")
        steps.append(parents_step(parent, owner, None))

    def run() -> Changes:
        copy_tree(origin, path, owner, preserve=preserve)
        return {path: origin}

    return change(
        f"{origin} is set to be copied to {path}",
        {path: origin},
        *steps,
        Step(f"copy {origin} to {path}", run),
        done=f"Copied {origin} to {path}",
    )


@planning
def rename(name: str, source: str, force: bool = False, makedirs: bool = False) -> Plan:
    """Rename a file or directory from `source` to `name`; done where there is no source any more.

    force
        Replace what has the new name.
    makedirs
        Make the directory that it goes into.

    SLS example:

        /etc/app/new.conf:
          file.rename:
            - source: /etc/app/old.conf
    """
    path, origin = check_name(name), check_name(source)
    if not os.path.lexists(origin):
        if os.path.lexists(path):
            return same(f"{origin} is already renamed to {path}")
        return same(f"{origin} is not there, so there is nothing to rename")
    if _is_same(path, origin):
        return same(f"{origin} has this name")
    _refuse_nested(path, origin)
    if os.path.lexists(path) and not force:
        raise CommandExecutionError(f"{path} is there, and is not replaced (force: True would)")
    steps = []
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        if not makedirs:
            raise Missing(f"the directory {parent} is not there (makedirs: True would make it)")
        steps.append(parents_step(parent, attributes(None, None), None))

    def run() -> Changes:
        if os.path.isdir(path) and not os.path.islink(path):
            remove_path(path)
        with open_parent(origin) as old, open_parent(path) as new:
            os.rename(old.name, new.name, src_dir_fd=old.directory, dst_dir_fd=new.directory)
        return {path: origin}

    return change(
        f"{origin} is set to be renamed to {path}",
        {path: origin},
        *steps,
        Step(f"rename {origin} to {path}", run),
        done=f"Renamed {origin} to {path}",
    )
