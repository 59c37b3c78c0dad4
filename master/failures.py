"""Failed attempts to authenticate: so many a minute for each subject (an account, a user of this machine), no more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable

WINDOW_SECONDS = 60.0
MAX_SUBJECTS = 4096


class Failures:
    """Counts attempts from their beginning: many at once are not more than one after another.

    A subject that is forgotten, because too many others failed after it, may try again; how many others there can be
    is bounded by the subjects that cannot be chosen freely (a user of this machine).
    """

    def __init__(self, most: int, now: Callable[[], float]) -> None:
        self._most = most
        self._now = now
        self._times: dict[Hashable, deque[float]] = {}

    def begin(self, subjects: Iterable[Hashable]) -> bool:
        """Note an attempt of these subjects, which counts as failed until `succeeded`; False where it is too many."""
        subjects = tuple(subjects)
        if any(len(self._recent(subject)) >= self._most for subject in subjects):
            return False
        for subject in subjects:
            times = self._times.pop(subject, None) or deque()
            times.append(self._now())
            if len(self._times) >= MAX_SUBJECTS:
                self._times.pop(next(iter(self._times)))
            self._times[subject] = times
        return True

    def succeeded(self, subjects: Iterable[Hashable]) -> None:
        """Take back the newest attempt of these subjects."""
        for subject in subjects:
            times = self._times.get(subject)
            if times:
                times.pop()
            if not times:
                self._times.pop(subject, None)

    def _recent(self, subject: Hashable) -> deque[float]:
        times = self._times.get(subject)
        if times is None:
            return deque()
        while times and self._now() - times[0] >= WINDOW_SECONDS:
            times.popleft()
        return times
