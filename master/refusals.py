"""Lines about what strangers do: one for each source and matter a minute, with the number of times, and few in all."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass

from .admission import Bucket

MINUTE_SECONDS = 60.0
MAX_SUBJECTS = 4096
LINES_A_SECOND = 0.5  # of all sources together
LINES_AT_ONCE = 30.0


@dataclass(slots=True)
class _Subject:
    said: float
    unsaid: int = 0


class Refusals:
    """Counts what is refused, and says now and then how much that was. Time is passed in.

    `what` is the line's beginning, with `%s` where the source belongs.
    """

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._subjects: OrderedDict[tuple[str, str], _Subject] = OrderedDict()
        self._lines = Bucket(LINES_AT_ONCE, 0.0)
        self.count = 0

    def note(self, source: str, why: str, now: float, matter: str = "") -> None:
        """Count one; log it where nothing was said about this matter of this source for a minute."""
        self.count += 1
        subject = self._subjects.get((source, matter))
        if subject is not None and now - subject.said < MINUTE_SECONDS:
            subject.unsaid += 1
            return
        unsaid = subject.unsaid if subject is not None else 0
        self._subjects[source, matter] = _Subject(now)
        self._subjects.move_to_end((source, matter))
        if len(self._subjects) > MAX_SUBJECTS:
            self._subjects.popitem(last=False)
        if self._lines.take(LINES_A_SECOND, LINES_AT_ONCE, now):
            before = f" (and {unsaid} times before, in silence)" if unsaid else ""
            self._log.warning(f"{self._what}: %s%s", source or "an unknown address", why, before)
