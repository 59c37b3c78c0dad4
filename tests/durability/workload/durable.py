"""What the jobs of a run do: note on this machine that they began and ended, by themselves and whatever happens."""

import json
import os
import time
from typing import Any

__opts__: dict[str, Any]


def _note(event: str, mark: str) -> None:
    line = json.dumps([event, mark, time.monotonic()]) + "\n"
    notes = __opts__["durable_notes"]  # noqa: F821 - the loader puts it there
    descriptor = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def work(mark: str, seconds: float = 0.0, size: int = 0) -> dict[str, str]:
    """Work for so many seconds and return the mark with so many characters beside it."""
    _note("start", mark)
    time.sleep(seconds)
    _note("end", mark)
    return {"mark": mark, "filler": "x" * size}
