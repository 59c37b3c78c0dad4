"""Compare versions of Debian packages by the rules of Debian Policy, without starting dpkg for each pair."""

from __future__ import annotations

import re
from itertools import zip_longest

_OPERATORS = {
    "<": (-1,),
    "<=": (-1, 0),
    "=": (0,),
    "==": (0,),
    "!=": (-1, 1),
    ">=": (0, 1),
    ">": (1,),
    "<<": (-1,),
    ">>": (1,),
}
_CONDITION = re.compile(r"\s*(<=|>=|==|!=|<<|>>|<|>|=)\s*(\S+)\s*")


def compare(first: str, second: str, ignore_epoch: bool = False) -> int:
    """Return -1, 0 or 1 as the first version is older than, the same as, or newer than the second."""
    mine, theirs = _split(first), _split(second)
    if not ignore_epoch and mine[0] != theirs[0]:
        return -1 if mine[0] < theirs[0] else 1
    return _compare_part(mine[1], theirs[1]) or _compare_part(mine[2], theirs[2])


def parse_conditions(spec: str) -> list[tuple[str, str]] | None:
    """Take `>=1.2,<2` apart into operators and versions; None for what is a plain version."""
    conditions = []
    for part in spec.split(","):
        found = _CONDITION.fullmatch(part)
        if not found:
            return None
        conditions.append((found[1], found[2]))
    return conditions


def fulfils(version: str, operator: str, wanted: str, ignore_epoch: bool = False) -> bool:
    """Say whether `version` is as the operator (`>=`) and the wanted version ask for."""
    return compare(version, wanted, ignore_epoch) in _OPERATORS[operator]


def without_epoch(version: str) -> str:
    """Return a version without the number before the colon."""
    return version.partition(":")[2] or version


def _split(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.strip().partition(":")
    if not colon or not epoch.isdecimal():
        epoch, rest = "0", version.strip()
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    return int(epoch), upstream, revision


def _compare_part(first: str, second: str) -> int:
    """Compare by turns what is not a number, then what is: letters before other signs, `~` before everything."""
    for (mine, my_number), (theirs, their_number) in zip_longest(_runs(first), _runs(second), fillvalue=("", 0)):
        text = _compare_text(mine, theirs)
        if text:
            return text
        if my_number != their_number:
            return -1 if my_number < their_number else 1
    return 0


def _runs(part: str) -> list[tuple[str, int]]:
    found = re.findall(r"(\D*)(\d*)", part)
    return [(text, int(digits or 0)) for text, digits in found if text or digits]


def _compare_text(first: str, second: str) -> int:
    for mine, theirs in zip_longest(first, second, fillvalue=""):
        if mine != theirs:
            return -1 if _rank(mine) < _rank(theirs) else 1
    return 0


def _rank(letter: str) -> int:
    if letter == "~":
        return -1
    if not letter:
        return 0
    return ord(letter) if letter.isalpha() and letter.isascii() else ord(letter) + 256
