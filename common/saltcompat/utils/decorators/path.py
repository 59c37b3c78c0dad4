"""`salt.utils.decorators.path`: functions that need a program."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ....errors import CommandExecutionError

F = TypeVar("F", bound=Callable[..., Any])


def which(program: str) -> Callable[[F], F]:
    """Have a function fail with a sentence where a program is not installed."""
    return which_bin([program])


def which_bin(programs: Sequence[str]) -> Callable[[F], F]:
    """Have a function fail with a sentence where none of several programs is installed."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            if not any(shutil.which(program) for program in programs):
                raise CommandExecutionError(f"'{' or '.join(programs)}' is not installed")
            return function(*args, **kwargs)

        return checked  # type: ignore[return-value]

    return decorate
