"""Top files: which SLS a minion gets, of which environments. States and pillar have the same ones."""

from __future__ import annotations

import fnmatch
import glob
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from .. import target
from ..context import FileSource
from ..errors import CompileError, FileServerError, RenderError, TargetError
from ..matchers import Minion
from ..render import Renderer
from .tree import Tree, is_glob

log = logging.getLogger(__name__)

# Salt's names for ways to match, beside the kinds that targets have.
_KINDS = {"pillar_exact": "pillar", "compound_pillar_exact": "compound", "range": "glob", "grains": "grain"}
_PILLAR_TERM = re.compile(r"(?<![^\s(])[IJ](.?)@(\S+)")
_OPTIONS = frozenset(("match", "ignore_missing", "order", "subfilter"))

# {environment: {target: [SLS or option, ...]}}, as far as it has been checked.
TopData = dict[str, Any]


class Top:
    """Reads the top files of a tree and matches a minion against them.

    `saltenv` restricts to one environment; with `ordered`, as for pillar, targets may have an `order`. `paths` names
    the top files that were read; `ignore_missing` holds, for each environment, the SLS that need not exist.
    """

    def __init__(
        self,
        files: FileSource,
        renderer: Renderer,
        config: Mapping[str, Any],
        *,
        saltenv: str | None = None,
        ordered: bool = False,
    ) -> None:
        self.tree = Tree(files, config)
        self.renderer = renderer
        self.config = config
        self.saltenv = saltenv
        self.ordered = ordered
        self.paths: list[str] = []
        self.ignore_missing: dict[str, set[str]] = {}

    def matches(self, minion: Minion) -> dict[str, list[str]]:
        """Map each environment to the SLS (names or globs) that the top files give to `minion`.

        Raises `CompileError` with every mistake of the top files.
        """
        return self.match(self.merged(), minion)

    def merged(self) -> TopData:
        """Read and check the top files, and merge them by the configured strategy."""
        tops = self._read()
        problems = [problem for env, found in tops.items() for top in found for problem in _check(env, top)]
        if problems:
            raise CompileError(problems)
        strategy = str(self.config.get("top_file_merging_strategy") or "merge")
        merge = _STRATEGIES.get(strategy)
        if merge is None:
            log.warning("there is no top_file_merging_strategy %r; merge is used", strategy)
            merge = _merge
        return merge(tops, str(self.config.get("default_top") or "base"))

    def match(self, top: TopData, minion: Minion) -> dict[str, list[str]]:
        """Match a minion against merged top data."""
        found: dict[str, list[str]] = {}
        for saltenv, targets in top.items():
            if self.saltenv and saltenv != self.saltenv:
                continue
            entries = list(targets.items())
            if self.ordered:
                entries.sort(key=lambda entry: _order(entry[1]))
            for expression, items in entries:
                self._match_target(saltenv, expression, items, minion, found)
        return found

    def _match_target(
        self, saltenv: str, expression: str, items: Any, minion: Minion, found: dict[str, list[str]]
    ) -> None:
        items = [items] if isinstance(items, str) else items
        if not self._is_for(expression, items, minion):
            return
        optional = any(isinstance(item, Mapping) and item.get("ignore_missing") for item in items)
        chosen = found.setdefault(saltenv, [])
        for item in items:
            if isinstance(item, str):
                chosen.append(item)
                if optional:
                    self.ignore_missing.setdefault(saltenv, set()).add(item)
            elif "subfilter" in item:
                for inner, inner_items in item["subfilter"].items():
                    self._match_target(saltenv, str(inner), inner_items, minion, found)
            elif _OPTIONS.isdisjoint(item):
                for env, sls in item.items():
                    if self.tree.has_environment(env):
                        found.setdefault(env, []).append(sls)

    def _is_for(self, expression: str, items: list[Any], minion: Minion) -> bool:
        kind = next((str(item["match"]) for item in items if isinstance(item, Mapping) and "match" in item), "compound")
        if kind == "data":
            kind = "grain"
        if kind == "pillar_exact":
            expression = glob.escape(expression)
        elif kind == "compound_pillar_exact":
            expression = _PILLAR_TERM.sub(lambda term: f"I{term[1]}@{glob.escape(term[2])}", expression)
        try:
            parsed = target.parse(expression, _KINDS.get(kind, kind), nodegroups=self.config.get("nodegroups") or {})
        except TargetError as error:
            raise CompileError([f"top file: {error}"]) from None
        return parsed.matches(minion)

    def _read(self) -> dict[str, list[TopData]]:
        only = self.saltenv or self.config.get("state_top_saltenv")
        environments = [str(only)] if only else self.tree.environments()
        tops = {env: [self._read_one(self._path(), env)] for env in environments}
        for env, found in tops.items():
            self._read_includes(env, found)
        return tops

    def _path(self) -> str:
        path = str(self.config.get("state_top") or "top.sls")
        return path.removeprefix("salt://").lstrip("/")

    def _read_one(self, path: str, saltenv: str) -> TopData:
        try:
            if self.tree.files.find([path], saltenv).get(path) is None:
                return {}
        except FileServerError:
            return {}
        try:
            data = self.renderer.sls(path, saltenv, sls="").data
        except RenderError as error:
            raise CompileError([f"Unable to render top file: {error}"]) from None
        self.paths.append(f"{saltenv}:{path}")
        if data is None:
            return {}
        if not isinstance(data, dict):
            raise CompileError([f"{path}: Top data was not formed as a dict"])
        return data

    def _read_includes(self, saltenv: str, tops: list[TopData]) -> None:
        done: set[str] = set()
        for top in tops:  # the list grows while it is walked
            for pattern in top.pop("include", None) or ():
                for sls in self.tree.match(str(pattern), saltenv):
                    path = self.tree.locate(sls, saltenv)
                    if path and sls not in done:
                        done.add(sls)
                        tops.append(self._read_one(path, saltenv))


def _order(items: Any) -> int:
    orders = [item["order"] for item in items if isinstance(item, Mapping) and "order" in item]
    return int(orders[0]) if orders else 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value) is not None)


def _check(env: str, top: Mapping[Any, Any]) -> list[str]:
    problems = []
    for saltenv, targets in top.items():
        if not isinstance(saltenv, str):
            problems.append(f"Environment {saltenv} in top file is not formed as a string")
        if saltenv == "":
            problems.append("Empty saltenv statement in top file")
        if targets is None:
            problems.append(f"Unable to render top file. No targets found. (environment {saltenv!r})")
        elif not isinstance(targets, dict):
            problems.append(f"The top file matches for saltenv {saltenv} are not formatted as a dict")
        else:
            problems += [problem for name, items in targets.items() for problem in _check_target(saltenv, name, items)]
    return problems


def _check_target(saltenv: str, expression: Any, items: Any) -> list[str]:
    if not isinstance(items, list):
        return [
            f"Malformed topfile: state declarations for matcher {expression!r} in saltenv {saltenv!r} "
            f"are not formed as a list (got {type(items).__name__})"
        ]
    problems = []
    for item in items:
        if isinstance(item, dict):
            if any(value in (None, "", [], {}) for value in item.values()):
                problems.append(f"Improperly formatted top file matcher in saltenv {saltenv}: {item}")
            elif not _is_number(item.get("order", 0)):
                problems.append(f"order under {expression!r} in saltenv {saltenv} is no number: {item['order']!r}")
        elif not isinstance(item, str):
            problems.append(f"{item!r} under {expression!r} in saltenv {saltenv} is no SLS name; it may need quotes")
        elif not item:
            problems.append(f"Environment {saltenv} contains an empty sls index")
    return problems


def _merge(tops: Mapping[str, list[TopData]], default_top: str) -> TopData:
    """Merge with `base` as the authority: another environment counts only for itself, and only if base has none."""
    merged: TopData = {}
    for top in tops.get("base", ()):
        for saltenv, targets in top.items():
            merged.setdefault(saltenv, {}).update(targets)
    settled = set(merged)
    for env, found in tops.items():
        if env == "base":
            continue
        for top in found:
            if env in top and env not in settled:
                merged.setdefault(env, {}).update(top[env])
    return merged


def _same(tops: Mapping[str, list[TopData]], default_top: str) -> TopData:
    """Let each environment decide for itself; one without a top file asks `default_top`'s."""
    merged: TopData = {}
    for env, own in tops.items():
        found = own if any(own) else tops.get(default_top, [])
        for top in found:
            if env in top:
                merged.setdefault(env, {}).update(top[env])
    return merged


def _merge_all(tops: Mapping[str, list[TopData]], default_top: str) -> TopData:
    """Concatenate what all top files say."""
    merged: TopData = {}
    for found in tops.values():
        for top in found:
            for saltenv, targets in top.items():
                known = merged.setdefault(saltenv, {})
                for expression, items in targets.items():
                    known[expression] = _concatenate(known[expression], items) if expression in known else items
    return merged


def _concatenate(first: list[Any], second: list[Any]) -> list[Any]:
    options = [item for item in [*second, *first] if isinstance(item, dict)][:1]
    names = dict.fromkeys(item for item in [*first, *second] if isinstance(item, str))
    return [*options, *names]


_STRATEGIES: dict[str, Callable[[Mapping[str, list[TopData]], str], TopData]] = {
    "merge": _merge,
    "same": _same,
    "merge_all": _merge_all,
}


def expand(tree: Tree, matches: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Replace the globs of a top file's matches by the SLS that they stand for; other names stay."""
    return {
        saltenv: [
            sls for name in names for sls in (fnmatch.filter(tree.names(saltenv), name) if is_glob(name) else [name])
        ]
        for saltenv, names in matches.items()
    }
