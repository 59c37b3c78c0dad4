"""What this minion can do: the names, manuals and arguments of its execution and state functions."""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Iterable
from typing import Any, cast

from ..common.context import current
from ..common.errors import PluginError
from ..common.loader import Loader
from ..common.render import ENGINES

__func_alias__ = {"reload_modules_": "reload_modules"}


def _functions() -> Loader:
    return cast(Loader, current().functions)


def _states() -> Loader:
    return cast(Loader, current().states)


def doc(*args: str) -> dict[str, str]:
    """Return manuals: of every function, of a module's (`sys.doc pkg`), of one, or of those that a glob matches.

    CLI example: `ctl '*' sys.doc cmd.run 'pkg.*'`
    """
    return _docs(_functions(), args)


def state_doc(*args: str) -> dict[str, str]:
    """Return the manuals of state functions, and of their modules.

    CLI example: `ctl '*' sys.state_doc file.managed`
    """
    found = _docs(_states(), args)
    modules = _matching_modules(_states(), args)
    return {**{name: _states().doc(name) for name in modules}, **found}


def list_modules(*args: str) -> list[str]:
    """List the execution modules that load here, or those that globs match.

    CLI example: `ctl '*' sys.list_modules 's*'`
    """
    return _matching(_functions().modules(), args)


def list_functions(*args: str) -> list[str]:
    """List the functions of every module, of the named ones, or those that globs match.

    CLI example: `ctl '*' sys.list_functions file pkg`
    """
    return _names(_functions(), args)


def list_state_modules(*args: str) -> list[str]:
    """List the state modules.

    CLI example: `ctl '*' sys.list_state_modules`
    """
    return _matching(_states().modules(), args)


def list_state_functions(*args: str) -> list[str]:
    """List the state functions of every module, of the named ones, or those that globs match.

    CLI example: `ctl '*' sys.list_state_functions file`
    """
    return _names(_states(), args)


def argspec(module: str = "") -> dict[str, dict[str, Any]]:
    """Return the arguments of a function, of a module's functions, or of all.

    CLI example: `ctl '*' sys.argspec pkg.install`
    """
    return _argspecs(_functions(), module)


def state_argspec(module: str = "") -> dict[str, dict[str, Any]]:
    """Return the arguments of a state function, of a module's, or of all.

    CLI example: `ctl '*' sys.state_argspec file.managed`
    """
    return _argspecs(_states(), module)


def list_renderers(*args: str) -> list[str]:
    """List the engines that render SLS files and templates.

    CLI example: `ctl '*' sys.list_renderers`
    """
    return _matching(sorted({*ENGINES, *current().renderers}), args)


def failures() -> dict[str, str]:
    """Return the reasons of the execution and state modules that do not load here.

    CLI example: `ctl '*' sys.failures`
    """
    _functions().modules()
    _states().modules()
    states = {f"{name} (states)": reason for name, reason in _states().failures().items()}
    return {**_functions().failures(), **states}


def reload_modules_() -> bool:
    """Have the minion load its modules anew.

    CLI example: `ctl '*' sys.reload_modules`
    """
    return current().daemon.refresh("modules")


def _docs(loader: Loader, patterns: Iterable[str]) -> dict[str, str]:
    found = {name: loader.doc(name) for name in _names(loader, patterns)}
    return {name: text for name, text in found.items() if text}


def _argspecs(loader: Loader, pattern: str) -> dict[str, dict[str, Any]]:
    return {name: _argspec(loader.signature(name)) for name in _names(loader, [pattern] if pattern else [])}


def _argspec(signature: inspect.Signature) -> dict[str, Any]:
    parameters = signature.parameters.values()
    plain = [
        one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    ]
    defaults = [_plain(one.default) for one in plain if one.default is not one.empty]
    return {
        "args": [one.name for one in plain],
        "defaults": defaults or None,
        "kwargs": True if any(one.kind is one.VAR_KEYWORD for one in parameters) else None,
        "varargs": True if any(one.kind is one.VAR_POSITIONAL for one in parameters) else None,
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | list | tuple | dict | None) else repr(value)


def _names(loader: Loader, patterns: Iterable[str]) -> list[str]:
    """List full names: all, or those of a module, of that name, or that a glob matches."""
    wanted = list(patterns)
    if not wanted:
        return sorted(loader)
    found: set[str] = set()
    for pattern in wanted:
        if any(character in pattern for character in "*?["):
            found.update(fnmatch.filter(loader, pattern))
        elif "." in pattern:
            found.update([pattern] if _is_defined(loader, pattern) else [])
        else:
            found.update(f"{pattern}.{name}" for name in loader.functions(pattern))
    return sorted(found)


def _is_defined(loader: Loader, name: str) -> bool:
    try:
        loader.definition(name)
    except PluginError:
        return False
    return True


def _matching_modules(loader: Loader, patterns: Iterable[str]) -> list[str]:
    return [pattern for pattern in patterns if "." not in pattern and loader.functions(pattern)]


def _matching(names: list[str], patterns: Iterable[str]) -> list[str]:
    wanted = list(patterns)
    return [name for name in names if not wanted or any(fnmatch.fnmatch(name, pattern) for pattern in wanted)]
