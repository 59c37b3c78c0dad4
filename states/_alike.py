"""Whether two versions of a file differ in more than its reader may care about: order, white space, comments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Indifference:
    """What does not count as a difference; white space and comments leave out order, too."""

    ordering: bool = False
    whitespace: bool = False
    comments: Sequence[str] = ()

    @classmethod
    def read(cls, ordering: bool, whitespace: bool, comments: str | Sequence[str] | None) -> Indifference:
        """Read what a state says; `comments` may be one text that comments begin with."""
        return cls(ordering, whitespace, (comments,) if isinstance(comments, str) else tuple(comments or ()))

    def __bool__(self) -> bool:
        return self.ordering or self.whitespace or bool(self.comments)

    def covers(self, old: bytes, new: bytes) -> bool:
        """Say whether all that differs between two texts does not count."""
        return bool(self) and self._essence(old) == self._essence(new)

    def _essence(self, data: bytes) -> list[str]:
        lines = []
        for line in data.decode("utf-8", "surrogateescape").splitlines():
            for sign in self.comments:
                line = line.partition(sign)[0]
            line = "".join(line.split()) if self.whitespace else line.rstrip() if self.comments else line
            if line or not (self.whitespace or self.comments):
                lines.append(line)
        return sorted(lines)
