"""Run one job's functions in this process and say how they ended: the boundary around plugins' code.

Whatever a function raises becomes a sentence, a return code and (at level debug) a traceback in the log.
"""

from __future__ import annotations

import inspect
import logging
import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common import arguments
from ..common.calls import Call, parse_calls
from ..common.context import Context
from ..common.errors import CtlError, PluginNotFound, PluginNotLoaded
from ..common.secret import redact, remember_call
from ..common.wire import pack_payload

__all__ = ["Call", "Outcome", "execute", "pack_outcome", "parse_calls", "run_one"]

log = logging.getLogger(__name__)

FAILED = 1
UNAVAILABLE = 255


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job's functions returned; `out` names the outputter that shows it best."""

    value: Any
    retcode: int = 0
    success: bool = True
    out: str = ""


def execute(context: Context, calls: Sequence[Call]) -> Outcome:
    """Run the calls, one after another; several return a mapping by function, with the worst return code."""
    if len(calls) == 1:
        return run_one(context, calls[0])
    outcomes: dict[str, Outcome] = {}
    for call in calls:
        context.scratch.pop("retcode", None)
        outcomes[call.fun] = run_one(context, call)
    return Outcome(
        {fun: outcome.value for fun, outcome in outcomes.items()},
        max((outcome.retcode for outcome in outcomes.values()), key=abs, default=0),
        all(outcome.success for outcome in outcomes.values()),
    )


def run_one(context: Context, call: Call) -> Outcome:
    """Run one function."""
    context.fun = call.fun
    try:
        function = context.functions[call.fun]
        args, kwargs = arguments.take_keywords(function, call.args, call.kwargs or {})
        args, kwargs = arguments.bind(function, args, kwargs, call.fun)
        remember_call(function, args, kwargs)
        value = function(*args, **kwargs)
        if inspect.isgenerator(value):
            value = _collect(context, value)
        return _judge(context, value, _outputter(function, call.fun))
    except (PluginNotFound, PluginNotLoaded) as error:
        return Outcome(str(error), UNAVAILABLE, False)
    except CtlError as error:
        return _failed(f"ERROR: {error}")
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # the boundary around plugin code: a plugin may even call sys.exit
        return _failed(f"ERROR: {call.fun} raised {_named(error)}{_where(error)}")


def _failed(text: str) -> Outcome:
    log.debug("a function failed:\n%s", traceback.format_exc())
    return Outcome(redact(text), FAILED, False)


def _named(error: BaseException) -> str:
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _where(error: BaseException) -> str:
    """Name the last line outside of ctl's own common code: where a plugin's author should look."""
    frames = traceback.extract_tb(error.__traceback__)
    here = os.path.dirname(__file__)
    for frame in reversed(frames):
        if not frame.filename.startswith((here, "<")):
            return f" ({frame.filename}, line {frame.lineno})"
    return ""


def _collect(context: Context, parts: Iterator[Any]) -> Any:
    """Gather what a generator yields: mappings are merged, anything else becomes a list. Each part is progress."""
    merged: dict[Any, Any] = {}
    listed: list[Any] = []
    for part in parts:
        context.daemon.progress({"part": part})
        if isinstance(part, dict) and not listed:
            merged.update(part)
        else:
            listed.append(part)
    return [merged, *listed] if merged and listed else listed or merged


def _judge(context: Context, value: Any, out: str) -> Outcome:
    retcode = context.scratch.get("retcode", 0)
    if not isinstance(retcode, int):
        retcode = FAILED
    if not retcode and isinstance(value, Mapping) and not all(value.get(key, True) for key in ("result", "success")):
        retcode = FAILED
    return Outcome(value, int(retcode), retcode == 0, out)


def _outputter(function: Any, fun: str) -> str:
    """Return the outputter that a module names for its function, as Salt's `__outputter__` does."""
    named = getattr(inspect.unwrap(function), "__globals__", {}).get("__outputter__", {})
    name = fun.partition(".")[2]
    return str(named.get(name) or "") if isinstance(named, Mapping) else ""


def pack_outcome(outcome: Outcome, limit: int) -> tuple[bytes, Outcome, bool]:
    """Return the packed value, the outcome, and whether it had to be cut to `limit` bytes (which is a failure)."""
    payload = pack_payload(outcome.value)
    if len(payload) <= limit:
        return payload, outcome, False
    note = f"[this return was cut: it has {len(payload)} bytes, and return_max_bytes is {limit}]"
    text = outcome.value if isinstance(outcome.value, str) else repr(outcome.value)
    # A character may take four bytes; half of what is allowed leaves room for that and for the note.
    room = max(0, limit // 2 - 512)
    kept = text.encode("utf-8", "replace")[:room].decode("utf-8", "ignore")
    cut = Outcome(f"{kept}\n{note}", outcome.retcode or FAILED, False, "")
    return pack_payload(cut.value), cut, True
