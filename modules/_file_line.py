"""Edit one line of a text, as pure functions from lines to lines."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..common.errors import CommandExecutionError
from ._file_text import line_end, newline_of, split_lines

MODES = ("ensure", "replace", "delete", "insert")


class NoSuchLine(CommandExecutionError):
    """The text has no line that matches."""


@dataclass(frozen=True, slots=True)
class LineEdit:
    """What is to become of one line; `match`, `before` and `after` are expressions or texts."""

    mode: str
    content: str
    match: str | None = None
    before: str | None = None
    after: str | None = None
    location: str | None = None
    indent: bool = True

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise CommandExecutionError(f"mode must be one of {', '.join(MODES)}, not {self.mode!r}")


def edit_line(text: str, edit: LineEdit) -> str:
    """Return the text after the edit; raises `NoSuchLine` where nothing in it matches."""
    newline = newline_of(text)
    given = split_lines(text)
    lines = [line.removesuffix(line_end(line)) for line in given]
    changed = _EDITS[edit.mode](lines, edit)
    if changed == lines:
        return text
    ends = not given or bool(line_end(given[-1])) or edit.mode == "insert"
    return newline.join(changed) + (newline if changed and ends else "")


def _matches(line: str, wanted: str) -> bool:
    if wanted in line:
        return True
    try:
        return re.search(wanted, line) is not None
    except re.error:
        return False


def _positions(lines: list[str], wanted: str) -> list[int]:
    return [number for number, line in enumerate(lines) if _matches(line, wanted)]


def _one(lines: list[str], wanted: str) -> int:
    found = _positions(lines, wanted)
    if not found:
        raise NoSuchLine(f"no line matches {wanted!r}")
    return found[0]


def _indented(content: str, model: str, indent: bool) -> str:
    if not indent:
        return content
    return model[: len(model) - len(model.lstrip())] + content.lstrip()


def _replace(lines: list[str], edit: LineEdit) -> list[str]:
    wanted = edit.match or edit.content
    found = _positions(lines, wanted)
    if not found:
        if edit.content in lines:
            return lines
        raise NoSuchLine(f"no line matches {wanted!r}")
    return [_indented(edit.content, line, edit.indent) if i in found else line for i, line in enumerate(lines)]


def _delete(lines: list[str], edit: LineEdit) -> list[str]:
    wanted = edit.match or edit.content
    if not wanted:
        raise CommandExecutionError("mode delete needs match or content")
    return [line for line in lines if not _matches(line, wanted)]


def _insert(lines: list[str], edit: LineEdit) -> list[str]:
    if edit.content.strip() in (line.strip() for line in lines):
        return lines
    if edit.location in ("start", "end"):
        return [edit.content, *lines] if edit.location == "start" else [*lines, edit.content]
    if edit.before is None and edit.after is None:
        raise CommandExecutionError("mode insert needs a location (start or end), before or after")
    return _beside(lines, edit)


def _beside(lines: list[str], edit: LineEdit) -> list[str]:
    """Put the content after the line `after`, else before the line `before`."""
    if edit.after is not None:
        place = _one(lines, edit.after)
        new = _indented(edit.content, lines[place], edit.indent)
        return [*lines[: place + 1], new, *lines[place + 1 :]]
    place = _one(lines, edit.before or "")
    return [*lines[:place], _indented(edit.content, lines[place], edit.indent), *lines[place:]]


def _ensure(lines: list[str], edit: LineEdit) -> list[str]:
    content = edit.content.strip()
    if edit.after is not None and edit.before is not None:
        first, last = _one(lines, edit.after), _one(lines, edit.before)
        between = lines[first + 1 : last]
        if [line.strip() for line in between] == [content]:
            return lines
        if len(between) > 1:
            raise CommandExecutionError("there is more than one line between the two")
        return [*lines[: first + 1], _indented(edit.content, lines[first], edit.indent), *lines[last:]]
    if edit.after is None and edit.before is None:
        raise CommandExecutionError("mode ensure needs before or after")
    place = _one(lines, edit.after or edit.before or "")
    beside = place + 1 if edit.after is not None else place - 1
    if 0 <= beside < len(lines) and lines[beside].strip() == content:
        return lines
    return _beside(lines, edit)


_EDITS = {"replace": _replace, "delete": _delete, "insert": _insert, "ensure": _ensure}
