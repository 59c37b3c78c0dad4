"""The minion's handshake over a socket: send, wait, bear with garbage, and end with the master's decision."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
from collections.abc import Callable, Mapping

from ..common import wire
from ..common.errors import HandshakeError, MasterUnavailable, PinError, StorageError, WireError
from ..common.handshake import ACCEPTED, Busy, Initiator, Outcome, Unsupported
from ..common.log import Limiter
from ..common.puzzle import solve
from .clock import monotonic
from .identity import Identity
from .trust import Trust

log = logging.getLogger(__name__)

HELLO_AGAIN_S = (5.0, 10.0)
ANSWER_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_OF_SEVERAL_S = 5.0
RESULT_TIMEOUT_S = 10.0
MAX_BUSY_S = 30.0
MAX_PUZZLES = 3  # of one handshake: the hint is in clear text, and anybody could set some
PUZZLE_S = 8.0


class Handshake:
    """One handshake. `take` is given the frames that are its; `run` returns what the master decided.

    A frame that does not verify is dropped: whoever can write to the socket cannot break a handshake under way.
    """

    def __init__(
        self,
        send: Callable[[bytes], bool],
        master: str,
        identity: Identity,
        trust: Trust,
        id: str,
        kind: str,
        versions: Mapping[str, str | int],
        last_log_off: int,
        limiter: Limiter,
    ) -> None:
        self._send = send
        self._limiter = limiter
        self._master = master
        token = trust.token(master)
        self._shows_token = token is not None
        self._initiator = Initiator(
            identity.key,
            id,
            kind,
            pin=trust.pin(master),
            versions=versions,
            last_log_off=last_log_off,
            check_pin=trust.checker(master),
            token=(token.id, token.key) if token is not None else None,
        )
        self._challenged = asyncio.Event()
        self._decided: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._asked_at = 0.0
        self._busy_until = 0.0
        self._puzzle: Busy | None = None
        self._answered = asyncio.Event()  # a challenge, or a puzzle
        self.round_trip = 0.0

    @property
    def id(self) -> bytes:
        """The handshake's own id, as the master's hints name it; empty before the challenge."""
        return self._initiator.handshake_id

    @property
    def master_fingerprint(self) -> str:
        """The fingerprint of the key that the master proved to hold."""
        return self._initiator.master_fingerprint

    async def run(self, timeout: float = ANSWER_TIMEOUT_S) -> Outcome:
        """Run it to its end; raises PinError, or MasterUnavailable where no good answer comes in time."""
        try:
            async with asyncio.timeout(timeout):
                await self._greet()
        except TimeoutError:
            raise MasterUnavailable(f"the master {self._master} does not answer") from None
        try:
            async with asyncio.timeout(RESULT_TIMEOUT_S):
                return await asyncio.shield(self._decided)
        except TimeoutError:
            raise MasterUnavailable(f"the master {self._master} does not end the handshake") from None
        finally:
            self._decided.cancel()

    async def _greet(self) -> None:
        puzzles = 0
        pauses = iter((*HELLO_AGAIN_S, ANSWER_TIMEOUT_S))
        while (pause := next(pauses, None)) is not None:
            await asyncio.sleep(max(0.0, self._busy_until - monotonic()))
            solved = await self._solve()
            if self._challenged.is_set():  # for the HELLO before
                return
            self._send(self._initiator.hello(*solved))
            self._answered.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._answered.wait()
            if self._challenged.is_set():
                return
            if self._puzzle is not None and puzzles < MAX_PUZZLES:  # one that was set does not use up a try
                puzzles += 1
                pauses = itertools.chain((pause,), pauses)
        raise TimeoutError

    async def _solve(self) -> tuple[bytes, ...]:
        """Return the seed and the solution of the puzzle that was set last, if any; found in a thread of its own."""
        puzzle, self._puzzle = self._puzzle, None
        if puzzle is None:
            return ()
        until, stopped = monotonic() + PUZZLE_S, threading.Event()
        ephemeral = self._initiator.ephemeral
        try:
            nonce = await asyncio.to_thread(
                solve, puzzle.seed, ephemeral, puzzle.bits, lambda: monotonic() < until and not stopped.is_set()
            )
        finally:
            stopped.set()
        return (puzzle.seed, nonce) if nonce is not None else ()

    def take(self, frame: bytes) -> None:
        """Take a CHALLENGE or a RESULT."""
        is_challenge = wire.frame_type(frame) == wire.CHALLENGE
        if self._decided.done() or (is_challenge and self._challenged.is_set()):
            return  # the answer to a HELLO that was said again
        try:
            if is_challenge:
                self._answer(self._initiator.challenge(frame))
            else:
                outcome = self._initiator.result(frame)
                self.round_trip = monotonic() - self._asked_at
                self._look_at_token(outcome)
                self._decided.set_result(outcome)
        except (PinError, StorageError) as error:
            self._decided.set_exception(error)
            self._challenged.set()
            self._answered.set()
        except (HandshakeError, WireError) as error:
            level = logging.WARNING if self._limiter.allows("handshake frame") else logging.DEBUG
            log.log(level, "a frame of the handshake with the master %s was dropped: %s", self._master, error)

    def _look_at_token(self, outcome: Outcome) -> None:
        if self._shows_token and outcome.status != ACCEPTED and self._limiter.allows("token"):
            known = "does not take" if outcome.knows_token else "does not know"
            log.warning("the master %s %s this minion's enrolment token", self._master, known)

    def _answer(self, auth: bytes) -> None:
        self._asked_at = monotonic()
        self._send(auth)
        self._challenged.set()
        self._answered.set()

    def hint(self, hint: Busy | Unsupported) -> None:
        """Take a hint in clear text, which may only make us wait or say something."""
        if isinstance(hint, Busy):
            self._busy_until = monotonic() + min(MAX_BUSY_S, hint.retry_after)
            if hint.bits and not self._challenged.is_set():
                self._puzzle = hint
                self._answered.set()
        elif self._limiter.allows("unsupported"):
            log.error(
                "the master %s says that it speaks version %d of the protocol with suites %s, not version %d with %s",
                self._master,
                hint.version,
                [f"{suite:#06x}" for suite in hint.suites],
                wire.PROTOCOL_VERSION,
                f"{wire.SUITE:#06x}",
            )
