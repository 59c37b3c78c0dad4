"""A live view of a job on a terminal: how many minions have returned, and what those that run are doing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from .. import job
from ..output.palette import escape

MAX_ROWS = 8
MAX_DETAIL = 60


@contextlib.contextmanager
def show(console: Console | None = None) -> Iterator[Callable[[job.Event], None]]:
    """Show progress on standard error; yield what to call with each event. Does nothing where no terminal is."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield lambda event: None
        return
    # rich draws over its own lines only: what is printed to standard output meanwhile goes above them
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as progress:
        yield _View(progress).take


class _View:
    """The rows of the live view: one for the job, and one for each of a few minions that run it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._total: TaskID | None = None
        self._rows: dict[str, TaskID] = {}

    def take(self, event: job.Event) -> None:
        """Show what an event changes."""
        match event:
            case job.Published():
                self._total = self._progress.add_task("minions", total=len(event.minions))
            case job.Progress():
                self._show_minion(event)
            case job.Return() | job.Absent():
                self._end_minion(event.id)

    def _show_minion(self, event: job.Progress) -> None:
        if event.id not in self._rows:
            if len(self._rows) >= MAX_ROWS:
                return
            self._rows[event.id] = self._progress.add_task("", total=None)
        text = escape(f"{event.id}: {describe(event.data)}").replace("\r", "").replace("\n", " ")
        self._progress.update(self._rows[event.id], description=Text(text[:MAX_DETAIL]).markup)

    def _end_minion(self, minion: str) -> None:
        if self._total is not None:
            self._progress.advance(self._total)
        row = self._rows.pop(minion, None)
        if row is not None:
            self._progress.remove_task(row)


def describe(data: Any) -> str:
    """Say in a few words what news of a running job says: a state's name and result, a line of output."""
    if isinstance(data, dict):
        for key in ("name", "__id__", "id", "line", "message"):
            if data.get(key):
                result = data.get("result", "")
                return f"{data[key]} {result}".strip()
    return str(data)
