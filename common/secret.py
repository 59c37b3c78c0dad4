"""Secrets: how a value is marked as one, and how it is kept out of what people, logs and caches see.

A parameter of a plugin is a secret by its annotation, `password: Secret[str]`, whatever type it has. Three ways lead
from there to a mask, for what is at hand in each place:

- the function: `mask_call` gives the arguments of a call as they may be written down;
- names alone: `mask_named` goes by what keys are called (`password`, `token`, …), for data that has no signature;
- values alone: `remember` notes the secrets that a process has been given, `redact` takes them out of texts and data
  that come later: log lines, errors, tracebacks, comments and diffs.

Masks replace values of every type, whole or inside others, and keys of mappings too.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
import threading
import typing
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar, get_args, get_origin

T = TypeVar("T")
_MARK = "secret"
Secret = Annotated[T, _MARK]
"""The type of a parameter whose value must not be shown: `Secret[str]`, `Secret[str | None]`, `Secret[list[str]]`."""

MASK = "**********"
MIN_REMEMBERED = 6
"""Shorter secrets are masked where their name or annotation says so, but not searched for in texts."""
MIN_LINE = 8
"""Lines of a secret of several lines (a private key) are searched for by themselves from this length on."""
MAX_DEPTH = 64
_NAMES = re.compile(
    r"(^|[_.-])(pass(word|wd|phrase)?s?|secrets?|tokens?|api[_-]?key|private[_-]?key|credentials?|psk)([_.-](hash|file)?|$)",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(?<=://)([^/?#\s@:]*):([^/?#\s@]*)@")


def is_secret(hint: Any) -> bool:
    """Tell whether an annotation marks a secret, itself or in one of the types of a union."""
    if get_origin(hint) is Annotated:
        return _MARK in hint.__metadata__ or is_secret(get_args(hint)[0])
    return get_origin(hint) in (typing.Union, type(int | str)) and any(is_secret(member) for member in get_args(hint))


@functools.lru_cache(maxsize=4096)
def secret_parameters(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of a function's parameters that are marked as secrets."""
    if not any("Secret" in str(hint) or is_secret(hint) for hint in function.__annotations__.values()):
        return frozenset()  # to resolve annotations is dear, and most functions have none of these
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return frozenset()  # a user's annotation that cannot be resolved marks nothing
    return frozenset(name for name, hint in hints.items() if name != "return" and is_secret(hint))


def sounds_secret(name: object) -> bool:
    """Tell whether a key's name is that of a secret: `password`, `db_passwd`, `api-key`, `token`, …"""
    return isinstance(name, str) and _NAMES.search(name) is not None


def mask_call(
    function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Return a call's arguments as they may be shown: secrets, by annotation or by a keyword's name, are masked."""
    secret = secret_parameters(function)
    names = _positional(function)
    shown = [MASK if position < len(names) and names[position] in secret else v for position, v in enumerate(args)]
    return mask_named(shown), {key: MASK if key in secret else value for key, value in mask_named(kwargs).items()}


def remember_call(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Note the secrets among a call's arguments, before the call: what it logs, raises or comments on is masked."""
    secret = secret_parameters(function)
    if secret:
        given = {**dict(zip(_positional(function), args, strict=False)), **kwargs}
        for name in secret & given.keys():
            remember(given[name])
    for key, value in kwargs.items():
        if sounds_secret(key):
            remember(value)


def _positional(function: Callable[..., Any]) -> list[str]:
    return [p.name for p in inspect.signature(function).parameters.values() if p.kind in _POSITIONAL]


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def mask_named(data: Any, depth: int = 0) -> Any:
    """Return `data` with every value whose key sounds like a secret masked, however deep, and passwords in URLs."""
    if isinstance(data, str):
        return mask_url(data)
    if depth >= MAX_DEPTH:
        return MASK if isinstance(data, Mapping | list | tuple) else data
    if isinstance(data, Mapping):
        return {k: MASK if sounds_secret(k) and v is not None else mask_named(v, depth + 1) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [mask_named(item, depth + 1) for item in data]
    return data


def mask_url(text: str) -> str:
    """Return a text with the passwords of URLs in it masked: `https://user:**********@host/…`."""
    return _URL_PASSWORD.sub(rf"\1:{MASK}@", text) if "://" in text else text


class Redactor:
    """The secrets that were given to somebody, and the masks for what they say afterwards. Safe for threads."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def remember(self, value: Any, depth: int = 0) -> None:
        """Note a secret: a text, bytes or a number, each item of a list, and of a mapping what its names say.

        A mapping (an environment, pillar) has values that are in every text, such as a home directory, beside secrets.
        """
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            for item in _named_secrets(value) if isinstance(value, Mapping) else value:
                if depth < MAX_DEPTH:
                    self.remember(item, depth + 1)
                if isinstance(item, str) and sounds_secret(item.partition("=")[0]):
                    self.remember(item.partition("=")[2])  # `NAME=value` of an environment
            return
        text = _as_text(value)
        if text is None or len(text.strip()) < MIN_REMEMBERED:
            return
        with self._lock:
            self._known.update(form for form in _forms(text) if len(form) >= MIN_REMEMBERED)
            self._pattern = re.compile("|".join(re.escape(word) for word in sorted(self._known, key=len, reverse=True)))

    def redact(self, value: Any, depth: int = 0) -> Any:
        """Return `value` with every remembered secret in it masked: in texts, bytes, numbers, keys and items."""
        pattern = self._pattern
        if pattern is None or value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return pattern.sub(MASK, value)
        if isinstance(value, bytes | bytearray):
            return pattern.sub(MASK, value.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        if isinstance(value, int | float):
            return MASK if pattern.fullmatch(str(value)) else value
        if depth >= MAX_DEPTH:
            return MASK if isinstance(value, Mapping | list | tuple | set | frozenset) else value
        return self._redact_items(value, depth + 1)

    def _redact_items(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping):
            return {self.redact(key, depth): self.redact(item, depth) for key, item in value.items()}
        if isinstance(value, list):
            return [self.redact(item, depth) for item in value]
        if isinstance(value, tuple):
            return tuple(self.redact(item, depth) for item in value)
        if isinstance(value, set | frozenset):
            return type(value)(self.redact(item, depth) for item in value)
        return value


_process = Redactor()
remember = _process.remember
"""Note a secret that this process was given; `redact` masks it from now on. A job is a process of its own."""
redact = _process.redact
"""Mask what `remember` was told, in texts and data."""


def _named_secrets(data: Mapping[Any, Any]) -> Iterator[Any]:
    """Give the values that sound secret, and mappings and lists of mappings, which may have some."""
    for key, value in data.items():
        if sounds_secret(key):
            yield list(value.values()) if isinstance(value, Mapping) else value
        elif isinstance(value, Mapping):
            yield value
        elif isinstance(value, list | tuple):
            yield [item for item in value if isinstance(item, Mapping | list | tuple)]


def remember_config(config: Mapping[str, Any]) -> None:
    """Note the secrets of a configuration: what its keys call so, and the passwords of URLs in it."""
    remember(config)
    for text in _texts(config):
        for found in _URL_PASSWORD.finditer(text) if "://" in text else ():
            remember(found[2])
            remember(urllib.parse.unquote(found[2]))


def _texts(data: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping | list | tuple) and depth < MAX_DEPTH:
        for item in [*data, *data.values()] if isinstance(data, Mapping) else data:
            yield from _texts(item, depth + 1)


def _as_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "surrogateescape")
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _forms(text: str) -> Iterator[str]:
    """Give a secret as it stands in texts: itself, escaped by Python, JSON and URLs, and its long lines."""
    for form in (text, text.strip()):
        yield form
        yield repr(form)[1:-1]
        yield json.dumps(form)[1:-1]
        yield urllib.parse.quote(form, safe="", errors="surrogateescape")
    lines = text.splitlines()
    if len(lines) > 1:
        yield from (line for line in lines if len(line.strip()) >= MIN_LINE)
