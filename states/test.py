"""States that do nothing, or fail, or say something: for trying trees out."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from ..common.context import current
from ..common.data import MISSING, lookup
from ..common.errors import CommandExecutionError
from ..common.state.low import RUNNING, tag_of
from ..common.state.plan import Plan, Step, refuse, same
from ._planning import planning

_CHANGES = {"testing": {"old": "Unchanged", "new": "Something pretended to change"}}


@planning
def nop(name: str, **kwargs: Any) -> Plan:
    """Succeed and change nothing; takes any argument.

    SLS example:

        a place to hang requisites on:
          test.nop: []
    """
    return same("Success!")


@planning
def succeed_without_changes(name: str, comment: str = "Success!", **kwargs: Any) -> Plan:
    """Succeed and change nothing.

    SLS example:

        fine:
          test.succeed_without_changes: []
    """
    return same(comment)


@planning
def succeed_with_changes(name: str, comment: str = "Success!", **kwargs: Any) -> Plan:
    """Succeed, and say that something was changed.

    SLS example:

        changed:
          test.succeed_with_changes: []
    """
    return _pretend(True, _CHANGES, comment)


@planning
def fail_without_changes(name: str, comment: str = "Failure!", **kwargs: Any) -> Plan:
    """Fail and change nothing.

    SLS example:

        stop here:
          test.fail_without_changes:
            - failhard: True
    """
    return _pretend(False, {}, comment)


@planning
def fail_with_changes(name: str, comment: str = "Failure!", **kwargs: Any) -> Plan:
    """Fail, and say that something was changed.

    SLS example:

        broken:
          test.fail_with_changes: []
    """
    return _pretend(False, _CHANGES, comment)


@planning
def configurable_test_state(
    name: str,
    changes: Any = True,
    result: Any = True,
    comment: str = "",
    warnings: str | list[str] | None = None,
    **kwargs: Any,
) -> Plan:
    """Do whatever the arguments say.

    changes, result
        Whether to change something, and to succeed: True, False or `Random`; `changes` may be the changes themselves.
    comment, warnings
        What to say.

    SLS example:

        try this:
          test.configurable_test_state:
            - changes: True
            - result: False
            - comment: it broke
    """
    made = changes if isinstance(changes, Mapping) and changes else _CHANGES if _decide("changes", changes) else {}
    plan = _pretend(_decide("result", result), made, comment)
    listed = [warnings] if isinstance(warnings, str) else warnings or []
    return Plan(
        result=plan.result,
        comment=plan.comment,
        changes=plan.changes,
        steps=plan.steps,
        done=plan.done,
        conclude=plan.conclude,
        warnings=tuple(listed),
    )


def _decide(what: str, value: Any) -> bool:
    if isinstance(value, str) and value.lower() == "random":
        return random.choice((True, False))  # noqa: S311  # nothing secret
    if isinstance(value, Mapping):
        return bool(value)
    if not isinstance(value, bool):
        raise CommandExecutionError(f"{what} must be True, False or Random, not {value!r}")
    return value


def _pretend(result: bool, changes: Mapping[str, Any], comment: str) -> Plan:
    """Plan what ends with this result and these changes; a dry run shows a success with changes as one to come."""
    if not changes:
        return same(comment) if result else refuse(comment)
    if not result and current().test:
        return refuse(comment, changes)
    return Plan(
        result=None,
        comment="This is a test",
        changes=changes,
        steps=(Step("pretend", lambda: changes),),
        done=comment,
        conclude=lambda _changes: (result, comment),
    )


@planning
def show_notification(name: str, text: str | None = None, **kwargs: Any) -> Plan:
    """Show a text among the results.

    SLS example:

        a word of warning:
          test.show_notification:
            - text: this machine is old
    """
    if not text:
        raise CommandExecutionError("test.show_notification needs a text")
    return same(text)


@planning
def check_pillar(
    name: str,
    present: list[str] | None = None,
    boolean: list[str] | None = None,
    integer: list[str] | None = None,
    string: list[str] | None = None,
    listing: list[str] | None = None,
    dictionary: list[str] | None = None,
    verbose: bool = False,
    **kwargs: Any,
) -> Plan:
    """Fail where pillar lacks a key, or has it with a value of another type.

    SLS example:

        what this tree needs:
          test.check_pillar:
            - present:
              - app:url
            - integer:
              - app:port
    """
    checks: list[tuple[list[str] | None, type | tuple[type, ...], str]] = [
        (present, object, "is not there"),
        (boolean, bool, "is no boolean"),
        (integer, int, "is no integer"),
        (string, str, "is no string"),
        (listing, list, "is no list"),
        (dictionary, Mapping, "is no dictionary"),
    ]
    found = []
    for keys, kind, complaint in checks:
        for key in keys or ():
            value = lookup(current().pillar, str(key), MISSING)
            wrong = value is MISSING or not isinstance(value, kind) or (kind is int and isinstance(value, bool))
            if wrong:
                found.append(f"{key} {'is not there' if value is MISSING else complaint}")
    return refuse(f"Pillar: {'; '.join(found)}") if found else same("Pillar has what is asked for")


@planning
def mod_watch(
    name: str,
    sfun: str | None = None,
    result: bool = True,
    comment: str = "Watch statement fired.",
    changes: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Plan:
    """Say that something that this state watches has changed, and which states did."""
    returns: Mapping[str, Any] = current().scratch.get(RUNNING) or {}
    watched = [low for low in kwargs.get("__reqs__", {}).get("watch", ()) if returns[tag_of(low)]["changes"]]
    names = [f"{low['state']}: {low['__id__']}" for low in watched]
    return _pretend(result, changes or {"Requisites with changes": names}, comment)
