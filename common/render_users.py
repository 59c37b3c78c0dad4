"""Renderers of users: plugins `_renderers/NAME.py` with a function `render(data, saltenv, sls, **more)`, as in Salt.

Text reaches them as an open file, and what they give back may be text, an open file or data. `more` has `tmplpath`,
`argline` (what follows the name in the first line) and `renderers`, the other engines.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .errors import CtlError, RenderError

Engine = Callable[..., Any]


class UserEngines(Mapping[str, Engine]):
    """Users' renderers by their names, loaded when a file asks for them."""

    def __init__(self, loader: Mapping[str, Engine]) -> None:
        self._loader = loader

    def forget(self) -> None:
        """Look for renderers anew."""
        forget = getattr(self._loader, "forget", None)
        if forget is not None:
            forget()

    def __getitem__(self, name: str) -> Engine:
        return self._loader[f"{name}.render"]

    def __contains__(self, name: object) -> bool:
        return f"{name}.render" in self._loader

    def __iter__(self) -> Iterator[str]:
        return (name.removesuffix(".render") for name in self._loader if name.endswith(".render"))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def text_of(value: Any) -> Any:
    """Return what an open file holds; anything else as it is."""
    if not callable(getattr(value, "read", None)):
        return value
    if callable(getattr(value, "seek", None)):
        value.seek(0)
    found = value.read()
    return found.decode() if isinstance(found, bytes) else found


def call(engine: Engine, value: Any, saltenv: str, sls: str, more: Mapping[str, Any], *, name: str, path: str) -> Any:
    """Send text or data through a user's renderer; what it raises is a `RenderError` that names it."""
    try:
        return text_of(engine(io.StringIO(value) if isinstance(value, str) else value, saltenv, sls, **more))
    except CtlError as error:
        raise RenderError(
            f"the renderer {name!r}: {error.message}", path=error.path or path, line=error.line
        ) from error
    except Exception as error:  # the boundary around plugin code: it may fail in any way
        raise RenderError(f"the renderer {name!r}: {type(error).__name__}: {error}", path=path) from error
