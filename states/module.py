"""Call execution functions from states."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ..common import arguments
from ..common.context import current
from ..common.errors import CommandExecutionError, PluginError
from ..common.state.plan import Changes, Plan, opaque, same
from ._planning import Missing, planning

# What steers a state and never reaches the function, and the old syntax's own words.
_OWN = ("sfun", "func", "args", "kwargs", "m_name", "returner", "m_fun", "func_args", "m_names")


@planning
def run(name: str, **kwargs: Any) -> Plan:
    """Call one or more execution functions; it fails where one fails or returns False.

    Each argument is a function with its own arguments. The old form, where `name` is the function and its arguments
    stand beside it (`m_name` for the function's own `name`, `args`, `kwargs`), works, too.

    SLS example:

        refresh:
          module.run:
            - pkg.refresh_db: []
            - cmd.run:
              - cmd: echo done
              - cwd: /
    """
    calls = {key: value for key, value in kwargs.items() if "." in key}
    if "." in name and not calls:
        return _plan_old(name, kwargs)
    if not calls and "." not in name:
        raise CommandExecutionError("no function was named to call")
    for function in calls:
        _check_there(function)
    return _plan({function: _new_arguments(given) for function, given in calls.items()})


@planning
def wait(name: str, **kwargs: Any) -> Plan:
    """Call execution functions when something that the state watches has changed; the arguments are those of `run`.

    SLS example:

        saltutil.refresh_pillar:
          module.wait:
            - watch:
              - file: /etc/app.conf
    """
    return same("Nothing that this state watches has changed")


@planning
def watch(name: str, **kwargs: Any) -> Plan:
    """Do what `module.wait` does, by its old name.

    SLS example:

        saltutil.refresh_pillar:
          module.watch:
            - watch:
              - file: /etc/app.conf
    """
    return same("Nothing that this state watches has changed")


@planning
def mod_watch(name: str, sfun: str | None = None, **kwargs: Any) -> Plan:
    """Call the functions of a state, since something that it watches has changed."""
    return run(name, **kwargs)


def _check_there(function: str) -> None:
    try:
        current().functions[function]
    except PluginError as error:
        raise Missing(str(error)) from error


def _plan(calls: Mapping[str, tuple[list[Any], dict[str, Any]]]) -> Plan:
    names = ", ".join(calls)
    failed: list[str] = []

    def execute() -> Changes:
        changes = {}
        for function, (args, kwargs) in calls.items():
            try:
                returned = _call(function, args, kwargs)
            except (CommandExecutionError, PluginError, OSError) as error:
                failed.append(f"{function}: {error}")
                continue
            changes[function] = returned
            if _is_failure(returned):
                failed.append(f"{function} returned {returned!r}")
        return changes

    def conclude(_changes: dict[str, Any]) -> tuple[bool, str]:
        return (False, "; ".join(failed)) if failed else (True, f"{names} was called")

    return opaque(f"{names} would be called", execute, conclude)


def _plan_old(name: str, given: Mapping[str, Any]) -> Plan:
    _check_there(name)
    function = current().functions[name]
    args, kwargs = _old_arguments(function, given)
    failed: list[str] = []

    def execute() -> Changes:
        returned = _call(name, args, kwargs)
        if _is_failure(returned):
            failed.append(f"Module function {name} returned {returned!r}")
        return {"ret": returned}

    def conclude(_changes: dict[str, Any]) -> tuple[bool, str]:
        return (False, failed[0]) if failed else (True, f"Module function {name} executed")

    return opaque(f"Module function {name} is set to be executed", execute, conclude)


def _call(name: str, args: list[Any], kwargs: Mapping[str, Any]) -> Any:
    function = current().functions[name]
    bound, named = arguments.bind(function, args, kwargs, name)
    return function(*bound, **named)


def _is_failure(returned: Any) -> bool:
    if isinstance(returned, Mapping):
        if "retcode" in returned:
            return returned["retcode"] not in (0, None)
        return returned.get("result") is False
    return returned is False


def _new_arguments(given: Any) -> tuple[list[Any], dict[str, Any]]:
    """Read a function's arguments: a list of values and of `key: value`, one value, or a mapping."""
    if given is None:
        return [], {}
    if isinstance(given, Mapping):
        return [], dict(given)
    if not isinstance(given, list | tuple):
        return [given], {}
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for item in given:
        if isinstance(item, Mapping) and len(item) == 1:
            kwargs.update(item)
        else:
            args.append(item)
    args += kwargs.pop("args", None) or []
    kwargs.update(kwargs.pop("kwargs", None) or {})
    return args, {("name" if key == "m_name" else key): value for key, value in kwargs.items()}


def _old_arguments(function: Any, given: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Sort the old form's arguments: what the function names goes by name, `args` go after."""
    signature = inspect.signature(function)
    takes_any = any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values())
    kwargs = {
        key: value for key, value in given.items() if key not in _OWN and (takes_any or key in signature.parameters)
    }
    if "m_name" in given:
        kwargs["name"] = given["m_name"]
    if "m_fun" in given:
        kwargs["fun"] = given["m_fun"]
    kwargs.update(given.get("kwargs") or {})
    args = given.get("args") or []
    unknown = [key for key in given if key not in _OWN and key not in kwargs]
    if unknown:
        raise CommandExecutionError(f"the function has no argument {', '.join(unknown)}")
    return (list(args) if isinstance(args, list | tuple) else [args]), kwargs
