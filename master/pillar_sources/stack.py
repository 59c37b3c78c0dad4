"""External pillar from a stack of YAML files, merged in the order that a configuration file lists them.

Configuration: `ext_pillar: [{stack: /srv/stack/stack.cfg}]`, a list of such files, or files chosen by what a minion is:

    ext_pillar:
      - stack:
          opts:environment: {dev: /srv/stack/dev.cfg, prod: /srv/stack/prod.cfg}
          grains:os_family: {Debian: [/srv/stack/debian.cfg]}
          pillar:site: {paris: /srv/stack/paris.cfg}

A configuration file and each YAML file are rendered with Jinja, with `stack` (what was merged so far), `pillar`,
`minion_id`, `grains`, `opts`. Lines of a configuration file are globs relative to it; missing files do not matter.
In a mapping, `__: merge-first | merge-last | overwrite | remove` says how it goes over what is there; in a list, a
first item `{__: …}`.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from ...common.context import current
from ...common.data import lookup
from ...common.errors import CommandExecutionError, RenderError
from ...common.files import Roots
from ...common.render import Renderer

STRATEGIES = ("merge-last", "merge-first", "overwrite", "remove")
_MARK = "__"


def ext_pillar(minion_id: str, pillar: dict[str, Any], *listed: Any, **chosen: Any) -> dict[str, Any]:
    """Merge the stacks that are meant for a minion."""
    stack: dict[str, Any] = {}
    for path in [*_flat(listed), *_chosen(chosen, pillar)]:
        stack = _Stack(path, minion_id, pillar).over(stack)
    return stack


def _flat(value: Any) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _flat(item)
    elif value:
        yield str(value)


def _chosen(chosen: Mapping[str, Any], pillar: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files of each `kind:key` whose value is the minion's."""
    kinds: dict[str, Mapping[str, Any]] = {
        "pillar": pillar, "grains": current().grains, "opts": current().config,
    }  # fmt: skip
    for name, files in chosen.items():
        kind, _, key = name.partition(":")
        if kind not in kinds or not isinstance(files, Mapping):
            raise CommandExecutionError(f"{name!r} is not pillar:, grains: or opts: with files by value")
        value = lookup(kinds[kind], key)
        for one in value if isinstance(value, list) else [value]:
            yield from _flat(files.get(one))


class _Stack:
    """One configuration file for one minion."""

    def __init__(self, path: str, minion_id: str, pillar: Mapping[str, Any]) -> None:
        self.path = path
        self.directory = os.path.dirname(os.path.abspath(path))
        around = current()
        self.names: dict[str, Any] = {
            "minion_id": minion_id, "pillar": pillar, "__grains__": around.grains, "__opts__": around.config,
            "__salt__": around.functions,
        }  # fmt: skip
        self.renderer = Renderer(
            Roots({"base": [self.directory]}),
            config=around.config,
            grains=around.grains,
            pillar=pillar,
            functions=around.functions,
            confined=True,
        )

    def over(self, stack: dict[str, Any]) -> dict[str, Any]:
        """Return the stack with the files that the configuration lists merged over it."""
        if not os.path.isfile(self.path):
            raise CommandExecutionError(f"the stack {self.path} is not there")
        for line in self._render(self.path, stack).splitlines():
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            for path in sorted(glob.glob(os.path.join(self.directory, line.strip()))):
                stack = self._add(path, stack)
        return stack

    def _add(self, path: str, stack: dict[str, Any]) -> dict[str, Any]:
        try:
            found = yaml.load(self._render(path, stack), Loader=yaml.CSafeLoader)  # the safe loader in C
        except yaml.YAMLError as error:
            raise RenderError(f"it is no YAML: {getattr(error, 'problem', error)}", path=path) from error
        if found is None:
            return stack
        if not isinstance(found, dict):
            raise RenderError(f"it is a {type(found).__name__}, not a mapping", path=path)
        return merge_mapping(stack, found, path)

    def _render(self, path: str, stack: Mapping[str, Any]) -> str:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        name = os.path.relpath(path, self.directory)
        return self.renderer.template(text, path=name, saltenv="base", context={**self.names, "stack": stack})


def merge_mapping(base: Mapping[str, Any], over: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Merge one mapping over another by the strategy that it names."""
    over = dict(over)
    strategy = _strategy(over.pop(_MARK, "merge-last"), path)
    if strategy == "overwrite":
        return {key: _unmarked(value, path) for key, value in over.items()}
    merged = dict(base)
    for key, value in over.items():
        if strategy == "remove":
            merged.pop(key, None)
        elif key not in merged:
            merged[key] = _unmarked(value, path)
        elif isinstance(value, dict) and isinstance(merged[key], dict):
            first, second = (value, merged[key]) if strategy == "merge-first" else (merged[key], value)
            merged[key] = merge_mapping(first, second, path)
        elif isinstance(value, list) and isinstance(merged[key], list):
            merged[key] = _merge_lists(merged[key], value, strategy, path)
        elif strategy == "merge-last":
            merged[key] = _unmarked(value, path)
    return merged


def _merge_lists(base: list[Any], over: list[Any], strategy: str, path: str) -> list[Any]:
    if over and isinstance(over[0], dict) and _MARK in over[0]:
        strategy, over = _strategy(over[0][_MARK], path), over[1:]
    if strategy == "overwrite":
        return list(over)
    if strategy == "remove":
        return [item for item in base if item not in over]
    return [*over, *base] if strategy == "merge-first" else [*base, *over]


def _unmarked(value: Any, path: str) -> Any:
    """Take the names of strategies out of what goes over nothing."""
    if isinstance(value, dict):
        return merge_mapping({}, value, path)
    if isinstance(value, list):
        return _merge_lists([], value, "merge-last", path)
    return value


def _strategy(name: Any, path: str) -> str:
    if name not in STRATEGIES:
        raise RenderError(f"there is no strategy {name!r}: {', '.join(STRATEGIES)}", path=path)
    return str(name)
