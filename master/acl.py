"""Who may do what: the one door that every request of a client goes through.

Root and the daemon's own user, as the kernel names them, may do everything. Others may do what `publisher_acl` grants
their user and groups, or `external_auth` the account that they authenticated as; no name inside a request counts.
Pure: everything that a decision needs is in its arguments.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..common import target
from ..common.calls import Call
from ..common.errors import AuthenticationError, AuthorizationError
from ..common.pattern import Test
from .grants import NOTHING, Functions, Grants
from .nested import ANYTHING, FUNCTION, flatten

SOCKET: Final = "socket"  # a principal that the kernel vouches for; else the method that authenticated it
MAX_SHOWN_CHARS = 200


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who asks for something.

    `user` is a name of this machine, or `method:name` of an account elsewhere; `uid` is always that of the process at
    the other end. With a `problem` nobody is there: authentication was tried and failed. `runner` is the one that asks
    in the name of whoever started it.
    """

    user: str
    uid: int
    groups: Sequence[str] = ()
    how: str = SOCKET
    grants: Grants = NOTHING
    refused: Sequence[Test] = ()
    problem: str = ""
    runner: str = ""

    @property
    def is_full(self) -> bool:
        """Whether this is root or the master's own user, who may do everything."""
        return self.how == SOCKET and not self.problem and self.uid in (0, os.geteuid())

    def __str__(self) -> str:
        return f"user {self.user}"


Minions = Callable[[str, target.Target], bool]


@dataclass(frozen=True, slots=True)
class Action:
    """What is asked for: an operation and, as far as it has them, the functions, the minions, whose job it is about.

    `minions` are those that the target was resolved to, the same that are published to; `matches` says whether one of
    them is in a target. `calls` and `minions` are None where they are not known yet: then it is asked whether the
    operation is open to the principal at all, and it must be asked again. `shown` is the target as it was asked for,
    `needs` what it asks of minions, `owner` whose the job is. `returners` get what the calls return, on the minions.
    """

    operation: str
    calls: Sequence[Call] | None = None
    minions: Sequence[str] | None = None
    matches: Minions = lambda minion, one: one.matches(target.DictMinion(minion))
    shown: str = ""
    owner: str | None = None
    needs: frozenset[str] = field(default_factory=frozenset)
    returners: Sequence[str] = ()


def authorise(principal: Principal, action: Action) -> None:
    """Raise `AuthorizationError` unless this principal may do this; `AuthenticationError` where nobody is there."""
    if principal.problem:
        raise AuthenticationError(principal.problem)
    if principal.is_full:
        return
    rule = RULES.get(action.operation) or (_wheel if action.operation.startswith("key.") else None)
    grants = principal.grants
    if rule is None or not grants or not rule(principal, action):
        raise AuthorizationError(f"{principal} may not {describe(action)}")


def allows(principal: Principal, action: Action) -> bool:
    """Say whether this principal may do this."""
    try:
        authorise(principal, action)
    except (AuthenticationError, AuthorizationError):
        return False
    return True


def describe(action: Action) -> str:
    """Say in a few words what an action is: no more than who asked for it said."""
    words = (_HALVES if action.calls is None else _WORDS).get(action.operation, f"use {action.operation}")
    if action.calls:
        words += " " + ", ".join(call.fun for call in action.calls)
    if action.shown:
        words += f" on {action.shown}"
    if action.returners:
        words += f" with the returners {', '.join(action.returners)}"
    return words if len(words) <= MAX_SHOWN_CHARS else words[:MAX_SHOWN_CHARS] + "…"


_WORDS = {"publish": "run", "run": "run the runner"}
_HALVES = {"publish": "publish jobs", "run": "run runners", "targets": "use the target"}


# -- the rules: who is asked about is not full, and is granted something ----------------------------------------------


def _anybody(_principal: Principal, _action: Action) -> bool:
    return True


def _publish(principal: Principal, action: Action) -> bool:
    """Every function, and every function inside it, must be allowed on every minion.

    A returner is a program that could do anything: who names one needs the right to everything.
    """
    if action.calls is None or action.minions is None:
        return bool(principal.grants.publish)
    if not action.calls or not action.minions or not _may_match(principal, action):
        return False
    calls = [inner for call in action.calls for inner in flatten(call)] + [ANYTHING] * bool(action.returners)
    return all(_allowed(principal, call, action) for call in calls)


def _allowed(principal: Principal, call: Call, action: Action) -> bool:
    if call.fun != "*" and (not FUNCTION.fullmatch(call.fun) or any(test(call.fun) for test in principal.refused)):
        return False
    targets = [one for grant in principal.grants.publish if grant.allows(call) for one in grant.targets]
    return _within(targets, action)


def _within(targets: Iterable[target.Target], action: Action) -> bool:
    left = list(action.minions or ())
    for one in targets:
        left = [minion for minion in left if not action.matches(minion, one)]
        if not left:
            return True
    return False


def _may_match(principal: Principal, action: Action) -> bool:
    """Whoever asks whether pillar matches learns what it is: for that one needs the right to see it everywhere."""
    if "pillar" not in action.needs:
        return True
    every = [grant for grant in principal.grants.publish if grant.allows(Call("pillar.items"))]
    return any(one.expand() == "*" for grant in every for one in grant.targets)


def _targets(principal: Principal, action: Action) -> bool:
    if action.minions is None:
        return bool(principal.grants.publish)
    targets = [one for grant in principal.grants.publish for one in grant.targets]
    return bool(action.minions) and _may_match(principal, action) and _within(targets, action)


def _copy(principal: Principal, _action: Action) -> bool:
    return any(grant.allows(Call("cp.recv")) or _with_limits(grant.functions) for grant in principal.grants.publish)


def _with_limits(functions: Sequence[Functions]) -> bool:
    """Whether `cp.recv` is allowed with some arguments: which ones, its job will show."""
    return any(one.test("cp.recv") and one.arguments is not None for one in functions)


def _job(principal: Principal, action: Action) -> bool:
    """A job is its owner's; others' are seen by whom `@jobs` is granted, or a runner that shows them."""
    if action.owner is None or action.owner == principal.user:
        return True
    return principal.grants.jobs or _lent(principal)


def _run(principal: Principal, action: Action) -> bool:
    if action.calls is None:
        return bool(principal.grants.runners or principal.grants.publish)
    return all(_may_run(principal, call) for call in action.calls) and bool(action.calls)


def _may_run(principal: Principal, call: Call) -> bool:
    if not FUNCTION.fullmatch(call.fun) or any(test(call.fun) for test in principal.refused):
        return False
    if any(functions.allow(call) for functions in principal.grants.runners):
        return True
    return call.fun in OWN_JOBS and bool(principal.grants.publish)


def _through(runner: str) -> Callable[[Principal, Action], bool]:
    """Make the rule for what a runner is made of: it is open to whom that runner, or the one at work, is granted."""

    def rule(principal: Principal, _action: Action) -> bool:
        return _may_run(principal, Call(runner)) or _lent(principal)

    return rule


def _lent(principal: Principal) -> bool:
    """Whether a runner that is granted asks."""
    return bool(principal.runner) and any(one.test(principal.runner) for one in principal.grants.runners)


def _event(principal: Principal, action: Action) -> bool:
    """An event of a job is its owner's; others are seen by whom their tags are granted."""
    if action.owner is not None and action.owner == principal.user:
        return True
    return any(test(action.shown) for test in principal.grants.events)


def _wheel(principal: Principal, action: Action) -> bool:
    return any(one.allow(Call(action.operation)) for one in principal.grants.wheel)


# Runners that show jobs: everybody may ask them about their own.
OWN_JOBS: Final = frozenset(
    f"jobs.{name}"
    for name in ("active", "list_jobs", "list_job", "print_job", "lookup_jid", "exit_success", "last_run")
)

# Operations on keys are `@wheel`'s; what is not here, and new, is for root alone until a rule is made for it.
RULES: Final[dict[str, Callable[[Principal, Action], bool]]] = {
    "ping": _anybody,
    "publish": _publish,
    "targets": _targets,
    "follow": _job,
    "returns": _job,
    "job.active": _anybody,  # each job of the list is asked about for itself
    "job.list": _anybody,
    "job.get": _job,
    "events": _anybody,  # each event is asked about for itself, too
    "event": _event,
    "run": _run,
    "stage": _copy,
    "unstage": _copy,
    "files.update": _through("fileserver.update"),
    "files.forget": _through("fileserver.clear_file_list_cache"),
    "minion.status": _through("manage.status"),
    "cache.grains": _through("cache.grains"),
    "cache.pillar": _through("cache.pillar"),
    "token.make": _anybody,  # for oneself, and only after authentication
    "token.list": _through("auth.list_tokens"),
    "token.revoke": _through("auth.revoke"),
    "audit.head": _through("audit.verify"),
}
