"""The table that `make bench` prints: a line for each figure, beside it what Salt and the bare machine take."""

from __future__ import annotations

from dataclasses import dataclass

SMALLER_IS_BETTER = frozenset(("s", "ms", "MiB", "%"))
NAME_WIDTH = 50


@dataclass(frozen=True)
class Line:
    """One figure. `floor` is what the same work costs without any of us; `goal` is what we want to reach."""

    name: str
    unit: str
    ctl: float
    salt: float | None = None
    floor: float | None = None
    goal: float | None = None
    note: str = ""

    @property
    def ratio(self) -> str:
        """How many times better than Salt."""
        return _times(self.salt, self.ctl, self.unit)

    @property
    def above_floor(self) -> str:
        """How many times the floor."""
        return _times(self.ctl, self.floor, self.unit)

    @property
    def reached(self) -> str:
        """Whether the goal was reached, in one character."""
        if self.goal is None:
            return ""
        good = self.ctl <= self.goal if self.unit in SMALLER_IS_BETTER else self.ctl >= self.goal
        return "+" if good else "-"

    def __str__(self) -> str:
        figures = [_number(value) for value in (self.salt, self.ctl, self.floor)]
        shown = f"{self.name:{NAME_WIDTH}} {self.unit:6}" + "".join(f"{figure:>10}" for figure in figures)
        goal = f"{_number(self.goal)} {self.reached}" if self.goal is not None else ""
        return f"{shown}{self.ratio:>9}{self.above_floor:>9}{goal:>11}  {self.note}".rstrip()


def header() -> str:
    """Return the names of the columns."""
    names = f"{'':{NAME_WIDTH}} {'':6}" + "".join(f"{name:>10}" for name in ("Salt", "ctl", "floor"))
    return f"{names}{'Salt/ctl':>9}{'to floor':>9}{'goal':>9}"


def _times(worse: float | None, better: float | None, unit: str) -> str:
    if not worse or not better:
        return ""
    return f"{worse / better if unit in SMALLER_IS_BETTER else better / worse:.1f}x"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"
