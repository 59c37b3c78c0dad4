"""Write and edit text files; each change replaces the file at once, with its owner and mode kept."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..common import process
from ..common.atomic import atomic_write
from ..common.errors import CommandExecutionError
from ._file_line import LineEdit, NoSuchLine, edit_line
from ._file_path import absolute, doing, regex_flags
from ._file_text import append_lines, comment_lines, prepend_lines, replace_block, substitute, unified_diff

__virtualname__ = "file"


def write(path: str, *args: str, **kwargs: Any) -> str:
    """Write lines to a file in place of what it holds; as words, or as a list in `args`.

    CLI example: `ctl '*' file.write /etc/motd args="['Welcome.', 'Be careful.']"`
    """
    lines = _lines(args, kwargs)
    _write(absolute(path), "".join(f"{line}\n" for line in lines))
    return f'Wrote {len(lines)} lines to "{path}"'


def append(path: str, *args: str, **kwargs: Any) -> str:
    """Add lines to the end of a file, which is made where it is missing; as words, or as a list in `args`.

    CLI example: `ctl '*' file.append /etc/motd 'With all thine offerings thou shalt offer salt.'`
    """
    lines = _lines(args, kwargs)
    _edit(absolute(path), lambda text: append_lines(text, lines), create=True)
    return f'Wrote {len(lines)} lines to "{path}"'


def prepend(path: str, *args: str, **kwargs: Any) -> str:
    """Add lines to the start of a file, which is made where it is missing; as words, or as a list in `args`.

    CLI example: `ctl '*' file.prepend /etc/motd 'Welcome.'`
    """
    lines = _lines(args, kwargs)
    _edit(absolute(path), lambda text: prepend_lines(text, lines), create=True)
    return f'Prepended {len(lines)} lines to "{path}"'


def _lines(args: Sequence[Any], kwargs: dict[str, Any]) -> list[str]:
    given = {key: value for key, value in kwargs.items() if not key.startswith("__")}
    listed = given.pop("args", [])
    if given:
        raise CommandExecutionError(f"unknown argument {next(iter(given))!r} (lines are words, or a list in args)")
    return [str(line) for line in [*args, *([listed] if isinstance(listed, str) else listed)]]


def replace(
    path: str,
    pattern: str,
    repl: str,
    count: int = 0,
    flags: int | str | list[str] = 8,
    bufsize: int | str = 1,
    append_if_not_found: bool = False,
    prepend_if_not_found: bool = False,
    not_found_content: str | None = None,
    backup: str | bool = ".bak",
    dry_run: bool = False,
    search_only: bool = False,
    show_changes: bool = True,
    ignore_if_missing: bool = False,
    preserve_inode: bool = True,
    backslash_literal: bool = False,
) -> bool | str:
    r"""Replace what a regular expression finds in a file; return the difference, or whether there is one.

    pattern, repl, count, flags
        As `re.sub` has them; by default `^` and `$` match at each line. `backslash_literal` takes `repl` as it is.
    append_if_not_found, prepend_if_not_found, not_found_content
        Add `repl` (or `not_found_content`) as a line where the pattern is not found.
    backup
        What to add to the name for a copy of the old file; `False` for none.
    dry_run, search_only
        Change nothing; only say whether the pattern is found.
    ignore_if_missing
        Do nothing where there is no file.

    `bufsize` and `preserve_inode` are accepted for trees that have them.

    CLI example: `ctl '*' file.replace /etc/ssh/sshd_config '^#?PermitRootLogin .*' 'PermitRootLogin no'`
    """
    path = absolute(path)
    if ignore_if_missing and not os.path.exists(path):
        return "" if show_changes else False
    try:
        compiled = re.compile(pattern, regex_flags(flags))
    except re.error as error:
        raise CommandExecutionError(f"the regular expression {pattern!r} is wrong: {error}") from None
    if search_only:
        return compiled.search(_read(path)) is not None
    line = repl if not_found_content is None else not_found_content

    def edit(text: str) -> str:
        return substitute(
            text,
            compiled,
            repl,
            count=count,
            literal=backslash_literal,
            append=line if append_if_not_found else None,
            prepend=line if prepend_if_not_found else None,
        )

    return _report(path, edit, backup, dry_run, show_changes)


def blockreplace(
    path: str,
    marker_start: str = "#-- start managed zone --",
    marker_end: str = "#-- end managed zone --",
    content: str = "",
    append_if_not_found: bool = False,
    prepend_if_not_found: bool = False,
    backup: str | bool = ".bak",
    dry_run: bool = False,
    show_changes: bool = True,
    append_newline: bool | None = False,
    insert_before_match: str | None = None,
    insert_after_match: str | None = None,
) -> bool | str:
    """Replace the lines between two marked lines of a file; return the difference, or whether there is one.

    Where the marks are missing, the block is added with `append_if_not_found`, `prepend_if_not_found`, or before or
    after the first line that the regular expression `insert_before_match` or `insert_after_match` is found in.

    CLI example: `ctl '*' file.blockreplace /etc/hosts '#-- ours --' '#-- end --' '10.0.1.1 a' append_if_not_found=True`
    """
    path = absolute(path)

    def edit(text: str) -> str:
        return replace_block(
            text,
            marker_start,
            marker_end,
            content,
            append=append_if_not_found,
            prepend=prepend_if_not_found,
            newline=append_newline,
            before=insert_before_match,
            after=insert_after_match,
        )

    return _report(path, edit, backup, dry_run, show_changes)


def comment_line(path: str, regex: str, char: str = "#", cmnt: bool = True, backup: str | bool = ".bak") -> str | bool:
    """Comment out each line that a regular expression is found in, or open it again with `cmnt=False`.

    Returns the difference, or False where nothing changed.

    CLI example: `ctl '*' file.comment_line /etc/modules pcspkr`
    """
    diff = _report(absolute(path), lambda text: comment_lines(text, regex, char, comment=cmnt), backup, False, True)
    return diff or False


def comment(path: str, regex: str, char: str = "#", backup: str | bool = ".bak") -> str | bool:
    """Comment out each line that a regular expression is found in.

    CLI example: `ctl '*' file.comment /etc/modules pcspkr`
    """
    return comment_line(path, regex, char, True, backup)


def uncomment(path: str, regex: str, char: str = "#", backup: str | bool = ".bak") -> str | bool:
    """Open each commented line that a regular expression is found in.

    CLI example: `ctl '*' file.uncomment /etc/hosts.deny 'ALL: PARANOID'`
    """
    return comment_line(path, regex, char, False, backup)


def line(
    path: str,
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
) -> bool | str:
    """Edit one line of a file as the state `file.line` does; return the difference, or whether there is one.

    `mode` is `ensure`, `replace`, `delete` or `insert`. With `quiet`, a file without a line that matches stays.

    CLI example: `ctl '*' file.line /etc/nsswitch.conf 'networks: files dns' after='hosts:.*' mode=ensure`
    """
    edit = LineEdit((mode or "").lower(), content or "", match, before, after, location, indent)

    def change(text: str) -> str:
        try:
            return edit_line(text, edit)
        except NoSuchLine:
            if quiet:
                return text
            raise

    return _report(absolute(path), change, backup, False, show_changes)


def patch(originalfile: str, patchfile: str, options: str = "", dry_run: bool = False) -> dict[str, Any]:
    """Apply a patch to a file, or to the files below a directory, with patch(1); return what it said.

    CLI example: `ctl '*' file.patch /opt/file.txt /tmp/file.txt.patch`
    """
    original = absolute(originalfile)
    with doing("read", patchfile):
        text = Path(absolute(patchfile)).read_bytes()
    words = ["patch", "--forward", "--batch", "--reject-file=-", *shlex.split(options)]
    words += ["--dry-run"] if dry_run else []
    where = f"--directory={original}" if os.path.isdir(original) else original
    done = process.tool([*words, where], stdin=text, ok=None)
    return {"pid": done.pid, "retcode": done.retcode, "stdout": done.text.rstrip(), "stderr": done.error_text.rstrip()}


def get_diff(file1: str, file2: str) -> str:
    """Return the difference between two files of the minion as a unified diff.

    CLI example: `ctl '*' file.get_diff /etc/hosts /etc/hosts.bak`
    """
    first, second = absolute(file1), absolute(file2)
    return unified_diff(_read(first), _read(second), first, second)


def _report(path: str, edit: Callable[[str], str], backup: str | bool, dry_run: bool, show_changes: bool) -> bool | str:
    old = _read(path)
    new = edit(old)
    if new != old and not dry_run:
        if backup:
            suffix = backup if isinstance(backup, str) else ".bak"
            _write(path + suffix, old, like=path)
        _write(path, new)
    return unified_diff(old, new) if show_changes else new != old


def _edit(path: str, edit: Callable[[str], str], *, create: bool) -> None:
    old = "" if create and not os.path.lexists(path) else _read(path)
    new = edit(old)
    if new != old or not os.path.lexists(path):
        _write(path, new)


def _read(path: str) -> str:
    with doing("read", path):
        return Path(path).read_bytes().decode("utf-8", "surrogateescape")


def _write(path: str, text: str, like: str | None = None) -> None:
    content = text.encode("utf-8", "surrogateescape")
    with doing("write", path):
        found = os.stat(like) if like else None
        atomic_write(
            path,
            content,
            follow=True,
            mode=found.st_mode & 0o7777 if found else None,
            uid=found.st_uid if found and os.geteuid() == 0 else None,
            gid=found.st_gid if found and os.geteuid() == 0 else None,
        )
