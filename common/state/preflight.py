"""Check every chunk before the first change: does its function exist, do its arguments fit.

Looks at names and types, never at the machine. All problems of a run come together. A function that does not exist is
no problem of the run: it fails its own state, at its turn.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .. import arguments
from ..errors import CtlError
from . import misspelt, obsolete
from .low import INTERNAL_KEYS, Chunk, Marks, Place
from .misspelt import definition
from .problems import Problem
from .slots import has_slot

Function = Callable[..., Any]
_QUOTED = re.compile(r"'(\w+)'")


def given(chunk_low: Mapping[str, Any], function: Function) -> dict[str, Any]:
    """Return the arguments that a function gets from low data: what steers the run is kept out, unless named."""
    parameters = arguments.signature(function).parameters
    return {key: value for key, value in chunk_low.items() if key not in INTERNAL_KEYS or _names(parameters, key)}


def _names(parameters: Mapping[str, inspect.Parameter], key: str) -> bool:
    parameter = parameters.get(key)
    return parameter is not None and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)


def takes_any(function: Function) -> bool:
    """Tell whether a function takes keyword arguments that it does not name."""
    return arguments.takes_any(function)


def check(
    chunks: Sequence[Chunk],
    states: Mapping[str, Function],
    marks: Marks,
    *,
    unknown_arguments: str = "error",
    functions: Mapping[str, Function] = {},
) -> list[str]:
    """Return the problems of all chunks, each with the place it is at; leave warnings in the chunks.

    `functions` are the execution functions, which conditions may ask.
    """
    problems: dict[str, None] = {}  # several names of one ID share a mistake
    known: dict[str, Function | None] = {}
    names = {name for chunk in chunks for name in (chunk.id, chunk.name, chunk.state)}
    for chunk in chunks:
        name = chunk.function
        if name not in known:
            known[name] = definition(states, name)
        function = known[name]
        if function is None:
            continue
        more = misspelt.mistakes(name, function, given(chunk.low, function), names, functions)
        more += misspelt.in_conditions(chunk.low, functions)
        chunk.warnings += misspelt.ineffective(chunk.low)
        for mistake in _sifted(chunk, [*_mistakes(chunk, function), *more], unknown_arguments):
            problems[_sentence(chunk, mistake, marks)] = None
    return list(problems)


def _mistakes(chunk: Chunk, function: Function) -> list[str]:
    values = given(chunk.low, function)
    parameters = arguments.signature(function).parameters
    if not takes_any(function):
        for key in [key for key in values if key not in parameters]:
            by = obsolete.replacement(chunk.state, chunk.fun, key)
            if by is not None:
                hint = f"; use '{by}'" if by else ""
                chunk.warnings.append(f"'{key}' is an obsolete argument of {chunk.function} and is ignored{hint}")
                del values[key]
            elif key.startswith("__"):
                del values[key]
    for key, value in values.items():
        if has_slot(value) and key in parameters and parameters[key].default is not inspect.Parameter.empty:
            values[key] = None  # only running it tells its type
    return [misspelt.hinted(mistake) for mistake in arguments.problems(function, values)]


def _sifted(chunk: Chunk, mistakes: list[str], unknown_arguments: str) -> list[str]:
    """Make warnings of unknown arguments where that is the setting; return what stays a mistake."""
    if unknown_arguments != "warn":
        return mistakes
    chunk.warnings += [f"{chunk.function}: {mistake}" for mistake in mistakes if mistake.startswith("unknown")]
    return [mistake for mistake in mistakes if not mistake.startswith("unknown")]


def _sentence(chunk: Chunk, mistake: str, marks: Marks) -> str:
    argument = _QUOTED.search(mistake)
    place: Place | None = chunk.place
    if argument:
        place = marks.place(chunk.id, chunk.state, chunk.fun, argument.group(1)) or place
    where = str(place) if place else chunk.sls
    return Problem(f"{where}: {chunk.function}: {mistake}, in state '{chunk.id}' of SLS '{chunk.sls}'", place)


def unknown(chunks: Iterable[Chunk], states: Mapping[str, Function]) -> list[str]:
    """Return a sentence for each chunk whose function there is not: worth saying where other problems stop the run."""
    sentences: dict[str, None] = {}
    for chunk in chunks:
        if definition(states, chunk.function) is None:
            where = str(chunk.place) if chunk.place else chunk.sls
            why = why_missing(states, chunk.function)
            sentences[Problem(f"{where}: {why}, in state '{chunk.id}' of SLS '{chunk.sls}'", chunk.place)] = None
    return list(sentences)


def why_missing(states: Mapping[str, Function], name: str) -> str:
    """Say why there is no such state function."""
    try:
        states[name]
    except CtlError as error:
        return str(error)
    except LookupError:
        pass
    return f"'{name}' is not available"
