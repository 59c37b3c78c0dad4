"""Logging of the daemons and programs: to the terminal or the journal, and to a file; and lines that may not flood."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from .errors import ConfigError, nearest
from .secret import redact
from .writers import make_own_directory

LEVELS = {
    "garbage": logging.DEBUG,
    "all": logging.DEBUG,
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "profile": logging.INFO,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "quiet": logging.CRITICAL + 10,
}
LINE = "%(asctime)s.%(msecs)03d %(levelname)-8s [%(name)s:%(process)d] %(message)s"
JOURNAL_LINE = "%(levelname)-8s [%(name)s] %(message)s"
DATE = "%Y-%m-%d %H:%M:%S"
_CONTROL = {number: f"\\x{number:02x}" for number in [*range(32), *range(127, 160)] if number not in (9, 10)}


class Formatter(logging.Formatter):
    """One record a line: what a peer sent cannot begin a line of its own nor reach the terminal's controls.

    Secrets that this process was given are masked, tracebacks included.
    """

    def format(self, record: logging.LogRecord) -> str:
        text = str(redact(super().format(record))).translate(_CONTROL)
        return text.replace("\n", "\n    ")


def level_number(name: str) -> int:
    """Turn a level's name into logging's number; raises `ConfigError` for an unknown one."""
    try:
        return LEVELS[name.lower()]
    except KeyError:
        close = nearest(name.lower(), LEVELS)
        hint = f"did you mean {close}?" if close else f"known: {', '.join(LEVELS)}"
        raise ConfigError(f"log_level: there is no level {name!r}", key="log_level", hint=hint) from None


def set_up(level: str = "warning", file: Path | None = None, file_level: str = "") -> None:
    """Send the records of ctl to standard error, and to `file` where one is given (made with mode 0600)."""
    root = logging.getLogger()
    for handler in tuple(root.handlers):
        root.removeHandler(handler)
        handler.close()
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(Formatter(JOURNAL_LINE if "JOURNAL_STREAM" in os.environ else LINE, DATE))
    terminal.setLevel(level_number(level))
    root.addHandler(terminal)
    lowest = terminal.level
    if file is not None:
        to_file = _file_handler(file)
        to_file.setLevel(level_number(file_level or level))
        root.addHandler(to_file)
        lowest = min(lowest, to_file.level)
    root.setLevel(lowest)
    logging.captureWarnings(True)


def _file_handler(path: Path) -> logging.Handler:
    try:
        make_own_directory(path.parent, 0o750)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600))
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"log_file: {path} cannot be written: {error.strerror}", key="log_file") from error
    handler.setFormatter(Formatter(LINE, DATE))
    return handler


class Limiter:
    """Say whether a line about `subject` may be logged now: once in `seconds`, with a bounded memory of subjects."""

    def __init__(self, seconds: float = 60.0, now: Callable[[], float] = time.monotonic, most: int = 4096) -> None:
        self._seconds = seconds
        self._now = now
        self._most = most
        self._last: dict[object, float] = {}

    def allows(self, subject: object) -> bool:
        """Whether the last line about `subject` is long enough ago; allowing one starts the time anew."""
        now = self._now()
        last = self._last.get(subject)
        if last is not None and now - last < self._seconds:
            return False
        self._last.pop(subject, None)
        if len(self._last) >= self._most:
            self._last.pop(next(iter(self._last)))
        self._last[subject] = now
        return True
