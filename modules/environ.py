"""Environment variables of the process that runs the job, and so of the commands that it starts.

A job runs in a process of its own: what is set here holds until the job ends, a state run as a whole included.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..common.errors import CommandExecutionError


def setval(key: str, val: str | bool | None, false_unsets: bool = False) -> str | None:
    """Set a variable and return its value. `False` sets an empty text, or unsets it with `false_unsets`.

    CLI example: `ctl '*' environ.setval foo bar`
    """
    if not key or "=" in key or "\0" in key:
        raise CommandExecutionError(f"{key!r} is no name of a variable")
    if val is False or val is None:
        if false_unsets:
            os.environ.pop(key, None)
            return None
        val = ""
    os.environ[key] = str(val)
    return os.environ[key]


def setenv(
    environ: dict[str, Any], false_unsets: bool = False, clear_all: bool = False, update_minion: bool = False
) -> dict[str, str | None]:
    """Set several variables and return them. With `clear_all`, unset all others first.

    `update_minion` is accepted for trees that have it.

    CLI example: `ctl '*' environ.setenv '{"foo": "bar", "baz": "quux"}'`
    """
    if not isinstance(environ, Mapping):
        raise CommandExecutionError("environ must be a mapping of names to values")
    result: dict[str, str | None] = {}
    if clear_all:
        for key in [key for key in os.environ if key not in environ]:
            result[key] = setval(key, False, false_unsets)
    for key, value in environ.items():
        result[str(key)] = setval(str(key), value, false_unsets)
    return result


def get(key: str, default: str = "") -> str:
    """Return a variable's value.

    CLI example: `ctl '*' environ.get PATH default=/bin`
    """
    return os.environ.get(key, default)


def has_value(key: str, value: str | None = None) -> bool:
    """Say whether a variable is set and not empty; with `value`, whether it is just that.

    CLI example: `ctl '*' environ.has_value HOME`
    """
    found = os.environ.get(key)
    return bool(found) if value is None else found == value


def item(keys: str | list[str], default: str = "") -> dict[str, str]:
    """Return the values of several variables.

    CLI example: `ctl '*' environ.item '[PATH, HOME]'`
    """
    return {key: os.environ.get(key, default) for key in ([keys] if isinstance(keys, str) else keys)}


def items() -> dict[str, str]:
    """Return all variables.

    CLI example: `ctl '*' environ.items`
    """
    return dict(os.environ)
