"""The machine that grains are read from: its files below a root, the output of its tools, and a clock on slow things.

Grains are best effort: what cannot be read is empty, and the grain then says so or is left out.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..common import process
from ..common.errors import CommandExecutionError

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 4 * 2**20
TOOL_SECONDS = 5.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where to read; tests give a root of their own, with no tools."""

    root: Path = Path("/")
    tools: bool = True

    def path(self, name: str) -> Path:
        """Return the path of an absolute name below the root."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str:
        """Return a file's text, or nothing."""
        try:
            with self.path(name).open("rb") as file:
                return file.read(MAX_FILE_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""

    def exists(self, name: str) -> bool:
        """Whether there is such a file or directory."""
        try:
            return self.path(name).exists()
        except OSError:
            return False

    def names(self, directory: str) -> list[str]:
        """List a directory, in the order of the names."""
        try:
            return sorted(entry.name for entry in self.path(directory).iterdir())
        except OSError:
            return []

    def output(self, *argv: str) -> str:
        """Return what a tool prints, or nothing where it is missing or fails."""
        if not self.tools or process.find_tool(argv[0]) is None:
            return ""
        try:
            return process.tool(argv, ok=None, timeout=TOOL_SECONDS).text
        except CommandExecutionError as error:
            log.debug("for the grains: %s", error)
            return ""


@dataclass(frozen=True, slots=True)
class Group:
    """Grains that are read together: their names and what reads them. A name may be left out of the result.

    `slow` groups wait for something outside of this machine, up to their own time limit.
    """

    keys: tuple[str, ...]
    load: Callable[[Machine], Mapping[str, Any]]
    slow: bool = False


def within(seconds: float, functions: Sequence[Callable[[], T]], default: T) -> list[T]:
    """Return what each of `functions` returns; `default` for what took longer than `seconds` or raised `OSError`.

    All run at once, each in a thread of its own. One that is late goes on, and nobody waits for it: name look-ups
    cannot be stopped.
    """
    found: dict[int, T] = {}

    def run(index: int) -> None:
        try:
            found[index] = functions[index]()
        except (OSError, UnicodeError) as error:
            log.debug("for the grains: %s", error)

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(len(functions))]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return [found.get(index, default) for index in range(len(functions))]
