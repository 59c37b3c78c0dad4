"""Change what an expression matches in text files: replace, comment, uncomment."""

from __future__ import annotations

import re
from typing import Any

from ..common.errors import CommandExecutionError
from ..common.state.plan import Plan, same
from ..modules._file_text import substitute
from ._edited import compile_pattern, plan_edit, read_text
from ._managed import check_name, file_status
from ._planning import Missing, planning

__virtualname__ = "file"


@planning
def replace(
    name: str,
    pattern: str,
    repl: str,
    count: int = 0,
    flags: Any = 8,
    bufsize: Any = 1,
    append_if_not_found: bool = False,
    prepend_if_not_found: bool = False,
    not_found_content: str | None = None,
    backup: str | bool = ".bak",
    show_changes: bool = True,
    ignore_if_missing: bool = False,
    backslash_literal: bool = False,
) -> Plan:
    """Replace what a regular expression matches in a file.

    pattern, repl
        A Python expression, and what comes in its place (`\\\\1` is the first group; with `backslash_literal` a
        backslash is only itself).
    count
        How many matches are replaced at most; 0 is all.
    flags
        Names such as `IGNORECASE`, `DOTALL`, or their number. Default: `MULTILINE`.
    append_if_not_found, prepend_if_not_found, not_found_content
        What to do where nothing matches: add `not_found_content` (or `repl`) as lines.
    backup
        The suffix of a copy of the old file, or False.
    ignore_if_missing
        Succeed where the file is not there.

    SLS example:

        /etc/ssh/sshd_config:
          file.replace:
            - pattern: ^#?PermitRootLogin.*
            - repl: PermitRootLogin no
            - append_if_not_found: True
    """
    path = check_name(name)
    if ignore_if_missing and file_status(path) is None:
        return same(f"File {path} is not there, and need not be")
    if append_if_not_found and prepend_if_not_found:
        raise CommandExecutionError("only one of append_if_not_found and prepend_if_not_found is possible")
    old = read_text(path)
    added = repl if not_found_content is None else not_found_content
    new = substitute(
        old,
        compile_pattern(pattern, flags),
        repl,
        count=count,
        literal=backslash_literal,
        append=added if append_if_not_found else None,
        prepend=added if prepend_if_not_found else None,
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


@planning
def comment(name: str, regex: str, char: str = "#", backup: str | bool = ".bak", ignore_missing: bool = False) -> Plan:
    """Put a comment character before the lines that an expression matches.

    ignore_missing
        Succeed where no line matches.

    SLS example:

        /etc/fstab:
          file.comment:
            - regex: ^/dev/sdb1
    """
    path = check_name(name)
    old = read_text(path)
    expression = compile_pattern(regex, 0)
    marked = re.compile(rf"\s*{re.escape(char)}\s?")

    def already(line: str) -> bool:
        found = marked.match(line)
        return found is not None and expression.search(line[found.end() :]) is not None

    def edit(line: str) -> str:
        return char + line if not marked.match(line) and expression.search(line) else line

    new = "".join(edit(line) for line in old.splitlines(keepends=True))
    if new == old and not ignore_missing and not any(map(already, old.splitlines())):
        raise Missing(f"{path}: no line matches {regex!r}")
    return plan_edit(
        path, old, new, why_same="The pattern is already commented", done=f"Commented lines of {path}", backup=backup
    )


@planning
def uncomment(name: str, regex: str, char: str = "#", backup: str | bool = ".bak") -> Plan:
    """Take the comment character from the lines that, without it, an expression matches.

    SLS example:

        /etc/locale.gen:
          file.uncomment:
            - regex: en_US.UTF-8
    """
    path = check_name(name)
    old = read_text(path)
    commented = compile_pattern(rf"^(\s*){re.escape(char)}\s*((?:{regex.lstrip('^')}))", 0)
    plain = compile_pattern(rf"^\s*(?:{regex.lstrip('^')})", 0)
    lines = old.splitlines(keepends=True)
    new = "".join(commented.sub(r"\1\2", line) for line in lines)
    if new == old and not any(plain.search(line) for line in lines):
        raise Missing(f"{path}: no line matches {regex!r}")
    return plan_edit(
        path,
        old,
        new,
        why_same="The pattern is already uncommented",
        done=f"Uncommented lines of {path}",
        backup=backup,
    )
