"""A worker process of the master: renders pillar and runs runners, one request at a time.

Started as `python -P -m ctl.master.worker FD`. It ends when its master does, and lives under a limit of memory: a
template that asks for too much gets an error, not the machine.
"""

from __future__ import annotations

import logging
import os
import resource
import select
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from ..common import arguments, context, ipc
from ..common.config import MasterConfig
from ..common.context import Context
from ..common.data import lookup
from ..common.errors import CtlError
from ..common.extmods import master_directories, master_directory
from ..common.files import Roots
from ..common.loader import Loader
from ..common.log import set_up
from ..common.plaintext import own_grains
from ..common.user_utils import forget_changed, use_utils
from ..common.wire import pack_payload, unpack_payload
from .gitfs import GitEnvironments, combined
from .port import Port, set_port
from .rendering import pillar_roots, render

log = logging.getLogger(__name__)

LENGTH = struct.Struct("!I")
MAX_MEMORY_BYTES = 2 * 1024**3


class Link:
    """The socket to the master."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("rb")

    def send(self, kind: str, data: Any) -> None:
        """Write one message."""
        body = pack_payload([kind, data])
        self._sock.sendall(LENGTH.pack(len(body)) + body)

    def receive(self) -> tuple[str, Any]:
        """Read one message; raises `EOFError` where the master has ended."""
        kind, data = unpack_payload(self._read(LENGTH.unpack(self._read(LENGTH.size))[0]))
        return kind, data

    def _read(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except ConnectionError:
            data = b""
        if len(data) < size:
            raise EOFError
        return data

    def exchange(self, request: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """Ask the master for something while it waits for us; yield what streams, then its result."""
        self.send("call", request)
        while True:
            kind, data = self.receive()
            if kind == "item":
                yield data[0], data[1]
            elif kind == "error":
                raise ipc.remote_error(data)
            else:
                yield "result", data
                return


class Files:
    """The pillar tree, and the state tree for runners: the digests and listings they remember serve all requests."""

    def __init__(self, config: MasterConfig) -> None:
        ignored = {"ignore_glob": config.file_ignore_glob, "ignore_regex": config.file_ignore_regex}
        self.pillar = pillar_roots(config)
        self._config = config
        self._git = GitEnvironments(config)
        self._directories = combined(config, self._git)
        self._states = Roots(self._directories, follow_symlinks=config.fileserver_followsymlinks, **ignored)

    @property
    def states(self) -> Roots:
        """The state tree as it is now."""
        directories = combined(self._config, self._git)
        if directories != self._directories:
            self._directories = directories
            self._states.use(directories)
        return self._states


class NoDaemon:
    """Stands where a minion's daemon would: the master's own functions have none."""

    def pillar(self, **_: Any) -> dict[str, Any]:
        """There is no pillar here."""
        return {}

    def event(self, tag: str, data: Mapping[str, Any]) -> bool:
        """Nobody listens."""
        return False

    def progress(self, data: Mapping[str, Any]) -> None:
        """Nobody listens."""

    def running(self) -> list[dict[str, Any]]:
        """Nothing runs."""
        return []

    def kill(self, jid: str, signal: int) -> bool:
        """Nothing runs."""
        return False

    def refresh(self, what: str) -> bool:
        """Nothing to renew."""
        return False

    def state_lock(self, queue: bool | int, concurrent: bool) -> dict[str, Any] | None:
        """There is always a turn."""
        return None


class Server:
    """What a worker can do, over one link."""

    def __init__(self, link: Link, config: MasterConfig) -> None:
        self._link = link
        self._config = config
        self._files = Files(config)
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "pillar": self.pillar,
            "run": self.run,
        }

    def serve(self) -> None:
        """Answer requests until the master ends the link."""
        while True:
            try:
                kind, request = self._link.receive()
            except EOFError:
                return
            if kind == "do":
                use_utils([str(master_directory(self._config.raw, "utils"))])
                forget_changed()
                self._answer(request)

    def _answer(self, request: dict[str, Any]) -> None:
        try:
            result = self._operations[request["op"]](request)
        except Exception as error:  # the boundary around one request: templates and plugins fail in any way
            self._link.send("failed", {**ipc.error_data(error), "traceback": traceback.format_exc()})
            return
        self._link.send("done", result)

    def _context(self, minion: str, grains: MutableMapping[str, Any], files: Roots) -> Context:
        return Context(id=minion, config=self._config.raw, grains=grains, pillar={}, files=files, daemon=NoDaemon())

    def pillar(self, request: dict[str, Any]) -> dict[str, Any]:
        """Render one minion's pillar."""
        minion = request["id"]
        grains = own_grains(minion, unpack_payload(request["grains"]) if request["grains"] else {})
        data, problems = render(
            self._config,
            self._files.pillar,
            NoDaemon(),
            minion,
            grains,
            saltenv=request["saltenv"],
            pillarenv=request["pillarenv"],
            override=unpack_payload(request["override"]) if request["override"] else None,
        )
        return {"payload": pack_payload(data), "problems": problems}

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run a runner. That it fails is a result, too."""
        around = self._context("master", {}, self._files.states)
        directories = master_directories(self._config.raw, "runners")
        runners = Loader("runners", "ctl.master.runners", directories, around)
        around.functions = runners
        set_port(Port(self._link.exchange, lambda data: self._link.send("progress", pack_payload(data))))
        given = unpack_payload(request["payload"])
        try:
            with context.use(around):
                function = runners[request["fun"]]
                args, kwargs = arguments.take_keywords(function, given.get("arg") or [], given.get("kwarg") or {})
                args, kwargs = arguments.bind(function, args, kwargs, request["fun"])
                value = function(*args, **kwargs)
        except CtlError as error:
            return _result(str(error), 1)
        except Exception as error:  # the boundary around plugin code
            log.warning("the runner %s failed", request["fun"], exc_info=True)
            return _result(f"{type(error).__name__}: {error}", 1)
        return _result(value, int(around.scratch.get("retcode") or _retcode(value)))


def _result(value: Any, retcode: int) -> dict[str, Any]:
    return {"payload": pack_payload(value), "retcode": retcode, "success": retcode == 0, "out": None}


def _retcode(value: Any) -> int:
    """Return 1 for a value that says of itself that it failed."""
    return 1 if isinstance(value, dict) and lookup(value, "retcode", 0) not in (0, None) else 0


def _end_with_master(sock: socket.socket) -> None:
    """End this process when the other end of the socket goes away, whatever it is doing."""

    def watch() -> None:
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLRDHUP | select.POLLHUP)
        poll.poll()
        os._exit(0)

    threading.Thread(target=watch, name="watch the master", daemon=True).start()


def main() -> None:
    """Serve the socket whose descriptor is the only argument."""
    sock = socket.socket(fileno=int(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _end_with_master(sock)
    link = Link(sock)
    try:
        kind, settings = link.receive()
    except EOFError:
        return  # the master ended before it had said anything
    assert kind == "configure"
    config = MasterConfig.from_mapping(settings)
    set_up(config.log_level, config.log_file, config.log_level_logfile)
    Server(link, config).serve()


if __name__ == "__main__":
    main()
