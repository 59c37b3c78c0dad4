"""Keep one line of a text file: there, gone, or another."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from ..common.errors import CommandExecutionError
from ..common.state.plan import Plan, same
from ._attributes import attributes
from ._content import content_of_bytes
from ._edited import newline_of, plan_edit, read_text
from ._managed import Wanted, check_name, plan_file
from ._planning import Missing, planning

__virtualname__ = "file"

MODES = ("ensure", "replace", "delete", "insert")


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


@planning
def line(
    name: str,
    content: str | None = None,
    match: str | None = None,
    mode: str | None = None,
    location: str | None = None,
    before: str | None = None,
    after: str | None = None,
    show_changes: bool = True,
    backup: str | bool = False,
    quiet: bool = False,
    indent: bool = True,
    create: bool = False,
    user: str | int | None = None,
    group: str | int | None = None,
    file_mode: str | None = None,
) -> Plan:
    """Edit one line of a file.

    mode
        `ensure`: `content` is the line next to `before` or `after` (or between both), put there where it is not.
        `replace`: the lines that `match` matches become `content`.
        `delete`: the lines that `match` matches (or that are `content`) go.
        `insert`: `content` is added at the `location` (`start` or `end`), or next to `before` or `after`.
    content, match
        The line, and the text or expression of the lines meant (default: `content`).
    indent
        Keep the indentation of the line that is replaced, or of the one next to it.
    create, user, group, file_mode
        Make the file where it is not there, with this owner and mode.
    quiet
        Succeed where nothing matches.

    SLS example:

        /etc/default/grub:
          file.line:
            - mode: replace
            - match: ^GRUB_TIMEOUT=
            - content: GRUB_TIMEOUT=1
    """
    path = check_name(name)
    if mode is None or mode.lower() not in MODES:
        raise CommandExecutionError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    edit = LineEdit(mode.lower(), content or "", match, before, after, location, indent)
    if create and not os.path.lexists(path):
        made = content_of_bytes((edit.content + "\n").encode() if edit.content and mode != "delete" else b"")
        return plan_file(Wanted(path, made, attributes(user, group, file_mode)))
    old = read_text(path)
    try:
        new = edit_line(old, edit)
    except Missing as error:
        if quiet:
            return same(str(error))
        raise
    return plan_edit(
        path,
        old,
        new,
        why_same=f"File {path} needs no change",
        done=f"Changes were made to {path}",
        backup=".bak" if backup is True else backup or "",
        show_changes=show_changes,
    )


def edit_line(text: str, edit: LineEdit) -> str:
    """Return the text after the edit; raises `Missing` where nothing in it matches."""
    newline = newline_of(text)
    lines = text.splitlines()
    changed = _EDITS[edit.mode](lines, edit)
    if changed == lines:
        return text
    ends = text.endswith("\n") or not text or edit.mode == "insert"
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
        raise Missing(f"no line matches {wanted!r}")
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
        raise Missing(f"no line matches {wanted!r}")
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
