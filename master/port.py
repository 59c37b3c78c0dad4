"""How a runner reaches its master from inside a worker process: the operations of the clients' socket.

They are done in the name of whoever asked for the runner, so a runner can do no more than its caller may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Exchange = Callable[[dict[str, Any]], Iterator[tuple[str, Any]]]
Progress = Callable[[Any], None]


class Port:
    """The way to the master for the runner that is running."""

    def __init__(self, exchange: Exchange, progress: Progress) -> None:
        self._exchange = exchange
        self._progress = progress

    def request(self, op: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Do an operation; yield each `(kind, data)` up to and with the final `result`. Errors are raised."""
        return self._exchange({"op": op, **arguments})

    def call(self, op: str, **arguments: Any) -> Any:
        """Do an operation and return its result."""
        result = None
        for kind, data in self.request(op, **arguments):
            if kind == "result":
                result = data
        return result

    def progress(self, data: Any) -> None:
        """Tell whoever waits for the runner how far it is."""
        self._progress(data)


_port: list[Port] = []


def set_port(port: Port) -> None:
    """Make `port` the one of this process."""
    _port[:] = [port]


def master() -> Port:
    """Return the way to the master; raises `LookupError` outside of a worker."""
    if not _port:
        raise LookupError("no master is here: runners run inside the master's worker processes")
    return _port[0]
