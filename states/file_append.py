"""Add lines to text files, at the end or at the start."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..common.state.plan import Plan, Step, change
from ..modules._file_text import newline_of
from ._content import content_of_bytes
from ._edited import ERRORS, plan_edit, read_text
from ._lines import add_at_end, add_at_start, contains
from ._managed import Wanted, check_name, plan_file
from ._planning import planning
from ._recipe import Recipe
from ._text import HIDDEN, diff_text

__virtualname__ = "file"


@planning
def append(
    name: str,
    text: str | list[str] | None = None,
    makedirs: bool = False,
    source: str | None = None,
    source_hash: str = "",
    template: str | None = None,
    sources: list[Any] | None = None,
    source_hashes: list[str] | None = None,
    defaults: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    ignore_whitespace: bool = True,
    show_changes: bool = True,
) -> Plan:
    """Make sure that some text is in a file; where it is not, it is added at the end.

    text
        A text, or a list of texts that are looked for one by one.
    source, sources
        Where the text comes from instead; `template`, `context` and `defaults` as in `file.managed`.
    ignore_whitespace
        Find a text also where its white space is another.
    makedirs
        Make the directory that the file is in.
    show_changes
        False: do not show the text.

    SLS example:

        /etc/profile:
          file.append:
            - text: umask 022
    """
    path = check_name(name)
    texts = _texts(path, text, source or sources, source_hash, template, context, defaults)
    if not os.path.lexists(path):
        return _plan_new(path, texts, makedirs, show_changes)
    old = read_text(path)
    missing = [one for one in texts if not contains(old, one, ignore_whitespace)]
    return _plan(path, old, add_at_end(old, missing), missing, "Appended", show_changes)


@planning
def prepend(
    name: str,
    text: str | list[str] | None = None,
    makedirs: bool = False,
    source: str | None = None,
    source_hash: str = "",
    template: str | None = None,
    sources: list[Any] | None = None,
    source_hashes: list[str] | None = None,
    defaults: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    header: bool = False,
    show_changes: bool = True,
) -> Plan:
    """Make sure that some text is in a file; where it is not, it is added at the start.

    header
        The text must be at the very start; that it is elsewhere in the file does not count.

    The other arguments are those of `file.append`.

    SLS example:

        /etc/motd:
          file.prepend:
            - text: Managed by ctl
    """
    path = check_name(name)
    texts = _texts(path, text, source or sources, source_hash, template, context, defaults)
    if not os.path.lexists(path):
        return _plan_new(path, texts, makedirs, show_changes)
    old = read_text(path)
    if header:
        wanted = add_at_start("", texts, newline_of(old))
        new, missing = (old, []) if old.startswith(wanted) else (wanted + old, texts)
    else:
        missing = [one for one in texts if not contains(old, one, True)]
        new = add_at_start(old, missing, newline_of(old))
    return _plan(path, old, new, missing, "Prepended", show_changes)


def _texts(
    path: str, text: Any, source: Any, source_hash: str, template: str | None, context: Any, defaults: Any
) -> list[str]:
    if source is None:
        texts = [text] if not isinstance(text, list) else text
        return [str(one) for one in texts if one is not None]
    listed = source if isinstance(source, list) else [source]
    made = []
    for one in listed:
        recipe = Recipe(source=one, source_hash=source_hash, template=template, context=context, defaults=defaults)
        content = recipe.content(path, {})
        made.append(content.read().decode("utf-8", ERRORS) if content else "")
    return made


def _plan(path: str, old: str, new: str, missing: Sequence[str], verb: str, show_changes: bool) -> Plan:
    count = sum(len(one.splitlines()) for one in missing)
    return plan_edit(
        path,
        old,
        new,
        why_same=f"File {path} is in the correct state",
        done=f"{verb} {count} lines to {path}",
        show_changes=show_changes,
    )


def _plan_new(path: str, texts: Sequence[str], makedirs: bool, show_changes: bool) -> Plan:
    text = add_at_end("", texts)
    plan = plan_file(Wanted(path, content_of_bytes(text.encode("utf-8", ERRORS)), makedirs=makedirs))
    changes = {"diff": diff_text("", text) if show_changes else HIDDEN}
    steps = [*plan.steps, Step(f"say what is in {path}", lambda: changes)]
    return change(f"File {path} is set to be created", changes, *steps, done=f"File {path} created")
