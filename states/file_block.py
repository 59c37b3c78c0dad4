"""Keep a block of text between two marker lines of a file."""

from __future__ import annotations

from typing import Any

from ..common.state.plan import Plan
from ..modules._file_text import replace_block
from ._accumulators import texts_of
from ._edited import ERRORS, plan_edit, read_text
from ._managed import check_name
from ._planning import Missing, planning
from ._recipe import Recipe

__virtualname__ = "file"

MARKER_START = "#-- start managed zone --"
MARKER_END = "#-- end managed zone --"


@planning
def blockreplace(
    name: str,
    marker_start: str = MARKER_START,
    marker_end: str = MARKER_END,
    source: str | None = None,
    source_hash: str = "",
    template: str = "jinja",
    sources: list[Any] | None = None,
    source_hashes: list[str] | None = None,
    defaults: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    content: str | list[str] = "",
    append_if_not_found: bool = False,
    prepend_if_not_found: bool = False,
    backup: str | bool = ".bak",
    show_changes: bool = True,
    append_newline: bool | None = None,
    insert_before_match: str | None = None,
    insert_after_match: str | None = None,
) -> Plan:
    """Make sure that the lines between two markers of a file are the given ones.

    marker_start, marker_end
        Texts that the two marker lines hold.
    content, source
        The lines, or where they come from; a source is rendered with `template`, `context` and `defaults`. What
        `file.accumulated` collected for the file comes after them.
    append_if_not_found, prepend_if_not_found, insert_before_match, insert_after_match
        Where to put markers and lines in a file that has no markers.
    append_newline
        Put the end marker on a line of its own; without a word it goes there anyhow.
    backup
        The suffix of a copy of the old file, or False.

    SLS example:

        /etc/hosts:
          file.blockreplace:
            - content: 10.0.0.5 db
            - append_if_not_found: True
    """
    path = check_name(name)
    text = "\n".join(str(line) for line in content) if isinstance(content, list) else str(content)
    for one in [source] if source else sources or []:
        recipe = Recipe(source=one, source_hash=source_hash, template=template, context=context, defaults=defaults)
        made = recipe.content(path, {})
        text += made.read().decode("utf-8", ERRORS) if made else ""
    for collected in texts_of(path).values():
        text = "\n".join([text, *collected] if text else collected)
    old = read_text(path)
    places = (append_if_not_found, prepend_if_not_found, insert_before_match, insert_after_match)
    if marker_start not in old and not any(places):
        raise Missing(f"the markers are not in {path} (append_if_not_found: True would add them)")
    new = replace_block(
        old,
        marker_start,
        marker_end,
        text,
        append=append_if_not_found,
        prepend=prepend_if_not_found,
        newline=append_newline,
        before=insert_before_match,
        after=insert_after_match,
    )
    return plan_edit(
        path,
        old,
        new,
        why_same=f"File {path} needs no change",
        done=f"Changes were made to {path}",
        backup=backup,
        show_changes=show_changes,
    )
