"""What a state function with `**kwargs` would swallow: misspelt requisites and conditions, and mistakes in conditions.

Only what cannot be meant otherwise is called a mistake: a key close to a requisite's whose value names states, or one
close to a condition's where the function is one of ctl's own, which has no use for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from .. import arguments
from ..errors import CtlError, nearest
from .low import REQUISITE_IN_KEYS, REQUISITE_KEYS, RUNTIME_KEYS

Function = Callable[..., Any]
_REQUISITES = sorted((REQUISITE_KEYS | REQUISITE_IN_KEYS | {"use", "use_in"}) - {"prerequired", "onfail_stop"})
_STEERING = sorted(
    key for key in RUNTIME_KEYS - {"fun", "name_order", "state", "use", "use_in"} if not key.startswith("__")
)
_CLOSE = 0.75
_UNKNOWN = re.compile(r"unknown argument '([^']+)'")
_MODULE_CALLS = ("module.run", "module.wait")


def mistakes(
    name: str, function: Function, values: Mapping[str, Any], known: Collection[str], functions: Mapping[str, Function]
) -> list[str]:
    """Return a sentence for each key that a function of this name takes only because it takes any.

    `known` has the IDs and the state modules that a reference may name; `functions` the execution functions.
    """
    if not arguments.takes_any(function):
        return []
    target = str(values.get("name")) if name in _MODULE_CALLS else ""
    named = {*arguments.signature(function).parameters, *_parameters(functions, target)}
    swallowed = {key: value for key, value in values.items() if key not in named and "." not in key}
    builtin = function.__module__.startswith("ctl.states.")
    found = []
    for key, value in swallowed.items():
        near = nearest(key, _REQUISITES, _CLOSE) if _names_states(value, known) else None
        near = near or (nearest(key, _STEERING, _CLOSE) if builtin else None)
        if near and not key.startswith("__"):
            found.append(f"unknown argument '{key}' (did you mean '{near}'?)")
    return found


def _parameters(functions: Mapping[str, Function], name: str) -> list[str]:
    """Return the arguments of the execution function that `module.run` calls in its old form."""
    function = definition(functions, name) if "." in name else None
    return list(arguments.signature(function).parameters) if function else []


def _names_states(value: Any, known: Collection[str]) -> bool:
    """Say whether a value is a list of references: `[{file: /etc/x}, an-id]`."""
    if not isinstance(value, list) or not value:
        return False
    for item in value:
        if isinstance(item, Mapping):
            if len(item) != 1 or not (set(item) & {"id", "sls", *known}):
                return False
        elif item not in known:
            return False
    return True


def hinted(mistake: str) -> str:
    """Add to the sentence about an unknown argument what steers a run and is spelt nearly so."""
    found = _UNKNOWN.fullmatch(mistake)
    near = nearest(found[1], [*_REQUISITES, *_STEERING], _CLOSE) if found else None
    return f"{mistake} (did you mean '{near}'?)" if near else mistake


def in_conditions(low: Mapping[str, Any], functions: Mapping[str, Function]) -> list[str]:
    """Return what is wrong with the calls in a state's conditions; a function that is not there yet is no mistake."""
    found = []
    for kind, entry in _calls(low):
        given = {str(key): value for key, value in entry.items() if key not in ("fun", "get_return", "args")}
        function = definition(functions, str(entry.get("fun")))
        if function is not None:
            args = entry.get("args")
            count = len(args) if isinstance(args, list) else int(args is not None)
            mistakes = arguments.misfits(function, count, given)
            found += [f"'{kind}': {entry['fun']}: {mistake}" for mistake in mistakes]
    return found


def ineffective(low: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each condition that is a mapping and names no function: it has no effect."""
    return [
        f"{kind} has no effect: it names no function (fun): {dict(entry)}"
        for kind, entry in _calls(low)
        if "fun" not in entry
    ]


def _calls(low: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for kind in ("onlyif", "unless", "check_cmd"):
        entries = low.get(kind)
        for entry in entries if isinstance(entries, list) else [entries]:
            if isinstance(entry, Mapping):
                yield kind, entry


def definition(functions: Mapping[str, Function], name: str) -> Function | None:
    """Return a function, also where its plugin does not load here; None where there is none."""
    find = getattr(functions, "definition", None)
    try:
        found: Function | None = find(name) if find is not None else functions.get(name)
    except CtlError:
        return None
    return found
