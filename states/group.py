"""Groups: there with the given number and members, or gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..common.context import current
from ..common.errors import CommandExecutionError
from ..common.state.plan import Changes, Plan, Step, change, same
from ._accounts import group_name
from ._planning import Missing, planning


@planning
def present(
    name: str,
    gid: int | None = None,
    system: bool = False,
    addusers: list[str] | None = None,
    delusers: list[str] | None = None,
    members: list[str] | None = None,
    non_unique: bool = False,
    local: bool = False,
) -> Plan:
    """Make sure that a group is there.

    gid, system, non_unique
        Its number; whether a new one is a system's; and whether the number may be another group's, too.
    members
        Who its members are, exactly.
    addusers, delusers
        Who is among its members, and who is not.

    `local` is accepted for trees that have it: groups are always made in the machine's own files.

    SLS example:

        web:
          group.present:
            - members:
              - anne
    """
    if members is not None and (addusers or delusers):
        raise CommandExecutionError("members excludes addusers and delusers")
    both = sorted(set(addusers or ()) & set(delusers or ()))
    if both:
        raise CommandExecutionError(f"these users are to be added and removed: {', '.join(both)}")
    info: Mapping[str, Any] = current().call("group.info", name)
    wanted = [*(members or ()), *(addusers or ())]
    if gid is not None and not non_unique and info.get("gid") != gid and group_name(gid) != str(gid):
        raise Missing(f"the gid {gid} is that of group {group_name(gid)} (non_unique: True permits that)")
    unknown = [user for user in wanted if not current().call("user.info", str(user))]
    if unknown:
        raise Missing(f"these users are not there: {', '.join(unknown)}")
    now = [str(user) for user in info.get("members") or ()] if info else []
    changes: dict[str, Any] = {}
    steps = []
    if not info:
        options = {"system": system, **({"gid": gid} if gid is not None else {})}
        steps.append(_step(f"make the group {name}", {}, "group.add", name, **_more(options, non_unique)))
        changes["new"] = {"name": name, **options}
    elif gid is not None and info["gid"] != gid:
        changes["gid"] = gid
        steps.append(
            _step(
                f"set the number of the group {name}", {"gid": gid}, "group.chgid", name, gid, **_more({}, non_unique)
            )
        )
    steps += _member_steps(name, now, members, addusers, delusers, changes)
    if not steps:
        return same(f"Group {name} is present and up to date")
    if not info:
        steps.append(Step("look at the new group", lambda: dict(current().call("group.info", name))))
        return change(f"Group {name} set to be added", changes, *steps, done=f"New group {name} created")
    return change(
        f"The following group attributes are set to be changed: {', '.join(sorted(changes))}",
        changes,
        *steps,
        done=f"Updated group {name}",
    )


def _more(options: Mapping[str, Any], non_unique: bool) -> dict[str, Any]:
    return {**options, "non_unique": True} if non_unique else dict(options)


def _member_steps(
    name: str,
    now: list[str],
    members: list[str] | None,
    addusers: list[str] | None,
    delusers: list[str] | None,
    changes: dict[str, Any],
) -> list[Step]:
    if members is not None:
        goal = [str(user) for user in members]
        if sorted(goal) == sorted(now):
            return []
        changes["members"] = goal
        return [_step(f"set the members of {name}", {"members": goal}, "group.members", name, ",".join(goal))]
    steps = []
    for key, users, there, function in (
        ("addusers", addusers, False, "group.adduser"),
        ("delusers", delusers, True, "group.deluser"),
    ):
        chosen = [str(user) for user in users or () if (str(user) in now) is there]
        if chosen:
            changes[key] = chosen
            steps += [_step(f"{function} {name} {user}", {key: chosen}, function, name, user) for user in chosen]
    return steps


def _step(describe: str, changes: Changes, function: str, *args: Any, **kwargs: Any) -> Step:
    def run() -> Changes:
        if current().call(function, *args, **kwargs) is False:
            raise CommandExecutionError(f"{function} did not succeed")
        return changes

    return Step(describe, run)


@planning
def absent(name: str, local: bool = False) -> Plan:
    """Make sure that there is no group of this name; `local` is accepted for trees that have it.

    SLS example:

        games:
          group.absent: []
    """
    if not current().call("group.info", name):
        return same(f"Group {name} is not present")
    step = _step(f"remove the group {name}", {name: ""}, "group.delete", name)
    return change(f"Group {name} is set for removal", {name: ""}, step, done=f"Removed group {name}")
