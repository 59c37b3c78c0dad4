"""Decrypt what is encrypted in pillar: the keys that `decrypt_pillar` names, and values given with `pillar_enc`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .data import MISSING, lookup
from .errors import CommandExecutionError, CtlError
from .render import Renderer

DEFAULT = "gpg"


def decrypt_keys(
    pillar: dict[str, Any], config: Mapping[str, Any], renderer: Renderer, fail: Callable[[str, str], None]
) -> None:
    """Decrypt, in `pillar`, what is at the keys of `decrypt_pillar`; what goes wrong is told to `fail`."""
    delimiter = str(config.get("decrypt_pillar_delimiter") or ":")
    for key, engine in _wanted(config, fail):
        value = lookup(pillar, key, MISSING, delimiter)
        if value is MISSING:
            continue
        try:
            found = decrypted(value, engine, config, renderer)
        except CtlError as error:
            fail(f"the pillar key {key!r} cannot be decrypted: {error.message}", f"decrypt_pillar: {key}: {error}")
            continue
        _put(pillar, key.split(delimiter), found, delimiter)


def decrypted(value: Any, engine: str, config: Mapping[str, Any], renderer: Renderer) -> Any:
    """Send a value through a renderer that `decrypt_pillar_renderers` allows."""
    allowed = [str(name) for name in config.get("decrypt_pillar_renderers") or [DEFAULT]]
    if engine not in allowed:
        raise CommandExecutionError(
            f"{engine!r} may not decrypt pillar", hint=f"decrypt_pillar_renderers allows {', '.join(allowed)}"
        )
    return renderer.data(value, engine, path="pillar")


def _wanted(config: Mapping[str, Any], fail: Callable[[str, str], None]) -> Iterator[tuple[str, str]]:
    default = str(config.get("decrypt_pillar_default") or DEFAULT)
    given = config.get("decrypt_pillar") or []
    for entry in [given] if isinstance(given, Mapping) else given:
        if isinstance(entry, str):
            yield entry, default
        elif isinstance(entry, Mapping):
            yield from ((str(key), str(engine or default)) for key, engine in entry.items())
        else:
            sentence = f"decrypt_pillar: {entry!r} is neither a key nor a key with its renderer"
            fail(sentence, sentence)


def _put(data: Any, words: list[str], value: Any, delimiter: str) -> None:
    """Put a value where `lookup` found one."""
    while not (isinstance(data, dict) and delimiter.join(words) in data):
        if len(words) == 1:
            break
        data, words = lookup(data, words[0], delimiter=delimiter), words[1:]
    word: Any = delimiter.join(words)
    if isinstance(data, list):
        holders = [item for item in data if isinstance(item, dict) and word in item]
        data, word = (holders[0], word) if holders and not word.lstrip("-").isdecimal() else (data, int(word))
    data[word if not isinstance(data, dict) or word in data else int(word)] = value
