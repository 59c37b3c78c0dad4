"""The transport guard's hands: hears of connections, looks at them while strangers are among them, cuts what must go.

Where nobody but members is connected it sleeps, but for a look at the process's memory every few seconds. Where memory
stays over its budget, all strangers and whoever holds messages that do not end are cut, and after that the sockets are
opened anew: sessions survive that, minions connect again by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from ..common import connections
from ..common.config import MasterConfig
from ..common.sockets import MAX_REQUEST_FRAME_BYTES
from .guard import HELLO_SECONDS, MIB, PUBLISH, REQUEST, Connection, Cut, Guard, Limits
from .refusals import Refusals
from .sources import Sources

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
YOUNG_SECONDS = 0.5  # a connection this young is looked at more often
QUICK_SECONDS = 0.01
MOST_SECONDS = 1.0
DUTY = 10.0  # a look is followed by a pause of so many times its length
MEMORY_SECONDS = 5.0
GIVE_BACK_SECONDS = 0.5
OVER_SECONDS = 0.5  # how long memory may be over its budget
RECYCLE_PAUSE_SECONDS = 60.0
PRESSURE_BYTES = 32 * MIB  # strangers may hold little once memory has grown so much since they came
MINION_BYTES = 128 * 1024
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

Reopen = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Port:
    """One of the two sockets, as the guard sees it: a watcher of its connections."""

    name: str
    loop: GuardLoop

    def accepted(self, descriptor: int) -> None:
        """Take a connection into the table."""
        self.loop.accepted(self.name, descriptor)

    def closed(self, descriptor: int) -> None:
        """Take a connection out of the table."""
        self.loop.guard.closed(self.name, descriptor)


class GuardLoop:
    """Watches both sockets. `blind` where this libzmq does not tell connections: then only memory is watched."""

    def __init__(
        self,
        config: MasterConfig,
        *,
        descriptors: int,
        blind: bool = False,
        members: Callable[[], int] = lambda: 0,
        memory: Callable[[], int] | None = None,
    ) -> None:
        limits = Limits(
            per_source=config.unauthenticated_per_source,
            per_trusted_source=config.unauthenticated_per_trusted,
            unknown=config.max_unauthenticated,
            descriptors=descriptors,
            pending={REQUEST: 2 * MAX_REQUEST_FRAME_BYTES, PUBLISH: 64 * 1024},
        )
        self.guard = Guard(limits, random.random)
        self.blind = blind
        self._budget = config.memory_budget * MIB
        self._sources = Sources(config.trusted_networks)
        self._members = members
        self._memory = memory or resident_bytes
        self._loop = asyncio.get_running_loop()
        self._awake = asyncio.Event()
        self._refusals = Refusals(log, "a connection from %s is cut")
        self._reopen: list[Reopen] = []
        self._drained: Callable[[], int] = lambda: 0
        self._drained_before = -1
        self._calm = 0
        self._over_since: float | None = None
        self._recycled = float("-inf")
        self._giving_back: asyncio.TimerHandle | None = None
        self.cut = 0

    def port(self, name: str) -> Port | None:
        """Return what a socket tells its connections to; None where there is nothing to be told."""
        return None if self.blind else Port(name, self)

    def attach(self, drained: Callable[[], int], *reopen: Reopen) -> None:
        """Say how to see that messages were handed out, and how to open the sockets anew."""
        self._drained = drained
        self._reopen += reopen

    # -- what the sockets and the channel tell

    def accepted(self, port: str, descriptor: int) -> None:
        """A connection was accepted: it has to show a session in time."""
        name = connections.peer_name(descriptor)
        if not name[1]:
            return  # it has gone already
        source, trusted = self._sources.of(name[0])
        now = self._loop.time()
        connection = Connection(descriptor, port, name, source, trusted, now, now + HELLO_SECONDS)
        self._carry_out(self.guard.accepted(connection))
        self._awake.set()

    def brought(self, descriptor: int, routing_id: bytes, address: str, size: int) -> Connection | None:
        """Return the connection that a frame of so many bytes came by to the request port."""
        return self.guard.brought(REQUEST, descriptor, routing_id, address, size)

    def subscribes(self, descriptor: int, size: int) -> Connection | None:
        """Return the connection that a subscription of so many bytes came by."""
        connection = self.guard.get(PUBLISH, descriptor)
        if connection is not None:
            connection.delivered += size
        return connection

    def greeted(self, connection: Connection | None) -> None:
        """A good HELLO came."""
        if connection is not None:
            self.guard.greeted(connection, self._loop.time())

    def waits(self, connection: Connection | None) -> None:
        """The peer proved a key that is not accepted."""
        if connection is not None:
            self.guard.waits(connection, self._loop.time())

    def shown(self, connection: Connection | None, owner: str) -> None:
        """A session was shown."""
        if connection is not None and connection.owner != owner:
            self.guard.shown(connection, owner)

    def stray(self, connection: Connection | None) -> None:
        """A frame came that leads nowhere."""
        if connection is not None and (cut := self.guard.strays(connection, self._loop.time())) is not None:
            self._carry_out([cut])

    def ignores(self, connection: Connection | None) -> None:
        """A minion asks on and on, whatever it is told."""
        if connection is not None and (cut := self.guard.ignores(connection, self._loop.time())) is not None:
            self._carry_out([cut])

    def revoke(self, owner: str) -> None:
        """End every connection of a minion whose key was taken away."""
        self._carry_out(self.guard.revoked(owner))

    # -- looking around

    async def run(self) -> None:
        """Look at connections, until cancelled."""
        pause = LOOK_SECONDS
        while True:
            if self.guard.unknown:
                await asyncio.sleep(pause)
            else:
                self._calm = self._memory()  # nobody is here whose memory it could be
                await self._sleep()
            began, spent = self._loop.time(), time.thread_time()
            await self._look(began)
            quick = self.guard.suspects() or self._is_young(began)
            spent = time.thread_time() - spent  # of this process: on a busy machine a look takes longer than it costs
            pause = min(MOST_SECONDS, max(QUICK_SECONDS if quick else LOOK_SECONDS, DUTY * spent))

    async def _sleep(self) -> None:
        """Wait for a stranger, a few seconds at most."""
        self._awake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MEMORY_SECONDS):
                await self._awake.wait()
                await asyncio.sleep(QUICK_SECONDS)

    def _is_young(self, now: float) -> bool:
        return any(now - connection.accepted < YOUNG_SECONDS for connection in self.guard.watched())

    async def _look(self, now: float) -> None:
        memory = self._memory()
        self.guard.members = self._members()
        pressure = memory > self._calm + PRESSURE_BYTES
        cuts = self._judge(self.guard.watched(), now, pressure)
        self._carry_out(cuts)
        if cuts and pressure:
            self._give_back_soon()
        self._drained_before = self._drained()
        budget = self._budget + MINION_BYTES * self.guard.members
        if not self._budget or memory <= budget:
            self._over_since = None
        elif self._over_since is None:
            self._over_since = now
            self._judge(self.guard.everything(), now, pressure)  # the next look can tell who has held on since
        elif now - self._over_since >= OVER_SECONDS:
            await self._relieve(now, memory, budget)

    def _judge(self, watched: Iterable[Connection], now: float, pressure: bool) -> list[Cut]:
        received = {connection: connections.received_bytes(connection.descriptor) for connection in watched}
        drained = self._drained() != self._drained_before
        return self.guard.look(now, received, drained=drained, pressure=pressure)

    async def _relieve(self, now: float, memory: int, budget: int) -> None:
        """Memory is over its budget: cut who may be the cause, then open the sockets anew, at most once a minute."""
        self._over_since = None
        cuts = self._judge(self.guard.everything(), now, True)
        if cuts:
            self._carry_out(cuts)
            self._give_back_soon()
            log.error("%d MiB of memory are in use, %d are allowed: %d connections are cut",
                      memory // MIB, budget // MIB, len(cuts))  # fmt: skip
            return
        if now - self._recycled < RECYCLE_PAUSE_SECONDS:
            return
        self._recycled = now
        log.error(
            "%d MiB of memory are in use, %d are allowed: the sockets are opened anew", memory // MIB, budget // MIB
        )
        for reopen in self._reopen:
            await reopen()
        self._give_back_soon()

    # -- acting

    def _carry_out(self, cuts: Iterable[Cut]) -> None:
        for cut in cuts:
            connection = cut.connection
            connections.shut(connection.descriptor, connection.name)
            self.cut += 1
            self._refusals.note(connection.source, cut.why, self._loop.time())

    def _give_back_soon(self) -> None:
        """What the cut connections held is free once ZeroMQ has seen their end."""
        if self._giving_back is None:
            self._giving_back = self._loop.call_later(GIVE_BACK_SECONDS, self._give_back)

    def _give_back(self) -> None:
        self._giving_back = None
        give_back()


def resident_bytes() -> int:
    """Return how much memory this process uses."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * PAGE_BYTES


def give_back() -> None:
    """Have the C library return what is free to the system; elsewhere than with glibc there is nothing to ask."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
