"""What `user`, `group` and `shadow` share: names that the account tools take for names."""

from __future__ import annotations

import re

from ..common.errors import CommandExecutionError

# What useradd accepts at its most generous, and never what looks like an option, a path or a field of /etc/passwd.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,255}\$?")


def check_name(name: str) -> str:
    """Return the name of a user or group, or raise where it is none."""
    if not _NAME.fullmatch(name):
        raise CommandExecutionError(f"{name!r} is no name of a user or group")
    return name


def check_field(what: str, text: str) -> str:
    """Return a text that goes into a field of `/etc/passwd`, or raise where it would end the field or the line."""
    if any(sign in text for sign in ":\n\0"):
        raise CommandExecutionError(f"the {what} {text!r} has a colon, a newline or a NUL in it")
    return text
