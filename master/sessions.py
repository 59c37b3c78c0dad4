"""The sessions that stand: found by their public name, one live `agent` session per minion, the newest one.

Pure: time is passed in. A session outlives its TCP connection; what ends it is a newer session of the same minion, a
change of its key, silence, or the age of its keys.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from ..common import handshake
from ..common.session import MAX_SECONDS, MasterSession

MAX_CALL_SESSIONS = 8
MAX_AGENT_SESSIONS = 4  # the newest, the one before, and what a reconnect left behind
OLD_SESSION_SECONDS = 30.0
TAKEOVER_WINDOW_SECONDS = 600.0
MAX_TAKEOVERS = 3


@dataclass(slots=True, eq=False)
class Session:
    """One session: whose it is, its keys, and where its minion was heard last."""

    crypto: MasterSession
    id: str
    kind: str
    public: bytes
    generation: int
    address: str
    routing_id: bytes
    created: float
    heard: float
    used: bool = False
    topic: bytes = b""  # where pushes go, once a connection has shown it
    subscriptions: int = 0  # connections that show its topic: while one is replaced, two
    registered: bool = False
    dies_at: float = 0.0  # when a newer one took over, 0 while this is the newest
    closed: bool = False
    working: int = 0  # requests that are being worked on
    replays: int = 0
    instance: str = ""  # names the process that the minion is; a cloned machine's is another
    epoch: bytes = b""  # whose publications it was let read, and its slot in that epoch
    slot: int = -1
    superseded: bool = False  # a newer session of the minion is in use

    @property
    def sid(self) -> bytes:
        """The session's public name."""
        return self.crypto.sid

    @property
    def subscribed(self) -> bool:
        """Whether a connection shows that its minion is there."""
        return self.subscriptions > 0

    @property
    def is_agent(self) -> bool:
        """Whether this is a daemon's session, not a `ctl-call`'s."""
        return self.kind == handshake.AGENT


@dataclass(frozen=True, slots=True)
class Added:
    """What adding a session did: which agent session it takes over from, and whether that happens too often."""

    previous: Session | None = None
    cloned: bool = False
    pushed_out: Session | None = None


@dataclass(slots=True)
class SessionTable:
    """Every session of this master."""

    idle_seconds: float = 900.0
    by_sid: dict[bytes, Session] = field(default_factory=dict)
    _by_id: dict[str, list[Session]] = field(default_factory=dict)  # of each minion, oldest first
    _takeovers: dict[str, deque[float]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.by_sid)

    def get(self, sid: bytes) -> Session | None:
        """Return the session of this name."""
        return self.by_sid.get(sid)

    def agent(self, minion: str) -> Session | None:
        """Return a minion's newest agent session."""
        return next((session for session in reversed(self._by_id.get(minion, [])) if session.is_agent), None)

    def of(self, minion: str) -> list[Session]:
        """Return every session of a minion, the dying ones too."""
        return list(self._by_id.get(minion, ()))

    def add(self, session: Session, now: float) -> Added:
        """Add a session. A new agent takes over from the one before, which dies a while after this one's first use."""
        previous = self.agent(session.id)
        sessions = self._by_id.setdefault(session.id, [])
        self.by_sid[session.sid] = session
        sessions.append(session)
        if not session.is_agent:
            calls = [other for other in sessions if not other.is_agent]
            if len(calls) > MAX_CALL_SESSIONS:
                self.remove(calls[0])
            return Added()
        agents = [other for other in sessions if other.is_agent]
        pushed_out = None
        if len(agents) > MAX_AGENT_SESSIONS:
            pushed_out = next((other for other in agents[:-1] if not other.used), agents[0])
            self.remove(pushed_out)
        if previous is None:
            return Added()
        same = session.instance != "" and session.instance == previous.instance
        cloned = previous.subscribed and not same and self._count_takeover(session.id, now)
        return Added(previous, cloned, pushed_out)

    def _count_takeover(self, minion: str, now: float) -> bool:
        times = self._takeovers.setdefault(minion, deque(maxlen=MAX_TAKEOVERS + 1))
        times.append(now)
        return len(times) > MAX_TAKEOVERS and now - times[0] <= TAKEOVER_WINDOW_SECONDS

    def use(self, session: Session, routing_id: bytes, address: str, now: float) -> None:
        """A frame of this session opened: note where from. Its first one starts the end of the session before."""
        session.routing_id = routing_id
        session.address = address
        session.heard = now
        if session.used:
            return
        session.used = True
        if session.is_agent and self.agent(session.id) is session:
            for other in self._by_id[session.id]:
                if other.is_agent and other is not session:
                    other.superseded = True
                    other.dies_at = other.dies_at or now + OLD_SESSION_SECONDS

    def remove(self, session: Session) -> None:
        """Forget a session."""
        session.closed = True
        self.by_sid.pop(session.sid, None)
        sessions = self._by_id.get(session.id)
        if sessions and session in sessions:
            sessions.remove(session)
            if not sessions:
                del self._by_id[session.id]

    def expired(self, now: float) -> list[Session]:
        """List the sessions whose time is over."""
        return [
            session
            for session in self.by_sid.values()
            if now - session.heard > self.idle_seconds
            or now - session.created > MAX_SECONDS
            or (session.dies_at and now >= session.dies_at)
        ]

    def forget_takeovers(self, now: float) -> None:
        """Forget takeovers that are long ago."""
        old = [minion for minion, times in self._takeovers.items() if now - times[-1] > TAKEOVER_WINDOW_SECONDS]
        for minion in old:
            del self._takeovers[minion]
