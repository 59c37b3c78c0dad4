"""How results print: `render(name, data, style)` gives the text; an outputter is imported when it is used.

An outputter is a function `(data, style) -> str` without a final newline. `data` is what there is to show: for a
return of a minion `{id: return}`, for a runner its bare return.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...common.errors import ConfigError, nearest
from .palette import Palette

Outputter = Callable[[Any, "Style"], str]

DEFAULT = "nested"
# name -> (module, function)
_HOMES = {
    "nested": ("nested", "output"),
    "highstate": ("highstate", "output"),
    "json": ("documents", "output_json"),
    "yaml": ("documents", "output_yaml"),
    "raw": ("plain", "output_raw"),
    "pprint": ("plain", "output_pprint"),
    "txt": ("plain", "output_txt"),
    "newline_values_only": ("plain", "output_values"),
    "no_return": ("plain", "output_missing"),
    "quiet": ("plain", "output_nothing"),
    "table": ("table", "output"),
    "key": ("keys", "output"),
}
NAMES = tuple(_HOMES)
# What a program reads: nothing but documents may go to standard output beside it.
DOCUMENTS = frozenset({"json", "yaml", "raw", "pprint"})
# What a return may ask for on its own; one that could hide itself is not among them.
_FOR_RETURNS = frozenset({"nested", "highstate", "txt", "table", "raw", "pprint", "json", "yaml"})
STATE_RUNS = frozenset(
    f"state.{name}"
    for name in (
        "apply",
        "highstate",
        "sls",
        "sls_id",
        "single",
        "low",
        "high",
        "top",
        "template",
        "template_str",
        "pkg",
    )
)


class Style(NamedTuple):
    """How to print. `indent` None means none; `terminal` that controls must not get through to it."""

    color: bool = False
    terminal: bool = False
    indent: int | None = 4
    state_output: str = "full"
    state_verbose: bool = True
    state_output_diff: bool = False
    state_output_profile: bool = True
    exclude: tuple[str, ...] = ()
    terse: tuple[str, ...] = ()

    @property
    def palette(self) -> Palette:
        """The colours to print with."""
        return Palette(self.color)


def check_name(name: str) -> str:
    """Return the name of an outputter; raises `ConfigError` with the nearest one where there is none."""
    if name in _HOMES:
        return name
    close = nearest(name, _HOMES)
    hint = f"did you mean {close}?" if close else f"known: {', '.join(NAMES)}"
    raise ConfigError(f"there is no outputter {name!r}", hint=hint)


def find(name: str) -> Outputter:
    """Return an outputter by its name; raises `ConfigError` where there is none."""
    import importlib

    module, function = _HOMES[check_name(name)]
    found: Outputter = getattr(importlib.import_module(f".{module}", __name__), function)
    return found


def choose(asked: str, out: str, fun: Any) -> str:
    """Choose the outputter of a return: the one asked for, else what the return says, else by its function."""
    if asked:
        return asked
    if out in _FOR_RETURNS:
        return out
    return "highstate" if isinstance(fun, str) and fun in STATE_RUNS else DEFAULT


def render(name: str, data: Any, style: Style) -> str:
    """Return `data` as text by the outputter `name`; data that it cannot show is shown nested."""
    return find(name)(data, style)
