"""Arguments of plugins' functions: from the words of a command line, checked and coerced by the function's signature.

The annotations are the schema. Values are coerced as users of YAML expect: a mode as `644` or `'0644'`, an id as `0` or
`'0'`, `yes` for True, one word where a list is wanted.
"""

from __future__ import annotations

import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from .errors import ArgumentError, nearest

Mode = Annotated[str, "mode"]
"""A file's mode as four octal digits or `keep`; written as 644, '644', '0644'."""

_KEYWORD = re.compile(r"([^\d\W][\w.-]*)=(?!=)(.*)", re.DOTALL)
_INTEGER = re.compile(r"[-+]?\d+")
_FLOAT = re.compile(r"[-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?")
_WORDS: dict[str, bool | None] = {"null": None, "~": None}
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
MAX_INTEGER_DIGITS = 18


def parse_cli(words: Sequence[str], literal: Sequence[str] = ()) -> tuple[list[Any], dict[str, Any]]:
    """Split a command line's words into positional and keyword arguments, with values read as YAML reads them.

    Keywords named in `literal` are kept as text.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for word in words:
        if found := _KEYWORD.fullmatch(word):
            kwargs[found[1]] = found[2] if found[1] in literal else parse_value(found[2])
        else:
            args.append(parse_value(word))
    return args, kwargs


def parse_value(text: str) -> Any:
    """Read one word: a number, a boolean, null, a list or mapping in brackets, a quoted string, or itself."""
    if not text:
        return text
    if _INTEGER.fullmatch(text) and len(text) <= MAX_INTEGER_DIGITS:
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    lower = text.lower()
    if lower in _BOOLEANS:
        return _BOOLEANS[lower]
    if lower in _WORDS:
        return None
    return _parse_yaml(text) if text[0] in "{['\"" else text


def _parse_yaml(text: str) -> Any:
    import yaml  # only words in brackets and quotes need it

    try:
        value = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe
    except yaml.YAMLError:
        return text
    return value if isinstance(value, dict | list | str) else text


@functools.lru_cache(maxsize=4096)
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return {}  # a user's annotation that cannot be resolved checks nothing


@functools.lru_cache(maxsize=4096)
def signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return a function's signature; kept, since a run asks for the same ones again and again."""
    return inspect.signature(function)


def bind(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], name: str = ""
) -> tuple[list[Any], dict[str, Any]]:
    """Fit arguments to a function: coerced by its annotations. Raises `ArgumentError` with every mistake in it."""
    label = name or function.__name__
    parameters = signature(function).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    known = {key: value for key, value in kwargs.items() if takes_any or not key.startswith("__")}
    mistakes = _misfits(parameters, len(args), known)
    hints = _hints(function)
    positional = [p for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    new_args = [
        _fit(value, positional[i], hints, mistakes) if i < len(positional) else value for i, value in enumerate(args)
    ]
    new_kwargs = {
        key: _fit(value, parameters[key], hints, mistakes) if key in parameters else value
        for key, value in known.items()
    }
    if mistakes:
        raise ArgumentError(f"{label}: {'; '.join(mistakes)}", hint=f"{label}{signature(function)}")
    return new_args, new_kwargs


def problems(function: Callable[..., Any], given: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with keyword arguments for a function, one sentence each; nothing is called."""
    parameters = signature(function).parameters
    mistakes = _misfits(parameters, 0, given)
    hints = _hints(function)
    for key, value in given.items():
        if key in parameters:
            _fit(value, parameters[key], hints, mistakes)
    return mistakes


def _misfits(parameters: Mapping[str, inspect.Parameter], count: int, kwargs: Mapping[str, Any]) -> list[str]:
    mistakes = []
    named = {n: p for n, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    positional = [n for n, p in named.items() if p.kind is not p.KEYWORD_ONLY]
    if count > len(positional) and not any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        mistakes.append(f"takes at most {len(positional)} arguments, and {count} were given")
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        mistakes += [_unknown(key, named) for key in kwargs if key not in named]
    mistakes += [f"'{key}' was given twice" for key in positional[:count] if key in kwargs]
    taken = set(positional[:count]) | set(kwargs)
    missing = [n for n, p in named.items() if p.default is p.empty and n not in taken]
    if missing:
        mistakes.append("missing " + ", ".join(f"'{n}'" for n in missing))
    return mistakes


def _unknown(key: str, named: Mapping[str, Any]) -> str:
    close = nearest(key, named)
    return f"unknown argument '{key}'" + (f" (did you mean '{close}'?)" if close else "")


def _fit(value: Any, parameter: inspect.Parameter, hints: Mapping[str, Any], mistakes: list[str]) -> Any:
    hint = hints.get(parameter.name, Any)
    if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
        return value
    if value is None and parameter.default is not parameter.empty:
        return None if _admits_none(hint) else parameter.default
    try:
        return coerce(value, hint)
    except (ValueError, TypeError):
        mistakes.append(f"'{parameter.name}' must be {describe(hint)}, not {value!r:.80}")
        return value


def _admits_none(hint: Any) -> bool:
    return hint is Any or hint is object or hint is None or type(None) in get_args(hint)


def coerce(value: Any, hint: Any) -> Any:
    """Turn a value into what an annotation asks for; raises `ValueError` or `TypeError` where it does not fit."""
    if hint is Any or hint is object:
        return value
    origin = get_origin(hint)
    if origin is Annotated:
        return _mode(value) if hint.__metadata__ == ("mode",) else coerce(value, get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return _coerce_union(value, get_args(hint))
    if origin is Literal:
        if value in get_args(hint):
            return value
        raise ValueError("none of the allowed words")
    plain = origin or hint
    if plain in _COERCERS:
        return _COERCERS[plain](value, get_args(hint))
    return value


def _coerce_union(value: Any, members: Sequence[Any]) -> Any:
    if value is None and type(None) in members:
        return None
    for member in members:
        plain = get_origin(member) or member
        if plain is Any or (isinstance(plain, type) and type(value) is plain):
            return coerce(value, member)
    for member in members:
        if member is not type(None):
            try:
                return coerce(value, member)
            except (ValueError, TypeError):
                continue
    raise ValueError("fits none of the types")


def _mode(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError("a mode is written in octal digits")
    text = str(value).strip().removeprefix("0o")
    if text == "keep":
        return text
    if not re.fullmatch(r"[0-7]{1,5}", text):
        raise ValueError("a mode is written in octal digits")
    return text.lstrip("0").rjust(4, "0") if len(text.lstrip("0")) <= 4 else text


def _to_str(value: Any, _members: tuple[Any, ...]) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode()
    if value is None or isinstance(value, Mapping | list | tuple | set):
        raise TypeError("not a text")
    return str(value)


def _to_int(value: Any, _members: tuple[Any, ...]) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("not a whole number")
    if isinstance(value, str | int | float):
        return int(value)
    raise TypeError("not a number")


def _to_float(value: Any, _members: tuple[Any, ...]) -> float:
    if isinstance(value, str | int | float):
        return float(value)
    raise TypeError("not a number")


def _to_bool(value: Any, _members: tuple[Any, ...]) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _BOOLEANS:
        return _BOOLEANS[value.lower()]
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise ValueError("not a boolean")


def _to_list(value: Any, members: tuple[Any, ...]) -> list[Any]:
    if isinstance(value, str | int | float | bytes):
        items = [value]
    elif isinstance(value, list | tuple | set | frozenset):
        items = list(value)
    else:
        raise TypeError("not a list")
    return [coerce(item, members[0]) for item in items] if members else items


def _to_dict(value: Any, members: tuple[Any, ...]) -> dict[Any, Any]:
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        value = {key: inner for item in value for key, inner in item.items()}
    if not isinstance(value, Mapping):
        raise TypeError("not a mapping")
    if len(members) == 2:
        return {coerce(key, members[0]): coerce(inner, members[1]) for key, inner in value.items()}
    return dict(value)


_COERCERS: dict[Any, Callable[[Any, tuple[Any, ...]], Any]] = {
    str: _to_str,
    int: _to_int,
    float: _to_float,
    bool: _to_bool,
    list: _to_list,
    dict: _to_dict,
}
_NAMES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a mapping",
    type(None): "empty",
}


def describe(hint: Any) -> str:
    """Say in words what an annotation asks for."""
    origin = get_origin(hint)
    if origin is Annotated:
        return "a mode in octal digits" if hint.__metadata__ == ("mode",) else describe(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return " or ".join(describe(member) for member in get_args(hint) if member is not type(None))
    if origin is Literal:
        return "one of " + ", ".join(repr(word) for word in get_args(hint))
    name = _NAMES.get(origin or hint)
    return name if name else getattr(hint, "__name__", str(hint))
