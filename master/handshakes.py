"""The master's side of handshakes: admitted by rate, queued behind session traffic, answered with an enrolment state.

Owns the half-open table and the queue. What cannot be a handshake costs a comparison of bytes; only what the rates
admit costs cryptography, one handshake step per turn of the loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random as dice
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from ..common import handshake, wire
from ..common.config import MasterConfig
from ..common.crypto import IdentityKey, Random
from ..common.errors import CtlError, HandshakeError, UnsupportedSuite
from ..common.log import Limiter
from ..common.session import SessionKeys
from .admission import Admission, HalfOpen, Rates
from .keys import Claimed, KeyState, KeyTable

log = logging.getLogger(__name__)

MAX_QUEUED = 4096
MAX_WAITING = 4096
BUSY_RETRY_SECONDS = 2
REFUSED_RETRY_SECONDS = 60.0
PENDING_RETRY_SECONDS = (1.0, 300.0)

Send = Callable[[bytes, bytes], object]
Started = Callable[[handshake.Claim, Claimed, SessionKeys, bytes, str], None]
Told = Callable[[handshake.Claim, Claimed, str], None]


class Handshakes:
    """Answers HELLO and AUTH frames; nothing else exists for who has no session."""

    def __init__(
        self,
        config: MasterConfig,
        identity: IdentityKey,
        keys: KeyTable,
        *,
        send: Send,
        group: Callable[[str], list[Any]],
        params: Callable[[], dict[str, Any]],
        started: Started,
        told: Told,
        now_ms: Callable[[], int],
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
        self._send = send
        self._group = group
        self._params = params
        self._started = started
        self._told = told
        self._now_ms = now_ms
        self._random = random
        self._admission = Admission(rates)
        self._half_open: HalfOpen[handshake.Responder] = HalfOpen()
        self._queue: deque[tuple[bytes, bytes, str]] = deque()
        self._pump: asyncio.Handle | None = None
        self._waiting: OrderedDict[tuple[str, bytes], tuple[bytes, bytes]] = OrderedDict()
        self._limiter = Limiter()
        self.refused = 0

    def take(self, routing_id: bytes, frame: bytes, address: str) -> None:
        """Take a HELLO or AUTH frame: check what is cheap, then queue it."""
        if not self._is_due(routing_id, frame, address):
            return
        if len(self._queue) >= MAX_QUEUED:
            self._refuse(address, "the queue of handshakes is full")
            return
        self._queue.append((routing_id, frame, address))
        if self._pump is None:
            self._pump = asyncio.get_running_loop().call_soon(self._work)

    def _is_due(self, routing_id: bytes, frame: bytes, address: str) -> bool:
        if frame[4] == wire.AUTH:
            return self._is_expected(frame, address)
        try:
            handshake.parse_hello(frame)
        except UnsupportedSuite as error:
            self._refuse(address, str(error))
            self._send(routing_id, handshake.encode_hint(handshake.Unsupported((wire.SUITE,))))
            return False
        except HandshakeError as error:
            self._refuse(address, str(error))
            return False
        if self._admission.admits(address, asyncio.get_running_loop().time()):
            return True
        self._refuse(address, "too many handshakes")
        if self._admission.busy:
            self._send(routing_id, handshake.encode_hint(handshake.Busy(BUSY_RETRY_SECONDS, 0, bytes(16))))
        return False

    def _is_expected(self, frame: bytes, address: str) -> bool:
        if len(frame) > handshake.MAX_AUTH_BYTES:
            self._refuse(address, f"an AUTH frame of {len(frame)} bytes")
        elif frame[wire.HEADER_BYTES : wire.HEADER_BYTES + 16] not in self._half_open:
            self._refuse(address, "an AUTH frame for no handshake, or for one that took too long")
        else:
            return True
        return False

    def _refuse(self, address: str, why: str) -> None:
        self.refused += 1
        source, _ = self._admission.source(address)
        if self._limiter.allows(source):
            log.warning("a handshake from %s is refused: %s", address or "an unknown address", why)

    def _work(self) -> None:
        """Do one step, then let the loop serve the sessions before the next."""
        self._pump = None
        routing_id, frame, address = self._queue.popleft()
        if self._queue:
            self._pump = asyncio.get_running_loop().call_soon(self._work)
        try:
            if frame[4] == wire.HELLO:
                self._hello(routing_id, frame, address)
            else:
                self._auth(routing_id, frame, address)
        except CtlError as error:
            self._refuse(address, str(error))
        except Exception:  # the boundary around one frame: whatever it was, the next one is served
            log.exception("a handshake with %s broke", address)

    def _hello(self, routing_id: bytes, frame: bytes, address: str) -> None:
        responder = handshake.Responder(self._identity, self._random, now_ms=self._now_ms)
        challenge = responder.hello(frame)
        source, _ = self._admission.source(address)
        self._half_open.add(responder.hsid, responder, source, asyncio.get_running_loop().time())
        self._send(routing_id, challenge)

    def _auth(self, routing_id: bytes, frame: bytes, address: str) -> None:
        now = asyncio.get_running_loop().time()
        name = handshake.handshake_id(frame)
        responder = self._half_open.get(name, now)
        if responder is None:
            raise HandshakeError("an AUTH frame for no handshake, or for one that took too long")
        try:
            claim = responder.auth(frame)
        finally:
            if not responder.awaits_auth:  # one that did not open is a stranger's: the peer's may still come
                self._half_open.pop(name, now)
        claimed = self._enrol(claim, address)
        accepted = claimed.state is KeyState.ACCEPTED
        params = self._params() if accepted else {"retry_after": self._retry_after(claimed)}
        group = self._group(claim.id) if accepted and claim.kind == handshake.AGENT else None
        answer, session_keys = responder.result(claimed.state.value, params, group)
        if session_keys is not None:
            self._started(claim, claimed, session_keys, routing_id, address)
        else:
            self._wait(claim, claimed, routing_id, responder.hsid)
        self._told(claim, claimed, address)
        self._send(routing_id, answer)

    def _enrol(self, claim: handshake.Claim, address: str) -> Claimed:
        source, trusted = self._admission.source(address)
        claimed = self._keys.claim(claim.id, claim.public, source, trusted=trusted)
        if claimed.state is KeyState.PENDING and claimed.key is not None and self._config.auto_accept:
            key = self._keys.accept_now(claimed.key)
            return Claimed(KeyState.ACCEPTED, key, new=True)
        return claimed

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

    def close(self) -> None:
        """Stop working on what is queued."""
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None
        self._queue.clear()
