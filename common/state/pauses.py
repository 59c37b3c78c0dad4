"""Runs that are to pause or to end before a state: what `state.pause` and `state.soft_kill` tell a run under way.

One small file for each run, in the minion's data directory; the run looks at it before each state.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..atomic import atomic_write
from ..errors import CommandExecutionError

DIRECTORY = "minion/pauses"
EVERY = "__all__"  # stands for whichever state comes next
POLL_S = 0.2
_JID = re.compile(r"[0-9A-Za-z_-]{1,64}")


class Pauses:
    """What one run is told. Without a directory, or a jid, nobody can tell it anything."""

    def __init__(self, data_dir: str | Path | None, jid: str) -> None:
        known = data_dir and _JID.fullmatch(jid)
        self._path = Path(data_dir, DIRECTORY, f"{jid}.json") if data_dir and known else None

    def pause(self, state_id: str = EVERY, duration: float | None = None) -> None:
        """Have the run pause before a state, for `duration` seconds, or until it is resumed."""
        self._write({**self._read(), state_id: {"duration": duration}})

    def kill(self, state_id: str = EVERY) -> None:
        """Have the run end before a state."""
        self._write({**self._read(), state_id: {"kill": True}})

    def resume(self, state_id: str = EVERY) -> bool:
        """Take a pause back; of the run as a whole, all of them. Says whether there was one."""
        told = self._read()
        kept = {key: value for key, value in told.items() if state_id not in (EVERY, key)}
        self._write(kept)
        return kept != told

    def hold(self, state_id: str, sleep: Callable[[float], None] = time.sleep) -> bool:
        """Wait for as long as the run is to pause before a state; True where it is to end there."""
        since = time.monotonic()
        while True:
            told = self._read()
            found = told.get(state_id) or told.get(EVERY)
            if not found:
                return False
            if found.get("kill"):
                return True
            duration = found.get("duration")
            if duration is not None and time.monotonic() - since >= duration:
                self.resume(state_id if state_id in told else EVERY)
                return False
            sleep(POLL_S)

    def clear(self) -> None:
        """Forget what the run was told: it is over."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _read(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        try:
            return dict(json.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return {}

    def _write(self, told: dict[str, Any]) -> None:
        if self._path is None:
            raise CommandExecutionError("this minion has no data_dir to keep pauses in, or the jid is none")
        if not told:
            self.clear()
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_write(self._path, json.dumps(told).encode(), mode=0o600)
