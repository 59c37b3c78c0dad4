"""`salt.utils.versions`: comparing versions, and notes of deprecation."""

from __future__ import annotations

import functools
import re
import warnings
from itertools import zip_longest
from typing import Any


def _parts(version: str) -> list[tuple[int, str]]:
    return [(int(number or -1), word) for number, word in re.findall(r"(\d+)|([a-zA-Z]+)", str(version))]


def version_cmp(first: str, second: str, **_options: Any) -> int:
    """Compare two versions: -1, 0 or 1."""
    for one, other in zip_longest(_parts(first), _parts(second), fillvalue=(0, "")):
        if one != other:
            return 1 if one > other else -1
    return 0


def compare(ver1: str = "", oper: str = "==", ver2: str = "", **_options: Any) -> bool:
    """Compare two versions with an operator written as text."""
    order = version_cmp(ver1, ver2)
    return {"==": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[
        oper
    ]


def warn_until(version: Any, message: str, **_options: Any) -> None:
    """Note that something is deprecated."""
    warnings.warn(message.format(version=version), DeprecationWarning, stacklevel=2)


@functools.total_ordering
class LooseVersion:
    """A version that can be compared, whatever its form."""

    def __init__(self, version: str = "") -> None:
        self.vstring = str(version)
        self.version = [int(word) if word.isdecimal() else word for word in re.findall(r"\d+|[a-zA-Z]+", self.vstring)]

    def __eq__(self, other: object) -> bool:
        return version_cmp(self.vstring, str(other)) == 0

    def __lt__(self, other: object) -> bool:
        return version_cmp(self.vstring, str(other)) < 0

    def __hash__(self) -> int:
        return hash(tuple(self.version))

    def __str__(self) -> str:
        return self.vstring


StrictVersion = Version = LooseVersion
