"""The requests that await the master's reply, over whatever session there is: sent again until answered.

A retry is a new frame with the same rid, so the master does the work once. Nothing here reads a clock or a socket.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..common.errors import MasterUnavailable, RemoteError, WireError
from ..common.session import RID_BYTES, MinionSession, Reply
from .clock import monotonic
from .jitter import between

AGAIN_AFTER_S = 15.0
MAX_IN_FLIGHT = 48  # the master works on 64 of a session at once
FIRST = frozenset(("keepalive", "register", "catch_up", "group_get"))  # these wait for no others
BUSY_PAUSE_S = (0.02, 1.0)
SLOW = frozenset(("pillar", "pillar_chunk", "file_list"))
SLOW_AGAIN_AFTER_S = 90.0


@dataclass(slots=True, eq=False)
class _Request:
    method: str
    args: dict[str, Any]
    answer: asyncio.Future[Any]
    rid: bytes = field(default_factory=lambda: os.urandom(RID_BYTES))
    session: MinionSession | None = None
    counter: int = 0
    sent_at: float = 0.0
    sent: bool = False
    master: bytes = b""

    def is_late(self, now: float) -> bool:
        limit = SLOW_AGAIN_AFTER_S if self.method in SLOW else AGAIN_AFTER_S
        return not self.sent or now - self.sent_at > limit


class Requests:
    """The open requests. `send(frame)` puts a frame on the wire, False where it cannot."""

    def __init__(
        self, send: Callable[[bytes], bool], successor: Callable[[bytes], bytes] = lambda master: master
    ) -> None:
        self._send = send
        self._successor = successor  # of a master's fingerprint: the same master, with a new key
        self._open: dict[_Request, None] = {}
        self._by_counter: dict[tuple[bytes, int], _Request] = {}
        self._session: MinionSession | None = None
        self._master = b""
        self._room = asyncio.Semaphore(MAX_IN_FLIGHT)

    def __len__(self) -> int:
        return len(self._open)

    def use(self, session: MinionSession | None, master: bytes = b"", *, again: bool = True) -> None:
        """Go on under this session; with `again`, what is open is sent under it at once.

        What another master was asked is not asked again here: it fails with `MasterUnavailable`.
        """
        self._session = session
        if session is None:
            return
        self._master = master
        for request in list(self._open):
            if request.master and self._successor(request.master) != master and not request.answer.done():
                request.answer.set_exception(MasterUnavailable("the connection went to another master"))
        if again:
            self.send_again(everything=True)

    def send_again(self, *, everything: bool = False) -> None:
        """Send what is late, or everything that is open (after a reconnect)."""
        now = monotonic()
        for request in list(self._open):
            if everything or request.is_late(now):
                self._transmit(request)

    async def ask(self, method: str, args: dict[str, Any], timeout: float | None = None) -> Any:
        """Make a request and return its result; raises `RemoteError` for an error, `MasterUnavailable` in time.

        Where the master has too many requests of ours under way, it is asked again.
        """
        try:
            async with asyncio.timeout(timeout):
                if method in FIRST:
                    return await self._ask_patiently(method, args)
                async with self._room:
                    return await self._ask_patiently(method, args)
        except TimeoutError:
            raise MasterUnavailable(f"the master did not answer {method} within {timeout:g} s") from None

    async def _ask_patiently(self, method: str, args: dict[str, Any]) -> Any:
        pause, longest = BUSY_PAUSE_S
        while True:
            try:
                return await self._ask_once(method, args)
            except RemoteError as error:
                if error.code != "busy":
                    raise
            await asyncio.sleep(between(pause / 2, pause))
            pause = min(longest, pause * 2)

    async def _ask_once(self, method: str, args: dict[str, Any]) -> Any:
        request = _Request(method, args, asyncio.get_running_loop().create_future())
        self._open[request] = None
        self._transmit(request)
        try:
            return await request.answer
        finally:
            self._open.pop(request, None)
            self._forget(request)

    def tell(self, method: str, args: dict[str, Any]) -> bool:
        """Send a request that has no reply; False where there is no session or no room."""
        if self._session is None:
            return False
        try:
            frame, _ = self._session.request(method, args, one_way=True)
        except WireError:
            return False
        return self._send(frame)

    def settle(self, session: MinionSession, reply: Reply) -> None:
        """Hand a reply to whoever waits for it."""
        request = self._by_counter.pop((session.sid, reply.irt), None)
        if request is None or request.answer.done():
            return
        if reply.code == 0:
            request.answer.set_result(reply.body)
        else:
            request.answer.set_exception(_remote_error(reply))

    def _transmit(self, request: _Request) -> None:
        session = self._session
        if session is None or request.answer.done():
            return
        self._forget(request)
        try:
            frame, counter = session.request(request.method, request.args, request.rid)
        except WireError as error:
            request.answer.set_exception(error)
            return
        request.session, request.counter, request.sent_at = session, counter, monotonic()
        request.master = self._master
        self._by_counter[session.sid, counter] = request
        request.sent = self._send(frame)

    def _forget(self, request: _Request) -> None:
        if request.session is not None:
            self._by_counter.pop((request.session.sid, request.counter), None)
            request.session.forget(request.counter)
            request.session = None


def _remote_error(reply: Reply) -> RemoteError:
    body = reply.body if isinstance(reply.body, dict) else {}
    name, message = str(body.get("name") or "Error"), str(body.get("message") or reply.code)
    return RemoteError(name, message, code=str(reply.code))
