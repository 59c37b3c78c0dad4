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
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from .errors import ArgumentError, nearest
from .secret import MASK, is_secret, sounds_secret

Mode = Annotated[str, "mode"]
"""A file's mode as four octal digits or `keep`; written as 644, '644', '0644'."""

_KEYWORD = re.compile(r"([^\d\W][\w.-]*)=(?!=)(.*)", re.DOTALL)
_INTEGER = re.compile(r"[-+]?\d+")
_FLOAT = re.compile(r"[-+]?(\d+\.\d*|\.\d+)([eE][-+]?\d+)?")
_WORDS: dict[str, bool | None] = {"null": None, "~": None}
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
# Functions of `cmd` whose arguments are names, and the keywords that hold a command.
_NO_COMMAND = frozenset({"cmd.which_bin"})
_COMMAND_KEYS = frozenset({"cmd", "source", "code"})
MAX_INTEGER_DIGITS = 18
MAX_BRACKETS = 10_000
MAX_USAGE = 100


def parse_cli(words: Sequence[str], literal: Sequence[str] = (), fun: str = "") -> tuple[list[Any], dict[str, Any]]:
    """Split a command line's words into positional and keyword arguments, with values read as YAML reads them.

    Keywords named in `literal` are kept as text, and so are the commands that `fun` is for: `cmd.run '[ -f x ]'`.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    read = _command_text if fun.startswith("cmd.") and fun not in _NO_COMMAND else parse_value
    command = _hidden_command(words) if read is _command_text else None
    for position, word in enumerate(words):
        found = None if position == command else _KEYWORD.fullmatch(word)
        if found:
            plain = found[1] in literal or (read is _command_text and found[1] in _COMMAND_KEYS)
            kwargs[found[1]] = found[2] if plain else parse_value(found[2])
        else:
            args.append(read(word))
    return args, kwargs


def _command_text(word: str) -> Any:
    """Take a word as it is; only an argument list, as JSON or YAML write it, is read: `["ls", "-l"]`."""
    return parse_value(word) if word.startswith(('["', "['")) else word


def _hidden_command(words: Sequence[str]) -> int | None:
    """Find the command in words that all look like keywords: `FOO=1 env` has a blank, and none is named `cmd`."""
    keys = [found[1] if (found := _KEYWORD.fullmatch(word)) else "" for word in words]
    if not all(keys) or _COMMAND_KEYS & set(keys):
        return None
    return next((position for position, word in enumerate(words) if " " in word), None)


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

    if text.count("[") + text.count("{") > MAX_BRACKETS:  # libyaml's composer recurses, and would overflow the stack
        return text
    try:
        if "&" in text and "*" in text:  # aliases could make it grow without bound
            value = _with_aliases(text)
        else:
            value = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe
    except (yaml.YAMLError, ValueError, TypeError, OverflowError):  # the others: dates, numbers and keys that are none
        return text
    return value if isinstance(value, dict | list | str) else text


def _with_aliases(text: str) -> Any:
    from . import render_yaml

    return render_yaml.load(text)


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


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a function's signature says of its arguments, worked out once."""

    parameters: Mapping[str, inspect.Parameter]
    named: Mapping[str, inspect.Parameter]
    positional: tuple[str, ...]
    required: tuple[str, ...]
    takes_any: bool
    takes_more: bool


@functools.lru_cache(maxsize=4096)
def _shape(function: Callable[..., Any]) -> _Shape:
    parameters = signature(function).parameters
    kinds = {p.kind for p in parameters.values()}
    named = {n: p for n, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    return _Shape(
        parameters,
        named,
        tuple(n for n, p in named.items() if p.kind is not p.KEYWORD_ONLY),
        tuple(n for n, p in named.items() if p.default is p.empty),
        inspect.Parameter.VAR_KEYWORD in kinds,
        inspect.Parameter.VAR_POSITIONAL in kinds,
    )


def takes_any(function: Callable[..., Any]) -> bool:
    """Tell whether a function takes keyword arguments that it does not name."""
    return _shape(function).takes_any


def bind(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], name: str = ""
) -> tuple[list[Any], dict[str, Any]]:
    """Fit arguments to a function: coerced by its annotations. Raises `ArgumentError` with every mistake in it."""
    label = name or function.__name__
    shape = _shape(function)
    known = {key: value for key, value in kwargs.items() if shape.takes_any or not key.startswith("__")}
    mistakes = _misfits(shape, len(args), known)
    hints = _hints(function) if args or known else {}  # they are dear, and a call without arguments needs none
    fitting = zip(shape.positional, args, strict=False)
    new_args = [_fit(value, shape.parameters[key], hints, mistakes) for key, value in fitting]
    new_args += args[len(new_args) :]
    new_kwargs = {
        key: _fit(value, shape.parameters[key], hints, mistakes) if key in shape.parameters else value
        for key, value in known.items()
    }
    if mistakes:
        raise ArgumentError(f"{label}: {'; '.join(mistakes)}", hint=usage(function, label))
    return new_args, new_kwargs


def usage(function: Callable[..., Any], name: str) -> str:
    """Write in a short line how a function is called: what it needs, and of the rest what has room."""
    required, optional = [], []
    for parameter in signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            optional.append(f"{'*' if parameter.kind is parameter.VAR_POSITIONAL else '**'}{parameter.name}")
        elif parameter.default is parameter.empty:
            required.append(parameter.name)
        else:
            optional.append(f"{parameter.name}={parameter.default!r}")
    text = f"{name}({', '.join(required)}"
    for position, word in enumerate(optional):
        if len(text) + len(word) > MAX_USAGE:
            word, optional = "...", optional[: position + 1]
        text += f"{', ' if not text.endswith('(') else ''}{word}"
        if word == "...":
            break
    return f"{text})"


def take_keywords(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Read texts such as `test=True` among positional arguments as the keywords that a function has: Salt's way.

    A function that takes any words (`file.append`) gets them as they are, but for the keywords that it names.
    """
    if not any(isinstance(value, str) and "=" in value for value in args):
        return list(args), dict(kwargs)
    shape = _shape(function)
    any_key = shape.takes_any and not shape.takes_more
    positional: list[Any] = []
    named = dict(kwargs)
    for value in args:
        found = _KEYWORD.fullmatch(value) if isinstance(value, str) else None
        if found and found[1] not in named and (any_key or found[1] in shape.named):
            named[found[1]] = parse_value(found[2])
        else:
            positional.append(value)
    return positional, named


def problems(function: Callable[..., Any], given: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with keyword arguments for a function, one sentence each; nothing is called."""
    shape = _shape(function)
    mistakes = _misfits(shape, 0, given)
    hints = _hints(function)
    for key, value in given.items():
        if key in shape.parameters:
            _fit(value, shape.parameters[key], hints, mistakes)
    return mistakes


def misfits(function: Callable[..., Any], count: int, kwargs: Mapping[str, Any]) -> list[str]:
    """Return which of `count` positional and these keyword arguments a function has no place for, or lacks."""
    return _misfits(_shape(function), count, kwargs)


def _misfits(shape: _Shape, count: int, kwargs: Mapping[str, Any]) -> list[str]:
    mistakes = []
    if count > len(shape.positional) and not shape.takes_more:
        mistakes.append(_too_many(len(shape.positional), count))
    if not shape.takes_any:
        mistakes += [_unknown(key, shape.named) for key in kwargs if key not in shape.named]
    filled = shape.positional[:count]
    mistakes += [f"'{key}' was given twice" for key in filled if key in kwargs]
    missing = [key for key in shape.required if key not in kwargs and key not in filled]
    if missing:
        mistakes.append("missing " + ", ".join(f"'{key}'" for key in missing))
    return mistakes


def _too_many(most: int, count: int) -> str:
    given = f"{count} {'was' if count == 1 else 'were'} given"
    if not most:
        return f"takes no arguments, and {given}"
    return f"takes at most {most} argument{'' if most == 1 else 's'}, and {given}"


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
        shown = MASK if is_secret(hint) or sounds_secret(parameter.name) else f"{value!r:.80}"
        mistakes.append(f"'{parameter.name}' must be {describe(hint)}, not {shown}")
        return value


def _admits_none(hint: Any) -> bool:
    if get_origin(hint) is Annotated:
        return _admits_none(get_args(hint)[0])
    return hint is Any or hint is object or hint is None or type(None) in get_args(hint)


def coerce(value: Any, hint: Any) -> Any:
    """Turn a value into what an annotation asks for; raises `ValueError` or `TypeError` where it does not fit."""
    if hint is Any or hint is object or type(value) is hint:
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
