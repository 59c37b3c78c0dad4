"""`retry`: how often, how long apart, and until which result a state is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Retry:
    """The settings of a state's `retry`; a value of the wrong type counts as the default."""

    until: bool = True
    attempts: int = 2
    splay: int = 0
    interval: int = 30

    @classmethod
    def read(cls, value: Any) -> Retry | None:
        """Read `retry: True` or a mapping; None where there is nothing to retry."""
        if value is None or value is False:
            return None
        if not isinstance(value, dict):
            return cls()
        known: dict[str, Any] = {
            key: item
            for key, item in value.items()
            if (key == "until" and isinstance(item, bool))
            or (key in ("attempts", "splay", "interval") and type(item) is int)
        }
        return cls(**known)

    def pause(self) -> float:
        """Return the seconds to wait before the next attempt."""
        return self.interval + (random.randint(0, self.splay) if self.splay else 0)  # noqa: S311 (spread, not secrecy)

    def describe(self) -> str:
        """Say in a dry run what would be tried again."""
        return (
            f"The state would be retried every {self.interval} seconds (with a splay of up to {self.splay} seconds) "
            f"a maximum of {self.attempts} times or until a result of {self.until} is returned"
        )


def attempt_comment(number: int, result: Any, comment: str) -> str:
    """Say how an attempt ended."""
    return f'Attempt {number}: Returned a result of "{result}", with the following comment: "{comment}"'
