"""What declarations must look like: every misshapen one gets its sentence, with Salt's words and file and line."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

from .low import REQUISITE_IN_KEYS, REQUISITE_KEYS, HighData, Marks
from .problems import at

_LISTS = REQUISITE_KEYS - {"onfail_stop"}


def check(high: HighData, marks: Marks) -> dict[Any, list[str]]:
    """Map each misshapen ID of high data to what is wrong with it, one sentence each."""
    found: dict[Any, list[str]] = {}
    for id_, body in high.items():
        if isinstance(id_, str) and id_.startswith("__"):
            continue
        sls = body.get("__sls__", "") if isinstance(body, dict) else ""
        problems = list(_check_id(id_, body, sls))
        if problems:
            place = marks.place(id_)
            found[id_] = [at(problem, place) for problem in problems]
    return found


def _check_id(id_: Any, body: Any, sls: str) -> Iterator[str]:
    if not isinstance(id_, str):
        yield (
            f"ID '{id_}' in SLS '{sls}' is not formed as a string, but is type {type(id_).__name__}. "
            "It may need to be quoted."
        )
    if not isinstance(body, dict):
        yield f"The type {id_} in {body} is not formatted as a dictionary"
        return
    for state, arguments in body.items():
        if state.startswith("__"):
            continue
        if arguments is None:
            yield (
                f"ID '{id_}' in SLS '{sls}' contains a short declaration ({state}) with a trailing colon. When not "
                "passing any arguments to a state, the colon must be omitted."
            )
        elif not isinstance(arguments, list):
            yield f"State '{id_}' in SLS '{sls}' is not formed as a list"
        else:
            yield from _check_arguments(id_, sls, state, arguments)


def _check_arguments(id_: str, sls: str, state: str, arguments: list[Any]) -> Iterator[str]:
    functions = [state.split(".", 1)[1]] if "." in state else []
    for argument in arguments:
        if isinstance(argument, str):
            functions.append(argument)
            if " " in argument.strip():
                yield (
                    f'The function "{argument}" in state "{id_}" in SLS "{sls}" has whitespace, a function with '
                    'whitespace is not supported, perhaps this is an argument that is missing a ":"'
                )
        elif isinstance(argument, dict):
            yield from _check_argument(id_, sls, argument)
        else:
            yield f"{argument!r} in state '{id_}' in SLS '{sls}' is neither an argument nor a function"
    if not functions:
        yield f"No function declared in state '{id_}' in SLS '{sls}'"
    elif len(functions) > 1:
        yield (
            f"Too many functions declared in state '{id_}' in SLS '{sls}'. Please choose one of the following: "
            f"{', '.join(functions)}"
        )


def _check_argument(id_: str, sls: str, argument: dict[Any, Any]) -> Iterator[str]:
    if not argument:
        return
    key, value = next(iter(argument.items()))
    if key == "names" and not isinstance(value, list):
        yield f"The 'names' argument in state '{id_}' in SLS '{sls}' needs to be formed as a list"
    if key in _LISTS:
        if not isinstance(value, list):
            yield f"The {key} statement in state '{id_}' in SLS '{sls}' needs to be formed as a list"
        else:
            for reference in value:
                yield from _check_reference(id_, sls, reference)
    if (key in _LISTS or key in REQUISITE_IN_KEYS) and len(argument) != 1:
        yield f"Multiple dictionaries defined in argument of state '{id_}' in SLS '{sls}'"


def _check_reference(id_: str, sls: str, reference: Any) -> Iterator[str]:
    if isinstance(reference, str):
        return
    if not isinstance(reference, dict) or len(reference) != 1:
        yield f"Requisite declaration {reference} in state {id_} in SLS {sls} is not formed as a single key dictionary"
        return
    kind, value = next(iter(reference.items()))
    if isinstance(kind, str) and "." in kind:
        yield (
            f"Invalid requisite type '{kind}' in state '{id_}', in SLS '{sls}'. Requisite types must not contain dots, "
            f"did you mean '{kind.split('.', 1)[0]}'?"
        )
    if not isinstance(value, Hashable):
        yield f'Illegal requisite "{value}" in SLS "{sls}", please check your syntax.'
