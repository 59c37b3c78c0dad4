"""Documents for programs: JSON and YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import Style
from .palette import escape, escape_json


def output_json(data: Any, style: Style) -> str:
    """Return one JSON document."""
    try:
        text = json.dumps(data, indent=style.indent, default=_plain, ensure_ascii=False)
    except TypeError:  # a key that JSON has no form for
        text = json.dumps(_plain_keys(data), indent=style.indent, default=_plain, ensure_ascii=False)
    return escape_json(text)


def output_yaml(data: Any, style: Style) -> str:
    """Return one YAML document, without its start marker."""
    import yaml

    indent = style.indent if style.indent and style.indent > 1 and style.indent != 4 else 2
    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(
        _plain_keys(data), Dumper=dumper, default_flow_style=False, allow_unicode=True, indent=indent, sort_keys=False
    )
    text = text.removesuffix("...\n").rstrip("\n")
    return escape(text) if style.terminal else text


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)


def _plain_keys(value: Any) -> Any:
    """Return a copy in terms of what JSON and YAML know, keys included."""
    if isinstance(value, Mapping):
        return {_plain_key(key): _plain_keys(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain_keys(item) for item in value]
    return value if value is None or isinstance(value, str | int | float) else _plain(value)


def _plain_key(key: Any) -> Any:
    if isinstance(key, bytes):
        return key.decode("utf-8", "backslashreplace")
    return key if key is None or isinstance(key, str | int | float) else str(key)
