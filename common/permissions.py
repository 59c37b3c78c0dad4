"""What this machine lets its master run: the minion's own word, which nothing that the master sends can change.

The lists are looked at wherever a function is named by data: the function of a job, those inside of `state.single` and
`module.run`, what templates, conditions and slots call, the states of a run. What a built-in function uses for its own
purpose is not asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

Refusal = Callable[[str], str]
"""Says why a function may not be used; empty where it may."""


def anything(name: str) -> str:
    """Refuse nothing."""
    return ""


def of_functions(config: Mapping[str, Any], *, for_master: bool) -> Refusal:
    """Return what a minion's configuration refuses of execution functions; `for_master`: in a job of the master."""
    disabled = frozenset(config.get("disable_modules") or ())
    allowed = of_states(config) if for_master else anything
    if not disabled:
        return allowed

    def refusal(name: str) -> str:
        if name.partition(".")[0] in disabled:
            return "disable_modules in this minion's configuration names it"
        return allowed(name)

    return refusal


def of_states(config: Mapping[str, Any]) -> Refusal:
    """Return what a minion's configuration refuses its master of states, and of functions by their names."""
    allowed: Sequence[str] = tuple(str(one) for one in config.get("allowed_functions") or ())
    if not allowed:
        return anything

    def refusal(name: str) -> str:
        if any(fnmatchcase(name, pattern) for pattern in allowed):
            return ""
        return "allowed_functions in this minion's configuration does not name it"

    return refusal
