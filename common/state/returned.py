"""How the return of a state looks that did not run as usual: left out, broken, or with its words hidden."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

MASK = "**********"


def left_out(low: Mapping[str, Any], result: bool, comment: str, now: datetime) -> dict[str, Any]:
    """Make the return of a state that is not run, at the time `now`."""
    return {
        "name": low["name"],
        "changes": {},
        "result": result,
        "comment": comment,
        "start_time": now.time().isoformat(),
        "duration": 0.0,
        "__state_ran__": False,
    }


def broken(low: Mapping[str, Any], error: Exception, *, test: bool) -> dict[str, Any]:
    """Make the return of a state whose condition or slot cannot be asked; in a dry run it may be by then."""
    comment = f"An exception occurred in this state: {type(error).__name__}: {error}"
    if test:
        comment += "; an earlier state may change that"
    return {"name": low["name"], "result": None if test else False, "changes": {}, "comment": comment}


def masked(value: Any) -> Any:
    """Hide the texts in changes, and keep their shape."""
    if isinstance(value, Mapping):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked(item) for item in value]
    return MASK if isinstance(value, str | bytes) and value else value
