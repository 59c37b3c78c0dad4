"""Which file and line a pillar value comes from: what each SLS had at a key, in the order in which they were merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .config_places import line_of
from .data import MISSING, lookup

# The only key of an override that asks for an explanation instead of the pillar, and the key of the answer.
EXPLAIN = "_explain"


@dataclass(frozen=True, slots=True)
class Source:
    """One SLS as it was rendered: its own data, the lines of its keys, and the key that an include nested it under."""

    path: str
    saltenv: str
    data: Mapping[Any, Any]
    marks: Mapping[tuple[str, ...], int]
    prefix: tuple[str, ...] = ()

    def find(self, key: str, delimiter: str = ":") -> dict[str, Any] | None:
        """Return what this SLS has at a key, and where; None where it has nothing there."""
        words = tuple(key.split(delimiter))
        if words[: len(self.prefix)] != self.prefix:
            return None
        own = delimiter.join(words[len(self.prefix) :])
        value = lookup(self.data, own, MISSING, delimiter) if own else self.data
        if value is MISSING:
            return None
        line = line_of(dict(self.marks), own, delimiter)
        where = f"{self.path}:{line}" if line else self.path
        return {"from": where if self.saltenv == "base" else f"{where} ({self.saltenv})", "value": value}


def explain(pillar: Mapping[str, Any], sources: Iterable[Source], key: str) -> dict[str, Any]:
    """Say where the value at a key comes from: the last file that has it, and with several also the others."""
    value = lookup(pillar, key, MISSING)
    if value is MISSING:
        return {"value": None, "from": "nowhere: this minion's pillar has no such key"}
    found = [place for source in sources if (place := source.find(key)) is not None]
    if not found:
        return {"value": value, "from": "no file of the pillar tree: an external pillar"}
    told = {"value": value, "from": found[-1]["from"]}
    return told if len(found) == 1 else {**told, "merged": found}
