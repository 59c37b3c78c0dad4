"""The master's side of handshakes: admitted by rate, queued behind session traffic, answered with an enrolment state.

Owns the half-open table and the queue. What cannot be a handshake costs a comparison of bytes; only what the rates
admit, or a solved puzzle buys, costs cryptography, one handshake step per turn of the loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random as dice
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..common import handshake, wire
from ..common.config import MasterConfig
from ..common.crypto import Random
from ..common.errors import CtlError, HandshakeError, UnsupportedSuite
from ..common.session import SessionKeys
from .admission import Admission, HalfOpen, Rates, Verdict
from .enrolment import Enrolment, Shown
from .guard import Connection
from .identity import Identity
from .keys import Claimed, KeyState, KeyTable
from .puzzles import LEAST_BITS, Puzzles
from .refusals import Refusals
from .tasks import Tasks

log = logging.getLogger(__name__)

MAX_QUEUED = 4096
CROWDED = 256  # from so many on, whoever comes has to solve a puzzle
TURN_SECONDS = 0.002
MAX_WAITING = 4096
BUSY_RETRY_SECONDS = 2
BITS_BELOW = 2  # how much easier a solved puzzle may be than one would be now
REFUSED_RETRY_SECONDS = 60.0
PENDING_RETRY_SECONDS = (1.0, 300.0)

Send = Callable[[bytes, bytes], object]
Started = Callable[[handshake.Claim, Claimed, SessionKeys, list[Any] | None, bytes, str], None]
Told = Callable[[handshake.Claim, Claimed, str], None]


class Guarding(Protocol):
    """Who is told what a connection has shown of itself."""

    def greeted(self, connection: Connection | None) -> None:
        """Hear of a good HELLO."""
        ...

    def waits(self, connection: Connection | None) -> None:
        """Hear of a proved key that is not accepted."""
        ...

    def shown(self, connection: Connection | None, owner: str) -> None:
        """Hear of a session."""
        ...

    def stray(self, connection: Connection | None) -> None:
        """Hear of a frame that leads nowhere."""
        ...


@dataclass(frozen=True, slots=True)
class _Step:
    """A frame that waits for its turn, and where it is from."""

    routing_id: bytes
    frame: bytes
    address: str
    connection: Connection | None


class Handshakes:
    """Answers HELLO and AUTH frames; nothing else exists for who has no session."""

    def __init__(
        self,
        config: MasterConfig,
        identity: Identity,
        keys: KeyTable,
        enrolment: Enrolment,
        *,
        send: Send,
        group: Callable[[str, str], list[Any]],
        params: Callable[[], dict[str, Any]],
        started: Started,
        told: Told,
        now_ms: Callable[[], int],
        guard: Guarding,
        random: Random = os.urandom,
    ) -> None:
        rates = Rates(
            config.handshake_rate,
            config.handshake_burst,
            config.trusted_rate,
            config.handshake_rate_global,
            tuple(config.trusted_networks),
        )
        self._config = config
        self._identity = identity
        self._keys = keys
        self._enrolment = enrolment
        self._tasks = Tasks()
        self._send = send
        self._group = group
        self._params = params
        self._started = started
        self._told = told
        self._now_ms = now_ms
        self._random = random
        self._guard = guard
        self._admission = Admission(rates)
        self._puzzles = Puzzles(random(32))
        self._half_open: HalfOpen[handshake.Responder] = HalfOpen()
        self._first: deque[_Step] = deque()  # AUTH, and HELLO of who solved a puzzle or is trusted
        self._queue: deque[_Step] = deque()
        self._pump: asyncio.Handle | None = None
        self._waiting: OrderedDict[tuple[str, bytes], tuple[bytes, bytes]] = OrderedDict()
        self._refusals = Refusals(log, "a handshake from %s is refused")

    @property
    def refused(self) -> int:
        """How many frames were refused."""
        return self._refusals.count

    def take(self, routing_id: bytes, frame: bytes, address: str, connection: Connection | None = None) -> None:
        """Take a HELLO or AUTH frame: check what is cheap, then queue it."""
        step = _Step(routing_id, frame, address, connection)
        queue = self._queue_for(step)
        if queue is None:
            self._guard.stray(connection)
            return
        if len(queue) >= MAX_QUEUED:
            self._refuse(address, "the queue of handshakes is full")
            return
        queue.append(step)
        if self._pump is None:
            self._pump = asyncio.get_running_loop().call_soon(self._work)

    def _queue_for(self, step: _Step) -> deque[_Step] | None:
        """Return the queue that a step belongs into; None where it is refused."""
        if step.frame[4] == wire.AUTH:
            return self._first if self._is_expected(step.frame, step.address) else None
        try:
            hello = handshake.parse_hello(step.frame)
        except UnsupportedSuite as error:
            self._refuse(step.address, str(error))
            self._send(step.routing_id, handshake.encode_hint(handshake.Unsupported((wire.SUITE,))))
            return None
        except HandshakeError as error:
            self._refuse(step.address, str(error))
            return None
        return self._admitted(step, hello)

    def _admitted(self, step: _Step, hello: handshake.Hello) -> deque[_Step] | None:
        now = asyncio.get_running_loop().time()
        source, _ = self._admission.source(step.address)

        def solved(bits: int) -> bool:
            shown = hello.puzzle_seed, hello.ephemeral, hello.puzzle_nonce
            return self._puzzles.takes(source, *shown, max(LEAST_BITS, bits - BITS_BELOW), now)

        crowded = len(self._queue) >= CROWDED
        verdict = self._admission.decide(step.address, now, solved, crowded=crowded)
        if verdict in (Verdict.FIRST, Verdict.ADMIT):
            return self._first if verdict is Verdict.FIRST else self._queue
        if verdict is Verdict.PUZZLE:
            self._refuse(step.address, "the master is busy, and they show no solved puzzle")
            busy = handshake.Busy(0, self._admission.bits(now), self._puzzles.seed(source, now))
        else:
            self._refuse(step.address, "too many handshakes")
            busy = handshake.Busy(BUSY_RETRY_SECONDS, 0, bytes(16))
        self._send(step.routing_id, handshake.encode_hint(busy))
        return None

    def _is_expected(self, frame: bytes, address: str) -> bool:
        if len(frame) > handshake.MAX_AUTH_BYTES:
            self._refuse(address, f"an AUTH frame of {len(frame)} bytes")
        elif frame[wire.HEADER_BYTES : wire.HEADER_BYTES + 16] not in self._half_open:
            self._refuse(address, "an AUTH frame for no handshake, or for one that took too long")
        else:
            return True
        return False

    def _refuse(self, address: str, why: str) -> None:
        source, _ = self._admission.source(address)
        self._refusals.note(source, why, asyncio.get_running_loop().time())

    def _work(self) -> None:
        """Do a few steps, then let the loop serve the sessions before the next."""
        loop = asyncio.get_running_loop()
        until = loop.time() + TURN_SECONDS
        while self._first or self._queue:
            self._do((self._first or self._queue).popleft())
            if loop.time() > until:
                break
        self._pump = loop.call_soon(self._work) if self._first or self._queue else None

    def _do(self, step: _Step) -> None:
        try:
            if step.frame[4] == wire.HELLO:
                self._hello(step)
            else:
                self._auth(step)
        except CtlError as error:
            self._refuse(step.address, str(error))
            self._guard.stray(step.connection)
        except Exception:  # the boundary around one frame: whatever it was, the next one is served
            log.exception("a handshake with %s broke", step.address)

    def _hello(self, step: _Step) -> None:
        identity = self._identity
        responder = handshake.Responder(identity.key, self._random, now_ms=self._now_ms, chain=identity.chain)
        challenge = responder.hello(step.frame)
        source, _ = self._admission.source(step.address)
        self._half_open.add(responder.hsid, responder, source, asyncio.get_running_loop().time())
        self._guard.greeted(step.connection)
        self._send(step.routing_id, challenge)

    def _auth(self, step: _Step) -> None:
        now = asyncio.get_running_loop().time()
        name = handshake.handshake_id(step.frame)
        responder = self._half_open.get(name, now)
        if responder is None:
            raise HandshakeError("an AUTH frame for no handshake, or for one that took too long")
        try:
            claim = responder.auth(step.frame)
        finally:
            if not responder.awaits_auth:  # one that did not open is a stranger's: the peer's may still come
                self._half_open.pop(name, now)
        source, trusted = self._admission.source(step.address)
        claimed = self._keys.claim(claim.id, claim.public, source, trusted=trusted)
        shown = self._enrolment.shown(claim, responder.proves)
        if self._enrolment.is_due(claimed, shown):
            work = self._settle(responder, claim, claimed, shown, step)
            self._tasks.spawn(work, f"enrolment of {claim.id}")
        else:
            self._answer(responder, claim, claimed, shown, step)

    async def _settle(
        self,
        responder: handshake.Responder,
        claim: handshake.Claim,
        claimed: Claimed,
        shown: Shown | None,
        step: _Step,
    ) -> None:
        claimed = await self._enrolment.settle(claim, claimed, shown, step.address)
        self._answer(responder, claim, claimed, shown, step)

    def _answer(
        self,
        responder: handshake.Responder,
        claim: handshake.Claim,
        claimed: Claimed,
        shown: Shown | None,
        step: _Step,
    ) -> None:
        accepted = claimed.state is KeyState.ACCEPTED
        params = self._params() if accepted else {"retry_after": self._retry_after(claimed)}
        group = self._group(claim.id, claim.instance) if accepted and claim.kind == handshake.AGENT else None
        token_key = shown.key if shown is not None else None
        answer, session_keys = responder.result(claimed.state.value, params, group, token_key)
        if session_keys is not None:
            self._started(claim, claimed, session_keys, group, step.routing_id, step.address)
            self._guard.shown(step.connection, claim.id)
        else:
            self._wait(claim, claimed, step.routing_id, responder.hsid)
            self._guard.waits(step.connection)
        self._told(claim, claimed, step.address)
        self._send(step.routing_id, answer)

    def _retry_after(self, claimed: Claimed) -> float:
        if claimed.state is not KeyState.PENDING:
            seconds = REFUSED_RETRY_SECONDS
        else:
            # as long again as it has waited so far: the waits double
            least, most = PENDING_RETRY_SECONDS
            age = self._now_ms() / 1000 - claimed.key.first_seen if claimed.key else least
            seconds = min(most, max(least, age))
        return seconds * dice.uniform(0.75, 1.25)  # noqa: S311 - spreads retries, no secret

    # -- those who wait for acceptance

    def _wait(self, claim: handshake.Claim, claimed: Claimed, routing_id: bytes, handshake_id: bytes) -> None:
        if claimed.key is None:
            return
        self._waiting[(claim.id, claim.public)] = (routing_id, handshake_id)
        self._waiting.move_to_end((claim.id, claim.public))
        if len(self._waiting) > MAX_WAITING:
            self._waiting.popitem(last=False)

    def nudge(self, minion: str, public: bytes) -> None:
        """Tell a minion that waits for acceptance that trying again now is worth it. A hint, no more."""
        waiting = self._waiting.pop((minion, public), None)
        if waiting is not None:
            self._send(waiting[0], handshake.encode_hint(handshake.Nudge(waiting[1])))

    def sweep(self) -> None:
        """Forget handshakes that nobody finished."""
        self._half_open.expire(asyncio.get_running_loop().time())

    async def finish(self) -> None:
        """End what is being worked on."""
        await self._tasks.close()

    def close(self) -> None:
        """Stop working on what is queued."""
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None
        self._first.clear()
        self._queue.clear()
