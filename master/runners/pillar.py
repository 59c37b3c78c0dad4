"""Render the pillar of a minion here, to look at it.

CLI example: `ctl-run pillar.show_pillar web1`
"""

from __future__ import annotations

from typing import Any

from ...common.config import MasterConfig
from ...common.context import current, use
from ...common.errors import CompileError, PillarError
from ...common.pillar import WatchedMinion
from ...common.plaintext import own_grains
from ...common.render import Renderer
from ...common.state.top import Top
from ...common.wire import unpack_payload
from ..port import master
from ..rendering import pillar_context, pillar_roots, render


def show_pillar(
    minion: str = "*", saltenv: str | None = None, pillarenv: str | None = None, **grains: Any
) -> dict[str, Any]:
    """Render a minion's pillar now, for the grains that it sent last with those given here over them.

    Without a minion it is that of a minion without a name, by the grains given.

    CLI example: `ctl-run pillar.show_pillar web1 os=Debian`
    """
    config = MasterConfig.from_mapping(current().config)
    known = _grains(minion, grains)
    data, _problems = render(
        config, pillar_roots(config), current().daemon, minion, known, saltenv=saltenv, pillarenv=pillarenv
    )
    return data


def show_top(minion: str | None = None, saltenv: str | None = None, pillarenv: str | None = None) -> dict[str, Any]:
    """Show the pillar's top data; for one minion, the SLS that it gets from each environment.

    It warns where grains decide: a minion reports them itself, so they are no proof of what it is.

    CLI example: `ctl-run pillar.show_top web1`
    """
    config = MasterConfig.from_mapping(current().config)
    files = pillar_roots(config)
    grains = _grains(minion or "", {})
    options = {**config.raw, "top_file_merging_strategy": "merge_all"}
    around = pillar_context(config, files, current().daemon, minion or "", grains)
    renderer = Renderer(
        files,
        config=options,
        grains=grains,
        pillar={},
        functions=around.functions,
        engines=around.renderers,
        confined=True,
    )
    top = Top(files, renderer, options, saltenv=pillarenv or saltenv)
    with use(around):
        return _shown(top, minion, grains)


def _shown(top: Top, minion: str | None, grains: dict[str, Any]) -> dict[str, Any]:
    try:
        if minion is not None:
            watched = WatchedMinion(minion, grains, {})
            found: dict[str, Any] = dict(top.matches(watched))
            if warning := watched.warning():
                master().progress(warning)
            return found
        merged = top.merged()
        return {env: {str(target): items for target, items in targets.items()} for env, targets in merged.items()}
    except CompileError as error:
        raise PillarError(error.problems) from error


def _grains(minion: str, over: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if minion and minion != "*":
        items = master().request("cache.grains", tgt=minion, tgt_type="list")
        found = next((unpack_payload(data["data"]) for kind, data in items if kind != "result"), {})
    return {**own_grains(minion, found), **over}
