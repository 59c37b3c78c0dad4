"""Run cases of the corpus through ctl, in this process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import corpus

from ctl.common.context import Context, use
from ctl.common.files import Roots
from ctl.common.loader import load_plugins
from ctl.common.pillar import Pillar
from ctl.master.ext_pillar import ExternalPillars


class Daemon:
    """What a job asks of its daemon, answered for a minion without a master."""

    def __init__(self) -> None:
        self.compile: Any = None

    def pillar(self, *, override: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """Compile the case's pillar."""
        options.pop("fresh", None)
        compiled: dict[str, Any] = self.compile(override=override, **options)
        return compiled

    def event(self, tag: str, data: Mapping[str, Any]) -> bool:
        """Take an event for sent."""
        return True

    def progress(self, data: Mapping[str, Any]) -> None:
        """Report to nobody."""

    def running(self) -> list[dict[str, Any]]:
        """Nothing else runs."""
        return []

    def kill(self, jid: str, signal: int) -> bool:
        """There is nothing to kill."""
        return False

    def refresh(self, what: str) -> bool:
        """Everything is fresh."""
        return True

    def state_lock(self, queue: bool | int, concurrent: bool) -> dict[str, Any] | None:
        """The turn is always ours."""
        return None


def make_context(case: corpus.Case, keys: Mapping[str, Any]) -> Context:
    """Make the minion of one case, with its plugins, grains and pillar."""
    config: dict[str, Any] = {
        "id": corpus.MINION,
        "file_roots": case.file_roots,
        "pillar_roots": case.pillar_roots,
        "unknown_arguments": "warn",
        "autoload_dynamic_modules": False,
        "scratch": str(corpus.SCRATCH),
        "cachedir": str(corpus.SCRATCH / ".cache"),
        "pillar_dirs": case.plugins("pillar"),
        **case.config,
        **keys,
    }
    grains = {**corpus.GRAINS, **case.grains}
    context = Context(corpus.MINION, config, grains, {}, Roots(case.file_roots), Daemon())
    load_plugins(
        context,
        module_dirs=[Path(path) for path in case.plugins("modules")],
        state_dirs=[Path(path) for path in case.plugins("states")],
        renderer_dirs=[Path(path) for path in case.plugins("renderers")],
    )
    grains |= _plugin_grains(case, grains)
    if case.plugins("utils"):
        from ctl.common.user_utils import use_utils

        use_utils(case.plugins("utils"))
    roots = Roots(case.pillar_roots) if case.pillar_roots else Roots({"base": []})
    pillar = Pillar(
        roots,
        config,
        grains,
        corpus.MINION,
        context.functions,
        config.get("nodegroups"),
        ExternalPillars(context) if case.config.get("ext_pillar") else None,
        context.renderers,
    )
    context.daemon.compile = pillar.compile  # type: ignore[attr-defined]
    with use(context):
        context.pillar.update(pillar.compile())
    return context


def _plugin_grains(case: corpus.Case, grains: Mapping[str, Any]) -> dict[str, Any]:
    if not case.plugins("grains"):
        return {}
    from ctl.common.config import MinionConfig
    from ctl.minion import grains_static

    config = MinionConfig.from_mapping({"id": corpus.MINION})
    return dict(grains_static.plugin_grains(config, [Path(path) for path in case.plugins("grains")], grains))


def outcome(case: corpus.Case) -> dict[str, Any]:
    """Make the calls of one case; each sees a job of its own."""
    with corpus.scratch(), corpus.keyring(case) as keys:
        return _outcome(case, make_context(case, keys))


def _outcome(case: corpus.Case, context: Context) -> dict[str, Any]:
    found: dict[str, Any] = {"pillar": corpus.comparable("pillar", dict(context.pillar))} if case.pillar_roots else {}
    for part, (name, args, kwargs) in case.calls().items():
        context.scratch.clear()
        with use(context):
            found[part] = case.comparable(part, context.functions[name](*args, **kwargs))
    plain: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return plain
