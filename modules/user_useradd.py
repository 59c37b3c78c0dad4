"""Users of the machine, through useradd, usermod and userdel."""

from __future__ import annotations

import grp
import os
import pwd
from typing import Any

from ..common import process
from ..common.errors import CommandExecutionError
from ._account import check_field, check_name

__virtualname__ = "user"

# The full name and what may follow it, in the order of the fields of GECOS.
_GECOS = ("fullname", "roomnumber", "workphone", "homephone", "other")


def __virtual__() -> bool | tuple[bool, str]:
    return True if process.find_tool("useradd") else (False, "useradd is not installed")


def add(
    name: str,
    uid: int | None = None,
    gid: str | int | None = None,
    groups: str | list[str] | None = None,
    home: str | None = None,
    shell: str | None = None,
    unique: bool = True,
    system: bool = False,
    fullname: str = "",
    roomnumber: str = "",
    workphone: str = "",
    homephone: str = "",
    other: str = "",
    createhome: bool = True,
    loginclass: str | None = None,
    nologinit: bool = False,
    root: str | None = None,
    usergroup: bool | None = None,
) -> bool:
    """Add a user.

    uid, unique
        The number; not shared with another user unless `unique=False`.
    gid, usergroup
        The primary group, by name or number; with `usergroup`, a group of the user's own name.
    groups
        More groups: a list, or names with commas.
    home, createhome, shell
        The home directory, whether to make it, and the login shell.
    system
        Make it a user of the system: a low number, no ageing of the password.
    fullname, roomnumber, workphone, homephone, other
        What is known about the person.
    nologinit
        Leave the user out of the logs of last logins.

    `loginclass` is accepted for trees that have it.

    CLI example: `ctl '*' user.add name uid=1042 groups=www-data shell=/bin/bash fullname='A Person'`
    """
    words = ["useradd"]
    words += ["--shell", check_field("shell", shell)] if shell else []
    words += [] if uid is None else ["--uid", str(uid)]
    words += [] if gid in (None, "") else ["--gid", str(gid)]
    words += ["--groups", ",".join(_group_list(groups))] if groups else []
    words += ["--create-home"] if createhome else ["--no-create-home"]
    words += ["--home-dir", check_field("home", home)] if home else []
    words += [] if unique else ["--non-unique"]
    words += ["--system"] if system else []
    words += ["--no-log-init"] if nologinit else []
    words += ["--root", root] if root else []
    if usergroup is not None and gid in (None, ""):
        words += ["--user-group" if usergroup else "--no-user-group"]
    gecos = _build_gecos(dict(zip(_GECOS, (fullname, roomnumber, workphone, homephone, other), strict=True)))
    words += ["--comment", gecos] if gecos else []
    process.tool([*words, "--", check_name(name)])
    return True


def _group_list(groups: str | list[str]) -> list[str]:
    words = groups.split(",") if isinstance(groups, str) else groups
    return [check_name(str(word).strip()) for word in words if str(word).strip()]


def _build_gecos(fields: dict[str, str]) -> str:
    values = [check_field(key, str(fields.get(key) or "")) for key in _GECOS]
    if any("," in value for value in values[:-1]):
        raise CommandExecutionError("what is known about a person cannot have a comma in it, but in the last field")
    return ",".join(values).rstrip(",")


def _parse_gecos(text: str) -> dict[str, str]:
    values = text.split(",", len(_GECOS) - 1)
    return {key: values[number] if number < len(values) else "" for number, key in enumerate(_GECOS)}


def delete(name: str, remove: bool = False, force: bool = False, root: str | None = None) -> bool:
    """Delete a user; with `remove`, also its home; with `force`, also where it is logged in.

    CLI example: `ctl '*' user.delete name remove=True force=True`
    """
    words = ["userdel", *(["--remove"] if remove else []), *(["--force"] if force else [])]
    words += ["--root", root] if root else []
    # 12: the home could not be removed; where it was not there, the user is gone as asked.
    done = process.tool([*words, "--", check_name(name)], ok=(0, 12))
    if done.retcode == 12 and not info(name) and "not found" not in done.error_text:
        raise CommandExecutionError(f"the user {name} is deleted, but not its home: {process.complaint(done)}")
    return True


def info(name: str) -> dict[str, Any]:
    """Return what is known about a user; an empty dict where there is none.

    CLI example: `ctl '*' user.info root`
    """
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return {}
    return _as_dict(entry, list_groups(name))


def _as_dict(entry: pwd.struct_passwd, groups: list[str]) -> dict[str, Any]:
    return {
        "name": entry.pw_name,
        "uid": entry.pw_uid,
        "gid": entry.pw_gid,
        "home": entry.pw_dir,
        "shell": entry.pw_shell,
        "passwd": entry.pw_passwd,
        **_parse_gecos(entry.pw_gecos),
        "groups": groups,
    }


def getent(refresh: bool = False) -> list[dict[str, Any]]:
    """Return what is known about all users. `refresh` is accepted for trees that have it.

    CLI example: `ctl '*' user.getent`
    """
    names = {entry.gr_gid: entry.gr_name for entry in grp.getgrall()}
    memberships: dict[str, set[str]] = {}
    for group in grp.getgrall():
        for member in group.gr_mem:
            memberships.setdefault(member, set()).add(group.gr_name)
    result = []
    for entry in pwd.getpwall():
        own = {names[entry.pw_gid]} if entry.pw_gid in names else set()
        result.append(_as_dict(entry, sorted(own | memberships.get(entry.pw_name, set()))))
    return result


def list_users(root: str | None = None) -> list[str]:
    """List the users; those of a system below `root`, where one is given.

    CLI example: `ctl '*' user.list_users`
    """
    if root:
        with open(os.path.join(root, "etc/passwd"), encoding="utf-8") as file:
            return sorted({line.split(":")[0] for line in file if ":" in line})
    return sorted({entry.pw_name for entry in pwd.getpwall()})


def list_groups(name: str) -> list[str]:
    """List the groups of a user, its primary one included.

    CLI example: `ctl '*' user.list_groups root`
    """
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return []
    found = set()
    for gid in os.getgrouplist(name, entry.pw_gid):
        try:
            found.add(grp.getgrgid(gid).gr_name)
        except KeyError:
            continue
    return sorted(found)


def primary_group(name: str) -> str:
    """Return the name of a user's primary group.

    CLI example: `ctl '*' user.primary_group root`
    """
    gid = _existing(name)["gid"]
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        raise CommandExecutionError(f"the primary group {gid} of user {name} has no name") from None


def chuid(name: str, uid: int) -> bool:
    """Change the number of a user; the files in its home follow.

    CLI example: `ctl '*' user.chuid foo 4376`
    """
    return _modify(name, "uid", int(uid), "--uid", str(int(uid)))


def chgid(name: str, gid: str | int) -> bool:
    """Change the primary group of a user, by name or number.

    CLI example: `ctl '*' user.chgid foo www-data`
    """
    return _modify(name, "gid", _gid(gid), "--gid", str(gid))


def _gid(group: str | int) -> int:
    try:
        return grp.getgrnam(str(group)).gr_gid
    except KeyError:
        pass
    try:
        return int(group)
    except ValueError:
        raise CommandExecutionError(f"there is no group {group!r} on this machine") from None


def chshell(name: str, shell: str) -> bool:
    """Change the login shell of a user.

    CLI example: `ctl '*' user.chshell foo /bin/zsh`
    """
    return _modify(name, "shell", shell, "--shell", check_field("shell", shell))


def chhome(name: str, home: str, persist: bool = False) -> bool:
    """Change the home of a user; with `persist`, what is in the old one moves along.

    CLI example: `ctl '*' user.chhome foo /home/users/foo persist=True`
    """
    move = ["--move-home"] if persist else []
    return _modify(name, "home", home, "--home", check_field("home", home), *move)


def chgroups(name: str, groups: str | list[str], append: bool = False) -> bool:
    """Set the groups of a user besides its primary one; with `append`, add these to them.

    CLI example: `ctl '*' user.chgroups foo wheel,root append=True`
    """
    _existing(name)
    wanted = _group_list(groups)
    now = set(list_groups(name))
    if set(wanted) <= now and (append or set(wanted) >= now - {primary_group(name)}):
        return True
    process.tool(["usermod", *(["--append"] if append else []), "--groups", ",".join(wanted), "--", name])
    return True


def chfullname(name: str, fullname: str) -> bool:
    """Change the full name of a user.

    CLI example: `ctl '*' user.chfullname foo 'Foo Bar'`
    """
    return _change_gecos(name, "fullname", fullname)


def chroomnumber(name: str, roomnumber: str) -> bool:
    """Change the room number of a user.

    CLI example: `ctl '*' user.chroomnumber foo 123`
    """
    return _change_gecos(name, "roomnumber", roomnumber)


def chworkphone(name: str, workphone: str) -> bool:
    """Change the work phone of a user.

    CLI example: `ctl '*' user.chworkphone foo 7735550123`
    """
    return _change_gecos(name, "workphone", workphone)


def chhomephone(name: str, homephone: str) -> bool:
    """Change the home phone of a user.

    CLI example: `ctl '*' user.chhomephone foo 7735551234`
    """
    return _change_gecos(name, "homephone", homephone)


def chother(name: str, other: str) -> bool:
    """Change what else is known about a user.

    CLI example: `ctl '*' user.chother foobar 'something else'`
    """
    return _change_gecos(name, "other", other)


def _change_gecos(name: str, field: str, value: str) -> bool:
    fields = {key: str(one) for key, one in _existing(name).items() if key in _GECOS}
    return _modify(name, field, str(value), "--comment", _build_gecos({**fields, field: str(value)}))


def rename(name: str, new_name: str) -> bool:
    """Change the name of a user; its home stays.

    CLI example: `ctl '*' user.rename name new_name`
    """
    _existing(name)
    if info(new_name):
        raise CommandExecutionError(f"there is a user {new_name!r} already")
    process.tool(["usermod", "--login", check_name(new_name), "--", name])
    return bool(info(new_name))


def _modify(name: str, field: str, value: Any, *words: str) -> bool:
    """Change one field with usermod where it is not as wanted yet; say whether it is now."""
    if _existing(name)[field] == value:
        return True
    process.tool(["usermod", *words, "--", name])
    return bool(info(name).get(field) == value)


def _existing(name: str) -> dict[str, Any]:
    found = info(check_name(name))
    if not found:
        raise CommandExecutionError(f"there is no user {name!r} on this machine")
    return found
