"""Slots: arguments that ask an execution function at the state's turn, `__slot__:salt:mod.fun(args).key ~ more`."""

from __future__ import annotations

import ast
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from ..data import lookup

log = logging.getLogger(__name__)

PREFIX = "__slot__:"
_SLOT = re.compile(r"__slot__:salt:\s*([\w.]+)\((.*)\)([^()~]*)(?:~(.*))?", re.DOTALL)


def has_slot(value: Any) -> bool:
    """Tell whether a value is a slot, or a list or mapping with one in its first two levels."""
    if isinstance(value, str):
        return value.startswith(PREFIX)
    if isinstance(value, list):
        return any(has_slot(item) for item in value if not isinstance(item, list))
    if isinstance(value, Mapping):
        return any(isinstance(item, str) and item.startswith(PREFIX) for item in value.values())
    return False


def fill(value: Any, functions: Mapping[str, Callable[..., Any]]) -> Any:
    """Return `value` with its slots replaced by what their functions return."""
    if not has_slot(value):
        return value
    if isinstance(value, list):
        return [fill(item, functions) for item in value]
    if isinstance(value, Mapping):
        return {key: fill(item, functions) if isinstance(item, str) else item for key, item in value.items()}
    return _ask(value, functions)


def _ask(slot: str, functions: Mapping[str, Callable[..., Any]]) -> Any:
    found = _SLOT.fullmatch(slot.strip())
    if not found or found.group(1) not in functions:
        log.warning("this slot is malformed, or names no execution function: %s", slot)
        return slot
    name, words, path, suffix = found.groups()
    try:
        args, kwargs = _arguments(words)
    except (SyntaxError, ValueError):
        log.warning("the arguments of this slot cannot be read: %s", slot)
        return slot
    result = functions[name](*args, **kwargs)
    if path.strip().startswith("."):
        result = lookup(result, path.strip()[1:], None, ".")
    if suffix is not None and isinstance(result, str):
        result += _unquote(suffix.strip())
    return result


def _arguments(words: str) -> tuple[list[Any], dict[str, Any]]:
    """Read `a, "b", key=3` as Python would; a bare word is a string."""
    try:
        call = ast.parse(f"f({words})", mode="eval").body
    except SyntaxError:
        return _bare_words(words)
    if not isinstance(call, ast.Call):
        raise ValueError(words)
    return [_value(node, words) for node in call.args], {
        str(keyword.arg): _value(keyword.value, words) for keyword in call.keywords
    }


def _bare_words(words: str) -> tuple[list[Any], dict[str, Any]]:
    """Read what Python does not: paths, words with dashes."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for word in words.split(","):
        key, equals, value = word.partition("=")
        if equals and key.strip().isidentifier():
            kwargs[key.strip()] = _unquote(value.strip())
        else:
            args.append(_unquote(word.strip()))
    return args, kwargs


def _value(node: ast.expr, words: str) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.get_source_segment(f"f({words})", node) or ast.unparse(node)


def _unquote(text: str) -> str:
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'" else text
