"""Which minions are connected.

A minion counts as connected once the master has seen its session's own subscription, has sent the head of the log on
it, and has got its grains. The end of that subscription ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .sessions import Session

Listener = Callable[[str, bool], None]


@dataclass(slots=True)
class Presence:
    """The connected minions, each with the session that shows it; listeners hear of every change."""

    _connected: dict[str, Session] = field(default_factory=dict)
    _listeners: list[Listener] = field(default_factory=list)

    def listen(self, listener: Listener) -> None:
        """Call `listener(id, connected)` at every change."""
        self._listeners.append(listener)

    def __contains__(self, minion: str) -> bool:
        return minion in self._connected

    def __len__(self) -> int:
        return len(self._connected)

    def ids(self) -> list[str]:
        """List the connected minions, sorted."""
        return sorted(self._connected)

    def session(self, minion: str) -> Session | None:
        """Return the session that shows a minion."""
        return self._connected.get(minion)

    def update(self, session: Session) -> None:
        """A session was subscribed or registered: count its minion as connected where it is both."""
        if session.closed or not (session.is_agent and session.subscribed and session.registered):
            return
        before = self._connected.get(session.id)
        if before is not None and before is not session and before.created > session.created:
            return
        self._connected[session.id] = session
        if before is None:
            self._tell(session.id, True)

    def lost(self, session: Session) -> None:
        """A session's subscription ended, or the session itself."""
        session.registered = False
        if self._connected.get(session.id) is session:
            del self._connected[session.id]
            self._tell(session.id, False)

    def _tell(self, minion: str, connected: bool) -> None:
        for listener in tuple(self._listeners):
            listener(minion, connected)
