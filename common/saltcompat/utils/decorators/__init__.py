"""`salt.utils.decorators`: what plugins put over their functions."""

from __future__ import annotations

import functools
import importlib
import shutil
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

memoize = functools.cache


def depends(*needed: Any, fallback_function: Callable[..., Any] | None = None, **_options: Any) -> Callable[[F], F]:
    """Replace a function whose Python modules, programs or conditions are missing by its fallback, or one that says so.

    A name is looked up as a Python module first, then as a program; True and False speak for themselves.
    """
    missing = [name for name in needed if not (_is_there(name) if isinstance(name, str) else name)]

    def decorate(function: F) -> F:
        if not missing:
            return function
        if fallback_function is not None:
            return functools.wraps(function)(fallback_function)  # type: ignore[return-value]

        @functools.wraps(function)
        def absent(*_args: Any, **_kwargs: Any) -> Any:
            from ....errors import CommandExecutionError

            raise CommandExecutionError(f"{function.__name__} needs {', '.join(map(str, missing))}")

        return absent  # type: ignore[return-value]

    return decorate


def _is_there(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return shutil.which(name) is not None
    return True


def ensure_unicode_args(function: F) -> F:
    """Leave a function as it is: text is Unicode."""
    return function


def is_deprecated(*_args: Any, **_options: Any) -> Callable[[F], F]:
    """Leave a deprecated function as it is."""
    return lambda function: function


with_deprecated = is_deprecated
