"""The calls, and the returners, that a job's payload asks for.

Both read them here: the master, which authorises them, and the minion, which runs them. With a reading each, what is
allowed could differ from what is run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KWARG_MARK = "__kwarg__"
MAX_RETURNERS = 32


@dataclass(frozen=True, slots=True)
class Call:
    """One function with its arguments."""

    fun: str
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] | None = None


def parse_calls(payload: Mapping[str, Any]) -> list[Call]:
    """Return the calls of a job's payload: one, or with a list of functions one for each."""
    fun, args, kwargs = payload["fun"], payload.get("arg") or [], payload.get("kwarg") or {}
    if isinstance(fun, str):
        return [_call(fun, args, kwargs)]
    calls = []
    for position, name in enumerate(fun):
        own = args[position] if position < len(args) else []
        own_kwargs = kwargs[position] if isinstance(kwargs, list) else kwargs
        calls.append(_call(name, own if isinstance(own, list) else [own], own_kwargs))
    return calls


def parse_returners(payload: Mapping[str, Any]) -> list[str]:
    """Return the names of the returners that a job's payload asks for; raises `ValueError` for what are no names."""
    names = payload.get("ret") or []
    if not isinstance(names, list) or len(names) > MAX_RETURNERS or not all(isinstance(name, str) for name in names):
        raise ValueError(f"returners are a list of at most {MAX_RETURNERS} names")
    return names


def _call(fun: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
    """Salt's clients may put keyword arguments among the others, in a dict that says so."""
    positional: list[Any] = []
    named = dict(kwargs)
    for item in args:
        if isinstance(item, dict) and item.get(KWARG_MARK) is True:
            named |= {key: value for key, value in item.items() if key != KWARG_MARK}
        else:
            positional.append(item)
    return Call(fun, positional, named)
