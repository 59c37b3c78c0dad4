"""Makes the context that plugins see, and keeps it true while what it shows is renewed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..common import permissions
from ..common.context import Context, FileSource
from ..common.loader import Loader, load_plugins
from ..common.secret import remember
from ..common.user_utils import use_utils
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
    for_master: bool = False,
) -> Context:
    """Return a context whose plugins come from `directories` (by kind), and reload after a refresh.

    `for_master` says that a master asks, to whom the minion may not allow everything.
    """
    pillar = LazyMapping(lambda: _noted(port.pillar()))
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
            renderer_dirs=[Path(path) for path in directories["renderers"]],
        )
        _restrict(context, for_master)

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


def _restrict(context: Context, for_master: bool) -> None:
    """Have the loaders refuse what this minion's configuration does."""
    if isinstance(context.functions, Loader):
        context.functions.refusal = permissions.of_functions(context.config, for_master=for_master)
    if isinstance(context.states, Loader) and for_master:
        context.states.refusal = permissions.of_states(context.config)


def _noted(pillar: dict[str, Any]) -> dict[str, Any]:
    """Return pillar; what its keys call secret is masked from now on, in this job's log lines, errors and diffs."""
    remember(pillar)
    return pillar
