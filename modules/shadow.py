"""Passwords of users: what `/etc/shadow` says, and changing it. No password appears on a command line."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

from ..common import process
from ..common.errors import CommandExecutionError
from ..common.secret import Secret
from ._account import check_name

_SHADOW = Path("/etc/shadow")
_ALGORITHMS = {"sha512": "-6", "sha256": "-5", "md5": "-1"}
_SALT = re.compile(r"[A-Za-z0-9./]{1,16}")
_NUMBERS = ("lstchg", "min", "max", "warn", "inact", "expire")


def info(name: str) -> dict[str, Any]:
    """Return what is known about a user's password: its hash, and when it must change; empty fields for nobody.

    CLI example: `ctl '*' shadow.info root`
    """
    try:
        found = _parse_shadow(_SHADOW.read_text(encoding="utf-8")).get(name)
    except PermissionError:
        raise CommandExecutionError(f"cannot read {_SHADOW}", hint="only root may") from None
    return found or {"name": "", "passwd": "", **dict.fromkeys(_NUMBERS, "")}


def _parse_shadow(text: str) -> dict[str, dict[str, Any]]:
    """Read `/etc/shadow`: days as numbers, -1 where a field is empty."""
    found = {}
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) >= 8:
            numbers = {
                key: int(value) if value.isdecimal() else -1 for key, value in zip(_NUMBERS, fields[2:8], strict=True)
            }
            found[fields[0]] = {"name": fields[0], "passwd": fields[1], **numbers}
    return found


def list_users() -> list[str]:
    """List the users that `/etc/shadow` names.

    CLI example: `ctl '*' shadow.list_users`
    """
    return sorted(_parse_shadow(_SHADOW.read_text(encoding="utf-8")))


def gen_password(password: Secret[str], crypt_salt: str | None = None, algorithm: str = "sha512") -> str:
    """Return the hash of a password, as `shadow.set_password` wants it: of sha512, sha256 or md5.

    CLI example: `ctl '*' shadow.gen_password 'I_am_password'`
    """
    if algorithm not in _ALGORITHMS:
        raise CommandExecutionError(f"there is no algorithm {algorithm!r} (known: {', '.join(_ALGORITHMS)})")
    if "\n" in password or "\0" in password:
        raise CommandExecutionError("a password cannot have a newline or a NUL in it")
    if crypt_salt and not _SALT.fullmatch(crypt_salt):
        raise CommandExecutionError("a salt is made of letters, digits, dots and slashes, sixteen at most")
    openssl = process.require_tool("openssl", "openssl")
    salt = ["-salt", crypt_salt] if crypt_salt else []
    return process.tool([openssl, "passwd", _ALGORITHMS[algorithm], *salt, "-stdin"], stdin=password).text.strip()


def set_password(name: str, password: Secret[str], use_usermod: bool = False) -> bool:
    """Set a user's password, given as a hash (`shadow.gen_password` makes one).

    `use_usermod` is accepted for trees that have it.

    CLI example: `ctl '*' shadow.set_password root '$6$…'`
    """
    if ":" in password or "\n" in password:
        raise CommandExecutionError("a password's hash cannot have a colon or a newline in it")
    process.tool(["chpasswd", "--encrypted"], stdin=f"{_existing(name)}:{password}\n")
    return bool(info(name)["passwd"] == password)


def del_password(name: str) -> bool:
    """Take a user's password away, so that none is asked for.

    CLI example: `ctl '*' shadow.del_password username`
    """
    process.tool(["passwd", "--delete", "--", _existing(name)])
    return not info(name)["passwd"]


def lock_password(name: str) -> bool:
    """Lock a user's password: no password fits, until it is unlocked.

    CLI example: `ctl '*' shadow.lock_password root`
    """
    if not info(_existing(name))["passwd"].startswith("!"):
        process.tool(["usermod", "--lock", "--", name])
    return bool(info(name)["passwd"].startswith("!"))


def unlock_password(name: str) -> bool:
    """Unlock a user's password.

    CLI example: `ctl '*' shadow.unlock_password root`
    """
    if info(_existing(name))["passwd"].startswith("!"):
        process.tool(["usermod", "--unlock", "--", name])
    return not info(name)["passwd"].startswith("!")


def set_date(name: str, date: str | int) -> bool:
    """Set the day on which the password was changed last: a date, or days since 1970; 0 makes the user change it.

    CLI example: `ctl '*' shadow.set_date username 0`
    """
    return _set_age(name, "--lastday", "lstchg", _days(date))


def set_expire(name: str, expire: str | int) -> bool:
    """Set the day on which the account ends: a date, or days since 1970; -1 for never.

    CLI example: `ctl '*' shadow.set_expire username 2030-12-31`
    """
    return _set_age(name, "--expiredate", "expire", _days(expire))


def set_mindays(name: str, mindays: int) -> bool:
    """Set how many days must pass before the password can be changed again.

    CLI example: `ctl '*' shadow.set_mindays username 7`
    """
    return _set_age(name, "--mindays", "min", mindays)


def set_maxdays(name: str, maxdays: int) -> bool:
    """Set after how many days the password must be changed.

    CLI example: `ctl '*' shadow.set_maxdays username 90`
    """
    return _set_age(name, "--maxdays", "max", maxdays)


def set_warndays(name: str, warndays: int) -> bool:
    """Set how many days before that a user is warned.

    CLI example: `ctl '*' shadow.set_warndays username 7`
    """
    return _set_age(name, "--warndays", "warn", warndays)


def set_inactdays(name: str, inactdays: int) -> bool:
    """Set how many days after that the account is disabled.

    CLI example: `ctl '*' shadow.set_inactdays username 7`
    """
    return _set_age(name, "--inactive", "inact", inactdays)


def _set_age(name: str, option: str, field: str, days: int) -> bool:
    if info(_existing(name))[field] != days:
        process.tool(["chage", f"{option}={days}", "--", name])
    return bool(info(name)[field] == days)


def _days(value: str | int) -> int:
    try:
        return int(value)
    except ValueError:
        pass
    try:
        return (datetime.date.fromisoformat(str(value)) - datetime.date(1970, 1, 1)).days
    except ValueError:
        raise CommandExecutionError(f"{value!r} is neither a date such as 2030-12-31 nor a number of days") from None


def _existing(name: str) -> str:
    check_name(name)
    if not info(name)["name"]:
        raise CommandExecutionError(f"there is no user {name!r} in {_SHADOW}")
    return name


def default_hash() -> str:
    """Return what stands in `/etc/shadow` for no password that could fit.

    CLI example: `ctl '*' shadow.default_hash`
    """
    return "!"
