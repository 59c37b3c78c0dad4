"""High data to low chunks in the order they run: extend, check, requisites, exclude, flatten, sort.

Takes data and gives data; nothing of the machine is looked at. `Program` is what a run needs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from . import extend, shapes
from .low import REQUISITE_KEYS, Chunk, HighData, Marks
from .requisites import Graph, Program, order


def compile_high(
    high: HighData,
    *,
    marks: Marks | None = None,
    sls: Collection[str] = (),
    has_watch: Callable[[str], bool] = lambda state: True,
    disabled: Collection[str] = (),
) -> tuple[Program, list[str]]:
    """Compile high data (which is changed) to a `Program`, and say what is wrong.

    `sls` names every SLS that was rendered, so that a requisite on one without states is satisfied. `has_watch` tells
    whether a state module has `mod_watch`; where it has not, watch means require. With mistakes, what is sound is
    compiled as far as it goes, so that all of them are found together; such a program must not be run.
    """
    marks = marks or Marks()
    problems = extend.apply_extends(high, marks=marks)
    misshapen = shapes.check(high, marks)
    for id_ in misshapen:
        del high[id_]
    problems += [problem for found in misshapen.values() for problem in found]
    broken = {str(id_) for id_ in misshapen}
    problems += extend.apply_requisites_in(high, broken, marks)
    extend.apply_excludes(high)
    known_sls = {
        *sls,
        *(str(body["__sls__"]) for body in high.values() if isinstance(body, dict) and "__sls__" in body),
    }
    program, more = compile_chunks(
        list(chunks_of(high, marks)), sls=known_sls, has_watch=has_watch, disabled=disabled, broken=broken
    )
    return program, [*problems, *more]


def compile_chunks(
    chunks: list[Chunk],
    *,
    sls: Collection[str] = (),
    has_watch: Callable[[str], bool] = lambda state: True,
    disabled: Collection[str] = (),
    broken: Collection[str] = (),
) -> tuple[Program, list[str]]:
    """Resolve the chunks' requisites and put them in the order they run.

    References to the `broken` IDs, which are reported elsewhere, lead nowhere without being a problem of their own.
    """
    watching: dict[str, bool] = {}
    for chunk in chunks:
        state = chunk.low["state"]
        if "watch" in chunk.low or "watch_any" in chunk.low:
            if state not in watching:
                watching[state] = has_watch(state)
            if not watching[state]:
                _require_instead(chunk.low)
    graph = Graph(chunks, sls=sls, disabled=disabled, broken=broken)
    graph.connect()
    program, cycle = order(graph)
    return program, [*graph.problems, *cycle]


def _require_instead(low: dict[str, Any]) -> None:
    for watch, require in (("watch", "require"), ("watch_any", "require_any")):
        if watch in low:
            low[require] = [*low.get(require, ()), *low.pop(watch)]


def chunks_of(high: HighData, marks: Marks) -> Iterator[Chunk]:
    """Flatten high data: one chunk for each state of each ID, one for each of its `names`."""
    for id_, body in high.items():
        if id_.startswith("__"):
            continue
        for state, arguments in body.items():
            if state.startswith("__"):
                continue
            low, names = _flatten(id_, body, state, arguments)
            if "fun" not in low:
                continue
            place = marks.place(id_, state, low["fun"])
            for number, entry in enumerate(names, 1):
                yield Chunk(_named(low, entry, number), place)
            if not names:
                yield Chunk(low, place)


def _flatten(id_: str, body: Mapping[str, Any], state: str, arguments: list[Any]) -> tuple[dict[str, Any], list[Any]]:
    low: dict[str, Any] = {"state": state, "name": id_}
    for key in ("__sls__", "__env__", "__sls_included_from__"):
        if key in body:
            low[key] = body[key]
    low["__id__"] = id_
    names: list[Any] = []
    function = None
    for argument in arguments:
        if isinstance(argument, str):
            function = argument
            continue
        for key, value in argument.items():
            if key == "names":
                names += value
            elif key == "name" and not isinstance(value, str):
                low["name"] = id_
            elif key != "state":
                low[key] = value
    if function is not None:
        low["fun"] = function
    return low, _distinct(names)


def _distinct(names: list[Any]) -> list[Any]:
    known: dict[str, Any] = {}
    for name in names:
        known.setdefault(name if isinstance(name, str) else repr(name), name)
    return list(known.values())


def _named(low: Mapping[str, Any], entry: Any, number: int) -> dict[str, Any]:
    """Make the chunk of one of several names, which may override arguments."""
    chunk = {key: list(value) if key in REQUISITE_KEYS else copy.deepcopy(value) for key, value in low.items()}
    if isinstance(entry, dict):
        name, overrides = next(iter(entry.items()))
        chunk["name"] = str(name)
        for override in overrides if isinstance(overrides, list) else [overrides]:
            chunk.update(override)
    else:
        chunk["name"] = entry if isinstance(entry, str) else str(entry)
    chunk["name_order"] = number
    return chunk
