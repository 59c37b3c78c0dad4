"""What one accepted minion may ask of the master: requests and bytes a second, in all and of what is dear.

Pure: time is passed in. All sessions of a minion share its quotas. Who is over them is told `busy` and asks again
later; who goes on regardless is not worth a connection any more.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from .admission import Bucket

MIB = 1024 * 1024
MAX_MINIONS = 65536
BYTES_BURST_SECONDS = 2.0
BUSY_AT_ONCE = 2000.0  # refusals that a client which backs off never reaches
BUSY_A_SECOND = 100.0
CALL_QUOTA_SECONDS = 3600.0

# Requests a second, and at once, of what costs more than a look into a table.
DEAR: Final[dict[str, tuple[float, float]]] = {
    "call_return": (20.0, 200.0),
    "catch_up": (20.0, 200.0),
    "event": (200.0, 2000.0),
    "file_find": (200.0, 1000.0),
    "file_list": (100.0, 500.0),
    "file_push": (400.0, 1000.0),
    "group_get": (20.0, 100.0),
    "pillar": (20.0, 100.0),
    "register": (10.0, 50.0),
    "rotate_key": (1.0, 10.0),
}


@dataclass(frozen=True, slots=True)
class Quota:
    """The limits of each minion: requests and MiB a second, requests at once, MiB of calls' returns an hour."""

    rate: float = 2000.0
    burst: float = 6000.0
    mib: float = 64.0
    call_mib: float = 256.0


@dataclass(slots=True)
class _Use:
    requests: Bucket
    bytes: Bucket
    calls: Bucket
    refusals: Bucket
    dear: dict[str, Bucket] = field(default_factory=dict)


class Quotas:
    """The use that each minion has made of its quota, of those heard of last."""

    def __init__(self, quota: Quota) -> None:
        self._quota = quota
        self._uses: OrderedDict[str, _Use] = OrderedDict()

    def __len__(self) -> int:
        return len(self._uses)

    def over(self, minion: str, method: str, size: int, now: float) -> str:
        """Count a request of so many bytes; return what it is over, empty where it is within the quota."""
        use, quota = self._of(minion, now), self._quota
        if not use.requests.take(quota.rate, quota.burst, now):
            return f"more than {quota.rate:g} requests a second"
        if not _spend(use.bytes, size, quota.mib * MIB, quota.mib * MIB * BYTES_BURST_SECONDS, now):
            return f"more than {quota.mib:g} MiB a second"
        if (limit := DEAR.get(method)) is not None:
            bucket = use.dear.setdefault(method, Bucket(limit[1], now))
            if not bucket.take(*limit, now):
                return f"more than {limit[0]:g} {method} a second"
        return ""

    def ignores(self, minion: str, now: float) -> bool:
        """Count a refusal; say whether there are so many that the minion cannot be heeding them."""
        return not self._of(minion, now).refusals.take(BUSY_A_SECOND, BUSY_AT_ONCE, now)

    def keeps_call(self, minion: str, size: int, now: float) -> bool:
        """Count the return of a call that would be kept; False where this minion had too much of that kept."""
        most = self._quota.call_mib * MIB
        return _spend(self._of(minion, now).calls, size, most / CALL_QUOTA_SECONDS, most, now)

    def _of(self, minion: str, now: float) -> _Use:
        use = self._uses.get(minion)
        if use is not None:
            self._uses.move_to_end(minion)
            return use
        quota = self._quota
        use = self._uses[minion] = _Use(
            Bucket(quota.burst, now),
            Bucket(quota.mib * MIB * BYTES_BURST_SECONDS, now),
            Bucket(quota.call_mib * MIB, now),
            Bucket(BUSY_AT_ONCE, now),
        )
        if len(self._uses) > MAX_MINIONS:
            self._uses.popitem(last=False)
        return use


def _spend(bucket: Bucket, amount: float, rate: float, burst: float, now: float) -> bool:
    """Take an amount from a bucket that has any left: it may go below nothing once, and has to fill up again then."""
    bucket.tokens = min(burst, bucket.tokens + (now - bucket.at) * rate)
    bucket.at = now
    if bucket.tokens <= 0.0:
        return False
    bucket.tokens -= amount
    return True
