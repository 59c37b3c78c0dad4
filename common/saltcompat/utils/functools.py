"""`salt.utils.functools`: functions of other modules."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any


def namespaced_function(
    function: types.FunctionType, global_dict: Mapping[str, Any], *_args: Any, **_options: Any
) -> types.FunctionType:
    """Return a function that sees the names of another module, over those of its own."""
    names = {**function.__globals__, **global_dict}
    copied = types.FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    copied.__kwdefaults__ = function.__kwdefaults__
    copied.__dict__.update(function.__dict__)
    return copied


def alias_function(fun: types.FunctionType, name: str, doc: str | None = None) -> Callable[..., Any]:
    """Return a function under another name."""
    copied = namespaced_function(fun, {})
    copied.__name__ = name
    copied.__doc__ = doc or f"This is an alias of {fun.__name__}.\n{fun.__doc__ or ''}"
    return copied
