"""The transport guard's decisions: which connections may stay, before and after they have shown who they are.

Pure: connections come in as they are accepted, with what is heard of them and how much they have sent; out come those
that are to be cut. Time and chance are passed in. `guard_loop` does what is decided here.

What a peer that never ends a message sends is in no queue and under no limit of ZeroMQ. So what came in over a
connection is compared with what was handed out of it: the rest is memory that the peer holds.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..common.connections import Name
from .admission import Bucket, Buckets

HELLO_SECONDS = 10.0
SESSION_SECONDS = 15.0
WAITING_SECONDS = 400.0  # a key that waits for acceptance asks again within 375 s
KIB, MIB = 1024, 1024 * 1024
PENDING_UNDER_PRESSURE = 64 * KIB
MAX_PENDING_OF_SOURCE = 8 * MIB
MAX_PENDING = 64 * MIB
EARLY_DROP = 0.75  # of a limit: from here on some are dropped by chance
DESCRIPTORS_SHARE = 0.8
STRAYS_A_SECOND = 2.0
STRAYS_AT_ONCE = 128.0
GREETED_STRAYS = 5.0  # times as many, where somebody on the path may have added them to an honest peer's
OFFENCES_A_SECOND = 0.5
OFFENCES_AT_ONCE = 8.0
KEPT_OUT_SECONDS = 10.0
MAX_KEPT_OUT = 65536
FRAME_BYTES = 9  # what ZeroMQ puts before a frame, at most
IDLE_BYTES_A_SECOND = 64  # heartbeats

REQUEST = "request"
PUBLISH = "publish"


class Stage(enum.IntEnum):
    """How far a connection has come."""

    NEW = 0
    GREETED = 1  # a good HELLO came
    WAITING = 2  # whoever it is holds a key that waits for acceptance, or that was refused
    MEMBER = 3  # a session was shown


@dataclass(slots=True, eq=False)
class Connection:
    """One TCP connection: where it is from, what it has shown, what it has sent."""

    descriptor: int
    port: str
    name: Name
    source: str
    trusted: bool
    accepted: float
    deadline: float
    stage: Stage = Stage.NEW
    owner: str = ""  # the minion whose session was shown
    delivered: int = 0  # bytes that came out as whole messages
    pending: int = 0  # bytes that came in and did not come out, when it was looked at last
    suspected: bool = False
    doomed: bool = False
    place: int = 0  # in the bag it is in
    routing_id: bytes = b""  # that ZeroMQ gave it
    strays: Bucket = field(default_factory=lambda: Bucket(STRAYS_AT_ONCE, 0.0))

    @property
    def unknown(self) -> bool:
        """Whether it has shown no session yet."""
        return self.stage < Stage.MEMBER


@dataclass(frozen=True, slots=True)
class Cut:
    """A connection to cut, and why."""

    connection: Connection
    why: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections may be open, and how much of a message may be under way on one."""

    per_source: int = 50
    per_trusted_source: int = 20000
    unknown: int = 1000  # of all sources that are not trusted
    descriptors: int = 1024
    pending: Mapping[str, int] = field(default_factory=lambda: {REQUEST: 2 * MIB, PUBLISH: 64 * KIB})


def _is_newer(left: bytes, right: bytes) -> bool:
    ahead = int.from_bytes(left[1:5], "big") - int.from_bytes(right[1:5], "big")
    return 0 < ahead % 2**32 < 2**31


class _Bag:
    """Connections, of which any one can be drawn."""

    def __init__(self) -> None:
        self._items: list[Connection] = []

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Connection) -> None:
        item.place = len(self._items)
        self._items.append(item)

    def discard(self, item: Connection) -> None:
        last = self._items[-1] if self._items else None
        if last is None or item.place >= len(self._items) or self._items[item.place] is not item:
            return
        self._items[item.place] = last
        last.place = item.place
        self._items.pop()

    def draw(self, roll: float) -> Connection:
        return self._items[min(len(self._items) - 1, int(roll * len(self._items)))]


class Guard:
    """The table of connections, and what it says about them. `chance()` is in [0, 1)."""

    def __init__(self, limits: Limits, chance: Callable[[], float]) -> None:
        self.limits = limits
        self.members = 0  # accepted minions: each may be on its way here with two connections
        self._chance = chance
        self._all: dict[tuple[str, int], Connection] = {}
        self._sources: dict[str, OrderedDict[Connection, None]] = {}
        self._strangers, self._trusted = _Bag(), _Bag()
        self._offences = Buckets(OFFENCES_A_SECOND, OFFENCES_AT_ONCE)
        self._kept_out: OrderedDict[str, float] = OrderedDict()  # until when

    def __len__(self) -> int:
        return len(self._all)

    # -- what happened

    def accepted(self, connection: Connection) -> list[Cut]:
        """Take a new connection; return what has to go for it."""
        if (stale := self._all.get((connection.port, connection.descriptor))) is not None:
            self._forget(stale)
        self._all[connection.port, connection.descriptor] = connection
        connection.strays.at = connection.accepted
        self._sources.setdefault(connection.source, OrderedDict())[connection] = None
        self._bag(connection).add(connection)
        if connection.accepted < self._kept_out.get(connection.source, 0.0):
            return self._cuts([connection], "its source is kept out for what it did before")
        return [cut for cut in (self._over_source(connection), self._early_drop()) if cut is not None]

    def closed(self, port: str, descriptor: int) -> None:
        """A connection has ended."""
        connection = self._all.get((port, descriptor))
        if connection is not None:
            self._forget(connection)

    def get(self, port: str, descriptor: int) -> Connection | None:
        """Return the connection that a message came by."""
        return self._all.get((port, descriptor))

    def brought(self, port: str, descriptor: int, routing_id: bytes, address: str, size: int) -> Connection | None:
        """Return the connection that a message came by; None where that has ended, and its descriptor is another's.

        What a connection left in the queue may be handed out after it ended. ZeroMQ counts routing ids up.
        """
        connection = self._all.get((port, descriptor))
        if connection is None or connection.name[0] != address:
            return None
        if routing_id != connection.routing_id:
            if connection.routing_id and not _is_newer(routing_id, connection.routing_id):
                return None
            connection.routing_id = routing_id
            connection.strays.tokens = max(connection.strays.tokens, STRAYS_AT_ONCE)
        connection.delivered += size
        return connection

    def greeted(self, connection: Connection, now: float) -> None:
        """A good HELLO came, and was answered."""
        if connection.stage is Stage.NEW:
            self._advance(connection, Stage.GREETED)
            connection.deadline = now + SESSION_SECONDS

    def waits(self, connection: Connection, now: float) -> None:
        """The peer has proved that it holds a key, and the key is not accepted (yet)."""
        if connection.unknown:
            self._advance(connection, Stage.WAITING)
            connection.deadline = now + WAITING_SECONDS

    def shown(self, connection: Connection, owner: str) -> None:
        """A session was shown, with a frame of it or with its subscription."""
        connection.owner = owner
        if connection.unknown:
            self._leave_unknown(connection)
            self._advance(connection, Stage.MEMBER)

    @staticmethod
    def _advance(connection: Connection, stage: Stage) -> None:
        if connection.stage is Stage.NEW:
            connection.strays.tokens = STRAYS_AT_ONCE * GREETED_STRAYS
        connection.stage = stage

    def strays(self, connection: Connection, now: float) -> Cut | None:
        """A frame came that leads nowhere. There may be a few; a connection that brings many is cut."""
        factor = GREETED_STRAYS if connection.stage else 1.0
        if connection.strays.take(STRAYS_A_SECOND * factor, STRAYS_AT_ONCE * factor, now):
            return None
        return self._offends(connection, "it sends frames that lead nowhere", now)

    def ignores(self, connection: Connection, now: float) -> Cut | None:
        """A minion asks on and on, whatever it is told."""
        return self._offends(connection, "it does not heed that it should ask later", now)

    def _offends(self, connection: Connection, why: str, now: float) -> Cut | None:
        """Cut a connection for what no honest peer does; a source of many such is kept out for a while."""
        cut = self._cut(connection, why)
        if cut is not None and not connection.trusted and not self._offences.take(connection.source, now):
            self._kept_out[connection.source] = now + KEPT_OUT_SECONDS
            self._kept_out.move_to_end(connection.source)
            if len(self._kept_out) > MAX_KEPT_OUT:
                self._kept_out.popitem(last=False)
        return cut

    def revoked(self, owner: str) -> list[Cut]:
        """Return the connections of a minion whose key was taken away."""
        return self._cuts((c for c in list(self._all.values()) if c.owner == owner), "its key was taken away")

    # -- looking around

    @property
    def unknown(self) -> int:
        """How many connections have shown no session yet."""
        return len(self._strangers) + len(self._trusted)

    def watched(self) -> list[Connection]:
        """Return the connections that have shown no session yet."""
        return [connection for same in self._sources.values() for connection in same]

    def everything(self) -> list[Connection]:
        """Return every connection."""
        return list(self._all.values())

    def look(
        self, now: float, received: Mapping[Connection, int], *, drained: bool, pressure: bool = False
    ) -> list[Cut]:
        """Judge connections by what has come in over each.

        `drained`: every whole message that was here at the last look has been handed out since. With `pressure`,
        memory is short: who is unknown may hold very little, and is not looked at twice.
        """
        cuts = []
        for connection, total in received.items():
            if connection.unknown and now >= connection.deadline:
                cuts += self._cuts([connection], "it showed no session in time")
                continue
            allowed = connection.delivered + IDLE_BYTES_A_SECOND * (now - connection.accepted) + KIB
            connection.pending = max(0, total - int(allowed))
            over = connection.pending > self._most_pending(connection, pressure)
            hurry = pressure and connection.unknown
            if over and (hurry or (connection.suspected and drained)):
                cut = self._offends(connection, f"{connection.pending} bytes of it are no whole message", now)
                cuts += [cut] if cut is not None else []
            connection.suspected = over
        return cuts + self._over_together()

    def suspects(self) -> bool:
        """Whether some unknown connection holds more than a handshake needs."""
        return any(connection.pending > PENDING_UNDER_PRESSURE for connection in self.watched())

    def _most_pending(self, connection: Connection, pressure: bool) -> int:
        most = self.limits.pending[connection.port]
        return min(most, PENDING_UNDER_PRESSURE) if pressure and connection.unknown else most

    def _over_together(self) -> list[Cut]:
        """Cut the largest where one source, or all of them, hold too much."""
        cuts = []
        left = MAX_PENDING
        for same in list(self._sources.values()):
            room = min(left, MAX_PENDING_OF_SOURCE)
            for connection in sorted(same, key=lambda one: one.pending):
                if connection.doomed:
                    continue
                room -= connection.pending
                if room < 0 and connection.pending > PENDING_UNDER_PRESSURE:
                    cuts += self._cuts([connection], "its source has too many bytes in messages that do not end")
                else:
                    left -= connection.pending
        return cuts

    # -- limits

    def _over_source(self, newest: Connection) -> Cut | None:
        limits = self.limits
        most = limits.per_trusted_source if newest.trusted else limits.per_source
        same = self._sources[newest.source]
        if len(same) <= most:
            return None
        return self._cut(next(iter(same)), f"its source has more than {most} connections that show no session")

    def _early_drop(self) -> Cut | None:
        """Drop one by chance, ever more likely from three quarters of a limit on."""
        limits = self.limits
        most = limits.unknown + 2 * self.members
        if self._falls(len(self._strangers) / most):
            return self._cut(self._strangers.draw(self._chance()), f"more than {most} connections show no session")
        bag = self._strangers if len(self._strangers) else self._trusted
        if len(bag) and self._falls(len(self._all) / (DESCRIPTORS_SHARE * limits.descriptors)):
            return self._cut(bag.draw(self._chance()), f"open files are short ({limits.descriptors} at most)")
        return None

    def _falls(self, fill: float) -> bool:
        return fill > EARLY_DROP and self._chance() < (fill - EARLY_DROP) / (1.0 - EARLY_DROP)

    # -- the table

    def _cuts(self, connections: Iterable[Connection], why: str) -> list[Cut]:
        return [cut for connection in connections if (cut := self._cut(connection, why)) is not None]

    def _cut(self, connection: Connection, why: str) -> Cut | None:
        """Decide to cut; what is decided once is not decided again, and counts no more."""
        if connection.doomed:
            return None
        connection.doomed = True
        self._leave_unknown(connection)
        return Cut(connection, why)

    def _bag(self, connection: Connection) -> _Bag:
        return self._trusted if connection.trusted else self._strangers

    def _leave_unknown(self, connection: Connection) -> None:
        self._bag(connection).discard(connection)
        same = self._sources.get(connection.source)
        if same is not None:
            same.pop(connection, None)
            if not same:
                del self._sources[connection.source]

    def _forget(self, connection: Connection) -> None:
        self._all.pop((connection.port, connection.descriptor), None)
        self._leave_unknown(connection)
