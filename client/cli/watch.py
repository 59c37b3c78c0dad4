"""Follow a job at the terminal: print each return as it comes, name who is not there, and say how it went."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ...common.errors import MasterUnavailable
from .. import job
from . import exits
from .command import DOCUMENTATION, Command
from .printer import Printer

UNKNOWN = "No accepted key has this id"
MAX_NAMED = 10


class Watcher:
    """Prints the events of one job (or batch) as its options ask, and counts how the minions fared."""

    def __init__(self, options: Command, printer: Printer, request: job.Request) -> None:
        self._options = options
        self._printer = printer
        self._request = request
        self._shows_docs = request.fun == DOCUMENTATION and not printer.prints_documents
        self._held: dict[str, job.Return | job.Absent] = {}
        self._docs: dict[str, str] = {}
        self.jid = ""
        self.targeted: list[str] = []
        self.returned: list[str] = []
        self.failed: list[str] = []
        self.missing: dict[str, str] = {}

    def watch(self, source: Callable[[], Iterator[job.Event]]) -> int:
        """Follow the events to their end, or until Ctrl-C; return the exit code."""
        try:
            with self._progress() as progress:
                for event in source():
                    progress(event)
                    self._take(event)
        except KeyboardInterrupt:
            self._finish()
            self._tell_how_to_go_on("\nInterrupted")
            return exits.FAILED
        except MasterUnavailable as error:
            if not self.targeted:
                raise
            self._finish()
            self._tell_how_to_go_on(f"ctl: {error}")
            return exits.FAILED
        self._finish()
        return exits.FAILED if self.failed or self.missing else exits.OK

    def _take(self, event: job.Event) -> None:
        match event:
            case job.Published():
                self._announce(event)
            case job.Return():
                self.returned.append(event.id)
                if not event.good:
                    self.failed.append(event.id)
                self._keep_or_print(event)
            case job.Absent():
                self.missing[event.id] = event.reason
                self._keep_or_print(event)

    def _announce(self, published: job.Published) -> None:
        self.jid = published.jid
        self.targeted = published.ids
        if self.jid and (self._options.verbose or self._options.show_jid):
            self._printer.say(f"jid: {self.jid}")
        if self._options.verbose:
            self._printer.say(f"minions: {', '.join(self.targeted)}")
        away = [minion for minion, there in published.minions if not there]
        if away and not self._options.batch and not self._options.wait:
            self._printer.remark(f"{_names(away)}: {self._why_away()}")
        for minion in self._unknown():
            self.targeted.append(minion)
            self._take(job.Absent(minion, UNKNOWN))

    def _unknown(self) -> list[str]:
        """Return the ids of a list that no minion has; that they were left out is nothing to keep quiet about."""
        if self._request.tgt_type != "list" or self._request.subset:
            return []
        tgt = self._request.tgt
        listed = tgt.replace(",", " ").split() if isinstance(tgt, str) else tgt
        return [minion for minion in dict.fromkeys(listed) if minion not in self.targeted]

    def _why_away(self) -> str:
        window = self._request.window
        return f"not connected; runs if back within {window:g} s" if window else "not connected"

    def _keep_or_print(self, event: job.Return | job.Absent) -> None:
        if self._shows_docs and isinstance(event, job.Return) and event.good and isinstance(event.ret, dict):
            self._docs = {**event.ret, **self._docs}
        elif self._options.static:
            self._held[event.id] = event
        else:
            self._print(event)

    def _print(self, event: job.Return | job.Absent) -> None:
        if isinstance(event, job.Return):
            self._printer.show_return(event.id, event.fun or self._request.fun, event.ret, event.out)
        elif not self._options.hide_timeout:
            self._printer.show_return(event.id, "", event.sentence)

    def _finish(self) -> None:
        """Print what was kept for the end."""
        if self._docs:
            self._printer.say(format_docs(self._docs))
        elif self._shows_docs and self._request.arg and self.returned and not self.failed:
            self._printer.remark(no_docs([str(name) for name in self._request.arg]))
        if self._options.static:
            self._print_held()
        if self._options.summary:
            self._printer.say(self.summary())

    def _print_held(self) -> None:
        held = [self._held[minion] for minion in sorted(self._held)]
        if not self._printer.prints_documents:
            for event in held:
                self._print(event)
            return
        if self._options.hide_timeout:
            held = [event for event in held if isinstance(event, job.Return)]
        self._printer.show({event.id: event.ret if isinstance(event, job.Return) else event.sentence for event in held})

    def summary(self) -> str:
        """Return how many minions were meant, returned, failed and did not return."""
        rows = [
            ("Targeted", self.targeted, False),
            ("Returned", self.returned, False),
            ("Failed", self.failed, True),
            ("Did not return", list(self.missing), True),
        ]
        rule = "-" * 43
        lines = [rule, "Summary", rule]
        for label, minions, named in rows:
            names = f" ({_names(sorted(minions), MAX_NAMED * 10)})" if named and minions else ""
            lines.append(f"{label + ':':<16}{len(minions)}{names}")
        return "\n".join([*lines, rule])

    def _tell_how_to_go_on(self, why: str) -> None:
        if self.jid:
            self._printer.warn(
                f"{why}. The job {self.jid} goes on; look it up with\n  ctl-run jobs.lookup_jid {self.jid}"
            )
        else:
            self._printer.warn(f"{why}. What was started goes on; see ctl-run jobs.active")

    def _progress(self) -> Any:
        if not self._options.progress:
            return _NoProgress()
        from .progress import show  # rich is only loaded where progress is shown

        return show()


class _NoProgress:
    def __enter__(self) -> Callable[[job.Event], None]:
        return lambda event: None

    def __exit__(self, *_: object) -> None:
        """Nothing was begun."""


def format_docs(docs: dict[str, str]) -> str:
    """Return the documentation of functions as text, each below its name."""
    from ..output.palette import escape

    blocks = []
    for name in sorted(docs):
        text = escape(str(docs[name] or "")).strip("\n")
        indented = "\n".join(f"    {line}".rstrip() for line in text.splitlines())
        blocks.append(f"{escape(name)}:\n\n{indented}\n")
    return "\n".join(blocks)


def no_docs(names: Sequence[str]) -> str:
    """Say that nothing was found for the names that documentation was asked for."""
    return f"There is no documentation for {' or '.join(repr(name) for name in names)}; sys.list_functions lists names."


def _names(minions: list[str], most: int = MAX_NAMED) -> str:
    more = f" and {len(minions) - most} more" if len(minions) > most else ""
    return ", ".join(minions[:most]) + more
