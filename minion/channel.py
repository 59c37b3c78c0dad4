"""The way to the master: always one session with one of the masters, or on the way to one; never gives up.

Requests made here wait for a session, survive reconnects, and are answered once. What arrives (jobs, the need for
grains) goes to the `Listener`.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import secrets
from typing import Any

from .. import __version__
from ..common.config import MinionConfig
from ..common.crypto import fingerprint_bytes, fingerprint_text
from ..common.errors import CtlError, MasterUnavailable, PinError
from ..common.handshake import AGENT
from ..common.log import Limiter
from ..common.wire import PROTOCOL_VERSION
from .addresses import parse_address
from .clock import MasterClock, monotonic
from .connection import Connection, Listener, Refused
from .handshake import ANSWER_TIMEOUT_OF_SEVERAL_S, ANSWER_TIMEOUT_S
from .identity import Identity
from .jitter import between
from .reader import Position
from .requests import Requests
from .trust import Trust

log = logging.getLogger(__name__)

PIN_LINE_S = 3600.0
AWAY_LINE_S = 300.0
GOODBYE_S = 0.05
REGISTER_TIMEOUT_S = 60.0


class Backoff:
    """Pauses that double from `least` to `most`, each with a random part taken off."""

    def __init__(self, least: float, most: float) -> None:
        self._least = least
        self._most = most
        self._next = least

    def next(self) -> float:
        """Return the next pause."""
        pause = self._next * between(0.5, 1.0)
        self._next = min(self._most, self._next * 2)
        return pause

    def reset(self) -> None:
        """Begin again."""
        self._next = self._least


class Nowhere:
    """The position of who reads no publications."""

    def get(self, master: bytes) -> int:
        """There is none."""
        return 0

    def set(self, master: bytes, offset: int) -> None:
        """It is not kept."""


class Channel:
    """A minion's way to its masters, tried in the order of the configuration. `run()` is its life."""

    def __init__(
        self,
        config: MinionConfig,
        identity: Identity,
        trust: Trust,
        listener: Listener,
        *,
        kind: str = AGENT,
        position: Position | None = None,
    ) -> None:
        self._config = config
        self._identity = identity
        self._trust = trust
        self._listener = listener
        self._kind = kind
        self._position = position or Nowhere()
        self._addresses = [parse_address(entry, config.master_port) for entry in config.master]
        self._versions: dict[str, str | int] = {
            "ctl": __version__,
            "protocol": PROTOCOL_VERSION,
            "python": platform.python_version(),
            "instance": secrets.token_hex(8),
        }
        self._requests = Requests(self._send, self._successor)
        self._connection: Connection | None = None
        self._has_session = asyncio.Event()
        self._backoff = Backoff(config.reconnect_min, config.reconnect_max)
        self._pin_backoff = Backoff(config.pin_backoff_min, config.pin_backoff_max)
        self._pin_lines = Limiter(PIN_LINE_S, monotonic)
        self._away_lines = Limiter(AWAY_LINE_S, monotonic)
        self.clock = MasterClock()

    @property
    def has_session(self) -> bool:
        """Whether there is a session with a master."""
        return self._has_session.is_set()

    @property
    def master_fingerprint(self) -> str:
        """The fingerprint of the master that there is a session with."""
        return self._connection.master_fingerprint if self._connection is not None else ""

    async def run(self) -> None:
        """Keep a session until cancelled, whatever the masters do."""
        turn = 0
        while True:
            started = monotonic()
            had_session, pause = await self._try(turn % len(self._addresses))
            if not had_session:
                turn += 1
            # An attempt that took its time is a pause already.
            await asyncio.sleep(max(between(0.0, 0.05), pause - (monotonic() - started)))

    async def _try(self, number: int) -> tuple[bool, float]:
        """Use one master for as long as it goes; return whether there was a session, and the pause that is due."""
        address = self._addresses[number]
        connection = Connection(
            self._config,
            self._identity,
            self._trust,
            address,
            self._kind,
            self._requests,
            self.clock,
            self._listener,
            self._position,
            self._versions,
            self._away_lines,
            ANSWER_TIMEOUT_S if len(self._addresses) == 1 else ANSWER_TIMEOUT_OF_SEVERAL_S,
        )
        self._connection = connection
        had_session = False
        try:
            await connection.open()
            had_session = True
            self._has_session.set()
            self._backoff.reset()
            self._pin_backoff.reset()
            log.info("a session with the master %s (key %s)", address, connection.master_fingerprint)
            await connection.serve()
        except ExceptionGroup as group:
            return had_session, self._pause_after(str(address), *group.exceptions)
        except Exception as error:  # the boundary around one connection: whatever a master sends, the minion goes on
            return had_session, self._pause_after(str(address), error)
        finally:
            self._has_session.clear()
            await connection.close()
            self._connection = None
        return had_session, self._backoff.next()

    def _pause_after(self, address: str, *errors: Exception) -> float:
        """Log why a connection ended; return the pause that is due."""
        for error in errors:
            if isinstance(error, PinError):
                if self._pin_lines.allows(address):
                    log.error("the master %s is not trusted: %s", address, error)
            elif isinstance(error, CtlError | OSError):
                level = logging.WARNING if self._away_lines.allows((address, str(error))) else logging.DEBUG
                if isinstance(error, Refused):  # the next connection says it, with this minion's fingerprint
                    level = logging.INFO
                log.log(level, "%s; trying again", error)
            else:
                log.error("the session with the master %s broke on %s", address, type(error).__name__, exc_info=error)
        pinned = any(isinstance(error, PinError) for error in errors)
        return (self._pin_backoff if pinned else self._backoff).next()

    def _send(self, frame: bytes) -> bool:
        return self._connection is not None and self._connection.send(frame)

    async def ask(self, method: str, args: dict[str, Any], timeout: float | None = None) -> Any:
        """Make a request; it is sent again over every reconnect until it is answered or `timeout` has passed."""
        return await self._requests.ask(method, args, timeout)

    def tell(self, method: str, args: dict[str, Any]) -> bool:
        """Send a request that has no reply; False where there is no session to send it on."""
        return self._requests.tell(method, args)

    async def wait_for_session(self, timeout: float | None = None) -> None:
        """Wait until there is a session; raises `MasterUnavailable` in time."""
        try:
            async with asyncio.timeout(timeout):
                await self._has_session.wait()
        except TimeoutError:
            masters = ", ".join(str(address) for address in self._addresses)
            raise MasterUnavailable(
                f"no session with the master {masters} within {timeout:g} s",
                hint="does it run there, and has it accepted this minion's key? (ctl-key -L)",
            ) from None

    async def wait_for_master(self, master: bytes) -> None:
        """Wait until there is a session with the master of this fingerprint, or of one that followed it."""
        while True:
            await self._has_session.wait()
            if self._connection is not None and self._connection.master == self._successor(master):
                return
            await asyncio.sleep(1.0)

    async def register(self, grains: bytes) -> None:
        """Tell the master the grains, outside of the order of connecting."""
        await self.ask("register", {"grains": grains, "versions": self._versions}, REGISTER_TIMEOUT_S)

    def _successor(self, master: bytes) -> bytes:
        return fingerprint_bytes(self._trust.successor(fingerprint_text(master)))

    def reconnect(self, why: str) -> None:
        """Give the connection up and make another; what is asked goes on over that one."""
        if self._connection is not None:
            self._connection.give_up(why)

    async def goodbye(self) -> None:
        """Tell the master that this minion stops on purpose, and leave the frame a moment to go out."""
        if self.tell("goodbye", {}):
            await asyncio.sleep(GOODBYE_S)
