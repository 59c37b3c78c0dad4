"""Which accepted minions a target means, by what the master knows of them.

The result is authoritative: it is the list of minions that a job is expected of. Ids are looked up, not searched;
grains and pillar come from columns of the caches; a large fleet is asked in slices, so the loop is never held for long.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common import target
from ..common.errors import TargetError
from .grains_cache import GrainsCache, PackedCache
from .keys import KeyTable
from .presence import Presence

SLICE = 200
GLOB_CHARACTERS = frozenset("*?[")

EnsurePillar = Callable[[Sequence[str]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A target as somebody asked for it."""

    tgt: str | Sequence[str]
    kind: str = "glob"
    delimiter: str = ":"


@dataclass(frozen=True, slots=True)
class Resolved:
    """The minions that a target means, and the expression to publish: nodegroups are written out in it.

    `needs` is what it asks of minions.
    """

    ids: Sequence[str]
    tgt: str
    kind: str
    needs: frozenset[str] = frozenset({"id"})


class View:
    """What a target may ask of one minion (`target.Minion`), read from the caches. One view serves a whole fleet."""

    __slots__ = ("_grains", "_pillar", "id")

    def __init__(self, grains: GrainsCache, pillar: PackedCache) -> None:
        self.id = ""
        self._grains = grains
        self._pillar = pillar

    def grain(self, key: str, delimiter: str) -> Any:
        """Return a grain, or MISSING."""
        return self._grains.look_up(self.id, key, delimiter)

    def pillar(self, key: str, delimiter: str) -> Any:
        """Return a pillar value, or MISSING."""
        return self._pillar.look_up(self.id, key, delimiter)

    def addresses(self) -> Iterable[str]:
        """Return the minion's addresses."""
        return self._grains.addresses(self.id)


class Resolver:
    """Resolves targets against the accepted keys and the caches."""

    def __init__(
        self,
        keys: KeyTable,
        grains: GrainsCache,
        pillar: PackedCache,
        nodegroups: Mapping[str, Any],
        ensure_pillar: EnsurePillar,
    ) -> None:
        self._keys = keys
        self._grains = grains
        self._pillar = pillar
        self._nodegroups = nodegroups
        self._ensure_pillar = ensure_pillar

    async def resolve(self, wanted: Wanted) -> Resolved:
        """Return the minions that are meant; raises `TargetError` for a mistaken expression."""
        if len(wanted.delimiter) != 1:
            raise TargetError(f"the delimiter {wanted.delimiter!r} is not one character")
        if wanted.tgt == "*" and wanted.kind in ("glob", "compound"):
            return Resolved(self._keys.accepted_ids(), "*", "glob")
        parsed = target.parse(wanted.tgt, wanted.kind, wanted.delimiter, self._nodegroups)
        if isinstance(wanted.tgt, str) and wanted.kind == "glob" and not GLOB_CHARACTERS & set(wanted.tgt):
            known = self._keys.accepted(wanted.tgt)
            return Resolved((wanted.tgt,) if known else (), wanted.tgt, "glob")
        ids = await self._matching(parsed)
        return Resolved(ids, *self._published(wanted, parsed), parsed.needs)

    async def _matching(self, parsed: target.Target) -> Sequence[str]:
        ids = self._keys.accepted_ids()
        if "pillar" in parsed.needs:
            await self._ensure_pillar([minion for minion in ids if minion not in self._pillar])
        view, found = View(self._grains, self._pillar), []
        for start in range(0, len(ids), SLICE):
            if start:
                await asyncio.sleep(0)
            for minion in ids[start : start + SLICE]:
                view.id = minion
                if parsed.matches(view):
                    found.append(minion)
        return tuple(minion for minion in found if self._keys.accepted(minion))

    def _published(self, wanted: Wanted, parsed: target.Target) -> tuple[str, str]:
        if wanted.kind == "list":
            ids = wanted.tgt if isinstance(wanted.tgt, str) else ",".join(wanted.tgt)
            return ids, "list"
        if isinstance(wanted.tgt, str) and wanted.kind not in ("compound", "nodegroup"):
            return wanted.tgt, wanted.kind
        return parsed.expand(), "compound"


def subset(ids: Sequence[str], count: int, presence: Presence) -> Sequence[str]:
    """Choose `count` minions by chance, connected ones first."""
    if count <= 0 or count >= len(ids):
        return ids
    connected = [minion for minion in ids if minion in presence]
    chosen = random.sample(connected, min(count, len(connected)))
    if len(chosen) < count:
        rest = [minion for minion in ids if minion not in presence]
        chosen += random.sample(rest, count - len(chosen))
    return tuple(sorted(chosen))
