"""The running job's renderer: templates and SLS text see what the job's plugins see."""

from __future__ import annotations

from typing import Any

from ..common.context import current
from ..common.loader_names import Proxy
from ..common.render import Renderer

_KEY = "ctl.renderer"


def job_renderer() -> Renderer:
    """Return the job's renderer, made anew where the job's pillar is another than when it was made."""
    context = current()
    kept: tuple[Any, Renderer] | None = context.scratch.get(_KEY)
    if kept is None or kept[0] is not context.pillar:
        renderer = Renderer(
            context.files,
            config=context.config,
            grains=context.grains,
            pillar=context.pillar,
            functions=Proxy(lambda: context.functions),  # others, once plugins have been synced
            engines=Proxy(lambda: context.renderers),
        )
        kept = context.scratch[_KEY] = (context.pillar, renderer)
    return kept[1]
