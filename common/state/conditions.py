"""Conditions of a state: `onlyif`, `unless`, `creates` before it runs, `check_cmd` after.

Commands are asked through `cmd.retcode`; a mapping `{fun: mod.fun, args: [...]}` asks an execution function.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .. import arguments
from ..context import Context, use
from ..data import lookup
from ..errors import CommandExecutionError, CtlError
from . import slots

CONDITIONS = ("onlyif", "unless", "creates")
_COMMAND_OPTIONS = ("cwd", "root", "runas", "env", "prepend_path", "umask", "timeout", "success_retcodes")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the state is skipped, and what was found."""

    skip: bool
    comment: str


def judge(context: Context, low: Mapping[str, Any]) -> Verdict:
    """Evaluate a chunk's conditions; each is evaluated, also where an earlier one already skips the state."""
    verdicts = []
    with _apart(context, low) as asking:
        if "onlyif" in low:
            verdicts.append(_onlyif(asking, low))
        if "unless" in low:
            verdicts.append(_unless(asking, low))
    if "creates" in low:
        verdicts.append(_creates(low["creates"]))
    return Verdict(any(verdict.skip for verdict in verdicts), "\n".join(verdict.comment for verdict in verdicts))


@contextlib.contextmanager
def _apart(context: Context, low: Mapping[str, Any]) -> Iterator[Context]:
    """Have what is asked leave no exit code behind, and find none of a state that runs beside it."""
    left_out = {"retcode", *(key for key in ("runas", "runas_password") if key in _excluded(low))}
    scratch = {key: value for key, value in context.scratch.items() if key not in left_out}
    with use(dataclasses.replace(context, scratch=scratch)) as apart:
        yield apart


def _excluded(low: Mapping[str, Any]) -> list[Any]:
    return _as_list(low.get("cmd_opts_exclude") or [])


def each(context: Context, low: Mapping[str, Any]) -> Iterator[tuple[str, str, bool | None]]:
    """Evaluate each entry of a chunk's conditions for itself: the condition, the entry, and whether it holds.

    `None` where an entry is none, or what it asks raises an error.
    """
    options = _options(context, low)
    with _apart(context, low) as asking:
        for kind in ("onlyif", "unless"):
            for entry in _as_list(low.get(kind, [])):
                try:
                    holds = _holds(asking, entry, options, on_error=kind == "unless")
                except CtlError:
                    holds = None
                yield kind, repr(entry), holds
    for path in _as_list(low.get("creates", [])):
        yield "creates", str(path), os.path.exists(str(path))


def _onlyif(context: Context, low: Mapping[str, Any]) -> Verdict:
    options = _options(context, low)
    for entry in _as_list(low["onlyif"]):
        holds = _holds(context, entry, options)
        if holds is None:
            return Verdict(False, _mistake(entry, "onlyif"))
        if not holds:
            return Verdict(True, "onlyif condition is false")
    return Verdict(False, "onlyif condition is true")


def _unless(context: Context, low: Mapping[str, Any]) -> Verdict:
    options = _options(context, low)
    if low["unless"] == []:
        return Verdict(False, "unless names no condition")
    for entry in _as_list(low["unless"]):
        holds = _holds(context, entry, options, on_error=True)
        if holds is None:
            return Verdict(False, _mistake(entry, "unless"))
        if not holds:
            return Verdict(False, "unless condition is false")
    return Verdict(True, "unless condition is true")


def _creates(paths: Any) -> Verdict:
    if isinstance(paths, str) and os.path.exists(paths):
        return Verdict(True, f"{paths} exists")
    if isinstance(paths, list) and all(os.path.exists(str(path)) for path in paths):
        return Verdict(True, "All files in creates exist")
    return Verdict(False, "Creates files not found")


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _mistake(entry: Any, condition: str) -> str:
    if isinstance(entry, Mapping):
        return f"no `fun` argument in {condition}: {dict(entry)}"
    return f"{condition} execution failed, bad type passed"


def _options(context: Context, low: Mapping[str, Any]) -> dict[str, Any]:
    """Take the options of the conditions' commands from the state, but for those in `cmd_opts_exclude`."""
    excluded = _excluded(low)
    options = {key: low[key] for key in _COMMAND_OPTIONS if low.get(key) is not None and key not in excluded}
    if "shell" in low and "shell" not in excluded:
        options["shell"] = low["shell"]
    elif context.grains.get("shell"):
        options["shell"] = context.grains["shell"]
    return options


def _holds(context: Context, entry: Any, options: Mapping[str, Any], on_error: bool = False) -> bool | None:
    """Evaluate one entry; None where it is none. `on_error` is what a command that cannot be run counts as."""
    if isinstance(entry, bool):
        return entry
    if isinstance(entry, str):
        try:
            return _retcode(context, entry, options) == 0
        except CommandExecutionError:
            return on_error
    if isinstance(entry, Mapping) and "fun" in entry:
        return _ask(context, entry)
    return None


def _retcode(context: Context, command: str, options: Mapping[str, Any]) -> int:
    return int(context.call("cmd.retcode", command, ignore_retcode=True, python_shell=True, **options))


def _ask(context: Context, entry: Mapping[str, Any]) -> bool:
    options = {key: slots.fill(value, context.functions) for key, value in entry.items()}
    function = context.functions[options.pop("fun")]
    path = options.pop("get_return", None)
    args = options.pop("args", None) or []
    context.scratch.pop("retcode", None)
    bound, named = arguments.bind(function, _as_list(args), options)
    result = function(*bound, **named)
    if context.scratch.get("retcode", 0):
        return False
    return bool(lookup(result, str(path)) if path else result)


def is_globally_refused(context: Context, function: str) -> bool:
    """Tell whether `global_state_conditions` names a state function or its module, and no target there matches."""
    table = context.config.get("global_state_conditions")
    if not isinstance(table, Mapping):
        return False
    names = ("*", function, function.partition(".")[0])
    targets = [target for name in names for target in _as_list(table.get(name) or [])]
    return bool(targets) and not any(context.call("match.compound", target) for target in targets)


def check_command(context: Context, low: Mapping[str, Any]) -> tuple[bool, str]:
    """Let `check_cmd` decide whether the state succeeded: commands, or functions as conditions have them."""
    options = {"shell": context.grains["shell"]} if context.grains.get("shell") else {}
    with _apart(context, low) as asking:
        for entry in _as_list(low["check_cmd"]):
            if not _holds(asking, entry if isinstance(entry, Mapping) else str(entry), options):
                return False, "check_cmd determined the state failed"
    return True, "check_cmd determined the state succeeded"
