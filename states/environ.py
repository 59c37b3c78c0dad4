"""Environment variables of the job, for what runs after in it."""

from __future__ import annotations

import os
from typing import Any

from ..common.context import current
from ..common.errors import CommandExecutionError
from ..common.state.plan import Changes, Plan, Step, change, same
from ._planning import planning


@planning
def setenv(
    name: str,
    value: Any,
    false_unsets: bool = False,
    clear_all: bool = False,
    update_minion: bool = False,
    permanent: bool = False,
) -> Plan:
    """Set environment variables for the rest of this run.

    value
        The value of the variable `name`; or a mapping, and then `name` is only the state's. False unsets with
        `false_unsets`, and is the empty text without.
    clear_all
        Empty every other variable.
    update_minion
        Accepted for trees that have it: each job has an environment of its own.

    SLS example:

        DEBIAN_FRONTEND:
          environ.setenv:
            - value: noninteractive
    """
    wanted = _wanted(name, value)
    goal = {key: _goal(item, false_unsets) for key, item in wanted.items()}
    if clear_all:
        goal = {**{key: "" for key in os.environ if key not in goal}, **goal}
    changes = {key: item for key, item in goal.items() if os.environ.get(key) != item}
    if not changes:
        return same("Environment values are already set with the correct values")

    def run() -> Changes:
        current().call("environ.setenv", wanted, false_unsets=false_unsets, clear_all=clear_all)
        return changes

    return change(
        "Environment values would be changed", changes, Step("set variables", run), done="Environment values were set"
    )


def _wanted(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, list):
        raise CommandExecutionError("value must be a text, False or a mapping, not a list")
    return {name: value}


def _goal(value: Any, false_unsets: bool) -> str | None:
    if value is False or value is None:
        return None if false_unsets else ""
    return str(value)
