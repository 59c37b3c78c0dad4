"""`salt.utils.user`: who runs this, and who is in which group."""

from __future__ import annotations

import grp
import os
import pwd


def get_user() -> str:
    """Return the name of the user that runs this."""
    return pwd.getpwuid(os.geteuid()).pw_name


def get_uid(user: str | None = None) -> int | None:
    """Return a user's number, or None where there is no such user."""
    try:
        return os.geteuid() if user is None else pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def get_group_list(user: str, include_default: bool = True) -> list[str]:
    """Return the names of a user's groups, sorted."""
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return []
    groups = {grp.getgrgid(number).gr_name for number in os.getgrouplist(user, account.pw_gid)}
    return sorted(groups if include_default else groups - {grp.getgrgid(account.pw_gid).gr_name})
