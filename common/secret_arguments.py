"""A job's payload as it may be shown: with the arguments masked that are secret.

An argument is secret by its function's annotation, by its name, or because the caller says so. `secret` knows the first
two; here they are applied to the shape that payloads have, for functions that are built in.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from .calls import KWARG_MARK
from .secret import MASK, mask_call, mask_named, sounds_secret

_KEYWORD = re.compile(r"([^\d\W][\w.-]*)=(.*)", re.DOTALL)

Find = Callable[[str], Callable[..., Any] | None]


@functools.lru_cache(maxsize=4096)
def builtin(fun: str) -> Callable[..., Any] | None:
    """Return a built-in execution function; None for one that is not. Its module is imported, and nothing is called."""
    from .errors import PluginError

    try:
        found: Callable[..., Any] = _loader().definition(fun)
    except PluginError:
        return None
    return found


@functools.cache
def _loader() -> Any:
    from .loader import Loader

    return Loader("modules", "ctl.modules")


def masked(payload: Mapping[str, Any], marked: Collection[str] = (), find: Find = builtin) -> dict[str, Any] | None:
    """Return a job's payload with its secret arguments masked; None where none is secret.

    `marked` are the names (or, as texts, the positions from 0) that the caller calls secret.
    """
    fun, arg, kwarg = payload.get("fun", ""), payload.get("arg") or [], payload.get("kwarg") or {}
    if not arg and not kwarg:
        return None
    if isinstance(fun, str):
        shown_arg, shown_kwarg = _call(fun, arg, kwarg, marked, find)
    else:
        groups = [group if isinstance(group, list | tuple) else [group] for group in arg]
        shown_arg = [_call(str(one), group, {}, marked, find)[0] for one, group in zip(fun, groups, strict=False)]
        shown_kwarg = kwarg
        for one in fun:  # they are for each of the functions
            shown_kwarg = _call(str(one), [], shown_kwarg, marked, find)[1]
        arg = groups[: len(shown_arg)]
    if shown_arg == list(arg) and shown_kwarg == kwarg:
        return None
    return {**payload, "arg": shown_arg, "kwarg": shown_kwarg}


def _call(fun: str, args: Sequence[Any], kwargs: Any, marked: Collection[str], find: Find) -> tuple[list[Any], Any]:
    function = find(fun) if args or kwargs else None
    plain = [value for value in args if not _is_keywords(value)]
    if function is None or not isinstance(kwargs, Mapping):
        shown, named = mask_named(plain), mask_named(kwargs)
    else:
        shown, named = mask_call(function, plain, kwargs)
    shown = [MASK if str(place) in marked else _word(value, marked) for place, value in enumerate(shown)]
    rest = iter(shown)
    shown_args = [_keywords(value, function, marked) if _is_keywords(value) else next(rest) for value in args]
    return shown_args, _marked(named, marked)


def _is_keywords(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get(KWARG_MARK) is True


def _keywords(value: Mapping[str, Any], function: Callable[..., Any] | None, marked: Collection[str]) -> Any:
    return _marked(mask_named(value) if function is None else mask_call(function, [], value)[1], marked)


def _marked(value: Any, marked: Collection[str]) -> Any:
    """Mask what the caller named, at the first level."""
    if not marked or not isinstance(value, Mapping):
        return value
    return {key: MASK if key in marked else item for key, item in value.items()}


def _word(value: Any, marked: Collection[str]) -> Any:
    """Mask the value of a text `name=value`, which minions read as a keyword."""
    found = _KEYWORD.fullmatch(value) if isinstance(value, str) else None
    if found and (sounds_secret(found[1]) or found[1] in marked):
        return f"{found[1]}={MASK}"
    return value
