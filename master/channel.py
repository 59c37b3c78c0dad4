"""The request socket: who speaks on it, and what they are answered.

Session frames are opened and worked on at once; HELLO and AUTH go to the queue of handshakes; anything else is dropped
with a line. Nothing is looked up by a name that a peer sent, but for the literal table of methods, inside a session.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable
from typing import Any

from ..common import crash, handshake, wire
from ..common.config import MasterConfig
from ..common.errors import CtlError, ReplayError, RequestRefused, WireError
from ..common.log import Limiter
from ..common.session import MasterSession, Request, SessionKeys
from ..common.sockets import Router
from .binding import bind_again
from .desk import Desk
from .guard import FRAME_BYTES, REQUEST, Connection
from .guard_loop import GuardLoop
from .handlers import AGENT_ONLY, METHODS, ONCE, ONE_WAY
from .handshakes import Handshakes
from .quotas import Quota, Quotas
from .refusals import Refusals
from .sessions import OLD_SESSION_SECONDS, Session
from .tasks import Tasks

log = logging.getLogger(__name__)

MAX_WORKING = 64  # requests of one session that wait for something
KEPT_RIDS = 64
RENEWALS_AT_ONCE = 50
RENEWALS_A_SECOND = 1000


class Channel:
    """The master's request side. `open` binds its socket."""

    def __init__(self, config: MasterConfig) -> None:
        self._config = config
        self._router: Router | None = None
        self._desk: Desk | None = None
        self._handshakes: Handshakes | None = None
        self._guard: GuardLoop | None = None
        self._tasks = Tasks()
        self._limiter = Limiter()
        self._refusals = Refusals(log, "a frame from %s is dropped")
        self._quotas = Quotas(Quota(config.session_rate, config.session_burst, config.session_mib, config.call_quota))
        self._answered: dict[str, OrderedDict[bytes, tuple[int | str, Any] | None]] = {}

    @property
    def dropped(self) -> int:
        """How many frames were dropped."""
        return self._refusals.count

    @property
    def drained(self) -> int:
        """How often every frame that was here had been handed out."""
        return self._router.drained if self._router is not None else 0

    def attach(self, desk: Desk, handshakes: Handshakes, guard: GuardLoop) -> None:
        """Connect the parts; before `open`."""
        self._desk = desk
        self._handshakes = handshakes
        self._guard = guard

    def open(self, port: int | None = None) -> int:
        """Bind the socket, to the configured port where none is given; return its port."""
        assert self._guard is not None
        self._router = Router(
            self._config.interface,
            self._config.ret_port if port is None else port,
            self._on_message,
            watcher=self._guard.port(REQUEST),
            silence=self._config.heartbeat_timeout_seconds,
        )
        return self._router.port

    async def reopen(self) -> None:
        """Throw the socket away with all that is in it, and bind another to the same port; sessions go on."""
        assert self._router is not None
        router, self._router = self._router, None
        router.close()
        await bind_again(lambda: self.open(router.port))

    def stop_intake(self) -> None:
        """Take no more frames."""
        if self._handshakes is not None:
            self._handshakes.close()
        if self._router is not None:
            self._router.close()

    async def close(self) -> None:
        """Close the socket and end what is being worked on."""
        self.stop_intake()
        if self._handshakes is not None:
            await self._handshakes.finish()
        await self._tasks.close()

    def send(self, routing_id: bytes, frame: bytes) -> bool:
        """Send a frame to a peer; False where it has gone or reads too slowly."""
        return self._router is not None and self._router.send(routing_id, frame)

    # -- frames

    def _on_message(self, routing_id: bytes, frame: bytes, address: str) -> None:
        assert self._guard is not None
        assert self._router is not None
        connection = self._guard.brought(self._router.descriptor, routing_id, address, len(frame) + FRAME_BYTES)
        try:
            kind = wire.frame_type(frame)
            if kind == wire.REQUEST:
                self._on_request(routing_id, frame, address, connection)
            elif kind in (wire.HELLO, wire.AUTH):
                assert self._handshakes is not None
                self._handshakes.take(routing_id, frame, address, connection)
            else:
                raise WireError(f"a frame of type {kind:#04x} has no business here")
        except WireError as error:
            self._drop(address, error)
            self._guard.stray(connection)
        except Exception:  # the boundary around one frame: whatever it was, the next one is served
            log.exception("a frame from %s broke its handler", address)

    def _drop(self, address: str, why: WireError) -> None:
        assert self._desk is not None
        self._refusals.note(address, str(why), self._desk.now(), why.code)

    def _on_request(self, routing_id: bytes, frame: bytes, address: str, connection: Connection | None) -> None:
        assert self._desk is not None
        assert self._guard is not None
        sid = wire.session_id(frame)
        session = self._desk.sessions.get(sid)
        if session is None:
            self.send(routing_id, handshake.encode_hint(handshake.NoSession(sid)))
            self._guard.stray(connection)
            return
        try:
            request = session.crypto.open_request(frame)
        except ReplayError as error:
            session.replays += 1
            if self._limiter.allows(("replay", session.id)):
                log.warning("a frame of %s's session, from %s, is dropped: %s", session.id, address, error)
            self._guard.stray(connection)
            return
        self._guard.shown(connection, session.id)
        first = not session.used
        self._desk.sessions.use(session, routing_id, address, self._desk.now())
        if first:
            self._desk.publications.began(session)
        if self._is_within_quota(session, request, len(frame), connection):
            self._work(session, request)

    def _is_within_quota(self, session: Session, request: Request, size: int, connection: Connection | None) -> bool:
        assert self._desk is not None
        assert self._guard is not None
        now = self._desk.now()
        over = self._quotas.over(session.id, request.method, size, now)
        if request.method == "call_return" and not over and not self._quotas.keeps_call(session.id, size, now):
            self._refuse(session, request, RequestRefused("quota", "too much of this minion's calls is kept already"))
            return False
        if not over:
            return True
        if self._limiter.allows(("quota", session.id)):
            log.warning("minion %s, from %s, is told to wait: %s", session.id, session.address, over)
        if self._quotas.ignores(session.id, now):
            self._guard.ignores(connection)
        else:
            self._refuse(session, request, RequestRefused("busy", f"ask again later: {over}"))
        return False

    # -- requests

    def _work(self, session: Session, request: Request) -> None:
        method = METHODS.get(request.method)
        if (earlier := self._earlier(session, request)) is not None:
            self._answer(session, request, *earlier)
            return
        try:
            if method is None:
                raise RequestRefused("unknown_method", f"there is no method {request.method!r}")
            self._check(session, request)
            assert self._desk is not None
            answer = method(self._desk, session, request.args)
        except CtlError as error:
            self._refuse(session, request, error)
            return
        except Exception as error:  # the boundary around one handler call
            self._broke(session, request, error)
            return
        if isinstance(answer, Awaitable):
            self._start(session, request, answer)
        else:
            self._answer(session, request, 0, answer)

    def _earlier(self, session: Session, request: Request) -> tuple[int | str, Any] | None:
        """Return what a repeated request was answered, for the methods that must not be done twice."""
        if request.method not in ONCE:
            return None
        answers = self._answered.setdefault(session.id, OrderedDict())
        if request.rid in answers:
            return answers[request.rid] or ("busy", {"name": "busy", "message": "the request is being worked on"})
        answers[request.rid] = None
        while len(answers) > KEPT_RIDS:
            answers.popitem(last=False)
        return None

    def _check(self, session: Session, request: Request) -> None:
        claimed = request.args.get("id")
        if claimed is not None and claimed != session.id:
            if self._limiter.allows(("id", session.id)):
                log.warning("minion %s asks %s in the name of %.140r", session.id, request.method, claimed)
            raise RequestRefused("identity", "a request is made in the name of its session, of nobody else")
        if request.method in AGENT_ONLY and not session.is_agent:
            raise RequestRefused("not_allowed", f"{request.method} is for a minion's daemon")
        if session.working >= MAX_WORKING:
            raise RequestRefused("busy", f"{session.working} requests are being worked on already")

    def _start(self, session: Session, request: Request, answer: Awaitable[Any]) -> None:
        session.working += 1
        self._tasks.spawn(self._finish(session, request, answer), f"{request.method} of {session.id}")

    async def _finish(self, session: Session, request: Request, answer: Awaitable[Any]) -> None:
        try:
            body = await answer
        except CtlError as error:
            self._refuse(session, request, error)
        except Exception as error:  # the boundary around one handler call
            self._broke(session, request, error)
        else:
            self._answer(session, request, 0, body)
        finally:
            session.working -= 1

    def _refuse(self, session: Session, request: Request, error: CtlError) -> None:
        log.debug("%s of %s is refused: %s", request.method, session.id, error)
        code = error.code if error.code else "error"
        self._answer(session, request, code, {"name": type(error).__name__, "message": str(error)})

    def _broke(self, session: Session, request: Request, error: Exception) -> None:
        log.error("%s of %s failed", request.method, session.id, exc_info=error)
        body = {"name": type(error).__name__, "message": "the master could not do this; its log says why"}
        self._answer(session, request, "error", body)

    def _answer(self, session: Session, request: Request, code: int | str, body: Any) -> None:
        if request.method in ONCE and (answers := self._answered.get(session.id)) is not None:
            answers[request.rid] = (code, body)
        if request.method in ONE_WAY or session.closed:
            return
        try:
            frame = session.crypto.reply(request.ctr, code, body)
        except WireError as error:
            log.error("the answer to %s of %s cannot be sent: %s", request.method, session.id, error)
            frame = session.crypto.reply(request.ctr, error.code, {"name": "WireError", "message": str(error)})
        self.send(session.routing_id, frame)
        if request.method == "return":
            crash.at("master.return.answered")

    # -- sessions

    def session_started(
        self,
        claim: handshake.Claim,
        generation: int,
        session_keys: SessionKeys,
        group: list[Any] | None,
        routing_id: bytes,
        address: str,
    ) -> Session:
        """Make the session that a handshake led to."""
        assert self._desk is not None
        now = self._desk.now()
        session = Session(
            crypto=MasterSession(session_keys),
            id=claim.id,
            kind=claim.kind,
            public=claim.public,
            generation=generation,
            address=address,
            routing_id=routing_id,
            created=now,
            heard=now,
            instance=claim.instance,
            epoch=group[0] if group else b"",
            slot=group[5] if group else -1,
        )
        added = self._desk.sessions.add(session, now)
        if added.pushed_out is not None:
            self._desk.presence.lost(added.pushed_out)
        if added.cloned and added.previous is not None and self._limiter.allows(("cloned", claim.id)):
            log.warning(
                "the same key of %s comes from two addresses, %s and %s: is it a cloned machine?",
                claim.id,
                added.previous.address,
                address,
            )
            self._desk.events.fire(
                "salt/auth", {"id": claim.id, "act": "cloned", "addresses": [added.previous.address, address]}
            )
        return session

    async def renew_sessions(self) -> None:
        """Ask every minion for a new handshake, and end the sessions that none follows."""
        assert self._desk is not None
        for number, session in enumerate(list(self._desk.sessions.by_sid.values()), 1):
            session.dies_at = session.dies_at or self._desk.now() + OLD_SESSION_SECONDS
            self.send(session.routing_id, handshake.encode_hint(handshake.NoSession(session.sid)))
            if number % RENEWALS_AT_ONCE == 0:
                await asyncio.sleep(RENEWALS_AT_ONCE / RENEWALS_A_SECOND)

    def sweep(self) -> None:
        """Forget sessions whose time is over."""
        assert self._desk is not None
        for session in self._desk.sessions.expired(self._desk.now()):
            self._desk.presence.lost(session)
            self._desk.sessions.remove(session)
        self._desk.sessions.forget_takeovers(self._desk.now())
        for minion in [minion for minion in self._answered if not self._desk.sessions.of(minion)]:
            del self._answered[minion]
