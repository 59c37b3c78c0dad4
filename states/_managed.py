"""One managed file: compare what is with what is wanted, and plan the write that makes them equal.

`file.managed`, `file.recurse` and the states that edit text share it.
"""

from __future__ import annotations

import os
import shlex
import stat
import tempfile
from dataclasses import dataclass, replace
from typing import Any

from ..common.atomic import atomic_write
from ..common.context import current
from ..common.directory import make_directories
from ..common.errors import CommandExecutionError
from ..common.state.plan import Changes, Plan, Step, change, same
from ._attributes import AS_IT_IS, Attributes, differences, differences_of_new, set_attributes
from ._backup import back_up, wants_backup
from ._content import Content, content_of_bytes, digests
from ._planning import Missing
from ._text import HIDDEN, MAX_DIFF_BYTES, diff_bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a file shall be. Without `content`, what it holds is left alone, and a new one is empty."""

    path: str
    content: Content | None = None
    attributes: Attributes = AS_IT_IS
    makedirs: bool = False
    dir_mode: int | None = None
    backup: str | bool = ""
    show_changes: bool = True
    follow: bool = True
    check_cmd: str = ""
    tmp_dir: str = ""
    tmp_ext: str = ""


def check_name(name: str) -> str:
    """Return the absolute path that a state is about (`~` is the home directory); raise where it is relative."""
    path = os.path.expanduser(name)
    if not path.startswith("/"):
        raise CommandExecutionError(f"{name!r} is not an absolute path")
    if "\0" in path:
        raise CommandExecutionError("a path cannot hold a NUL character")
    return path


def file_status(path: str, *, follow: bool = True) -> os.stat_result | None:
    """Return the status of what is at `path`, or None for nothing (and for a symlink to nothing, if followed)."""
    try:
        return os.stat(path, follow_symlinks=follow)
    except (FileNotFoundError, NotADirectoryError):
        return None


def plan_file(wanted: Wanted) -> Plan:
    """Plan what makes one file as wanted."""
    status = file_status(wanted.path, follow=wanted.follow)
    if status is None:
        return _plan_new(wanted)
    if stat.S_ISDIR(status.st_mode):
        raise CommandExecutionError(f"{wanted.path} is a directory")
    if stat.S_ISLNK(status.st_mode):
        return _plan_new(wanted)  # a symlink that is not to be followed is replaced
    if wanted.content is not None and not stat.S_ISREG(status.st_mode):
        raise CommandExecutionError(f"{wanted.path} is not a regular file")
    if wanted.content is not None and not _holds(wanted.path, status, wanted.content):
        return _plan_content(wanted, wanted.content, status)
    changes = differences(wanted.attributes, status)
    if not changes:
        return same(f"File {wanted.path} is in the correct state")
    return _planned(wanted.path, changes, _attributes_step(wanted, changes))


def _holds(path: str, status: os.stat_result, content: Content) -> bool:
    return status.st_size == content.size and digests.of(path, status) == content.digest


def _plan_new(wanted: Wanted) -> Plan:
    steps = _parent_steps(wanted)
    given = differences_of_new(wanted.attributes)
    if wanted.content is None:
        observed = {"new": f"file {wanted.path} created", **given}
        wanted = replace(wanted, content=content_of_bytes(b""))
    else:
        observed = {"diff": "New file", **given}
    step = Step(f"create {wanted.path}", lambda: _write(wanted, observed))
    plan = _planned(wanted.path, {"newfile": wanted.path}, *steps, step)
    return replace(plan, done=f"File {wanted.path} created") if "new" in observed else plan


def _parent_steps(wanted: Wanted) -> tuple[Step, ...]:
    parent = os.path.dirname(wanted.path)
    if os.path.isdir(parent):
        return ()
    if os.path.lexists(parent) and not os.path.islink(parent):
        raise Missing(f"{parent} is not a directory")
    if not wanted.makedirs:
        raise Missing(f"the directory {parent} is not there (makedirs: True would make it)")
    return (parents_step(parent, wanted.attributes, wanted.dir_mode),)


def parents_step(directory: str, attributes: Attributes, dir_mode: int | None) -> Step:
    """Return the step that makes a directory and those above it; its mode follows the file's where none is given."""
    mode = dir_mode
    if mode is None and attributes.mode is not None:
        mode = attributes.mode | (attributes.mode & 0o444) >> 2
    uid = -1 if attributes.uid is None else attributes.uid
    gid = -1 if attributes.gid is None else attributes.gid

    def run() -> None:
        make_directories(directory, mode=mode, uid=uid, gid=gid)

    return Step(f"make the directory {directory}", run)


def _plan_content(wanted: Wanted, content: Content, status: os.stat_result) -> Plan:
    changes: dict[str, Any] = {"diff": _difference(wanted, content, status)}
    changes |= differences(wanted.attributes, status)
    steps = []
    if wants_backup(wanted.backup):
        steps.append(Step(f"back {wanted.path} up", lambda: _back_up(wanted.path)))
    steps.append(Step(f"write {wanted.path}", lambda: _write(wanted, changes)))
    return _planned(wanted.path, changes, *steps)


def _back_up(path: str) -> None:
    back_up(path)


def _difference(wanted: Wanted, content: Content, status: os.stat_result) -> str:
    if not wanted.show_changes:
        return HIDDEN
    if max(status.st_size, content.size) > MAX_DIFF_BYTES:
        return f"Replaced {status.st_size} bytes with {content.size} bytes, too many to show"
    with open(wanted.path, "rb") as file:
        return diff_bytes(file.read(), content.read())


def _attributes_step(wanted: Wanted, changes: dict[str, str]) -> Step:
    def run() -> Changes:
        set_attributes(wanted.path, wanted.attributes, follow=wanted.follow)
        return changes

    return Step(f"set owner and mode of {wanted.path}", run)


def _write(wanted: Wanted, observed: Changes) -> Changes:
    content, attributes = wanted.content, wanted.attributes
    assert content is not None
    if wanted.check_cmd:
        _check(wanted, content)
    atomic_write(
        wanted.path,
        content.chunks(),
        mode=attributes.mode,
        uid=attributes.uid,
        gid=attributes.gid,
        follow=wanted.follow,
    )
    return observed


def _check(wanted: Wanted, content: Content) -> None:
    """Have the user's command look at the new content in a temporary file, before it replaces anything."""
    fd, path = tempfile.mkstemp(suffix=wanted.tmp_ext, dir=wanted.tmp_dir or None)
    try:
        with open(fd, "wb") as file:
            file.writelines(content.chunks())
        result = current().call("cmd.run_all", f"{wanted.check_cmd} {shlex.quote(path)}", python_shell=True)
    finally:
        os.unlink(path)
    if result["retcode"] != 0:
        output = "\n".join(text for text in (result["stdout"], result["stderr"]) if text)
        raise CommandExecutionError(f"check_cmd failed with code {result['retcode']}, nothing was written: {output}")


def _planned(path: str, changes: Changes, *steps: Step) -> Plan:
    return change(f"The file {path} is set to be changed", changes, *steps, done=f"File {path} updated")
