"""How much unauthenticated peers may ask of the master: rates by source and in all, and the half-open handshakes.

Pure: time is passed in. Memory is bounded whatever comes: sources and half-open handshakes live in tables of fixed
size.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from .puzzles import bits_for
from .sources import Sources

T = TypeVar("T")

MAX_SOURCES = 65536
MAX_HALF_OPEN = 4096
HALF_OPEN_SECONDS = 10.0


@dataclass(slots=True)
class Bucket:
    """A token bucket: `rate` a second, `burst` at once."""

    tokens: float
    at: float

    def take(self, rate: float, burst: float, now: float) -> bool:
        """Take one token; False where there is none."""
        self.tokens = min(burst, self.tokens + (now - self.at) * rate)
        self.at = now
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True


class Buckets:
    """A token bucket for each source, for the sources heard of last."""

    def __init__(self, rate: float, burst: float, most: int = MAX_SOURCES) -> None:
        self._rate = rate
        self._burst = burst
        self._most = most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def take(self, source: str, now: float) -> bool:
        """Take one token of a source."""
        bucket = self._buckets.get(source)
        if bucket is None:
            if len(self._buckets) >= self._most:
                self._buckets.popitem(last=False)
            bucket = self._buckets[source] = Bucket(self._burst, now)
        else:
            self._buckets.move_to_end(source)
        return bucket.take(self._rate, self._burst, now)


@dataclass(frozen=True, slots=True)
class Rates:
    """Handshakes a second: from one address, from one address of a trusted network, from all."""

    source: float = 10.0
    burst: float = 50.0
    trusted: float = 1000.0
    total: float = 2000.0
    trusted_networks: Sequence[str] = ()


class Verdict(enum.Enum):
    """What becomes of a HELLO."""

    FIRST = "first"  # before those that are merely admitted
    ADMIT = "admit"
    PUZZLE = "puzzle"  # not without the solution of a puzzle
    LATER = "later"


class Admission:
    """Decides whether a HELLO may cost us anything.

    Half of the total is for whoever comes; the rest is for those that solve a puzzle, and for trusted networks.
    """

    def __init__(self, rates: Rates) -> None:
        self._rates = rates
        self._sources = Buckets(rates.source, rates.burst)
        self._trusted = Buckets(rates.trusted, max(rates.burst, rates.trusted))
        self._total = Bucket(rates.total, 0.0)
        self._free = Bucket(rates.total / 2, 0.0)
        self.source = Sources(rates.trusted_networks).of

    def decide(self, address: str, now: float, solved: Callable[[int], bool], *, crowded: bool = False) -> Verdict:
        """Take one handshake of an address and of the total; `solved(bits)` says whether a puzzle was solved.

        Where it is `crowded`, nothing is free.
        """
        source, trusted = self.source(address)
        buckets = self._trusted if trusted else self._sources
        if not buckets.take(source, now):
            return Verdict.LATER
        half, total = self._rates.total / 2, self._rates.total
        first = trusted or solved(self.bits(now))
        if not first and (crowded or not self._free.take(half, half, now)):
            return Verdict.PUZZLE
        if not self._total.take(total, total, now):
            return Verdict.LATER
        return Verdict.FIRST if first else Verdict.ADMIT

    def bits(self, now: float) -> int:
        """Return how hard a puzzle has to be now."""
        left = min(self._rates.total, self._total.tokens + (now - self._total.at) * self._rates.total)
        return bits_for(1.0 - left / self._rates.total)


@dataclass(slots=True)
class _HalfOpen(Generic[T]):
    item: T
    source: str
    deadline: float


class HalfOpen(Generic[T]):
    """Handshakes between CHALLENGE and AUTH: bounded in number and in age.

    Where the table is full, the oldest of the same source goes first, else the oldest of all.
    """

    def __init__(self, most: int = MAX_HALF_OPEN, seconds: float = HALF_OPEN_SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        self._entries: OrderedDict[bytes, _HalfOpen[T]] = OrderedDict()
        self._by_source: dict[str, OrderedDict[bytes, None]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, handshake: bytes) -> bool:
        return handshake in self._entries

    def add(self, handshake: bytes, item: T, source: str, now: float) -> None:
        """Remember a handshake."""
        self.expire(now)
        if len(self._entries) >= self._most:
            same = self._by_source.get(source)
            self._remove(next(iter(same)) if same else next(iter(self._entries)))
        self._entries[handshake] = _HalfOpen(item, source, now + self._seconds)
        self._by_source.setdefault(source, OrderedDict())[handshake] = None

    def get(self, handshake: bytes, now: float) -> T | None:
        """Return a handshake; None where it is unknown or too old."""
        entry = self._entries.get(handshake)
        return entry.item if entry is not None and now < entry.deadline else None

    def pop(self, handshake: bytes, now: float) -> T | None:
        """Take a handshake out; None where it is unknown or too old."""
        item = self.get(handshake, now)
        if handshake in self._entries:
            self._remove(handshake)
        return item

    def expire(self, now: float) -> None:
        """Forget what is too old."""
        while self._entries:
            first = next(iter(self._entries))
            if self._entries[first].deadline > now:
                return
            self._remove(first)

    def _remove(self, handshake: bytes) -> None:
        entry = self._entries.pop(handshake)
        same = self._by_source[entry.source]
        del same[handshake]
        if not same:
            del self._by_source[entry.source]
