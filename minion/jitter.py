"""Random pauses, so that minions that lost one master do not all come back at once."""

from __future__ import annotations

import random


def between(least: float, most: float) -> float:
    """Return a random number of seconds; it spreads load and is no secret."""
    return random.uniform(least, most)  # noqa: S311  # see above
