"""How long a client waits, and what it is told of minions it waits for no longer.

Pure: what happens to a job goes in with the time, what to tell comes out. `timeout` bounds silence, not work: how
long a connected minion may take to acknowledge. A job that runs is waited for as long as its minion names it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from .jobs import END_STATES, UNDER_WAY, Mark, State

NOT_CONNECTED = "Not connected"
NO_RESPONSE = "No response"
STILL_RUNNING = "Still running"
CONNECTION_LOST = "Connection lost"
KEEPALIVES_MISSED = 3

# What an end state without a return is called; a minion's or the master's own reason comes first.
END_REASONS = {
    State.NOT_DELIVERED: "Not delivered",
    State.INTERRUPTED: "Interrupted",
    State.REFUSED: "Refused",
    State.FAILED: "Failed",
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What the client asked for, in seconds; `wait` is to wait out the delivery window; `max_time` 0 is no limit."""

    timeout: float = 5.0
    max_time: float = 0.0
    wait: bool = False
    keepalive: float = 20.0

    def silence(self, state: State) -> float:
        """Return how long a minion may be silent in this state."""
        if state in UNDER_WAY:
            return max(self.timeout, self.keepalive * KEEPALIVES_MISSED)
        return self.timeout


@dataclass(frozen=True, slots=True)
class Absent:
    """A minion that is waited for no longer."""

    id: str
    reason: str
    state: str


@dataclass(slots=True)
class Waiter:
    """One client's wait for one job.

    Feed it with `start`, `heard`, `lost`, `back`, `tick`; each returns the minions given up by it. `done` says when
    there is nobody left to wait for, `next_deadline` when to call `tick`.
    """

    policy: Policy
    started: float
    waiting: dict[str, State] = field(default_factory=dict)
    # one queue for each length of silence: what is heard goes to its end, so the first is always due first
    _silent: OrderedDict[str, float] = field(default_factory=OrderedDict)
    _working: OrderedDict[str, float] = field(default_factory=OrderedDict)
    _cut: OrderedDict[str, float] = field(default_factory=OrderedDict)

    @property
    def done(self) -> bool:
        """Whether nobody is waited for."""
        return not self.waiting

    def start(self, minions: Iterable[tuple[str, Mark, bool]], now: float) -> list[Absent]:
        """Begin with each expected minion, its mark and whether it is connected."""
        absent: list[Absent] = []
        for minion, mark, connected in minions:
            if mark.state in END_STATES:
                continue
            if not connected and mark.state is State.SENT and not self.policy.wait:
                absent.append(Absent(minion, NOT_CONNECTED, mark.state))
                continue
            self.waiting[minion] = mark.state
            if connected:
                self._schedule(minion, mark.state, now)
            elif mark.state is not State.SENT:
                self._cut[minion] = now + self.policy.timeout
        return absent

    def heard(self, minion: str, state: State, now: float) -> None:
        """A minion acknowledged, named the job, or ended it."""
        if minion not in self.waiting:
            return
        self._unschedule(minion)
        if state in END_STATES:
            del self.waiting[minion]
            return
        self.waiting[minion] = state
        self._schedule(minion, state, now)

    def lost(self, minion: str, now: float) -> list[Absent]:
        """A minion's connection ended."""
        state = self.waiting.get(minion)
        if state is None:
            return []
        self._unschedule(minion)
        if state is State.SENT:
            return [] if self.policy.wait else [self._give_up(minion, NOT_CONNECTED)]
        self._cut[minion] = now + self.policy.timeout
        return []

    def back(self, minion: str, now: float) -> None:
        """A minion's connection stands again."""
        state = self.waiting.get(minion)
        if state is not None:
            self._unschedule(minion)
            self._schedule(minion, state, now)

    def tick(self, now: float) -> list[Absent]:
        """Time has passed."""
        if self.policy.max_time and now >= self.started + self.policy.max_time:
            return [self._give_up(minion, self._why_late(minion)) for minion in list(self.waiting)]
        absent: list[Absent] = []
        for queue, reason in ((self._silent, NO_RESPONSE), (self._working, NO_RESPONSE), (self._cut, CONNECTION_LOST)):
            while queue and next(iter(queue.values())) <= now:
                absent.append(self._give_up(next(iter(queue)), reason))
        return absent

    def next_deadline(self) -> float | None:
        """Return when `tick` has something to say at the earliest, or None for never."""
        if self.done:
            return None
        times = [next(iter(queue.values())) for queue in (self._silent, self._working, self._cut) if queue]
        if self.policy.max_time:
            times.append(self.started + self.policy.max_time)
        return min(times, default=None)

    def _why_late(self, minion: str) -> str:
        return STILL_RUNNING if self.waiting[minion] in UNDER_WAY else NO_RESPONSE

    def _give_up(self, minion: str, reason: str) -> Absent:
        self._unschedule(minion)
        return Absent(minion, reason, self.waiting.pop(minion))

    def _schedule(self, minion: str, state: State, now: float) -> None:
        queue = self._working if state in UNDER_WAY else self._silent
        queue[minion] = now + self.policy.silence(state)

    def _unschedule(self, minion: str) -> None:
        for queue in (self._silent, self._working, self._cut):
            queue.pop(minion, None)


def end_reason(mark: Mark) -> str:
    """Say in words why a minion that ended a job has no return."""
    return mark.reason or END_REASONS.get(mark.state, str(mark.state))
