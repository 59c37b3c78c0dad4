"""What a state function runs in: its environment of the tree, `runas`, `umask`, the names that Salt gives a plugin."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..context import Context, use


@contextlib.contextmanager
def surroundings(
    context: Context, low: Mapping[str, Any], function: Callable[..., Any], running: Mapping[str, Any]
) -> Iterator[Context]:
    """Set what a state function runs in, within a `with` block; `running` are the returns so far."""
    saltenv = str(low.get("saltenv") or low.get("__env__") or "base")
    # What runs beside others must not find their exit codes, nor whom they run as.
    scratch = dict(context.scratch) if low.get("parallel") else context.scratch
    inner = dataclasses.replace(context, saltenv=saltenv, scratch=scratch)
    _inject(function, low, running, saltenv)
    steering = {key: low[key] for key in ("runas", "runas_password") if low.get(key) is not None}
    scratch.update(steering)
    umask = low.get("umask")
    kept = None if umask is None else os.umask(int(str(umask), 8))
    try:
        with use(inner):
            yield inner
    finally:
        if kept is not None:
            os.umask(kept)
        for key in steering:
            scratch.pop(key, None)


def _inject(function: Callable[..., Any], low: Mapping[str, Any], running: Mapping[str, Any], saltenv: str) -> None:
    """Set the names that Salt gives a users' plugin for each state."""
    names = getattr(function, "__globals__", {})
    if "__low__" in names and "__salt__" in names:
        names.update(__low__=low, __running__=running, __sls__=low.get("__sls__", ""), __env__=saltenv)
