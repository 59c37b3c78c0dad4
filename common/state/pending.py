"""Triggers that are due: a `watch` or `listen` whose state changed, and that has not fired yet.

A trigger is written down when what it watches changes, and struck out when the watching state had its turn and did
not fail. So one that a failure, or the end of the run, prevented is still there, and fires at the next run. One small
file each, in the minion's data directory.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..atomic import atomic_write
from ..errors import CtlError

log = logging.getLogger(__name__)

DIRECTORY = "minion/pending"
MAX_REASONS = 5


@dataclass(slots=True)
class Trigger:
    """A state (by its return's key) that is to be triggered, and the changed states that are the reason."""

    tag: str
    since: float
    jid: str = ""
    because: list[str] = field(default_factory=list)

    def describe(self) -> str:
        """Say why it is due."""
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        names = ", ".join(_name(tag) for tag in self.because)
        return f"due since {when}, when {names} changed"


def _name(tag: str) -> str:
    words = tag.split("_|-")
    return f"{words[0]}: {words[1]}" if len(words) == 4 else tag


class Pending:
    """The triggers that are due on this minion. Without a directory, none are kept."""

    def __init__(self, data_dir: str | Path | None) -> None:
        self._directory = Path(data_dir, DIRECTORY) if data_dir else None
        self._triggers = {trigger.tag: trigger for trigger in self._read()}

    def __iter__(self) -> Iterator[Trigger]:
        return iter(sorted(self._triggers.values(), key=lambda trigger: trigger.since))

    def get(self, tag: str) -> Trigger | None:
        """Return the trigger of a state, where it is due."""
        return self._triggers.get(tag)

    def note(self, tag: str, because: str, jid: str) -> None:
        """Write down that a state is to be triggered."""
        trigger = self._triggers.get(tag)
        if trigger is None:
            trigger = self._triggers[tag] = Trigger(tag, time.time(), jid)
        elif because in trigger.because or len(trigger.because) >= MAX_REASONS:
            return
        trigger.because.append(because)
        self._write(trigger)

    def settle(self, tag: str) -> None:
        """Strike out a trigger: it fired, or need not any more."""
        if self._triggers.pop(tag, None) is not None and self._directory is not None:
            try:
                self._path(tag).unlink(missing_ok=True)
            except OSError as error:
                log.warning("a trigger that has fired stays on disk: %s", error)

    def _path(self, tag: str) -> Path:
        assert self._directory is not None
        return self._directory / f"{hashlib.sha256(tag.encode()).hexdigest()[:32]}.json"

    def _read(self) -> list[Trigger]:
        if self._directory is None:
            return []
        try:
            paths = [path for path in self._directory.iterdir() if path.suffix == ".json"]
        except FileNotFoundError:
            return []
        except OSError as error:
            log.warning("pending triggers cannot be read: %s", error)
            return []
        found = []
        for path in paths:
            try:
                found.append(Trigger(**json.loads(path.read_text(encoding="utf-8"))))
            except (OSError, ValueError, TypeError) as error:
                log.warning("the pending trigger %s cannot be read: %s", path, error)
        return found

    def _write(self, trigger: Trigger) -> None:
        if self._directory is None:
            return
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            atomic_write(self._path(trigger.tag), json.dumps(asdict(trigger)).encode(), mode=0o600)
        except (OSError, CtlError) as error:
            log.warning("a trigger would be lost if this run ended now: %s", error)
