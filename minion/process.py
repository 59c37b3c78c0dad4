"""One forked process of this minion, from the fork to how it ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .helper_process import Helper
from .link import Message
from .link_loop import Link

SLACK_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Result:
    """What a job's process sent back at its end; `payload` is the packed return."""

    payload: bytes
    retcode: int
    success: bool
    out: str
    truncated: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: with a result, or with the reason why there is none."""

    result: Result | None
    reason: str = ""


Heard = Callable[["Process", str, list[Any]], None]


def _nobody(process: Process, op: str, args: list[Any]) -> None:
    """A process that waits for its job has nothing to say."""


class Process:
    """A child that waits for its job and then runs it; `lessons` counts what its helper had learnt before it."""

    def __init__(self, helper: Helper, return_max: int) -> None:
        self.helper = helper
        self.lessons = helper.lessons
        self._on_ask: Heard = _nobody
        self._on_tell: Heard = _nobody
        self._return_max = return_max
        self._parts: list[bytes] = []
        self._size = 0
        self._last_signal = 0
        self._exited = False
        self._status: int | None = None
        self.ended: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self.pid = 0
        self.started = 0.0
        ours, theirs = socket.socketpair()
        self._link = Link(ours, self._on_message, self._on_link_end)
        helper.fork(theirs, self._on_started, self._on_exit)

    def begin(self, job: dict[str, Any], on_ask: Heard, on_tell: Heard) -> None:
        """Give the process its job.

        `on_ask(process, op, args)` is called for what it asks (answer with `reply`), `on_tell` for what it only says.
        """
        self._on_ask, self._on_tell = on_ask, on_tell
        self.started = time.time()
        self._link.send(["job", job])

    def reply(self, good: bool, value: Any) -> None:
        """Answer what the process asked last."""
        self._link.send(["reply", good, value])

    def signal(self, number: int) -> bool:
        """Send a signal to the process and everything below it; False where it has ended."""
        if self._exited:
            return False
        self._last_signal = number
        return self.pid != 0 and self.helper.signal(self.pid, number)

    def abandon(self) -> None:
        """Close the link: a process that waits for its job ends, one that runs loses its daemon."""
        self._link.close()

    def _on_started(self, pid: int) -> None:
        self.pid = pid
        if self._last_signal:
            self.helper.signal(pid, self._last_signal)

    def _on_message(self, message: Message) -> None:
        op = message[0]
        if op == "ask":
            self._on_ask(self, message[1], message[2:])
        elif op == "part":
            self._add(message[1])
        elif op == "done":
            self._done(message)
        else:
            self._on_tell(self, op, message[1:])

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > self._return_max + SLACK_BYTES:
            self._parts.clear()
            self._finish(Ended(None, "the job's process sent back more than return_max_bytes"))
            self.signal(signal.SIGKILL)
        else:
            self._parts.append(part)

    def _done(self, message: Message) -> None:
        _op, last, retcode, success, out, truncated = message
        self._parts.append(last)
        self._finish(Ended(Result(b"".join(self._parts), retcode, success, out, truncated)))
        self._parts.clear()

    def _finish(self, ended: Ended) -> None:
        if not self.ended.done():
            self.ended.set_result(ended)

    def _on_exit(self, status: int | None) -> None:
        self._exited = True
        self._status = status
        self._link.drain()
        self._link.close()
        self._finish(Ended(None, self._describe()))
        self._on_ask = self._on_tell = _nobody  # they lead back to who holds this process and its result

    def _on_link_end(self) -> None:
        """The link closed before the exit was reported: it will be."""

    def _describe(self) -> str:
        if self._status is None:
            return "the job's process was lost"
        if os.WIFSIGNALED(self._status):
            return f"the job's process was killed by {_signal_name(os.WTERMSIG(self._status))}"
        return (
            f"the job's process ended with exit code {os.waitstatus_to_exitcode(self._status)} before it had a result"
        )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
