"""Pillar: the data that a tree of its own gives to one minion, by the minion's id and grains.

Owns the way from the top file to one merged mapping: includes, merge strategies, overrides. The master calls it for a
minion that asks; a masterless minion calls it for itself. Mistakes do not stop it: they are sentences in `_errors`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .context import FileSource
from .errors import CompileError, CtlError, RenderError, nearest
from .matchers import DictMinion
from .merging import STRATEGIES, merged
from .pillar_places import EXPLAIN, Source, explain
from .pillar_secrets import decrypt_keys
from .render import Renderer
from .render_users import Engine
from .state.top import Top, expand
from .state.tree import Tree, is_glob

log = logging.getLogger(__name__)

ERRORS = "_errors"
MAX_STACK = 5
Data = dict[str, Any]
Fail = Callable[[str, str], None]  # a sentence for the minion, and the whole of it for the master's log


class External(Protocol):
    """Where pillar comes from besides the tree."""

    def __call__(self, pillar: Data, merge: Callable[[Mapping[str, Any], Mapping[str, Any]], Data], fail: Fail) -> Data:
        """Return the pillar so far with more merged in; what goes wrong is told to `fail`."""
        ...


class WatchedMinion(DictMinion):
    """A minion that notes which grains a top file asks for: they are what the minion says of itself."""

    __slots__ = ("asked",)

    def __init__(self, id: str, grains: Mapping[str, Any], pillar: Mapping[str, Any]) -> None:
        super().__init__(id, grains, pillar)
        self.asked: set[str] = set()

    def grain(self, key: str, delimiter: str) -> Any:
        """Return the grain at `key`, or MISSING."""
        self.asked.add(key.split(delimiter)[0])
        return super().grain(key, delimiter)

    def warning(self) -> str:
        """Say what follows where grains were asked for; nothing where they were not."""
        names = ", ".join(sorted(self.asked - {"id"}))
        if not names:
            return ""
        return (
            f"the pillar's top file matches by grains ({names}), which every minion reports itself: "
            "give secrets by minion id or nodegroup of ids"
        )


class Pillar:
    """Compiles one minion's pillar from the files of `pillar_roots`.

    `functions` are what templates call as `salt['…']`; `confined` ones cannot look at this machine. `problems` holds
    the mistakes of the last `compile`, for a log. Neither they nor what the minion gets in `_errors` show lines of a
    file, which may hold secrets.
    """

    def __init__(
        self,
        files: FileSource,
        config: Mapping[str, Any],
        grains: Mapping[str, Any],
        minion_id: str,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        nodegroups: Mapping[str, Any] | None = None,
        external: External | None = None,
        engines: Mapping[str, Engine] | None = None,
        confined: bool = False,
    ) -> None:
        self.files = files
        # Top files of pillar are concatenated, whatever the strategy for states is.
        self.config = {**config, "id": minion_id, "top_file_merging_strategy": "merge_all"}
        if nodegroups is not None:
            self.config["nodegroups"] = nodegroups
        self.grains = grains
        self.id = minion_id
        # A loader is asked for its length, and so for all its plugins, where it is asked whether it is true.
        self.functions = functions if functions is not None else {}
        self.external = external
        self.engines = engines
        self.confined = confined
        self.problems: list[str] = []

    def compile(
        self, saltenv: str | None = None, pillarenv: str | None = None, override: Mapping[str, Any] | None = None
    ) -> Data:
        """Return the minion's pillar.

        `pillarenv` restricts it to one environment; `override` (a command line's) is merged over the rest. An override
        of `{"_explain": key}` asks where the value at that key comes from; the answer is under the same name.
        """
        self.problems = []
        if not pillarenv and self.config.get("pillarenv_from_saltenv"):
            pillarenv = saltenv
        run = _Compilation(self, self._strategy(), saltenv or "base")
        pillar = run.with_external(pillarenv or self.config.get("pillarenv") or None)
        decrypt_keys(pillar, self.config, run.renderer, run.fail)
        if override and set(override) == {EXPLAIN}:
            pillar = {EXPLAIN: explain(pillar, run.sources, str(override[EXPLAIN]))}
        elif override:
            pillar = run.merge(pillar, override)
        if run.errors:
            self.problems = run.problems
            pillar[ERRORS] = run.errors
        return pillar

    def _strategy(self) -> str:
        wanted = str(self.config.get("pillar_source_merging_strategy") or "smart")
        if wanted not in STRATEGIES:
            near = nearest(wanted, STRATEGIES) or "smart"
            log.warning("there is no pillar_source_merging_strategy %r; smart is used (nearest: %s)", wanted, near)
            return "smart"
        return wanted


@dataclass(frozen=True, slots=True)
class _Include:
    """One entry of an SLS's `include`."""

    sls: str
    key: str = ""
    defaults: Mapping[str, Any] | None = None


class _Compilation:
    """One run over the tree: what was rendered, and what went wrong."""

    def __init__(self, owner: Pillar, strategy: str, saltenv: str) -> None:
        self.owner = owner
        self.strategy = strategy
        self.saltenv = saltenv
        self.errors: list[str] = []
        self.problems: list[str] = []
        self.tree = Tree(owner.files, owner.config)
        self.known: Data = {}  # what templates see as pillar: external pillar that came first
        self.renderer = Renderer(
            owner.files,
            config=owner.config,
            grains=owner.grains,
            pillar=self.known,
            functions=owner.functions,
            engines=owner.engines,
            confined=owner.confined,
        )
        self.sources: list[Source] = []  # what was rendered, in the order in which it is merged
        self._prefix: tuple[str, ...] = ()
        self._done: dict[tuple[str, str], Data | None] = {}
        self._stack: list[tuple[str, str]] = []

    def with_external(self, pillarenv: str | None) -> Data:
        """Compile the tree, before or after what comes from elsewhere."""
        external = self.owner.external
        if external is None:
            return self.compile(pillarenv)
        if self.owner.config.get("ext_pillar_first"):
            self.known.update(external({}, self.merge, self.fail))
            return self.merge(self.known, self.compile(pillarenv))
        return external(self.compile(pillarenv), self.merge, self.fail)

    def compile(self, pillarenv: str | None) -> Data:
        only = pillarenv or (self.saltenv if self.strategy == "none" else None)
        if only is not None and only not in self.owner.files.environments():
            log.info("pillar of %s: there is no environment %r", self.owner.id, only)
            return {}
        top = Top(self.owner.files, self.renderer, self.owner.config, saltenv=only, ordered=True)
        try:
            minion = WatchedMinion(self.owner.id, self.owner.grains, self.known)
            matches = top.matches(minion)
            if warning := minion.warning():
                log.info("%s", warning)
        except CompileError as error:
            for problem in error.problems:
                self.fail(problem, problem)
            return {}
        pillar: Data = {}
        for saltenv, names in expand(self.tree, matches).items():
            optional = top.ignore_missing.get(saltenv, set())
            self.tree.look_up(names, saltenv)
            for sls in dict.fromkeys(names):
                data = self.render(sls, saltenv, optional=sls in optional or is_glob(sls))
                if data:
                    pillar = self.merge(pillar, data)
        return pillar

    def fail(self, sentence: str, detail: str) -> None:
        if sentence not in self.errors:
            self.errors.append(sentence)
            self.problems.append(detail)

    def merge(self, base: Mapping[str, Any], over: Mapping[str, Any]) -> Data:
        """Merge two SLS's data by the configured strategy."""
        return merged(base, over, self.strategy, bool(self.owner.config.get("pillar_merge_lists")))

    def render(
        self, sls: str, saltenv: str, *, optional: bool = False, defaults: Mapping[str, Any] | None = None
    ) -> Data | None:
        """Render one SLS with what it includes; None where there is nothing, or it went wrong."""
        key = (saltenv, sls)
        if key in self._stack:
            return None
        if key in self._done and not defaults:
            return self._done[key]
        path = self.tree.locate(sls, saltenv)
        if path is None:
            if not optional:
                sentence = self._not_found(sls, saltenv)
                self.fail(sentence, sentence)
            return None
        self._stack.append(key)
        try:
            data = self._render_file(path, sls, saltenv, defaults or {})
        finally:
            self._stack.pop()
        if not defaults:
            self._done[key] = data
        return data

    def _not_found(self, sls: str, saltenv: str) -> str:
        near = nearest(sls, self.tree.names(saltenv))
        hint = f" (did you mean {near!r}?)" if near else ""
        included = f", included from {self._stack[-1][1]!r}" if self._stack else ""
        return f"the pillar SLS {sls!r} is not in environment {saltenv!r}{included}{hint}"

    def _render_file(self, path: str, sls: str, saltenv: str, defaults: Mapping[str, Any]) -> Data | None:
        try:
            rendered = self.renderer.sls(path, saltenv, sls=sls, extra=defaults)
            data = rendered.data
        except RenderError as error:
            where = f"{error.path or path}:{error.line}" if error.line else error.path or path
            sentence = f"the pillar SLS {sls!r} does not render: {where}: {error.message}"
            behind = "".join(f", included from {entry}" for entry in reversed(error.stack[-MAX_STACK:]))
            self.fail(sentence, f"{sentence}{f' ({error.hint})' if error.hint else ''}{behind}")
            return None
        except CtlError as error:
            sentence = f"the pillar SLS {sls!r} does not render: {path}: {error}"
            self.fail(sentence, sentence)
            return None
        if data is None:
            return None
        if not isinstance(data, dict):
            sentence = f"the pillar SLS {sls!r} renders to a {type(data).__name__}, not a mapping ({path})"
            self.fail(sentence, sentence)
            return None
        at = len(self.sources)
        found = self._with_includes(data, path, sls, saltenv)
        if not self.owner.config.get("pillar_includes_override_sls"):
            at = len(self.sources)
        own = {key: value for key, value in data.items() if key != "include"}
        self.sources.insert(at, Source(path, saltenv, own, rendered.marks, self._prefix))
        return found

    def _with_includes(self, data: Data, path: str, sls: str, saltenv: str) -> Data:
        if "include" not in data:
            return data
        data = dict(data)
        listed = data.pop("include")
        if not isinstance(listed, list):
            sentence = f"the pillar SLS {sls!r}: include must be a list ({path})"
            self.fail(sentence, sentence)
            return data
        included: Data = {}
        for item in listed:
            for found in self._included(item, path, sls, saltenv):
                included = self.merge(included, found)
        if self.owner.config.get("pillar_includes_override_sls"):
            return self.merge(data, included)
        return self.merge(included, data)

    def _included(self, item: Any, path: str, sls: str, saltenv: str) -> list[Data]:
        include = _parse_include(item, path, sls)
        if include is None:
            sentence = f"the pillar SLS {sls!r}: the include {item!r} is no SLS name ({path})"
            self.fail(sentence, sentence)
            return []
        names = self.tree.match(include.sls, saltenv) if is_glob(include.sls) else [include.sls]
        outer = self._prefix
        self._prefix = (*outer, *include.key.split(":")) if include.key else outer
        try:
            rendered = [self.render(name, saltenv, defaults=include.defaults) for name in names]
        finally:
            self._prefix = outer
        return [_nested(data, include.key) for data in rendered if data]


def _parse_include(item: Any, path: str, sls: str) -> _Include | None:
    """Read `name`, or `{name: {defaults: …, key: a:b}}`; a name that starts with a dot is relative to the SLS."""
    options: Any = {}
    if isinstance(item, Mapping) and len(item) == 1:
        item, options = next(iter(item.items()))
    if not isinstance(item, str) or not item.strip(".") or not isinstance(options or {}, Mapping):
        return None
    options = options or {}
    name = item
    if item.startswith("."):
        levels = len(item) - len(item.lstrip("."))
        words = sls.split(".") if path.endswith("/init.sls") else sls.split(".")[:-1]
        words = words[: len(words) - (levels - 1)] if levels > 1 else words
        name = ".".join([*words, item.lstrip(".")])
    return _Include(name, str(options.get("key") or ""), options.get("defaults"))


def _nested(data: Data, key: str) -> Data:
    for word in reversed(key.split(":") if key else []):
        data = {word: data}
    return data
