"""Functions inside functions: what a call would run beside itself, so that it needs rights for all of it.

Some functions take others by name (`test.try module=cmd.run`, `state.single`, `saltutil.cmd`). Who may call them may
not, for that, call anything: `flatten` yields the call and every call within it. Where what is inside cannot be read
from the arguments (a template, a mistake, a value where a name should be), the call contains `ANYTHING`, for which one
needs the right to everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ..common.arguments import parse_value
from ..common.calls import Call

MAX_DEPTH = 8
FUNCTION = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)
ANYTHING: Final = Call("*")

_KEYWORD = re.compile(r"([^\d\W][\w.-]*)=(?!=)(.*)", re.DOTALL)
_CONDITIONS = ("onlyif", "unless", "check_cmd")
_SLOT = "__slot__"
_STEERING = frozenset({"state", "fun", "__id__", "__sls__", "__env__", "order"})


def flatten(call: Call, depth: int = 0) -> Iterator[Call]:
    """Yield a call and, at any depth, the calls within it."""
    yield call
    if call is ANYTHING:
        return
    if not isinstance(call.fun, str) or not FUNCTION.fullmatch(call.fun) or depth >= MAX_DEPTH:
        yield ANYTHING
        return
    for inner in _inside(call):
        yield from flatten(inner, depth + 1)


def _inside(call: Call) -> list[Call]:
    # a name that a loader might accept with its underscore counts as the name without it
    module, _, function = call.fun.partition(".")
    reader = WRAPPERS.get(f"{module}.{function.rstrip('_')}")
    return reader(_Arguments(call)) if reader else []


class _Arguments:
    """A call's arguments, as the function could come to see them: `key=value` texts may become keywords there."""

    def __init__(self, call: Call) -> None:
        self.plain: list[Any] = []
        self.words: dict[str, list[Any]] = {key: [value] for key, value in (call.kwargs or {}).items()}
        for value in call.args:
            found = _KEYWORD.fullmatch(value) if isinstance(value, str) else None
            if found:
                self.words.setdefault(found[1], []).append(parse_value(found[2]))
            else:
                self.plain.append(value)

    def one(self, position: int, *names: str) -> Any:
        """Return the argument at a position or of a name; None where there is none, or more than one."""
        found = [value for name in names for value in self.words.get(name, [])]
        found += self.plain[position : position + 1]
        return found[0] if len(found) == 1 else None

    def rest(self, *names: str) -> dict[str, Any]:
        """Return the keywords but for `names`; of one that is given twice, both in a list."""
        kept = {key: values for key, values in self.words.items() if key not in names}
        return {key: values[0] if len(values) == 1 else values for key, values in kept.items()}


def _anything(_given: _Arguments) -> list[Call]:
    return [ANYTHING]


def _named(fun: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Call:
    """Return the call of a function that should be a name."""
    if not isinstance(fun, str):
        return ANYTHING
    return Call(fun, args if isinstance(args, list | tuple) else [args], kwargs or {})


def _try(given: _Arguments) -> list[Call]:
    return [_named(given.one(0, "module"), (), given.rest("module", "return_try_exception"))]


def _remote(given: _Arguments) -> list[Call]:
    """`saltutil.cmd(tgt, fun, arg)` and its like, to which a list of functions may be given as well."""
    fun, arg = given.one(1, "fun"), given.one(2, "arg")
    if isinstance(fun, str) and "," not in fun:
        return [_named(fun, [] if arg is None else arg, given.rest("tgt", "fun", "arg", "tgt_type", "timeout"))]
    names = fun.split(",") if isinstance(fun, str) else fun
    return [_named(name) for name in names] if isinstance(names, list) and names else [ANYTHING]


def _mine(given: _Arguments) -> list[Call]:
    """With a `mine_function`, the name is only what it is kept under."""
    return [_named(name) for name in given.words.get("mine_function") or [given.one(0, "name", "func")]]


def _scheduled(given: _Arguments) -> list[Call]:
    args = given.one(99, "job_args")
    kwargs = given.one(99, "job_kwargs")
    return [_named(given.one(99, "function"), args or [], kwargs if isinstance(kwargs, Mapping) else {})]


def _templated(given: _Arguments, position: int) -> list[Call]:
    """`cp.get_file` and `cp.get_dir` render their paths where they are told a template engine."""
    return [ANYTHING] if any(given.words.get("template", ())) or len(given.plain) > position else []


def _apply(_given: _Arguments) -> list[Call]:
    return [Call("state.apply")]


def _single(given: _Arguments) -> list[Call]:
    return _state(given.one(0, "fun"), {"name": given.one(1, "name"), **given.rest("fun", "name")})


def _low(given: _Arguments) -> list[Call]:
    data = given.one(0, "data")
    if not isinstance(data, Mapping):
        return [ANYTHING]
    module, function = data.get("state"), data.get("fun")
    if not isinstance(module, str) or not isinstance(function, str) or "." in module + function:
        return [ANYTHING]
    return _state(f"{module}.{function}", data)


def _state(fun: Any, given: Mapping[str, Any]) -> list[Call]:
    """Return what a state runs: itself, what its conditions ask, and what `module.run` is told to call."""
    if not isinstance(fun, str) or _has_slot(given):
        return [ANYTHING]
    arguments = {key: value for key, value in given.items() if key not in _STEERING}
    found = [Call(fun, (), arguments)]
    for key in _CONDITIONS:
        found += _condition(arguments.get(key))
    module = fun.partition(".")[0]
    if module == "module":
        found += _module_state(arguments)
    return [*found, ANYTHING] if module in ("loop", "salt", "schedule") else found


def _condition(value: Any) -> list[Call]:
    found: list[Call] = []
    for entry in value if isinstance(value, list) else [value]:
        if isinstance(entry, str):
            found.append(Call("cmd.retcode", (entry,)))
        elif isinstance(entry, Mapping):
            kwargs = {key: item for key, item in entry.items() if key not in ("fun", "args", "get_return")}
            found.append(_named(entry.get("fun"), entry.get("args") or [], kwargs))
        elif entry is not None and not isinstance(entry, bool):
            found.append(ANYTHING)
    return found


def _module_state(given: Mapping[str, Any]) -> list[Call]:
    """`module.run` in its new form (functions are keys) and its old one (`name` is the function)."""
    dotted = {key: value for key, value in given.items() if isinstance(key, str) and "." in key}
    found = [_module_call(key, value) for key, value in dotted.items()]
    name = given.get("name")
    if isinstance(name, str) and "." in name:
        rest = {key: value for key, value in given.items() if key != "name" and key not in dotted}
        found.append(Call(name, (), rest))
    return found or [ANYTHING]


def _module_call(fun: str, given: Any) -> Call:
    if isinstance(given, Mapping):
        return Call(fun, (), dict(given))
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for item in given if isinstance(given, list) else [] if given is None else [given]:
        if isinstance(item, Mapping) and len(item) == 1:
            kwargs.update(item)
        else:
            args.append(item)
    return Call(fun, args, kwargs)


def _has_slot(value: Any) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str) and _SLOT in item:
            return True
        if isinstance(item, Mapping):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple | set | frozenset):
            waiting += item
    return False


WRAPPERS: Final[dict[str, Callable[[_Arguments], list[Call]]]] = {
    "test.try": _try,
    "state.single": _single,
    "state.low": _low,
    "state.high": _anything,
    "state.template": _anything,
    "state.template_str": _anything,
    "state.pkg": _anything,
    "state.request": _apply,
    "state.run_request": _apply,
    "saltutil.cmd": _remote,
    "saltutil.cmd_iter": _remote,
    "saltutil.runner": _anything,
    "saltutil.wheel": _anything,
    "publish.publish": _remote,
    "publish.full_data": _remote,
    "publish.runner": _anything,
    "mine.send": _mine,
    "schedule.add": _scheduled,
    "schedule.modify": _scheduled,
    "schedule.build_schedule_item": _scheduled,
    "slsutil.renderer": _anything,
    "cp.get_template": _anything,
    "cp.get_file": lambda given: _templated(given, 4),
    "cp.get_dir": lambda given: _templated(given, 3),
    "file.apply_template_on_contents": _anything,
}
