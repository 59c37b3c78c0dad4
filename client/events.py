"""Listen to the master's event bus: what happens there, as the master tells it to whoever may see it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

from ..common.payload import unpack_payload
from .connection import Exchange, Pool


class Event(NamedTuple):
    """One event: its tag, its data, and when it was fired (UTC, in ISO form)."""

    tag: str
    data: dict[str, Any]
    stamp: str


def listen(pool: Pool, tagmatch: str = "*") -> Generator[Event, None, None]:
    """Yield the events whose tag matches a glob or a regular expression, without end; close it to stop."""
    matches = matcher(tagmatch)
    with Exchange(pool, "events", {"tags": []}) as exchange:
        for kind, frame in exchange:
            if kind == "event" and matches(frame["tag"]):
                yield Event(frame["tag"], unpack_payload(frame["data"]), frame["stamp"])


def matcher(tagmatch: str) -> Callable[[str], bool]:
    """Return what tells whether a tag matches: as a glob, or from its start as a regular expression."""
    try:
        expression = re.compile(tagmatch)
    except re.error:  # `*` and its like are globs only
        return lambda tag: fnmatch.fnmatchcase(tag, tagmatch)
    return lambda tag: fnmatch.fnmatchcase(tag, tagmatch) or expression.match(tag) is not None
