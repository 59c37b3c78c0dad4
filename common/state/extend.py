"""High data to high data: apply `extend`, turn `require_in` and its kin into requisites, apply `exclude`."""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from .low import REQUISITE_IN_KEYS, REQUISITE_KEYS, HighData, Marks, Place
from .problems import at

log = logging.getLogger(__name__)

_IN = (REQUISITE_IN_KEYS - {"listen_in"}) | {"use", "use_in"}
# What `use` does not copy.
_NOT_USED = _IN | {"require", "watch", "prereq", "onfail", "onfail_stop", "onchanges", "name", "names"}


class Index:
    """Finds IDs of high data by what a reference may name: the ID, a state's `name`, an SLS."""

    def __init__(self, high: HighData) -> None:
        self.high = high
        self._names: dict[tuple[str, str], list[str]] | None = None
        self._sls: dict[str, list[str]] | None = None

    def states(self, id_: str) -> list[str]:
        return [state for state in self.high[id_] if not state.startswith("__")]

    def ids(self, state: str, name: str, *, strict: bool) -> list[str]:
        """Return the IDs that `name` means for `state`: itself if it is an ID, else those with that `name`."""
        body = self.high.get(name)
        if isinstance(body, dict) and (not strict or state in body):
            return [name]
        return self._by_name().get((state, name), [])

    def named(self, name: str) -> tuple[str, str] | None:
        """Return the last state, and its ID, whose `name` argument is `name`."""
        found = [(state, ids[-1]) for (state, known), ids in self._by_name().items() if known == name]
        return found[-1] if found else None

    def in_sls(self, sls: str) -> list[str]:
        """Return the IDs that an SLS declares."""
        if self._sls is None:
            self._sls = {}
            for id_, body in self.high.items():
                if isinstance(body, dict) and "__sls__" in body:
                    self._sls.setdefault(str(body["__sls__"]), []).append(id_)
        return self._sls.get(sls, [])

    def _by_name(self) -> dict[tuple[str, str], list[str]]:
        if self._names is None:
            self._names = {}
            for id_, body in self.high.items():
                for state, arguments in body.items() if isinstance(body, dict) else ():
                    for argument in arguments if isinstance(arguments, list) else ():
                        name = argument.get("name") if isinstance(argument, dict) and len(argument) == 1 else None
                        if isinstance(name, str):
                            self._names.setdefault((state, name), []).append(id_)
        return self._names


def apply_extends(
    high: HighData,
    *,
    strict: bool = False,
    ignore: Collection[str] = (),
    marks: Marks | None = None,
    places: Mapping[str, Place | None] | None = None,
) -> list[str]:
    """Merge `__extend__` into the states it names, in place; return what could not be, but for the IDs to `ignore`.

    `marks` knows where `extend` stands; `places` has the place for each ID where something else made the extension.
    """
    extensions = high.pop("__extend__", None)
    if not extensions:
        return []
    index = Index(high)
    excluded = _excluded_sls(high)
    problems: list[str] = []
    for extension in extensions:
        for name, body in extension.items():
            state = next((key for key in body if not key.startswith("__")), None)
            if state is None or name in ignore or body.get("__sls__") in excluded:
                continue
            ids = [name] if isinstance(high.get(name), dict) and state in high[name] else []
            ids = ids or index.ids(state, name, strict=strict)
            if len(ids) != 1 or not isinstance(high.get(ids[0]), dict):
                problems.append(_cannot_extend(name, body, marks or Marks(), places or {}))
                continue
            _extend(high[ids[0]], body)
    return problems


def _excluded_sls(high: HighData) -> set[str]:
    excluded = set()
    for entry in high.get("__exclude__", ()):
        sls = entry.get("sls") if isinstance(entry, dict) else entry
        if isinstance(sls, str):
            excluded.add(sls)
    return excluded


def _cannot_extend(name: str, body: dict[str, Any], marks: Marks, places: Mapping[str, Place | None]) -> str:
    saltenv, sls = body.get("__env__", "base"), body.get("__sls__", "base")
    return at(
        f"Cannot extend ID '{name}' in '{saltenv}:{sls}'. It is not part of the high state.\n"
        "This is likely due to a missing include statement or an incorrectly typed ID.\n"
        f"Ensure that a state with an ID of '{name}' is available\n"
        f"in environment '{saltenv}' and to SLS '{sls}'",
        places.get(name) or marks.extends.get((saltenv, sls, name)),
    )


def _extend(target: dict[str, Any], body: dict[str, Any]) -> None:
    for state, arguments in body.items():
        if state.startswith("__"):
            continue
        known = target.get(state)
        if not isinstance(known, list) or not isinstance(arguments, list):
            target[state] = arguments
            continue
        for argument in arguments:
            _extend_argument(known, argument)


def _extend_argument(known: list[Any], argument: Any) -> None:
    """Replace or add one argument: a function replaces the function, requisites are appended, others replaced."""
    updated = False
    key = next(iter(argument), None) if isinstance(argument, dict) else None
    for position, old in enumerate(known):
        if isinstance(argument, str) and isinstance(old, str):
            known[position] = argument
            updated = True
        elif key is not None and isinstance(old, dict):
            first = next(iter(old), None)
            if first == key:
                if key in REQUISITE_KEYS and isinstance(old[key], list) and isinstance(argument[key], list):
                    # A new list: the old one may belong to a template's anchor or to another state.
                    known[position] = {**old, key: [*old[key], *argument[key]]}
                else:
                    known[position] = argument
                updated = True
            if key == "name" and first == "names":
                known[position] = argument
    if not updated:
        known.append(argument)


def apply_requisites_in(high: HighData, ignore: Collection[str] = (), marks: Marks | None = None) -> list[str]:
    """Turn every `require_in`, `watch_in`, ..., `use` and `use_in` into arguments of the states they name, in place."""
    collector = _Collector(high, marks or Marks())
    for id_, body in high.items():
        if not isinstance(body, dict):
            continue
        for state, arguments in body.items():
            if state.startswith("__") or not isinstance(arguments, list):
                continue
            for argument in arguments:
                key = next(iter(argument), None) if isinstance(argument, dict) else None
                if key in _IN:
                    collector.take(id_, state, key, argument[key])
    high["__extend__"] = [{name: body} for name, body in collector.extensions.items()]
    return [*collector.problems, *apply_extends(high, strict=True, ignore=ignore, places=collector.places)]


class _Collector:
    """Gathers what other states' declarations add to each state."""

    def __init__(self, high: HighData, marks: Marks) -> None:
        self.high = high
        self.marks = marks
        # Where the first state that adds something to an ID says so.
        self.places: dict[str, Place | None] = {}
        self.index = Index(high)
        self.extensions: dict[str, dict[str, Any]] = {}
        self.problems: list[str] = []

    def take(self, id_: str, state: str, key: str, references: Any) -> None:
        """Take in one argument `key: references` of `state` under `id_`."""
        word = key.split("_")[0]
        for kind, name in self._references(id_, word, references):
            if key == "use_in":
                for found in self.index.ids(kind, name, strict=True):
                    self._copy(id_, state, found, kind)
            elif key == "use":
                for found in self.index.ids(kind, name, strict=True):
                    self._copy(found, kind, id_, state)
            else:
                if name not in self.extensions:
                    function = next((item for item in self.high[id_][state] if isinstance(item, str)), "")
                    self.places[name] = self.marks.place(id_, state, function, key)
                self._require(name, kind, word, {state: id_}, self.high[id_])

    def _references(self, id_: str, word: str, references: Any) -> Iterator[tuple[str, str]]:
        if isinstance(references, dict):
            references = [{kind: name} for kind, name in references.items()]
        for reference in references if isinstance(references, list) else [references]:
            if not isinstance(reference, dict):
                found = self._bare(id_, word, str(reference))
                if found:
                    yield found
                continue
            if len(reference) != 1:
                self._problem(id_, f"{reference} in {word} is not formed as a single key dictionary")
                continue
            kind, name = next(iter(reference.items()))
            if kind == "sls":
                yield from ((state, found) for found in self.index.in_sls(name) for state in self.index.states(found))
                continue
            if "." in kind:
                near = kind.split(".", 1)[0]
                self._problem(
                    id_,
                    f"Invalid requisite in {word}: {kind} for {name}, in SLS '{self.high[id_].get('__sls__')}'. "
                    f"Requisites must not contain dots, did you mean '{near}'?",
                )
                kind = near
            yield kind, name

    def _bare(self, id_: str, word: str, name: str) -> tuple[str, str] | None:
        if isinstance(self.high.get(name), dict):
            states = self.index.states(name)
            return (states[0], name) if states else None
        found = self.index.named(name)
        if found is None:
            log.warning("%s_in of %s names %s, which no state has as its ID or name", word, id_, name)
        return found

    def _problem(self, id_: str, text: str) -> None:
        self.problems.append(at(f"{text} (in state '{id_}')", self.marks.place(id_)))

    def _require(self, name: str, state: str, word: str, reference: dict[str, str], source: dict[str, Any]) -> None:
        extension = self.extensions.setdefault(name, {})
        arguments = extension.setdefault(state, [])
        extension["__env__"] = source.get("__env__", "base")
        extension["__sls__"] = source.get("__sls__", "")
        for argument in arguments:
            if next(iter(argument)) == word:
                argument[word].append(reference)
                return
        arguments.append({word: [reference]})

    def _copy(self, source: str, source_state: str, target: str, target_state: str) -> None:
        """Add the arguments of one state to another that does not have them."""
        own = {next(iter(item)) for item in self.high[target].get(target_state, ()) if isinstance(item, dict) and item}
        extension = self.extensions.setdefault(target, {})
        arguments = extension.setdefault(target_state, [])
        for argument in self.high[source].get(source_state, ()):
            if isinstance(argument, dict) and len(argument) == 1:
                key = next(iter(argument))
                if key not in _NOT_USED and key not in own:
                    arguments.append(argument)


def apply_excludes(high: HighData) -> None:
    """Remove what `__exclude__` names: SLS (names or globs) and IDs, in place."""
    patterns: list[str] = []
    ids: set[str] = set()
    for entry in high.pop("__exclude__", ()):
        if isinstance(entry, str):
            patterns.append(entry)
        elif isinstance(entry, dict) and len(entry) == 1:
            key, value = next(iter(entry.items()))
            if key == "sls":
                patterns.append(str(value))
            elif key == "id":
                ids.add(value)
    for id_, body in high.items():
        sls = body.get("__sls__") if isinstance(body, dict) else None
        if sls and any(fnmatch.fnmatch(sls, pattern) for pattern in patterns):
            ids.add(id_)
    for id_ in ids:
        high.pop(id_, None)
