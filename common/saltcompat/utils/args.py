"""`salt.utils.args`: arguments of functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ...arguments import parse_value

yamlify_arg = parse_value


def clean_kwargs(**kwargs: Any) -> dict[str, Any]:
    """Return the arguments without those that begin with two underscores."""
    return {key: value for key, value in kwargs.items() if not key.startswith("__")}


def invalid_kwargs(invalid: Mapping[str, Any], raise_exc: bool = True) -> str:
    """Complain about arguments that are not understood."""
    message = "The following keyword arguments are not valid: " + ", ".join(f"{k}={v}" for k, v in invalid.items())
    if raise_exc:
        raise TypeError(message)
    return message


def get_function_argspec(function: Callable[..., Any]) -> inspect.FullArgSpec:
    """Return what arguments a function takes."""
    return inspect.getfullargspec(function)


def split_input(value: str | list[str], mapper: Callable[[Any], str] = str) -> list[str]:
    """Split a comma-separated text; the items of a list become texts."""
    items = value.split(",") if isinstance(value, str) else value
    return [mapper(item).strip() for item in items]
