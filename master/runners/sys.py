"""What the master itself can do: the names and manuals of its runners.

CLI example: `ctl-run -d jobs`
"""

from __future__ import annotations

import fnmatch
import inspect
from typing import Any, cast

from ...common.context import current
from ...common.errors import PluginNotFound
from ...common.loader import Loader


def doc(*args: str) -> dict[str, str]:
    """Return manuals: of every runner, of a module's (`jobs`), of one, or of those that a glob matches.

    CLI example: `ctl-run sys.doc 'jobs.l*'`
    """
    found = {name: _runners().doc(name) for name in list_functions(*args)}
    return {name: text for name, text in found.items() if text}


def list_runners(*args: str) -> list[str]:
    """List the modules of runners that load here, or those that globs match.

    CLI example: `ctl-run sys.list_runners 'm*'`
    """
    names = _runners().modules()
    return [name for name in names if not args or any(fnmatch.fnmatchcase(name, pattern) for pattern in args)]


def list_functions(*args: str) -> list[str]:
    """List the runners of every module, of the named ones, or those that globs match.

    CLI example: `ctl-run sys.list_functions jobs`
    """
    return [name for name in sorted(_runners()) if not args or any(_matches(name, pattern) for pattern in args)]


def argspec(*args: str) -> dict[str, dict[str, Any]]:
    """Return the arguments of runners: what each needs, and the defaults of the rest.

    CLI example: `ctl-run sys.argspec jobs.list_jobs`
    """
    found = {name: _arguments(_runners().signature(name)) for name in list_functions(*args)}
    if args and not found:
        raise PluginNotFound(f"no runner is named {' or '.join(args)}", hint="ctl-run -d lists what is there")
    return found


def _arguments(signature: inspect.Signature) -> dict[str, Any]:
    given = signature.parameters.values()
    plain = [one for one in given if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    return {
        "args": [one.name for one in plain],
        "defaults": [one.default for one in plain if one.default is not one.empty] or None,
        "kwargs": True if any(one.kind is one.VAR_KEYWORD for one in given) else None,
        "varargs": True if any(one.kind is one.VAR_POSITIONAL for one in given) else None,
    }


def _matches(name: str, pattern: str) -> bool:
    """Say whether a pattern means a runner: its module, itself, or by a glob."""
    pattern = pattern.removesuffix(".")
    return pattern in (name, name.partition(".")[0]) or fnmatch.fnmatchcase(name, pattern)


def _runners() -> Loader:
    return cast(Loader, current().functions)
