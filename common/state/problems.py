"""What is wrong with a tree: a sentence with the place it is about, shown with the lines of the file there."""

from __future__ import annotations

from collections.abc import Iterable

from .. import render_yaml
from ..context import FileSource
from ..errors import CtlError
from .low import Place

AROUND = 1


class Problem(str):
    """A sentence about a mistake, and the place of it where that is known."""

    place: Place | None

    def __new__(cls, text: str, place: Place | None = None) -> Problem:
        """Make one; the sentence is taken as it is."""
        made = super().__new__(cls, text)
        made.place = place
        return made


def at(text: str, place: Place | None) -> Problem:
    """Make a problem whose sentence ends with its place."""
    return Problem(f"{text} ({place})" if place else text, place)


def shown(problems: Iterable[str], files: FileSource) -> list[str]:
    """Add to each problem the lines around its place; one that has no place, or shows lines already, stays."""
    texts: dict[tuple[str, str], str] = {}
    return [_with_lines(problem, files, texts) for problem in problems]


def _with_lines(problem: str, files: FileSource, texts: dict[tuple[str, str], str]) -> str:
    place = problem.place if isinstance(problem, Problem) else None
    if place is None or not place.line:
        return str(problem)
    key = (place.saltenv, place.path)
    if key not in texts:
        texts[key] = _read(files, place)
    lines = render_yaml.excerpt(texts[key], place.line, AROUND)
    return f"{problem}\n{lines}" if lines else str(problem)


def _read(files: FileSource, place: Place) -> str:
    try:
        return files.fetch(place.path, place.saltenv).read_text(errors="replace")
    except (CtlError, OSError):
        return ""  # SLS text that is no file of the tree, or a file that has gone
