"""Keep one line of a text file: there, gone, or another."""

from __future__ import annotations

import os

from ..common.state.plan import Plan, same
from ..modules._file_line import LineEdit, NoSuchLine, edit_line
from ._attributes import attributes
from ._content import content_of_bytes
from ._edited import plan_edit, read_text
from ._managed import Wanted, check_name, plan_file
from ._planning import Missing, planning

__virtualname__ = "file"


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
    edit = LineEdit((mode or "").lower(), content or "", match, before, after, location, indent)
    if create and not os.path.lexists(path):
        made = content_of_bytes((edit.content + "\n").encode() if edit.content and mode != "delete" else b"")
        return plan_file(Wanted(path, made, attributes(user, group, file_mode)))
    old = read_text(path)
    try:
        new = edit_line(old, edit)
    except NoSuchLine as error:
        if quiet:
            return same(str(error))
        raise Missing(str(error)) from error
    return plan_edit(
        path,
        old,
        new,
        why_same=f"File {path} needs no change",
        done=f"Changes were made to {path}",
        backup=".bak" if backup is True else backup or "",
        show_changes=show_changes,
    )
