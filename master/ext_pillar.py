"""External pillars: what `ext_pillar` in the configuration names, called in order and merged.

One that fails leaves a sentence in the pillar's errors that names it, which blocks state runs; the others still count.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from ..common.arguments import bind
from ..common.context import Context
from ..common.errors import CtlError
from ..common.extmods import master_directories
from ..common.loader import Loader
from ..common.pillar import Data, Fail

log = logging.getLogger(__name__)


class ExternalPillars:
    """The external pillars of a configuration, for the minion of one context."""

    def __init__(self, around: Context) -> None:
        self._around = around
        self._entries = list(around.config.get("ext_pillar") or [])
        directories = master_directories(around.config, "pillar")
        self._sources = Loader("pillar", "ctl.master.pillar_sources", directories, around)

    def __bool__(self) -> bool:
        return bool(self._entries)

    def __call__(self, pillar: Data, merge: Callable[[Mapping[str, Any], Mapping[str, Any]], Data], fail: Fail) -> Data:
        """Return the pillar so far with every external pillar merged over it."""
        for entry in self._entries:
            if not isinstance(entry, Mapping) or len(entry) != 1:
                sentence = f"ext_pillar: {entry!r} is not one name with its arguments"
                fail(sentence, sentence)
                continue
            ((name, given),) = entry.items()
            try:
                found = self._call(str(name), given, pillar)
            except CtlError as error:
                sentence = f"the external pillar {name!r} does not work: {_place(error)}{error.message}"
                fail(sentence, f"external pillar {name}: {error}")
                continue
            except Exception as error:  # the boundary around plugin code: it may fail in any way
                log.debug("the external pillar %s failed", name, exc_info=True)
                detail = f"external pillar {name}: {type(error).__name__}: {error}"
                fail(f"the external pillar {name!r} does not work ({type(error).__name__})", detail)
                continue
            if isinstance(found, Mapping):
                pillar = merge(pillar, found)
            elif found is not None:
                sentence = f"the external pillar {name!r} gave a {type(found).__name__}, not a mapping"
                fail(sentence, sentence)
        return pillar

    def _call(self, name: str, given: Any, pillar: Data) -> Any:
        function = self._sources[f"{name}.ext_pillar"]
        args, kwargs = _arguments(given)
        args, kwargs = bind(function, [self._around.id, pillar, *args], kwargs, name)
        return function(*args, **kwargs)


def _place(error: CtlError) -> str:
    if not error.path:
        return ""
    return f"{error.path}:{error.line}: " if error.line else f"{error.path}: "


def _arguments(given: Any) -> tuple[list[Any], dict[str, Any]]:
    """Spread what the configuration gives as Salt does: a mapping by name, a list by place, else one argument."""
    if isinstance(given, Mapping):
        return [], {str(key): value for key, value in given.items()}
    if isinstance(given, list):
        return list(given), {}
    return ([] if given is None else [given]), {}
