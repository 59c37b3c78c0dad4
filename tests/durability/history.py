"""What happened in a run, and what of it breaks a promise. Pure: events in, violations out.

The promises: (a) a job whose jid a client was given is on disk, once; (b) it starts at most once on each minion that it
is for, not after its delivery window, and ends there in a stated way that the facts bear out; (c) a return that was
confirmed to its minion is in the job cache. All times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

END_STATES = frozenset({"returned", "failed", "interrupted", "refused", "not delivered"})
NEVER_STARTED = frozenset({"refused", "not delivered"})


@dataclass(frozen=True, slots=True)
class Called:
    """A client began to ask for a job; `token` is in its arguments. `window` is how long it may wait for a minion."""

    token: str
    at: float
    window: float


@dataclass(frozen=True, slots=True)
class Answered:
    """A client was given a jid for its call."""

    token: str
    at: float
    jid: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A client was told that its call failed, or was never told; the job may exist or not."""

    token: str
    at: float
    reason: str


@dataclass(frozen=True, slots=True)
class Started:
    """The function itself noted, on the minion, that it began."""

    token: str
    minion: str
    at: float


@dataclass(frozen=True, slots=True)
class Finished:
    """The function itself noted that it came to its end."""

    token: str
    minion: str
    at: float


@dataclass(frozen=True, slots=True)
class Confirmed:
    """By the minion's own disk, the master has confirmed the end of this job."""

    minion: str
    jid: str


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended on one minion, by the job cache. `good` says whether the value is what the function returns."""

    state: str
    inferred: bool = False
    good: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cached:
    """A job in the job cache when all was over."""

    jid: str
    token: str
    expected: tuple[str, ...]
    ends: Mapping[str, End]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something was broken on purpose from `at` to `until`; `target` is a minion, `master` or a client."""

    kind: str
    target: str
    at: float
    until: float


Event = Called | Answered | Failed | Started | Finished | Confirmed | Cached | Fault


@dataclass(frozen=True, slots=True)
class Rules:
    """What explains an end that is no return: kinds of faults of the minion itself, or of the master.

    `slack` is how late a start may be noted after a window; `shadow` how long a fault is felt after it is over.
    """

    explained: Mapping[str, frozenset[str]] = field(default_factory=dict)
    slack: float = 1.0
    shadow: float = 10.0


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken, and how."""

    promise: str
    what: str

    def __str__(self) -> str:
        return f"({self.promise}) {self.what}"


class _Facts:
    """The events by kind, ready to look things up."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.called: dict[str, Called] = {}
        self.answered: dict[str, Answered] = {}
        self.started: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.finished: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.confirmed: set[tuple[str, str]] = set()
        self.cached: dict[str, Cached] = {}
        self.jids: dict[str, list[str]] = defaultdict(list)
        self.faults: list[Fault] = []
        for event in events:
            self._add(event)

    def _add(self, event: Event) -> None:
        match event:
            case Called():
                self.called[event.token] = event
            case Answered():
                self.answered[event.token] = event
            case Started():
                self.started[event.token, event.minion].append(event.at)
            case Finished():
                self.finished[event.token, event.minion].append(event.at)
            case Confirmed():
                self.confirmed.add((event.minion, event.jid))
            case Cached():
                self.cached[event.jid] = event
                self.jids[event.token].append(event.jid)
            case Fault():
                self.faults.append(event)
            case Failed():
                pass


def check(events: Iterable[Event], rules: Rules) -> list[Violation]:
    """Return every broken promise of a history that is over."""
    facts = _Facts(events)
    return [*_durable(facts), *_at_most_once(facts, rules), *_ended(facts, rules), *_kept(facts)]


def _durable(facts: _Facts) -> Iterable[Violation]:
    for token, answer in facts.answered.items():
        job = facts.cached.get(answer.jid)
        if job is None:
            yield Violation("a", f"job {answer.jid} ({token}) was given to a client and is not in the job cache")
        elif job.token != token:
            yield Violation("a", f"job {answer.jid} was given to {token} and is {job.token}")
    for token, jids in facts.jids.items():
        if len(jids) > 1:
            yield Violation("a", f"{token} was asked for once and is {len(jids)} jobs: {', '.join(sorted(jids))}")
    given = Counter(answer.jid for answer in facts.answered.values())
    for jid, count in given.items():
        if count > 1:
            yield Violation("a", f"jid {jid} was given out {count} times")


def _at_most_once(facts: _Facts, rules: Rules) -> Iterable[Violation]:
    for (token, minion), times in facts.started.items():
        if len(times) > 1:
            yield Violation("b", f"{token} started {len(times)} times on {minion}")
        if token not in facts.jids:
            yield Violation("b", f"{token} started on {minion}, and no such job is in the job cache")
            continue
        job = facts.cached[facts.jids[token][0]]
        if minion not in job.expected:
            yield Violation("b", f"{token} started on {minion}, which it was not for")
        call = facts.called[token]
        answer = facts.answered.get(token)
        made_by = answer.at if answer is not None else call.at + rules.shadow
        if min(times) > made_by + call.window + rules.slack:
            late = min(times) - made_by - call.window
            yield Violation("b", f"{token} started on {minion} {late:.1f} s after its delivery window")


def _ended(facts: _Facts, rules: Rules) -> Iterable[Violation]:
    for job in facts.cached.values():
        for minion in job.expected:
            end = job.ends.get(minion)
            if end is None or end.state not in END_STATES:
                yield Violation("b", f"job {job.jid} ({job.token}) has no end on {minion}")
                continue
            yield from _borne_out(facts, job, minion, end)
            yield from _explained(facts, rules, job, minion, end)


def _borne_out(facts: _Facts, job: Cached, minion: str, end: End) -> Iterable[Violation]:
    started = (job.token, minion) in facts.started
    if end.state in NEVER_STARTED and started:
        yield Violation("b", f"job {job.jid} is {end.state} on {minion}, where it started ({end.reason})")
    if end.state == "returned" and (job.token, minion) not in facts.finished:
        yield Violation("b", f"job {job.jid} is returned by {minion}, where it never came to its end")
    if end.state == "returned" and not end.good:
        yield Violation("c", f"job {job.jid} has another return of {minion} than the function gave")
    if end.state == "returned" and end.inferred:
        yield Violation("c", f"job {job.jid} is returned by {minion} by the master's word alone")


def _explained(facts: _Facts, rules: Rules, job: Cached, minion: str, end: End) -> Iterable[Violation]:
    kinds = rules.explained.get(end.state)
    call = facts.called.get(job.token)
    if kinds is None or call is None:
        return
    last = call.at + call.window + rules.shadow
    for fault in facts.faults:
        felt = fault.at <= last and fault.until + rules.shadow >= call.at
        if felt and fault.kind in kinds and fault.target in (minion, "master"):
            return
    yield Violation("b", f"job {job.jid} is {end.state} on {minion} ({end.reason}), and nothing had happened there")


def _kept(facts: _Facts) -> Iterable[Violation]:
    for minion, jid in sorted(facts.confirmed):
        job = facts.cached.get(jid)
        if job is None:
            yield Violation("c", f"job {jid} was confirmed to {minion} and is not in the job cache")
            continue
        end = job.ends.get(minion)
        if end is None or end.inferred:
            yield Violation("c", f"the return of job {jid} was confirmed to {minion} and is not in the job cache")
