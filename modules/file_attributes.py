"""What a file has beyond owner and mode: the attributes of its file system, its SELinux context, device nodes.

Needs lsattr(1), chattr(1), chcon(1) or restorecon(8) for what they do; everything else is done by calls of the system.
"""

from __future__ import annotations

import os
import stat
from typing import Any

from ..common import process
from ..common.directory import open_parent
from ..common.errors import CommandExecutionError
from ._file_path import (
    absolute,
    doing,
    find_gid,
    find_uid,
    group_name,
    mode_text,
    optional_gid,
    optional_uid,
    parse_mode,
    user_name,
)
from ._file_text import parse_lsattr

__virtualname__ = "file"

# Attributes that only the file system itself sets: extents, an index, encryption, verity, inline data.
KEPT = frozenset("eEhINVZB")
_CONTEXT_ATTRIBUTE = "security.selinux"


def lsattr(path: str) -> dict[str, list[str]] | None:
    """Return the attributes of a file, or of what is in a directory, by path: `{'/etc/a': ['e', 'i']}`.

    None where there is no lsattr(1).

    CLI example: `ctl '*' file.lsattr /etc/resolv.conf`
    """
    path = absolute(path)
    if process.find_tool("lsattr") is None:
        return None
    done = process.tool(["lsattr", "--", path])
    return parse_lsattr(done.text)


def chattr(*files: str, attributes: str = "", operator: str = "add", flags: str = "", version: str = "") -> bool:
    """Add, remove or set attributes of files (`operator` is `add`, `remove` or `set`).

    `flags` are letters for chattr(1) (`R`: all that is below a directory); `version` is the file's version number.

    CLI example: `ctl '*' file.chattr /etc/resolv.conf attributes=i operator=add`
    """
    signs = {"add": "+", "remove": "-", "set": "="}
    if operator not in signs:
        raise CommandExecutionError(f"operator is add, remove or set, not {operator!r}")
    if not files or not all(letter.isalpha() for letter in attributes + flags):
        raise CommandExecutionError("chattr needs files, and attributes and flags as letters")
    options = [f"-{flags}"] if flags else []
    options += ["-v", str(version)] if version else []
    process.tool(["chattr", *options, f"{signs[operator]}{attributes}", "--", *(absolute(path) for path in files)])
    return True


def attributes_of(path: str) -> set[str]:
    """Return the attributes of one file, without those that only the file system sets.

    CLI example: `ctl '*' file.attributes_of /etc/resolv.conf`
    """
    done = process.tool(["lsattr", "-d", "--", absolute(path)])
    return {flag for flags in parse_lsattr(done.text).values() for flag in flags} - KEPT


def set_attributes(path: str, attributes: str) -> bool:
    """Give a file exactly these attributes, as letters; those that only the file system sets stay.

    CLI example: `ctl '*' file.set_attributes /etc/resolv.conf i`
    """
    present, wanted = attributes_of(path), set(attributes) - KEPT
    for operator, letters in (("remove", present - wanted), ("add", wanted - present)):
        if letters:
            chattr(path, attributes="".join(sorted(letters)), operator=operator)
    return True


def get_selinux_context(path: str) -> str:
    """Return the SELinux context of a file, or a sentence where it has none.

    CLI example: `ctl '*' file.get_selinux_context /etc/hosts`
    """
    path = absolute(path)
    with doing("look at", path):
        os.stat(path)
    try:
        return os.getxattr(path, _CONTEXT_ATTRIBUTE).rstrip(b"\0").decode()
    except OSError:
        return f"No selinux context information is available for {path}"


def set_selinux_context(
    path: str,
    user: str | None = None,
    role: str | None = None,
    type: str | None = None,
    range: str | None = None,
    persist: bool = False,
) -> str | bool:
    """Set parts of a file's SELinux context with chcon(1), and return the context.

    With `persist` the type goes into the policy too (`selinux.fcontext_add_policy`), and the file gets it from there.

    CLI example: `ctl '*' file.set_selinux_context path role=object_r type=etc_t`
    """
    path = absolute(path)
    parts = (("--user", user), ("--role", role), ("--type", type), ("--range", range))
    given = [f"{option}={value}" for option, value in parts if value]
    if not given:
        return False
    if persist:
        process.tool(["semanage", "fcontext", "--add", *([f"--type={type}"] if type else []), "--", path])
    process.tool(["chcon", *given, "--", path])
    return get_selinux_context(path)


def restorecon(path: str, recursive: bool = False) -> bool:
    """Give a file the SELinux context that the policy has for it.

    CLI example: `ctl '*' file.restorecon /home/user/.ssh/authorized_keys`
    """
    path = absolute(path)
    process.tool(["restorecon", "-F", *(["-R"] if recursive else []), "--", path])
    return True


def mknod(
    name: str,
    ntype: str,
    major: int = 0,
    minor: int = 0,
    user: str | int | None = None,
    group: str | int | None = None,
    mode: str = "0600",
) -> bool:
    """Make a device (`c`, `b`) or a pipe (`p`) with this owner and mode.

    CLI example: `ctl '*' file.mknod /dev/chr c 180 31`
    """
    kinds = {"c": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
    if ntype not in kinds:
        raise CommandExecutionError(f"the type of a node is c, b or p, not {ntype!r}")
    path, number = absolute(name), parse_mode(mode)
    uid, gid = optional_uid(user), optional_gid(group)
    device = 0 if ntype == "p" else os.makedev(major, minor)
    with doing("make", path), open_parent(path) as place:
        os.mknod(place.name, kinds[ntype] | 0o600, device, dir_fd=place.directory)
        here: dict[str, Any] = {"dir_fd": place.directory, "follow_symlinks": False}
        if uid is not None or gid is not None:
            os.chown(place.name, -1 if uid is None else uid, -1 if gid is None else gid, **here)
        node = os.open(place.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.directory)
        try:
            os.chmod(f"/proc/self/fd/{node}", number)
        finally:
            os.close(node)
    return True


def mknod_chrdev(
    name: str,
    major: int,
    minor: int,
    user: str | int | None = None,
    group: str | int | None = None,
    mode: str = "0660",
) -> bool:
    """Make a character device.

    CLI example: `ctl '*' file.mknod_chrdev /dev/chr 180 31`
    """
    return mknod(name, "c", major, minor, user, group, mode)


def mknod_blkdev(
    name: str,
    major: int,
    minor: int,
    user: str | int | None = None,
    group: str | int | None = None,
    mode: str = "0660",
) -> bool:
    """Make a block device.

    CLI example: `ctl '*' file.mknod_blkdev /dev/blk 8 999`
    """
    return mknod(name, "b", major, minor, user, group, mode)


def mknod_fifo(name: str, user: str | int | None = None, group: str | int | None = None, mode: str = "0660") -> bool:
    """Make a named pipe.

    CLI example: `ctl '*' file.mknod_fifo /run/app.pipe`
    """
    return mknod(name, "p", 0, 0, user, group, mode)


def get_devmm(name: str) -> tuple[int, int]:
    """Return a device's major and minor number; zeros for what is no device.

    CLI example: `ctl '*' file.get_devmm /dev/null`
    """
    path = absolute(name)
    with doing("look at", path):
        found = os.lstat(path)
    if not (stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)):
        return 0, 0
    return os.major(found.st_rdev), os.minor(found.st_rdev)


def check_perms(
    name: str,
    ret: dict[str, Any] | None,
    user: str | int | None,
    group: str | int | None,
    mode: str | int | None,
    attrs: str | None = None,
    follow_symlinks: bool = False,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give a file its owner and mode where they differ; return a state's dict with the changes, and what was.

    CLI example: `ctl '*' file.check_perms /etc/sudoers '{}' root root 400`
    """
    from ..common.context import current
    from .file_change import chown, lchown, set_mode

    path = absolute(name)
    result = {"name": name, "result": True, "comment": [], "changes": {}, **(ret or {})}
    with doing("look at", path):
        found = os.stat(path) if follow_symlinks else os.lstat(path)
    before = {"luser": user_name(found.st_uid), "lgroup": group_name(found.st_gid), "lmode": mode_text(found.st_mode)}
    changes: dict[str, Any] = {}
    if user not in (None, "") and find_uid(user or 0) != found.st_uid:
        changes["user"] = user
    if group not in (None, "") and find_gid(group or 0) != found.st_gid:
        changes["group"] = group
    if mode not in (None, "") and not stat.S_ISLNK(found.st_mode) and mode_text(found.st_mode) != _mode(mode):
        changes["mode"] = _mode(mode)
    if attrs is not None and attributes_of(path) != set(attrs) - KEPT:
        changes["attrs"] = attrs
    if current().test:
        return {**result, "changes": changes, "result": None if changes else result["result"]}, before
    if "user" in changes or "group" in changes:
        (chown if follow_symlinks else lchown)(path, changes.get("user"), changes.get("group"))
    if changes and mode not in (None, ""):
        set_mode(path, _mode(mode))  # a change of owner takes the set-uid bits away
    if "attrs" in changes:
        set_attributes(path, attrs or "")
    return {**result, "changes": {**result["changes"], **changes}}, before


def _mode(mode: str | int | None) -> str:
    return mode_text(parse_mode(mode or 0))
