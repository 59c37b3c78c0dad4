"""One connection to one master: sockets, the handshake, the session on it, and what tells that it is lost.

The session outlives the TCP connections below it: ZeroMQ connects again by itself, and only a master that no longer
knows the session makes a new handshake necessary, which runs beside the old session. The connection as a whole is given
up when the master stays silent or refuses this minion; `channel.py` then makes another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import Any, Protocol

from ..common import wire
from ..common.config import MinionConfig
from ..common.crypto import fingerprint_bytes
from ..common.errors import (
    AuthenticationError,
    CtlError,
    LateFrame,
    MasterUnavailable,
    PinError,
    SealError,
    WireError,
)
from ..common.handshake import ACCEPTED, AGENT, Busy, NoSession, Nudge, Outcome, Unsupported, parse_hint
from ..common.log import Limiter
from ..common.publication import TOPIC
from ..common.session import HEAD, JOB, MinionSession, Push
from ..common.sockets import Dealer, Heartbeat, Subscriber
from .addresses import Address
from .clock import MasterClock, monotonic
from .handshake import Handshake
from .identity import Identity
from .jitter import between
from .job import Job
from .reader import Position, Reader
from .requests import Requests
from .tasks import Tasks
from .trust import Trust

log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
HEAD_TIMEOUT_S = 10.0
RENEW_PAUSE_S = 5.0
RENEW_LOST_PAUSE_S = 0.5  # after a connection that ended
NUDGE_PAUSE_S = 1.0
WATCH_S = 1.0
REFUSED_RETRY_S = 60.0
MAX_RETRY_S = 300.0
BAD_FRAMES = 3
BAD_FRAMES_WITHIN_S = 10.0


class Listener(Protocol):
    """What the daemon does with a connection."""

    def running_jids(self) -> list[str]:
        """List the jobs that run."""
        ...

    async def grains(self) -> bytes:
        """Return the packed grains, once there are any."""
        ...

    def take_job(self, job: Job) -> None:
        """Take a job that the master expects of this minion."""
        ...

    def set_connected(self, connected: bool) -> None:
        """Hear that the master counts this minion as connected, or no longer does."""
        ...


class Refused(AuthenticationError):
    """The master ended the session with an authenticated statement about this minion's key."""

    code = "refused"


class Connection:
    """One connection: `open()` until there is a session, `serve()` until it is lost, `close()` in any case."""

    def __init__(
        self,
        config: MinionConfig,
        identity: Identity,
        trust: Trust,
        address: Address,
        kind: str,
        requests: Requests,
        clock: MasterClock,
        listener: Listener,
        position: Position,
        versions: dict[str, str | int],
        limiter: Limiter,
        patience: float,
    ) -> None:
        self._config = config
        self._identity = identity
        self._trust = trust
        self._address = address
        self._kind = kind
        self._requests = requests
        self._clock = clock
        self._listener = listener
        self._position = position
        self._versions = versions
        self._limiter = limiter
        self._patience = patience
        self._tasks = Tasks()
        self._heartbeat = Heartbeat(config.heartbeat_seconds, config.heartbeat_timeout_seconds)
        self._dealer: Dealer | None = None
        self._subscriber: Subscriber | None = None
        self._handshake: Handshake | None = None
        self._session: MinionSession | None = None
        self._previous: MinionSession | None = None
        self._reader: Reader | None = None
        self._params: dict[str, Any] = {}
        self._born = 0.0
        self._rekey_at = 0.0
        self._renew_after = 0.0
        self._nudged_at = 0.0
        self._heard_at = 0.0
        self._head_due: float | None = None
        self._announce = False
        self._reconnected = False
        self._probe = asyncio.Event()
        self._nudge = asyncio.Event()
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._bad: deque[float] = deque(maxlen=BAD_FRAMES)
        self.master = b""
        self.master_fingerprint = ""

    # -- life

    async def open(self) -> None:
        """Connect and shake hands until the master accepts; waits as told while it does not."""
        self._dealer = Dealer(
            self._address.host, self._address.port, self._on_frame, self._on_disconnect, heartbeat=self._heartbeat
        )
        while True:
            outcome = await self._shake()
            if outcome.status == ACCEPTED:
                self._identity.accepted()
                self._adopt(outcome, again=True)
                return
            if not self._identity.promote():  # a change of the key that this minion did not see the end of
                await self._wait_while(outcome)

    async def serve(self) -> None:
        """Keep the session until it is lost; raises what lost it."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._until_lost(), name="until lost")
            group.create_task(self._keep_alive(), name="keep alive")
            group.create_task(self._watch(), name="watch")
            if self._reader is not None:
                group.create_task(self._follow(self._reader), name="follow")

    async def close(self) -> None:
        """Close the sockets and forget the session."""
        self._requests.use(None)
        self._listener.set_connected(False)
        await self._tasks.close()
        self._lost.cancel()
        if self._subscriber is not None:
            self._subscriber.close()
        if self._dealer is not None:
            self._dealer.close()

    async def _until_lost(self) -> None:
        await asyncio.shield(self._lost)

    def _lose(self, error: CtlError) -> None:
        if not self._lost.done():
            self._lost.set_exception(error)

    def give_up(self, why: str) -> None:
        """End this connection; the channel makes another."""
        self._lose(MasterUnavailable(why))

    def send(self, frame: bytes) -> bool:
        """Put one frame on the wire."""
        return self._dealer is not None and self._dealer.send(frame)

    # -- the handshake

    async def _shake(self) -> Outcome:
        master = str(self._address)
        pin = self._trust.pin(master)
        offset = self._position.get(fingerprint_bytes(pin)) if pin else 0
        handshake = Handshake(
            self.send,
            master,
            self._identity,
            self._trust,
            self._config.id,
            self._kind,
            self._versions,
            offset,
            self._limiter,
        )
        self._handshake = handshake
        outcome = await handshake.run(self._patience)
        self.master_fingerprint = handshake.master_fingerprint
        self.master = fingerprint_bytes(handshake.master_fingerprint)
        self._clock.sync(outcome.t_master_ms, handshake.round_trip)
        return outcome

    async def _wait_while(self, outcome: Outcome) -> None:
        """Wait until it is time to ask a master again that does not accept this minion's key (yet)."""
        if self._limiter.allows(("status", outcome.status)):
            own = self._identity.fingerprint
            log.warning(
                "the master %s has this minion (%s, key %s) as %s", self._address, self._config.id, own, outcome.status
            )
        told = outcome.params.get("retry_after")
        retry = float(told) if isinstance(told, int | float) else REFUSED_RETRY_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(MAX_RETRY_S * 1.25, max(0.5, retry))):
                self._nudge.clear()
                await self._nudge.wait()

    def _adopt(self, outcome: Outcome, *, again: bool) -> None:
        """Go on under the session that a handshake made."""
        assert outcome.session_keys is not None
        self._previous, self._session = self._session, MinionSession(outcome.session_keys)
        self._params = outcome.params
        self._born = self._heard_at = monotonic()
        self._rekey_at = self._born + self._seconds("rekey_seconds", 3600.0) * between(0.8, 1.0)
        self._bad.clear()
        if self._kind == AGENT:
            self._read_under(outcome.group)
        self._requests.use(self._session, self.master, again=again)
        if self._kind != AGENT:
            self._listener.set_connected(True)

    def _seconds(self, name: str, default: float) -> float:
        value = self._params.get(name)
        return float(value) if isinstance(value, int | float) and value > 0 else default

    def _renew(self, why: str) -> None:
        """Have a new handshake beside the session; not more often than every five seconds."""
        now = monotonic()
        if now < self._renew_after or self._session is None:
            return
        self._renew_after = now + RENEW_PAUSE_S
        log.info("a new handshake with the master %s: %s", self._address, why)
        self._tasks.start(self._shake_again(again=why != "rekey"), "handshake")

    async def _shake_again(self, *, again: bool) -> None:
        before = self.master
        try:
            outcome = await self._shake()
        except PinError as error:
            self._lose(error)
            return
        except CtlError as error:
            # Clear-text hints made us try, so this proves nothing about the session that stands.
            log.info("the new handshake with %s came to nothing: %s", self._address, error)
            return
        if outcome.status == ACCEPTED and self.master != before:
            self.give_up(f"the master {self._address} has a new key")
        elif outcome.status == ACCEPTED:
            self._adopt(outcome, again=again)
        else:
            self._lose(Refused(f"the master {self._address} now has this minion as {outcome.status}"))

    # -- frames

    def _on_frame(self, frame: bytes) -> None:
        try:
            kind = wire.frame_type(frame)
            if kind == wire.REPLY:
                self._on_reply(frame)
            elif kind in (wire.CHALLENGE, wire.RESULT):
                if self._handshake is not None:
                    self._handshake.take(frame)
            else:
                self._on_hint(frame)
        except WireError as error:
            self._drop("a frame", error)

    def _on_reply(self, frame: bytes) -> None:
        sid = wire.session_id(frame)
        for session in (self._session, self._previous):
            if session is not None and session.sid == sid:
                self._requests.settle(session, session.reply(frame))
                return
        raise WireError("a reply of another session")

    def _on_hint(self, frame: bytes) -> None:
        hint = parse_hint(frame)
        if isinstance(hint, NoSession):
            if self._session is not None and hint.sid == self._session.sid:
                self._renew("the master does not know our session")
        elif isinstance(hint, Nudge):
            if self._handshake is not None and hint.handshake_id == self._handshake.id:
                self._on_nudge()
        elif isinstance(hint, Busy | Unsupported) and self._handshake is not None:
            self._handshake.hint(hint)

    def _on_nudge(self) -> None:
        now = monotonic()
        if now - self._nudged_at >= NUDGE_PAUSE_S:
            self._nudged_at = now
            self._nudge.set()

    def _drop(self, what: str, error: WireError) -> None:
        """Note a frame that is dropped: one line for each kind, and a new handshake where many do not open."""
        level = logging.INFO if isinstance(error, LateFrame) else logging.WARNING
        if self._limiter.allows((what, error.code)):
            log.log(level, "%s from the master %s was dropped: %s", what, self._address, error)
        if isinstance(error, SealError):
            self._note_bad_frame()

    def _note_bad_frame(self) -> None:
        now = monotonic()
        self._bad.append(now)
        if len(self._bad) == BAD_FRAMES and now - self._bad[0] <= BAD_FRAMES_WITHIN_S:
            self._bad.clear()
            self._renew(f"{BAD_FRAMES} frames did not open")

    def _on_disconnect(self) -> None:
        if self._session is not None:
            self._reconnected = True
            # no hint alone: the connection did end, as it does where a master starts again
            self._renew_after = min(self._renew_after, monotonic() + RENEW_LOST_PAUSE_S)
            self._probe.set()

    # -- publications

    def _read_under(self, group: list[Any] | None) -> None:
        if group is None:
            raise WireError("the master accepted this minion without a group")
        if self._reader is None:
            self._reader = Reader(
                group, self.master_fingerprint, self.master, self._position, self._listener.take_job, self._on_forged
            )
        else:
            self._reader.adopt(group)
        if self._subscriber is None:
            self._subscribe_anew()
        else:
            self._ask_for_presence(self._subscriber)

    def _subscribe_anew(self) -> None:
        if self._subscriber is not None:
            self._subscriber.close()
        port = self._params.get("publish_port")
        if not isinstance(port, int):
            raise WireError("the master did not tell its publish port")
        self._subscriber = Subscriber(
            self._address.host, port, self._on_packet, self._on_subscriber_lost, heartbeat=self._heartbeat
        )
        self._subscriber.subscribe(TOPIC)
        self._ask_for_presence(self._subscriber)

    def _ask_for_presence(self, subscriber: Subscriber) -> None:
        assert self._session is not None
        subscriber.subscribe(self._session.topic())
        self._head_due = monotonic() + HEAD_TIMEOUT_S

    def _on_subscriber_lost(self) -> None:
        self._listener.set_connected(False)
        self._head_due = monotonic() + 2 * HEAD_TIMEOUT_S
        self._probe.set()

    def _on_packet(self, topic: bytes, packet: bytes) -> None:
        if self._reader is None:
            return
        try:
            if topic == TOPIC:
                if self._reader.take(packet, self._clock.now_ms()):
                    self._heard_at = monotonic()
            else:
                self._on_push(topic, packet)
        except WireError as error:
            self._drop("a publication", error)

    def _on_push(self, topic: bytes, frame: bytes) -> None:
        for session in (self._session, self._previous):
            if session is not None and topic == session.topic():
                push = session.push(frame)
                self._heard_at = monotonic()
                if push.kind == JOB and self._reader is not None:
                    self._reader.take_push(push.body, self._clock.now_ms())
                elif push.kind == HEAD and self._reader is not None and session is self._session:
                    self._on_head(self._reader, push)

    def _on_head(self, reader: Reader, push: Push) -> None:
        self._head_due = None
        self._announce = True
        reader.head(push.body)

    def _on_forged(self) -> None:
        self._requests.tell("event", {"tag": "security/forged_publication", "data": wire.pack_payload({})})

    async def _follow(self, reader: Reader) -> None:
        """Ask for what is missing whenever something is, and announce this minion at each new subscription."""
        while True:
            await reader.wants.wait()
            try:
                if reader.stale:
                    await self._beat()
                    reader.stale = False
                announce, self._announce = self._announce, False
                await reader.settle(self._ask)
                if announce:
                    await self._register()
            except CtlError as error:
                log.warning("the master %s did not say what is missing: %s", self._address, error)
                self._announce = self._announce or announce
                await asyncio.sleep(between(1.0, 3.0))
                reader.wants.set()

    async def _register(self) -> None:
        grains = await self._listener.grains()
        await self._ask("register", {"grains": grains, "versions": self._versions})
        self._listener.set_connected(True)
        # not before: until now it was the old session that showed the master that this minion is there
        if self._previous is not None and self._subscriber is not None:
            self._subscriber.unsubscribe(self._previous.topic())

    async def _ask(self, method: str, args: dict[str, Any]) -> Any:
        return await self._requests.ask(method, args, timeout=READ_TIMEOUT_S)

    # -- what keeps it

    async def _keep_alive(self) -> None:
        """Name the running jobs every 20 s or so, at once after a disconnect; give up after two silences."""
        silent = 0
        while True:
            interval = self._config.keepalive_seconds * between(0.8, 1.2)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval if silent == 0 else 1.0):
                    await self._probe.wait()
            if self._probe.is_set():
                await asyncio.sleep(between(0.0, min(10.0, self._seconds("spread_seconds", 0.0))))
            self._probe.clear()
            try:
                await self._beat()
                silent = 0
            except MasterUnavailable:
                silent += 1
                if silent == 2:
                    raise
            except CtlError as error:
                log.warning("the master %s refused a keepalive: %s", self._address, error)

    async def _beat(self) -> None:
        asked = monotonic()
        jids = self._listener.running_jids()
        reply = await self._requests.ask("keepalive", {"jids": jids}, timeout=ANSWER_TIMEOUT_S)
        self._clock.sync(int(reply["t_master_ms"]), monotonic() - asked)
        if self._reconnected:
            self._reconnected = False
            self._requests.send_again(everything=True)

    async def _watch(self) -> None:
        """Look at what has a due time: replies, the session's keys, the subscription."""
        while True:
            await asyncio.sleep(WATCH_S)
            self._requests.send_again()
            now = monotonic()
            session = self._session
            if session is not None and (now >= self._rekey_at or session.needs_rekey(0.0)):
                self._renew("rekey")
            if self._subscriber is None:
                continue
            silence = 3 * self._seconds("publication_heartbeat_seconds", 10.0)
            if (self._head_due is not None and now > self._head_due) or now - self._heard_at > silence:
                log.info("no publications from the master %s: subscribing anew", self._address)
                self._listener.set_connected(False)
                self._heard_at = now
                self._subscribe_anew()
                self._probe.set()
