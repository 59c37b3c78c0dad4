"""Call one state function, carry out its plan, and return Salt's dict.

A user's state function may return the dict itself. `context.test` decides whether steps are run.
"""

from __future__ import annotations

import copy
import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import arguments
from ..context import Context
from ..data import merge
from ..errors import CtlError
from ..secret import remember_call
from .plan import Plan

log = logging.getLogger(__name__)

Return = dict[str, Any]
_REQUIRED = ("name", "result", "changes", "comment")


def call(context: Context, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Return:
    """Plan with `function`, apply the plan unless `context.test`, and return Salt's dict. Raises what it raises."""
    bound, named = arguments.bind(function, args, kwargs)
    remember_call(function, bound, named)
    name = named["name"] if "name" in named else (bound[0] if bound else "")
    found = function(*bound, **named)
    if isinstance(found, Plan):
        return finish(found, str(name), test=context.test)
    return check(found, str(name))


def attempt(context: Context, function: Callable[..., Any], kwargs: Mapping[str, Any]) -> Return:
    """Do what `call` does; whatever goes wrong becomes the state's failure."""
    try:
        return call(context, function, (), {key: _own(value) for key, value in kwargs.items()})
    except CtlError as error:
        comment = f"An exception occurred in this state: {error}"
    except Exception:  # the boundary around plugin code: it may fail in any way
        comment = f"An exception occurred in this state: {traceback.format_exc()}"
    log.debug("a state failed: %s", comment)
    return {"name": kwargs.get("name", ""), "result": False, "changes": {}, "comment": comment}


def _own(value: Any) -> Any:
    """Return a value that the function may change as it likes."""
    return value if isinstance(value, str | int | float | None) else copy.deepcopy(value)


def finish(plan: Plan, name: str, *, test: bool) -> Return:
    """Turn a plan into Salt's dict, running its steps unless this is a dry run."""
    ret: Return = {"name": name, "result": plan.result, "changes": dict(plan.changes), "comment": plan.comment}
    if plan.warnings:
        ret["warnings"] = list(plan.warnings)
    ret |= plan.extra
    if plan.result is None and not test:
        ret.update(_run(plan))
    return ret


def _run(plan: Plan) -> Return:
    changes: dict[str, Any] = {}
    for step in plan.steps:
        try:
            changed = step.run()
        except (CtlError, OSError) as error:
            log.debug("the step %r failed", step.describe, exc_info=True)
            return {"result": False, "changes": changes, "comment": f"{step.describe}: {_reason(error)}"}
        if changed:
            changes = merge(changes, changed)
    if plan.conclude is not None:
        result, comment = plan.conclude(changes)
        return {"result": result, "changes": changes, "comment": comment}
    return {"result": True, "changes": changes, "comment": plan.done or plan.comment}


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and not isinstance(error, CtlError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def check(found: Any, name: str) -> Return:
    """Bring the dict of a user's state function into shape; a malformed one becomes a failure that says so."""
    if not isinstance(found, dict):
        return _malformed(name, f"it is {type(found).__name__}, not a dictionary")
    missing = [key for key in _REQUIRED if key not in found]
    if missing:
        return _malformed(name, f"it lacks {', '.join(missing)}")
    if not isinstance(found["changes"], Mapping):
        return _malformed(name, "'changes' should be a dictionary")
    ret = dict(found)
    comment = ret["comment"]
    ret["comment"] = "\n".join(str(line) for line in comment) if isinstance(comment, list | tuple) else str(comment)
    if ret["result"] is not None:
        ret["result"] = bool(ret["result"])
    ret["changes"] = dict(ret["changes"])
    return ret


def _malformed(name: str, why: str) -> Return:
    comment = f"Malformed state return: {why}"
    return {"name": name, "result": False, "changes": {}, "comment": comment}
