"""Grains that do not come from the machine: those that its administrator wrote down, and users' `_grains` plugins."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ..common.config import MinionConfig
from ..common.context import Context
from ..common.data import merge
from ..common.errors import CtlError
from ..common.loader import Loader

log = logging.getLogger(__name__)

FILE_NAME = "grains"


def read_file(path: Path) -> dict[str, Any]:
    """Read a file of static grains (YAML); one that is missing is empty, a wrong one is logged and passed over."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        log.error("%s: these static grains cannot be read: %s", path, error)
        return {}
    if data is None:
        return {}
    if not isinstance(data, Mapping):
        log.error("%s: static grains are a mapping, this is %s", path, type(data).__name__)
        return {}
    return {str(key): value for key, value in data.items()}


def static_grains(config: MinionConfig) -> dict[str, Any]:
    """Return the grains of the file `grains` beside the configuration, under those of the configuration itself."""
    from_file = read_file(Path(config.config_dir) / FILE_NAME)
    return merge(from_file, config.grains) if deep(config) else {**from_file, **config.grains}


def deep(config: MinionConfig) -> bool:
    """Whether mappings of several sources are merged (`grains_deep_merge`), not replaced."""
    return bool(config.raw.get("grains_deep_merge", False))


def plugin_grains(config: MinionConfig, directories: Sequence[Path], known: Mapping[str, Any]) -> dict[str, Any]:
    """Call every public function of users' grain plugins and put together what they return.

    A function that has an argument `grains` is given what is `known`. One that fails, or a file that does not load,
    is logged with its reason and passed over.
    """
    context = Context(config.id, config.raw, known, {}, _NoFiles(), _NoDaemon())
    context.functions = Loader("modules", "ctl.modules", (), context)
    loader = Loader("grains", None, directories, context)
    found: dict[str, Any] = {}
    for name in loader:
        grains = _call(name, loader, {**known, **found} if _wants_grains(loader, name) else None)
        found = merge(found, grains) if deep(config) else {**found, **grains}
    for name, reason in loader.failures().items():
        log.error("the grains of %s are left out: %s", name, reason)
    return found


def _wants_grains(loader: Loader, name: str) -> bool:
    try:
        return "grains" in inspect.signature(loader[name]).parameters
    except (TypeError, ValueError):
        return False


def _call(name: str, loader: Loader, known: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        grains = loader[name]() if known is None else loader[name](grains=known)
    except Exception as error:  # the boundary around plugin code
        log.error("the grains of %s are left out: %s: %s", name, type(error).__name__, error)
        log.debug("where it failed", exc_info=True)
        return {}
    if grains is None:
        return {}
    if not isinstance(grains, Mapping):
        log.error("the grains of %s are left out: it returned %s, not a dict", name, type(grains).__name__)
        return {}
    return {str(key): value for key, value in grains.items()}


class _Nothing:
    """Stands for what a grain plugin cannot reach: it says so where it is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise CtlError(f"grains are collected before a job runs: {self._what} cannot be reached from them")

    _what = "this"


class _NoFiles(_Nothing):
    _what = "the file server"


class _NoDaemon(_Nothing):
    _what = "the daemon"
