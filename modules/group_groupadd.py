"""Groups of the machine, through groupadd, groupmod, groupdel and gpasswd."""

from __future__ import annotations

import grp
from typing import Any

from ..common import process
from ..common.errors import CommandExecutionError
from ._account import check_name

__virtualname__ = "group"


def __virtual__() -> bool | tuple[bool, str]:
    return True if process.find_tool("groupadd") else (False, "groupadd is not installed")


def add(
    name: str, gid: int | None = None, system: bool = False, root: str | None = None, non_unique: bool = False
) -> bool:
    """Add a group. `non_unique` allows a gid that another group has.

    CLI example: `ctl '*' group.add foo 3456`
    """
    words = ["groupadd"]
    if gid is not None:
        words += ["--gid", str(int(gid))]
        words += ["--non-unique"] if non_unique else []
    words += ["--system"] if system else []
    words += ["--root", root] if root else []
    process.tool([*words, "--", check_name(name)])
    return True


def delete(name: str, root: str | None = None) -> bool:
    """Delete a group.

    CLI example: `ctl '*' group.delete foo`
    """
    process.tool(["groupdel", *(["--root", root] if root else []), "--", check_name(name)])
    return True


def info(name: str) -> dict[str, Any]:
    """Return what is known about a group: name, passwd, gid, members; an empty dict where there is none.

    CLI example: `ctl '*' group.info foo`
    """
    try:
        return _as_dict(grp.getgrnam(name))
    except KeyError:
        return {}


def _as_dict(entry: grp.struct_group) -> dict[str, Any]:
    return {"name": entry.gr_name, "passwd": entry.gr_passwd, "gid": entry.gr_gid, "members": list(entry.gr_mem)}


def getent(refresh: bool = False) -> list[dict[str, Any]]:
    """Return what is known about all groups. `refresh` is accepted for trees that have it.

    CLI example: `ctl '*' group.getent`
    """
    return [_as_dict(entry) for entry in grp.getgrall()]


def list_groups() -> list[str]:
    """List the groups.

    CLI example: `ctl '*' group.list_groups`
    """
    return sorted({entry.gr_name for entry in grp.getgrall()})


def chgid(name: str, gid: int, root: str | None = None, non_unique: bool = False) -> bool:
    """Change the gid of a group.

    CLI example: `ctl '*' group.chgid foo 4376`
    """
    if _existing(name)["gid"] == int(gid):
        return True
    options = [*(["--non-unique"] if non_unique else []), *(["--root", root] if root else [])]
    process.tool(["groupmod", "--gid", str(int(gid)), *options, "--", name])
    return bool(info(name).get("gid") == int(gid))


def rename(name: str, new_name: str) -> bool:
    """Change the name of a group.

    CLI example: `ctl '*' group.rename foo bar`
    """
    _existing(name)
    process.tool(["groupmod", "--new-name", check_name(new_name), "--", name])
    return bool(info(new_name))


def adduser(name: str, username: str, root: str | None = None) -> bool:
    """Add a user to a group.

    CLI example: `ctl '*' group.adduser foo bar`
    """
    _existing(name)
    process.tool(["gpasswd", *(["--root", root] if root else []), "--add", check_name(username), "--", name])
    return True


def deluser(name: str, username: str, root: str | None = None) -> bool:
    """Take a user out of a group.

    CLI example: `ctl '*' group.deluser foo bar`
    """
    if username not in _existing(name)["members"]:
        return True
    process.tool(["gpasswd", *(["--root", root] if root else []), "--delete", check_name(username), "--", name])
    return True


def members(name: str, members_list: str | list[str], root: str | None = None) -> bool:
    """Set the members of a group: a list, or names with commas.

    CLI example: `ctl '*' group.members foo 'user1,user2,user3'`
    """
    _existing(name)
    words = members_list.split(",") if isinstance(members_list, str) else members_list
    names = [check_name(word.strip()) for word in words if word.strip()]
    process.tool(["gpasswd", *(["--root", root] if root else []), "--members", ",".join(names), "--", name])
    return True


def _existing(name: str) -> dict[str, Any]:
    found = info(check_name(name))
    if not found:
        raise CommandExecutionError(f"there is no group {name!r} on this machine")
    return found
