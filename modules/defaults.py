"""Default values of formulas: files of defaults, and merging what a user says over them."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from ..common.context import current
from ..common.data import MISSING, lookup
from ..common.data import merge as merge_data
from ..common.errors import CommandExecutionError
from ..common.render_yaml import load

_FILES = ("defaults.yaml", "defaults.json")

__func_alias__ = {"merge_": "merge", "deepcopy_": "deepcopy"}


def get(key: str, default: Any = "") -> Any:
    """Return a value of pillar merged over a formula's `defaults.yaml` (`core:users:root` looks in `core/`).

    CLI example: `ctl '*' defaults.get core:users:root`
    """
    formula, _, inner = key.partition(":")
    known = _load(formula)
    pillar = current().pillar.get(formula)
    if isinstance(pillar, Mapping):
        known = merge_data(known, pillar)
    return lookup(known, inner, default) if inner else known or default


def _load(formula: str) -> dict[str, Any]:
    context = current()
    paths = [f"{formula.replace('.', '/')}/{name}" for name in _FILES]
    for path, info in context.files.find(paths, context.saltenv).items():
        if info is None:
            continue
        text = context.files.fetch(path, context.saltenv).read_text()
        data = json.loads(text) if path.endswith(".json") else load(text, path=path)
        if not isinstance(data, dict):
            raise CommandExecutionError(f"{path} holds no mapping")
        return data
    return {}


def merge_(
    dest: dict[Any, Any],
    src: dict[Any, Any],
    merge_lists: bool = False,
    in_place: bool = True,
    convert_none: bool = True,
) -> dict[Any, Any]:
    """Merge `src` over `dest` deeply and return it; `dest` is changed unless `in_place` is False.

    CLI example: `ctl '*' defaults.merge '{a: b}' '{d: e}'`
    """
    if convert_none:
        dest, src = {} if dest is None else dest, {} if src is None else src
    result = merge_data(dest, src, merge_lists)
    if not in_place:
        return result
    dest.clear()
    dest.update(result)
    return dest


def update(
    dest: dict[Any, Any],
    defaults: dict[Any, Any],
    merge_lists: bool = True,
    in_place: bool = True,
    convert_none: bool = True,
) -> dict[Any, Any]:
    """Give each mapping in `dest` the defaults that it does not set itself.

    CLI example: `ctl '*' defaults.update '{a: {x: 1}}' '{y: 2}'`
    """
    target = dest if in_place else copy.deepcopy(dest)
    for name, own in target.items():
        target[name] = merge_data(defaults, own or {}, merge_lists)
    return target


def deepcopy_(source: Any) -> Any:
    """Return a copy whose mappings and lists are copies, too.

    CLI example: `ctl '*' defaults.deepcopy '{a: b}'`
    """
    return copy.deepcopy(source)


def exists(key: str) -> bool:
    """Say whether a formula's defaults or pillar have a value at `key`.

    CLI example: `ctl '*' defaults.exists core:users`
    """
    return get(key, MISSING) is not MISSING
