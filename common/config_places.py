"""Where a setting comes from: the file and line that has it. The files are read anew, for whoever asks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import render_yaml
from .data import MISSING, lookup
from .errors import RenderError


@dataclass(frozen=True, slots=True)
class Found:
    """A place that sets a key: the file, the line, and the value there."""

    path: str
    line: int
    value: Any


def places(directory: Path, name: str, key: str, delimiter: str = ":") -> list[Found]:
    """Find a key (`a:b`) in the files of a configuration, in the order in which they are read: the last one counts."""
    return [
        found
        for path in [directory / name, *sorted((directory / f"{name}.d").glob("*.conf"))]
        if (found := find(path, key, delimiter)) is not None
    ]


def find(path: Path, key: str, delimiter: str = ":") -> Found | None:
    """Find a key in one YAML file."""
    marks: dict[tuple[str, ...], int] = {}
    try:
        data = render_yaml.load(path.read_text(encoding="utf-8"), path=str(path), marks=marks)
    except (OSError, UnicodeDecodeError, RenderError):
        return None
    value = lookup(data, key, MISSING, delimiter) if isinstance(data, dict) else MISSING
    return None if value is MISSING else Found(str(path), line_of(marks, key, delimiter), value)


def line_of(marks: dict[tuple[str, ...], int], key: str, delimiter: str = ":") -> int:
    """Return the line of the deepest part of a key whose line is known."""
    words = key.split(delimiter)
    known = (marks[tuple(words[:depth])] for depth in range(len(words), 0, -1) if tuple(words[:depth]) in marks)
    return next(known, 0)
