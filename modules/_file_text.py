"""Edit texts: what `file`'s editing functions do to the content, as pure functions from text to text."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from ..common.errors import CommandExecutionError

MAX_DIFF_BYTES = 1 << 20
_LINE = re.compile(r"[^\n]*\n?")


def unified_diff(old: str, new: str, old_name: str = "", new_name: str = "") -> str:
    """Return the difference between two texts as a unified diff; empty where there is none."""
    if old == new:
        return ""
    if "\0" in old or "\0" in new:
        return "Binary files differ"
    if len(old) + len(new) > MAX_DIFF_BYTES:
        return f"The files differ, and are too large for a diff ({len(old)} and {len(new)} characters)"
    lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), old_name, new_name)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def append_lines(text: str, lines: Sequence[str]) -> str:
    """Put lines after a text, which is given the newline at its end that it may lack."""
    return ensure_newline(text) + "".join(f"{line}\n" for line in lines)


def prepend_lines(text: str, lines: Sequence[str]) -> str:
    """Put lines before a text."""
    return "".join(f"{line}\n" for line in lines) + text


def ensure_newline(text: str) -> str:
    """Return a text that ends with a newline, unless it is empty."""
    return text if not text or text.endswith("\n") else f"{text}\n"


def newline_of(text: str) -> str:
    """Return the line ending that a text uses."""
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def split_lines(text: str) -> list[str]:
    """Take a text apart into lines, each with its own end; only a newline ends one (a form feed does not)."""
    return [line for line in _LINE.findall(text) if line]


def line_end(line: str) -> str:
    """Return how a line ends: with nothing, a newline, or a carriage return before it."""
    return "\r\n" if line.endswith("\r\n") else "\n" if line.endswith("\n") else ""


def substitute(
    text: str,
    pattern: re.Pattern[str],
    repl: str,
    *,
    count: int = 0,
    literal: bool = False,
    append: str | None = None,
    prepend: str | None = None,
) -> str:
    """Replace what a pattern finds; where it finds nothing, and nothing is there already, add a line instead.

    `append` and `prepend` are the lines to add. Text that is already as `repl` says counts as found.
    """
    try:
        result, found = pattern.subn((lambda _match: repl) if literal else repl, text, count=count)
    except (re.error, IndexError) as error:
        raise CommandExecutionError(f"the replacement {repl!r} does not fit the pattern: {error}") from None
    addition = append if append is not None else prepend
    if found or addition is None or _has_lines(text, addition):
        return result
    return append_lines(text, [addition]) if append is not None else prepend_lines(text, [addition])


def _has_lines(text: str, wanted: str) -> bool:
    return f"\n{wanted.strip()}\n" in f"\n{text}\n"


def replace_block(
    text: str,
    start: str,
    end: str,
    content: str,
    *,
    append: bool = False,
    prepend: bool = False,
    newline: bool | None = False,
    before: str | None = None,
    after: str | None = None,
) -> str:
    """Replace the lines between two marked lines; where the marks are missing, add the block as asked.

    The marks are texts that lines hold. `newline` True puts a newline after the content, None only where it lacks one.
    `before` and `after` are patterns for the line to insert the block at.
    """
    body = content + "\n" if newline or (newline is None and not content.endswith("\n")) else content
    lines = text.splitlines(True)
    first = next((i for i, line in enumerate(lines) if start in line), None)
    if first is not None:
        last = next((i for i, line in enumerate(lines[first + 1 :], first + 1) if end in line), None)
        if last is None:
            raise CommandExecutionError(f"the block's start {start!r} has no end {end!r} after it")
        return "".join([*lines[: first + 1], ensure_newline(body), *lines[last:]])
    block = f"{start}\n{ensure_newline(body)}{end}\n"
    if before is not None or after is not None:
        return _insert_at(lines, block, before, after)
    if prepend:
        return block + text
    if append:
        return ensure_newline(text) + block
    raise CommandExecutionError(
        f"the block's start {start!r} is not in the file", hint="append_if_not_found=True adds the block"
    )


def _insert_at(lines: list[str], block: str, before: str | None, after: str | None) -> str:
    pattern = before if before is not None else after or ""
    at = next((i for i, line in enumerate(lines) if re.search(pattern, line)), None)
    if at is None:
        raise CommandExecutionError(f"no line matches {pattern!r}, where the block should go")
    at += 0 if before is not None else 1
    if at:
        lines[at - 1] = ensure_newline(lines[at - 1])
    return "".join([*lines[:at], block, *lines[at:]])


def comment_lines(text: str, regex: str, char: str, *, comment: bool) -> str:
    """Put `char` before each line in which a regular expression finds something, or take it away (`comment=False`).

    A line that is a comment already stays as it is; a comment is opened where what is behind `char` matches.
    """
    pattern = re.compile(regex)
    result = []
    for line in text.splitlines(True):
        bare = line.lstrip(" \t")
        indent = line[: len(line) - len(bare)]
        content = bare.removeprefix(char)
        if comment:
            hit = not bare.startswith(char) and pattern.search(line.rstrip("\r\n"))
            result.append(f"{char}{line}" if hit else line)
        else:
            hit = bare.startswith(char) and pattern.search(content.rstrip("\r\n"))
            result.append(f"{indent}{content}" if hit else line)
    return "".join(result)


def parse_lsattr(text: str) -> dict[str, list[str]]:
    """Read what lsattr(1) prints."""
    found = {}
    for line in text.splitlines():
        flags, separator, path = line.partition(" ")
        if separator and path.startswith("/"):
            found[path] = sorted(flag for flag in flags if flag != "-")
    return found
