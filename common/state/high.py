"""SLS files to high data: render each file once, follow its includes, and put the declarations together.

High data has Salt's shape: `{ID: {"__sls__", "__env__", state: [argument, ..., "function", {"order": n}]}}`, with
`__extend__` and `__exclude__` still to be applied. Every mistake found on the way is kept, and the rest goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import RenderError, nearest
from ..render import Rendered, Renderer
from .low import HighData, Marks, Place
from .problems import at
from .tree import Tree, is_glob

FIRST_ORDER = 10000
_RELATIVE = re.compile(r"(\.+)(.*)", re.DOTALL)


@dataclass(slots=True)
class High:
    """High data, what is wrong with it, where it came from, and which SLS were rendered (`env:sls`)."""

    data: HighData = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    marks: Marks = field(default_factory=Marks)
    rendered: set[str] = field(default_factory=set)

    @property
    def sls(self) -> set[str]:
        """The names of the SLS that were rendered, also of those without states."""
        return {name.split(":", 1)[1] for name in self.rendered}


class Assembler:
    """Renders SLS files into one `High`; serves one run."""

    def __init__(self, tree: Tree, renderer: Renderer) -> None:
        self.tree = tree
        self.renderer = renderer
        self.high = High()
        self._order = FIRST_ORDER
        self._matches: Mapping[str, Iterable[str]] = {}
        self._stack: list[str] = []
        self._sources: dict[str, Rendered] = {}

    def add(self, matches: Mapping[str, list[str]]) -> High:
        """Render the SLS of each environment (names or globs, from a top file or a caller)."""
        self._matches = matches
        for saltenv, names in matches.items():
            if not self.tree.has_environment(saltenv):
                self._problem(f"No matching salt environment for environment '{saltenv}' found")
                continue
            self.tree.look_up(names, saltenv)
            for name in names:
                self._add_matching(name, saltenv)
        self._drop_repeated_extends()
        return self.high

    def add_text(self, text: str, *, path: str, saltenv: str) -> High:
        """Take declarations from SLS text instead of a file."""
        try:
            rendered = self.renderer.source(text, path=path, saltenv=saltenv)
        except RenderError as error:
            self._problem(str(error))
            return self.high
        self._join(self._declare(rendered, path, saltenv, is_package=False))
        return self.high

    def _add_matching(self, name: str, saltenv: str) -> None:
        for sls in self.tree.match(name, saltenv) or [name]:
            if f"{saltenv}:{sls}" in self.high.rendered:
                continue
            if self.tree.locate(sls, saltenv) is None:
                self._missing(name, saltenv)
                continue
            self._join(self._render(sls, saltenv))

    def _missing(self, name: str, saltenv: str) -> None:
        near = None if is_glob(name) else nearest(name, self.tree.names(saltenv))
        hint = f" (did you mean '{near}'?)" if near else ""
        self._problem(f"No matching sls found for '{name}' in env '{saltenv}'{hint}")

    def _problem(self, text: str) -> None:
        if text not in self.high.problems:
            self.high.problems.append(text)

    def _render(self, sls: str, saltenv: str) -> HighData:
        """Render one SLS that exists, with all that it includes."""
        self.high.rendered.add(f"{saltenv}:{sls}")
        path = self.tree.locate(sls, saltenv) or ""
        try:
            rendered = self.renderer.sls(path, saltenv, sls=sls)
        except RenderError as error:
            error.stack = (*self._stack, *error.stack)
            self._problem(f"Rendering SLS '{saltenv}:{sls}' failed: {error}")
            return {}
        self._stack.append(f"{saltenv}:{path}")
        try:
            return self._declare(rendered, sls, saltenv, is_package=path.endswith("/init.sls"))
        finally:
            self._stack.pop()

    def _declare(self, rendered: Rendered, sls: str, saltenv: str, *, is_package: bool) -> HighData:
        data = rendered.data
        if not data:
            return {}
        if not isinstance(data, dict):
            self._problem(at(f"SLS {sls} does not render to a dictionary", Place(rendered.path, 0, saltenv)))
            return {}
        includes = data.pop("include", None)
        reader = _Declarations(rendered, sls, saltenv, self)
        reader.extends(data)
        reader.excludes(data)
        reader.states(data)
        own = [id_ for id_ in data if not str(id_).startswith("__")]
        self._sources[f"{saltenv}:{sls}"] = rendered
        for id_ in own:
            self.high.marks.by_id.setdefault(id_, (rendered.path, rendered.marks, saltenv))
        if includes is not None:
            place = Place(rendered.path, rendered.marks.get(("include",), 0), saltenv)
            self._include(includes, data, _From(sls, saltenv, is_package, place))
        self._number(data, own)
        return data

    def _number(self, data: HighData, own: list[str]) -> None:
        """Give each state that does not say its `order` the next number."""
        for id_ in own:
            body = data.get(id_)
            for state, arguments in body.items() if isinstance(body, dict) else ():
                if not isinstance(state, str) or state.startswith("_") or not isinstance(arguments, list):
                    continue
                if not any(isinstance(item, dict) and next(iter(item), None) == "order" for item in arguments):
                    arguments.append({"order": self._order})
                    self._order += 1

    def _include(self, includes: Any, data: HighData, source: _From) -> None:
        if not isinstance(includes, list):
            self._problem(at(f"Include Declaration in SLS {source.sls} is not formed as a list", source.place))
            return
        names = [name for name in includes if isinstance(name, str) and not name.startswith(".")]
        self.tree.look_up(names, source.saltenv)
        for entry in includes:
            for saltenv, sls in self._resolve(entry, source):
                if f"{saltenv}:{sls}" in self.high.rendered:
                    continue
                if self.tree.locate(sls, saltenv) is None:
                    self._missing_include(sls, saltenv, source)
                    continue
                included = self._render(sls, saltenv)
                for id_, body in included.items():
                    if not str(id_).startswith("__") and isinstance(body, dict):
                        body.setdefault("__sls_included_from__", []).append(source.sls)
                self._merge(data, included)

    def _missing_include(self, sls: str, saltenv: str, source: _From) -> None:
        near = nearest(sls, self.tree.names(saltenv))
        hint = f" (did you mean '{near}'?)" if near else ""
        problem = (
            f"Specified SLS {sls} in saltenv {saltenv} is not available on the salt master or through a configured "
            f"fileserver{hint}; it is included by {source.sls}"
        )
        self._problem(at(problem, source.place))

    def _resolve(self, entry: Any, source: _From) -> list[tuple[str, str]]:
        """Find what an include names: environment and SLS, several for a glob."""
        saltenv, name = source.saltenv, entry
        if isinstance(entry, dict) and len(entry) == 1:
            saltenv, name = next(iter(entry.items()))
        if not isinstance(name, str):
            self._problem(at(f"{entry!r} in the include of SLS {source.sls} is no SLS name", source.place))
            return []
        if name.startswith("."):
            absolute = source.resolve(name)
            if absolute is None:
                problem = (
                    f"Attempted relative include of '{name}' within SLS '{source.saltenv}:{source.sls}' goes beyond "
                    "top level package"
                )
                self._problem(at(problem, source.place))
                return []
            name = absolute
        if saltenv == "_xenv":
            return self._resolve_anywhere(name, source)
        if not self.tree.has_environment(saltenv):
            problem = (
                f"Nonexistent saltenv '{saltenv}' found in include of '{name}' within SLS "
                f"'{source.saltenv}:{source.sls}'"
            )
            self._problem(at(problem, source.place))
            return []
        return [(saltenv, sls) for sls in self.tree.match(name, saltenv) or [name]]

    def _resolve_anywhere(self, name: str, source: _From) -> list[tuple[str, str]]:
        found = [env for env in self._matches if self.tree.match(name, env)]
        if len(found) == 1 or source.saltenv in found:
            saltenv = found[0] if len(found) == 1 else source.saltenv
            return [(saltenv, sls) for sls in self.tree.match(name, saltenv)]
        if found:
            self._problem(
                f"Ambiguous include: Specified SLS _xenv: {name} is available on the salt master in multiple "
                f"available saltenvs: {', '.join(found)}"
            )
        else:
            self._problem(
                f"Unknown include: Specified SLS _xenv: {name} is not available on the salt master in saltenv(s): "
                f"{', '.join(self._matches)}"
            )
        return []

    def _join(self, found: HighData) -> None:
        self._merge(self.high.data, found)

    def _merge(self, data: HighData, found: HighData) -> None:
        for key in ("__extend__", "__exclude__"):
            if key in found:
                data.setdefault(key, []).extend(found.pop(key))
        for id_, body in found.items():
            if id_ in data and data[id_] != body:
                self._conflict(id_, data[id_], body)
            data[id_] = body

    def _conflict(self, id_: str, first: Any, second: Any) -> None:
        where = [f"{body['__env__']}:{body['__sls__']}" for body in (first, second) if isinstance(body, dict)]
        named = " and SLS ".join(f"'{name}'" for name in where)
        problem = (
            "Detected conflicting IDs, SLS IDs need to be globally unique.\n    The conflicting ID is "
            f"'{id_}' and is found in SLS {named}"
        )
        known = [(self._sources[name], name) for name in where if name in self._sources]
        places = [Place(found.path, found.marks.get((str(id_),), 0), name.split(":")[0]) for found, name in known]
        self._problem(f"{problem} ({' and '.join(map(str, places))})" if places else problem)

    def _drop_repeated_extends(self) -> None:
        if "__extend__" not in self.high.data:
            return
        kept = {
            repr((id_, body)): {id_: body}
            for extension in self.high.data["__extend__"]
            for id_, body in extension.items()
        }
        self.high.data["__extend__"] = list(kept.values())


@dataclass(frozen=True, slots=True)
class _From:
    """The SLS whose includes are being followed."""

    sls: str
    saltenv: str
    is_package: bool
    place: Place

    def resolve(self, name: str) -> str | None:
        """Make a relative name (`.x`, `..x`) absolute; None where it leads above the top."""
        found = _RELATIVE.fullmatch(name)
        assert found is not None
        words = self.sls.split(".") + (["init"] if self.is_package else [])
        levels = len(found.group(1))
        return None if levels > len(words) else ".".join([*words[:-levels], found.group(2)])


class _Declarations:
    """Brings one SLS's declarations into the shape of high data, in place."""

    def __init__(self, rendered: Rendered, sls: str, saltenv: str, assembler: Assembler) -> None:
        self.path = rendered.path
        self.marks = rendered.marks
        self.sls = sls
        self.saltenv = saltenv
        self._report = assembler._problem
        self._extends = assembler.high.marks.extends

    def _place(self, *keys: Any) -> Place:
        return Place(self.path, self.marks.get(tuple(str(key) for key in keys), 0), self.saltenv)

    def _problem(self, text: str, *keys: Any) -> None:
        self._report(at(text, self._place(*keys)))

    def states(self, data: HighData) -> None:
        for id_, body in list(data.items()):
            if id_ in ("__extend__", "__exclude__"):
                continue
            if isinstance(body, str) and "." in body:
                state, function = body.split(".", 1)
                data[id_] = {"__sls__": self.sls, "__env__": self.saltenv, state: [function]}
            elif isinstance(body, dict):
                self._pad(id_, body)
                body.setdefault("__sls__", self.sls)
                body.setdefault("__env__", self.saltenv)
            else:
                self._problem(f"ID {id_} in SLS {self.sls} is not a dictionary", id_)
                del data[id_]

    def _pad(self, id_: Any, body: dict[Any, Any]) -> None:
        """Turn `mod.fun: [...]` into `mod: [..., fun]`."""
        seen: set[str] = set()
        for key in list(body):
            if not isinstance(key, str):
                self._problem(f"'{key}' under ID '{id_}' in SLS '{self.sls}' is no state; it may need quotes", id_)
                del body[key]
                continue
            if key.startswith("_") or not isinstance(body[key], list):
                continue
            state, dot, function = key.partition(".")
            if dot and (state in seen or state in body):
                self._problem(
                    f"ID '{id_}' in SLS '{self.sls}' contains multiple state declarations of the same type", id_
                )
                del body[key]
                continue
            seen.add(state)
            if dot:
                body[state] = body.pop(key)
                body[state].append(function)

    def extends(self, data: HighData) -> None:
        if "extend" not in data:
            return
        extension = data.pop("extend")
        if not isinstance(extension, dict):
            self._problem(f"Extension value in SLS '{self.sls}' is not a dictionary", "extend")
            return
        for id_, body in list(extension.items()):
            if not isinstance(body, dict) or not body:
                self._problem(f"Extension name '{id_}' in SLS '{self.sls}' is not a dictionary", "extend", id_)
                del extension[id_]
                continue
            self._pad(id_, body)
            body.setdefault("__sls__", self.sls)
            body.setdefault("__env__", self.saltenv)
            self._extends[self.saltenv, self.sls, str(id_)] = self._place("extend", id_)
        data.setdefault("__extend__", []).append(extension)

    def excludes(self, data: HighData) -> None:
        if "exclude" not in data:
            return
        excluded = data.pop("exclude")
        if not isinstance(excluded, list):
            self._problem(f"Exclude Declaration in SLS {self.sls} is not formed as a list", "exclude")
            return
        data.setdefault("__exclude__", []).extend(excluded)
