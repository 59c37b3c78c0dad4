"""The renderer `py`: an SLS that is a Python program whose `run()` returns the data."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any

from . import render_yaml
from .errors import CtlError, RenderError
from .loader_names import users_builtins


def run(text: str, path: str, names: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    """Execute the program and call its `run()`; it sees what templates see, and Salt's dunder names."""
    filename = f"<sls>:{path}"
    space: dict[str, Any] = {**names, **dunders(names, functions), "__name__": "ctl_sls", "__file__": path}
    space["__builtins__"] = users_builtins()
    try:
        exec(compile(text, filename, "exec"), space)  # noqa: S102 (a py SLS is a program, by its author's wish)
    except Exception as error:
        raise _explain(error, filename, path, text) from error
    space |= {**names, **dunders(names, functions)}  # as in Salt, they go before what `import salt` has left there
    function = space.get("run")
    if not callable(function):
        raise RenderError("a py SLS must have a function run()", path=path)
    try:
        return function()
    except Exception as error:
        raise _explain(error, filename, path, text) from error


def dunders(names: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> dict[str, Any]:
    """Make the names that Salt injects into modules."""
    return {
        "__salt__": functions,
        "__grains__": names.get("grains", {}),
        "__pillar__": names.get("pillar", {}),
        "__opts__": names.get("opts", {}),
        "__env__": names.get("saltenv", "base"),
        "__sls__": names.get("sls", ""),
        "__proxy__": {},
    }


def _explain(error: Exception, filename: str, path: str, text: str) -> RenderError:
    line = error.lineno if isinstance(error, SyntaxError) else None
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == filename:
            line = frame.lineno
    message = error.message if isinstance(error, CtlError) else f"{type(error).__name__}: {error}"
    return RenderError(message, path=path, line=line, excerpt=render_yaml.excerpt(text, line) if line else "")
