"""User accounts: there with the given properties, or gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..common.context import current
from ..common.errors import CommandExecutionError
from ..common.secret import Secret
from ..common.state.plan import Changes, Plan, Step, change, same
from ._accounts import gid_of, group_name, user_name
from ._planning import Missing, planning

HIDDEN = "XXX-REDACTED-XXX"
_NO_PASSWORD = ("", "!", "!!", "*", "x")
_SETTERS = {
    "uid": "user.chuid",
    "gid": "user.chgid",
    "shell": "user.chshell",
    "fullname": "user.chfullname",
    "roomnumber": "user.chroomnumber",
    "workphone": "user.chworkphone",
    "homephone": "user.chhomephone",
    "other": "user.chother",
    "passwd": "shadow.set_password",
    "lstchg": "shadow.set_date",
    "min": "shadow.set_mindays",
    "max": "shadow.set_maxdays",
    "warn": "shadow.set_warndays",
    "inact": "shadow.set_inactdays",
    "expire": "shadow.set_expire",
}


@planning
def present(
    name: str,
    uid: int | None = None,
    gid: int | str | None = None,
    usergroup: bool | None = None,
    groups: list[str] | None = None,
    optional_groups: list[str] | None = None,
    remove_groups: bool = True,
    home: str | None = None,
    createhome: bool = True,
    persist_home: bool = False,
    nologinit: bool = False,
    password: Secret[str | None] = None,
    hash_password: bool = False,
    enforce_password: bool = True,
    empty_password: bool = False,
    shell: str | None = None,
    unique: bool = True,
    system: bool = False,
    fullname: str | None = None,
    roomnumber: str | None = None,
    workphone: str | None = None,
    homephone: str | None = None,
    other: str | None = None,
    date: int | str | None = None,
    mindays: int | None = None,
    maxdays: int | None = None,
    inactdays: int | None = None,
    warndays: int | None = None,
    expire: int | str | None = None,
    allow_uid_change: bool = False,
    allow_gid_change: bool = False,
    password_lock: bool | None = None,
    loginclass: str | None = None,
    local: bool = False,
) -> Plan:
    """Make sure that a user is there, with the given properties; what is not given is left as it is.

    uid, gid
        The user's number, and the name or number of the primary group; `allow_uid_change` and `allow_gid_change`
        permit changing those of a user that is there.
    usergroup
        Make a group of the user's name for a new user.
    groups, optional_groups, remove_groups
        The supplementary groups; those that need not exist; and whether the user leaves all others.
    home, createhome, shell, fullname, roomnumber, workphone, homephone, other
        As in `user.add`.
    persist_home
        Move what is in the home directory where `home` changes.
    password, hash_password, enforce_password, empty_password, password_lock
        The password's hash, or with `hash_password` the password; `enforce_password: False` sets it only for a new
        user; and whether it is empty or locked.
    date, mindays, maxdays, inactdays, warndays, expire
        The ageing of the password and the account, in days.

    `loginclass` and `local` are accepted for trees that have them: users are always made in the machine's own files.

    SLS example:

        anne:
          user.present:
            - shell: /bin/bash
            - groups:
              - sudo
    """
    if password is not None and empty_password:
        raise CommandExecutionError("password and empty_password exclude one another")
    fields = _given(
        uid=uid,
        gid=gid_of(gid),
        home=home,
        shell=shell,
        fullname=fullname,
        roomnumber=roomnumber,
        workphone=workphone,
        homephone=homephone,
        other=other,
    )
    ageing = _given(lstchg=date, min=mindays, max=maxdays, inact=inactdays, warn=warndays, expire=expire)
    secret = _Secret("" if empty_password else password, hash_password, enforce_password, password_lock)
    wanted = _Wanted(name, fields, ageing, secret, _groups(groups, optional_groups), remove_groups, persist_home)
    info: Mapping[str, Any] = current().call("user.info", name)
    if unique and fields.get("uid") is not None and fields["uid"] != info.get("uid"):
        _refuse_taken(fields["uid"])
    if not info:
        options = _given(createhome=createhome, system=system, unique=unique, nologinit=nologinit, usergroup=usergroup)
        return _plan_new(wanted, options)
    for key, allowed in (("uid", allow_uid_change), ("gid", allow_gid_change)):
        if not allowed and fields.get(key, info.get(key)) != info.get(key):
            raise CommandExecutionError(
                f"the {key} of user {name} is {info.get(key)}, not {fields[key]} (allow_{key}_change: True permits it)"
            )
    return _plan_changes(wanted, info)


def _refuse_taken(uid: int) -> None:
    """Refuse a number that another user has; an earlier state may change that."""
    other = user_name(uid)
    if other != str(uid):
        raise Missing(f"the uid {uid} is that of user {other} (unique: False permits that)")


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class _Secret:
    """What a state says of the password; `text` is a hash, or with `plain` the password itself."""

    text: str | None
    plain: bool
    enforce: bool
    lock: bool | None

    def hash(self, known: str) -> str:
        """Return the hash to store; a plain password that the known hash is of keeps it."""
        text = self.text or ""
        if not self.plain or not text:
            return text
        parts = known.split("$")
        if len(parts) == 4 and parts[1] == "6":
            again = str(current().call("shadow.gen_password", text, crypt_salt=parts[2], algorithm="sha512"))
            if again == known:
                return again
        return str(current().call("shadow.gen_password", text))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a state says of a user; `groups` None leaves the supplementary groups alone."""

    name: str
    fields: Mapping[str, Any]
    ageing: Mapping[str, Any]
    secret: _Secret
    groups: list[str] | None
    remove_groups: bool
    persist_home: bool

    def needs_shadow(self) -> bool:
        return bool(self.ageing) or self.secret.text is not None or self.secret.lock is not None


def _plan_changes(wanted: _Wanted, info: Mapping[str, Any]) -> Plan:
    """Plan what makes a user who is there as wanted."""
    name = wanted.name
    shadow: Mapping[str, Any] = current().call("shadow.info", name) if wanted.needs_shadow() else {}
    changes = {key: value for key, value in wanted.fields.items() if info.get(key) != value}
    changes |= _group_changes(wanted, info)
    changes |= _password_changes(wanted.secret, str(shadow.get("passwd", "")))
    changes |= {key: value for key, value in wanted.ageing.items() if str(shadow.get(key)) != str(value)}
    steps = [_field_step(name, key, value, wanted.persist_home) for key, value in changes.items()]
    lock = wanted.secret.lock
    if lock is not None and _is_to_be(lock, {**shadow, **changes}):
        changes["password_lock"] = lock
        steps.append(_lock_step(name, lock))
    if not steps:
        return same(f"User {name} is present and up to date")
    return change(
        f"The following user attributes are set to be changed: {', '.join(sorted(changes))}",
        _redacted(changes),
        *steps,
        done=f"Updated user {name}",
    )


def _is_to_be(lock: bool, shadow: Mapping[str, Any]) -> bool:
    """Say whether a password is to be locked or unlocked; where there is none, there is nothing to unlock."""
    known = str(shadow.get("passwd", ""))
    if lock:
        return not known.startswith("!")
    return known.startswith("!") and known.removeprefix("!") not in _NO_PASSWORD


def _password_changes(secret: _Secret, known: str) -> dict[str, str]:
    if secret.text is None or (not secret.enforce and known not in _NO_PASSWORD):
        return {}
    plain = known.removeprefix("!") if secret.lock else known
    hashed = secret.hash(plain)
    return {"passwd": hashed} if hashed not in (plain, known) else {}


def _groups(groups: list[str] | None, optional: list[str] | None) -> list[str] | None:
    """Return the wanted supplementary groups; raises `Missing` for one that is not there and must be."""
    if groups is None and optional is None:
        return None
    functions = current().functions
    missing = [str(group) for group in groups or () if not functions["group.info"](str(group))]
    if missing:
        raise Missing(f"these groups are not there: {', '.join(missing)}")
    there = [str(group) for group in optional or () if functions["group.info"](str(group))]
    return list(dict.fromkeys([*(str(group) for group in groups or ()), *there]))


def _group_changes(wanted: _Wanted, info: Mapping[str, Any]) -> dict[str, Any]:
    if wanted.groups is None:
        return {}
    primary = group_name(int(info.get("gid", -1)))
    now = {str(group) for group in info.get("groups") or ()} - {primary}
    goal = set(wanted.groups) - {primary}
    if goal - now or (wanted.remove_groups and now - goal):
        return {"groups": sorted(goal if wanted.remove_groups else goal | now)}
    return {}


def _redacted(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: HIDDEN if key == "passwd" else value for key, value in changes.items()}


def _field_step(name: str, key: str, value: Any, persist_home: bool) -> Step:
    def run() -> Changes:
        if key == "groups":
            done = current().call("user.chgroups", name, value, append=False)
        elif key == "home":
            done = current().call("user.chhome", name, value, persist=persist_home)
        else:
            done = current().call(_SETTERS[key], name, value)
        if done is False:
            raise CommandExecutionError(f"the {key} of user {name} could not be changed")
        return _redacted({key: value})

    return Step(f"set the {key} of user {name}", run)


def _lock_step(name: str, lock: bool) -> Step:
    function = "shadow.lock_password" if lock else "shadow.unlock_password"

    def run() -> Changes:
        current().call(function, name)
        return {"password_lock": lock}

    return Step(f"{'lock' if lock else 'unlock'} the password of user {name}", run)


def _plan_new(wanted: _Wanted, options: Mapping[str, Any]) -> Plan:
    name, secret = wanted.name, wanted.secret
    given = {**wanted.fields, **options, **({"groups": wanted.groups} if wanted.groups else {})}

    def add() -> Changes:
        if current().call("user.add", name, **given) is False:
            raise CommandExecutionError(f"user {name} could not be made")
        return dict(current().call("user.info", name))

    steps = [Step(f"make the user {name}", add)]
    if secret.text is not None:
        steps.append(_password_step(name, secret))
    steps += [_field_step(name, key, value, False) for key, value in wanted.ageing.items()]
    if secret.lock:
        steps.append(_lock_step(name, True))
    changes = {name: "present", **wanted.fields}
    plan = change(f"User {name} set to be added", changes, *steps, done=f"New user {name} created")
    return replace(plan, conclude=_exists(name, True, plan.done))


def _password_step(name: str, secret: _Secret) -> Step:
    def run() -> Changes:
        current().call("shadow.set_password", name, secret.hash(""))
        return {"passwd": HIDDEN}

    return Step(f"set the password of user {name}", run)


def _exists(name: str, wanted: bool, done: str) -> Callable[[dict[str, Any]], tuple[bool, str]]:
    def conclude(_changes: dict[str, Any]) -> tuple[bool, str]:
        there = bool(current().call("user.info", name))
        return there is wanted, done if there is wanted else f"user {name} is {'still' if there else 'not'} there"

    return conclude


@planning
def absent(name: str, purge: bool = False, force: bool = False, local: bool = False) -> Plan:
    """Make sure that there is no user of this name.

    purge
        Remove the home directory, too.
    force
        Remove the user also while logged in.

    `local` is accepted for trees that have it.

    SLS example:

        mallory:
          user.absent:
            - purge: True
    """
    if not current().call("user.info", name):
        return same(f"User {name} is not present")

    def remove() -> Changes:
        had_group = bool(current().call("group.info", name))
        if current().call("user.delete", name, remove=purge, force=force) is False:
            raise CommandExecutionError(f"user {name} could not be removed")
        gone: dict[str, str] = {name: "removed"}
        if had_group and not current().call("group.info", name):
            gone[f"{name} group"] = "removed"
        return gone

    plan = change(
        f"User {name} set for removal",
        {name: "removed"},
        Step(f"remove user {name}", remove),
        done=f"Removed user {name}",
    )
    return replace(plan, conclude=_exists(name, False, plan.done))
