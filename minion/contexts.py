"""Makes the context that plugins see, and keeps it true while what it shows is renewed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..common.context import Context, FileSource
from ..common.loader import load_plugins
from .ports import ChildPort, LazyMapping, LocalDaemon


def make_context(
    config: Mapping[str, Any],
    *,
    id: str,
    files: FileSource,
    port: ChildPort | LocalDaemon,
    grains: Mapping[str, Any],
    renew_grains: Callable[[], Mapping[str, Any]],
    directories: Mapping[str, Sequence[str]],
    jid: str = "",
    user: str = "",
) -> Context:
    """Return a context whose plugins come from `directories` (by kind), and reload after a refresh."""
    pillar = LazyMapping(port.pillar)
    context = Context(
        id=id,
        config=config,
        grains=grains,
        pillar=pillar,
        files=files,
        daemon=port,
        test=bool(config.get("test")),
        jid=jid,
        user=user,
        saltenv=config.get("saltenv") or "base",
    )

    def load() -> None:
        use_utils(directories["utils"])
        load_plugins(
            context,
            module_dirs=[Path(path) for path in directories["modules"]],
            state_dirs=[Path(path) for path in directories["states"]],
        )

    def refreshed(what: str) -> None:
        if what == "modules":
            load()
        elif what == "grains":
            context.grains = renew_grains()
        elif what == "pillar":
            pillar.forget()

    port.on_refresh = refreshed
    load()
    return context


def use_utils(directories: Sequence[str]) -> None:
    """Let users' plugins import what is in their `_utils`, by its plain name."""
    for directory in directories:
        if directory not in sys.path and os.path.isdir(directory):
            sys.path.append(directory)
