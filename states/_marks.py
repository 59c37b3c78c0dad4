"""What a managed file has beyond owner and mode: attributes of its file system, and its SELinux context."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..common.context import current
from ..common.errors import CommandExecutionError
from ..common.state.plan import Changes, Plan, Step, change

# With these, nothing of the file can be changed.
_LOCKS = frozenset("ia")
_CONTEXT_KEYS = {"seuser": "user", "serole": "role", "setype": "type", "serange": "range"}
_SELINUX = "/sys/fs/selinux"


def with_attributes(plan: Plan, path: str, wanted: str) -> Plan:
    """Add to a file's plan what gives it exactly the attributes `wanted`; what locks it is lifted before a change."""
    if plan.result is False:
        return plan
    present: set[str] = current().call("file.attributes_of", path) if os.path.lexists(path) else set()
    if present == set(wanted) - {"e"} and not (plan.steps and present & _LOCKS):
        return plan
    before: tuple[Step, ...] = ()
    if plan.steps and present & _LOCKS:
        letters = "".join(sorted(present & _LOCKS))

        def unlock() -> None:
            current().call("file.chattr", path, attributes=letters, operator="remove")

        before = (Step(f"unlock {path}", unlock),)
    changes = {} if present == set(wanted) - {"e"} else {"attrs": wanted}

    def apply() -> Changes:
        current().call("file.set_attributes", path, wanted)
        return changes

    return _extended(plan, path, changes, before, Step(f"set attributes of {path}", apply))


def with_context(plan: Plan, path: str, wanted: Mapping[str, Any]) -> Plan:
    """Add to a file's plan what gives it an SELinux context; where the machine has no SELinux, only a warning."""
    unknown = [key for key in wanted if key not in _CONTEXT_KEYS]
    if unknown:
        raise CommandExecutionError(f"selinux: {unknown[0]!r} is none of {', '.join(_CONTEXT_KEYS)}")
    if not os.path.isdir(_SELINUX):
        return replace(plan, warnings=(*plan.warnings, "This machine has no SELinux, so selinux is ignored"))
    parts = dict(zip(_CONTEXT_KEYS, _context_of(path), strict=False))
    differing = {key: str(value) for key, value in wanted.items() if value and parts.get(key) != str(value)}
    # A file that is replaced is a new one, and gets the context of its directory.
    if plan.result is False or not (differing or plan.steps):
        return plan
    given = {_CONTEXT_KEYS[key]: str(value) for key, value in wanted.items() if value}

    def apply() -> Changes:
        current().call("file.set_selinux_context", path, **given)
        return {"selinux": differing} if differing else {}

    changes = {"selinux": differing} if differing else {}
    return _extended(plan, path, changes, (), Step(f"set the SELinux context of {path}", apply))


def _context_of(path: str) -> list[str]:
    if not os.path.lexists(path):
        return []
    text: str = current().call("file.get_selinux_context", path)
    return text.split(":", 3) if text.count(":") >= 2 else []


def _extended(plan: Plan, path: str, changes: Changes, before: tuple[Step, ...], after: Step) -> Plan:
    if plan.result is True:
        text = f"The file {path} is set to be changed"
        made = change(text, changes, *before, after, done=f"File {path} updated")
        return replace(made, warnings=plan.warnings)
    return replace(plan, changes={**plan.changes, **changes}, steps=(*before, *plan.steps, after))
