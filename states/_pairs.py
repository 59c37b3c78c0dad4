"""Set values of keys in texts of `key = value` lines, as pure functions from text to text."""

from __future__ import annotations

from dataclasses import dataclass

from ..common.errors import CommandExecutionError
from ..modules._file_text import line_end, newline_of, split_lines


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which value each key shall have, and how a line is read."""

    values: dict[str, str]
    separator: str = "="
    count: int = 1
    uncomment: str | None = None
    key_ignore_case: bool = False
    value_ignore_case: bool = False
    append: bool = False
    prepend: bool = False

    def key(self, text: str) -> str:
        """Return a key in the form in which two are compared."""
        text = text.strip()
        return text.lower() if self.key_ignore_case else text

    def equal(self, one: str, other: str) -> bool:
        """Say whether two values are the same."""
        return one.lower() == other.lower() if self.value_ignore_case else one == other


def check_pairs(pairs: Pairs) -> None:
    """Refuse what could not be found again in the file."""
    if not pairs.separator:
        raise CommandExecutionError("the separator is empty")
    for key, value in pairs.values.items():
        if not key or pairs.separator in key or "\n" in key + value:
            raise CommandExecutionError(f"{key!r} is no key of one line without the separator {pairs.separator!r}")
        if not value and pairs.separator == " ":
            raise CommandExecutionError(f"the value of {key!r} is empty, which needs a separator that is seen")


def set_values(text: str, pairs: Pairs) -> str:
    """Return the text with each key's value set, in every line that counts as the key's."""
    newline = newline_of(text)
    wanted = {pairs.key(key): value for key, value in pairs.values.items()}
    seen = dict.fromkeys(wanted, 0)
    lines = []
    for line in split_lines(text):
        end = line_end(line)
        found = _split(line.removesuffix(end), pairs)
        if found is None or found[0] not in wanted:
            lines.append(line)
            continue
        seen[found[0]] += 1
        if pairs.count < 0 or seen[found[0]] <= pairs.count:
            lines.append(_line_with(found[1], pairs, wanted[found[0]]) + end)
    return _with_missing(lines, pairs, [key for key in pairs.values if not seen[pairs.key(key)]], newline)


def _with_missing(lines: list[str], pairs: Pairs, missing: list[str], newline: str) -> str:
    """Add the keys that no line has, where that is asked for."""
    if not missing or pairs.count == 0 or not (pairs.append or pairs.prepend):
        return "".join(lines)
    added = [f"{key}{pairs.separator}{pairs.values[key]}{newline}" for key in missing]
    if pairs.prepend and not pairs.append:
        return "".join([*added, *lines])
    if lines and not line_end(lines[-1]):
        lines = [*lines[:-1], lines[-1] + newline]
    return "".join([*lines, *added])


def _split(line: str, pairs: Pairs) -> tuple[str, str] | None:
    """Return the key that a line sets, and the line without what comments it out; None where it sets none."""
    bare = line
    # With a count of -1, lines that are commented out are left for what they are.
    if pairs.uncomment and pairs.count >= 0:
        bare = line.lstrip(pairs.uncomment)
    parts = bare.split(None if pairs.separator == " " else pairs.separator, 1)
    return (pairs.key(parts[0]), bare) if len(parts) == 2 else None


def _line_with(line: str, pairs: Pairs, value: str) -> str:
    """Put another value into a line, in the place of the one it has."""
    if pairs.separator == " ":
        key, present = line.split(None, 1)
        start = line.index(present, line.index(key) + len(key))
    else:
        start = line.index(pairs.separator) + len(pairs.separator)
    rest = line[start:]
    present = rest.strip()
    if pairs.equal(present, value):
        return line
    if not present:
        return line[:start] + rest + value
    at = start + len(rest) - len(rest.lstrip())
    return line[:at] + value + rest[len(rest.rstrip()) :]
