"""What `ctl-run state.event` does: print the master's events as they happen, a line for each.

It runs here and not on the master: whoever listens for hours should not keep a worker of the master busy.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import Any

from ..connection import Pool
from ..events import Event, listen
from . import exits
from .options import UsageError
from .printer import Printer


def listen_and_print(pool: Pool, printer: Printer, args: list[Any], kwargs: dict[str, Any]) -> int:
    """Print the events that `tagmatch` (a glob or a regular expression) asks for, `count` of them (-1: no end).

    `quiet` prints nothing and only waits; `pretty` spreads the data over several lines.
    """
    tagmatch, count, quiet, pretty = _read(*args, **kwargs)
    with contextlib.closing(listen(pool, tagmatch)) as events:
        for event in itertools.islice(events, count if count >= 0 else None):
            if not quiet:
                printer.line(_format(event, pretty))
    return exits.OK


def _read(
    tagmatch: str = "*", count: int = -1, quiet: bool = False, pretty: bool = False, **unknown: Any
) -> tuple[str, int, bool, bool]:
    if unknown or not isinstance(count, int):
        wrong = ", ".join(unknown) or f"count={count}"
        raise UsageError(f"state.event: {wrong} is no argument of it", hint="tagmatch, count, quiet, pretty")
    return str(tagmatch), count, bool(quiet), bool(pretty)


def _format(event: Event, pretty: bool) -> str:
    data = json.dumps(event.data, default=str, sort_keys=pretty, indent=4 if pretty else None)
    return f"{event.tag}\t{data}"
