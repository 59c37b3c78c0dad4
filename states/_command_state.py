"""What command states share: their options, how a command's outcome reads, and what a stateful command says."""

from __future__ import annotations

import inspect
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar, get_type_hints

from ..common.secret import Secret

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Options:
    """The options of every command state; `cmd.run` says what each means."""

    cwd: str | None = None
    root: str | None = None
    runas: str | None = None
    shell: str | None = None
    env: Secret[Any] = None
    prepend_path: str | list[str] | None = None
    stateful: Any = False
    umask: str | int | None = None
    output_loglevel: str = "quiet"
    hide_output: bool = False
    timeout: float | None = None
    ignore_timeout: bool = False
    use_vt: bool = False
    success_retcodes: list[int] | None = None
    success_stdout: list[str] | None = None
    success_stderr: list[str] | None = None

    def for_call(self) -> dict[str, Any]:
        """Return the options that go to the execution function: those that say something."""
        ours = ("stateful", "ignore_timeout", "root", "env")
        given = {key: value for key, value in asdict(self).items() if value not in (None, False) and key not in ours}
        env = environment(self.env)
        return {**given, "env": env} if env else given


def takes_options(function: F) -> F:
    """Spell a function's `**options` out in its signature, for the manual and for the check of its arguments."""
    hints = get_type_hints(Options, include_extras=True)
    own = inspect.signature(function).parameters.values()
    named = [parameter for parameter in own if parameter.kind is not parameter.VAR_KEYWORD]
    taken = {parameter.name for parameter in named}
    added = [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=hints[one.name])
        for one in fields(Options)
        if one.name not in taken
    ]
    function.__signature__ = inspect.Signature([*named, *added])  # type: ignore[attr-defined]  # inspect reads it
    function.__annotations__ = {
        **{key: value for key, value in function.__annotations__.items() if key != "options"},
        **{parameter.name: parameter.annotation for parameter in added},
    }
    return function


def environment(env: Any) -> dict[str, str]:
    """Return `env` as a mapping: it may be one, a list of them, or a list of `NAME=value`."""
    found: dict[str, str] = {}
    for item in env if isinstance(env, list) else [env]:
        if isinstance(item, Mapping):
            found.update({str(key): "" if value is None else str(value) for key, value in item.items()})
        elif isinstance(item, str) and "=" in item:
            key, _, value = item.partition("=")
            found[key] = value
    return found


@dataclass(frozen=True, slots=True)
class Report:
    """What a stateful command says of itself on its last line: `changed=yes comment='…' key=value`, or JSON."""

    changed: bool
    comment: str
    facts: Mapping[str, Any]


def read_report(stdout: str) -> Report | None:
    """Read what a stateful command says of itself; None where its last line says nothing of the kind."""
    lines = [line for line in stdout.splitlines() if line.strip()]
    found = _from_json(stdout) or (_from_json(lines[-1]) or _from_words(lines[-1]) if lines else None)
    if found is None or "changed" not in found:
        return None
    facts = dict(found)
    comment = str(facts.pop("comment", ""))
    changed = str(facts.pop("changed")).lower() in ("yes", "true", "on", "1")
    return Report(changed, comment, facts)


def _from_json(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _from_words(line: str) -> dict[str, Any] | None:
    try:
        words = shlex.split(line)
    except ValueError:
        return None
    return dict(word.split("=", 1) for word in words if "=" in word)
