"""What becomes of a key that a minion has just proved to hold: known, put in line, or accepted by a rule.

A rule is an enrolment token that the minion knows, `auto_accept`, or what `autosign` decides. None of them touches a
key that is accepted or rejected already, and only a token wins over a key that came first and still waits. Nobody is
told that a key is accepted before that is on disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..common import crypto
from ..common.config import MasterConfig
from ..common.errors import KeyTableError, StorageError
from ..common.handshake import Claim
from ..common.log import Limiter
from .autosign import Autosign, Newcomer, Verdict
from .enrol_tokens import TokenRow
from .events import EventBus
from .keys import Claimed, Key, KeyState, KeyTable

log = logging.getLogger(__name__)

MAX_UNDER_WAY = 256


@dataclass(frozen=True, slots=True)
class Shown:
    """The token that a minion named, and whether it proved that it knows it."""

    row: TokenRow
    proved: bool

    @property
    def key(self) -> bytes | None:
        """The key that proves to the minion who this master is."""
        return self.row.key if self.proved else None


class Enrolment:
    """Decides on claims; `claim` at once, `settle` where that takes a rule and the disk."""

    def __init__(self, config: MasterConfig, keys: KeyTable, events: EventBus, now: Callable[[], float]) -> None:
        self._auto_accept = config.auto_accept
        self._keys = keys
        self._events = events
        self._autosign = Autosign(config, now)
        self._limiter = Limiter()
        self._under_way = 0

    def shown(self, claim: Claim, proves: Callable[[bytes], bool]) -> Shown | None:
        """Return the token that a claim names, where this master has it."""
        row = self._keys.tokens.find(claim.enroll[0]) if claim.enroll is not None else None
        return None if row is None else Shown(row, proves(row.key))

    def is_due(self, claimed: Claimed, shown: Shown | None) -> bool:
        """Say whether a rule may decide on this key."""
        if claimed.key is None or claimed.state not in (KeyState.PENDING, KeyState.DENIED):
            return False
        if self._under_way >= MAX_UNDER_WAY:
            return False
        by_token = shown is not None and shown.proved
        waits = claimed.state is KeyState.PENDING
        return by_token or (waits and (self._auto_accept or self._autosign.is_on))

    async def settle(self, claim: Claim, claimed: Claimed, shown: Shown | None, address: str) -> Claimed:
        """Apply the rules; return how the key stands then, on disk."""
        assert claimed.key is not None
        self._under_way += 1
        try:
            settled = await self._apply(claim, claimed.key, shown, address)
        finally:
            self._under_way -= 1
        key = self._keys.known(claim.id, claim.public)
        return Claimed(key.state, key, new=claimed.new or settled) if key is not None else claimed

    async def _apply(self, claim: Claim, key: Key, shown: Shown | None, address: str) -> bool:
        """Say whether a rule changed the key's state."""
        if shown is not None and shown.proved and await self._by_token(key, shown.row, address):
            return True
        if key.state is not KeyState.PENDING:
            return False
        if self._auto_accept:
            return await self._put(key, KeyState.ACCEPTED, "auto_accept")
        if not self._autosign.is_on:
            return False
        pem = crypto.public_pem(claim.public)
        verdict = await self._autosign.decide(
            Newcomer(claim.id, claim.fingerprint, pem, address, claim.kind, claim.versions)
        )
        if verdict is Verdict.WAIT:
            return False
        state = KeyState.ACCEPTED if verdict is Verdict.ACCEPT else KeyState.REJECTED
        return await self._put(key, state, "autosign")

    async def _by_token(self, key: Key, row: TokenRow, address: str) -> bool:
        why = row.refusal(key.id, self._keys.tokens.now())
        if why:
            if self._limiter.allows((row.id, key.id)):
                log.warning("minion %s at %s shows the enrolment token %s: %s", key.id, address, row.name, why)
            return False
        return await self._put(key, KeyState.ACCEPTED, f"the enrolment token {row.name}", row.id)

    async def _put(self, key: Key, state: KeyState, rule: str, token: bytes | None = None) -> bool:
        undo: Callable[[], None] = lambda: None  # noqa: E731 - until there is something to undo
        try:
            written, undo = self._keys.settle(key, state, token)
            await asyncio.wrap_future(written)
        except (KeyTableError, StorageError) as error:
            undo()
            log.warning("the key of %s is not %s by %s: %s", key.id, state.value, rule, error)
            return False
        log.info("key %s of %s: %s by %s", key.fingerprint, key.id, state.value, rule)
        act = "accept" if state is KeyState.ACCEPTED else "reject"
        data: dict[str, Any] = {"id": key.id, "act": act, "result": True, "rule": rule}
        self._events.fire("salt/key", data)
        return True
