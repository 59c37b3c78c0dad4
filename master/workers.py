"""Worker processes: what burns CPU (pillar, runners) runs in them, never in the daemon.

A worker is `python -m ctl.master.worker`, started on demand, given one request at a time over a socket pair, retired
when idle. One that dies or takes too long is ended, its request answered with an error, and a new one takes its place.
While it works on a request it may ask the master for things (`call`), in the name of who asked for the request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..common.config import MasterConfig
from ..common.errors import CtlError, JobError, JobTimeout, RemoteError
from ..common.wire import pack_payload, unpack_payload

log = logging.getLogger(__name__)

LENGTH = struct.Struct("!I")
MAX_MESSAGE_BYTES = 128 * 1024 * 1024
IDLE_SECONDS = 60.0
STOP_SECONDS = 2.0
MAX_REQUESTS = 1000  # of one worker, before a fresh one takes over what templates and plugins leaked


class Reply(Protocol):
    """Where a request's progress goes, and who answers what the worker asks for meanwhile."""

    async def progress(self, data: Any) -> None: ...

    async def call(self, request: dict[str, Any], item: Callable[[str, Any], Awaitable[None]]) -> Any: ...


@dataclass(slots=True, eq=False)
class Worker:
    """One worker process and the stream to it."""

    process: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    served: int = 0
    idle_since: float = 0.0

    async def send(self, message: list[Any]) -> None:
        """Write one message."""
        body = pack_payload(message)
        self.writer.write(LENGTH.pack(len(body)) + body)
        await self.writer.drain()

    async def receive(self) -> list[Any]:
        """Read one message; raises `IncompleteReadError` where the worker has ended."""
        (length,) = LENGTH.unpack(await self.reader.readexactly(LENGTH.size))
        if length > MAX_MESSAGE_BYTES:
            raise JobError(f"a worker sent a message of {length} bytes")
        message = unpack_payload(await self.reader.readexactly(length))
        if not isinstance(message, list) or len(message) != 2:
            raise JobError("a worker sent something that is no message")
        return message

    async def end(self) -> None:
        """Close the stream, which ends the process; kill it where it does not end."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
        try:
            await asyncio.to_thread(self.process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            await self.kill()

    async def kill(self) -> None:
        """End the process now, and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
        await asyncio.to_thread(self.process.wait)


class WorkerPool:
    """At most `worker_count` workers, started when there is work for them."""

    def __init__(self, config: MasterConfig) -> None:
        self._config = config
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()
        self._slots = asyncio.Semaphore(max(1, config.worker_count))
        self._timer: asyncio.TimerHandle | None = None
        self._starting: set[asyncio.Task[Worker]] = set()
        self._retiring: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._all)

    async def request(self, message: dict[str, Any], *, timeout: float, reply: Reply | None = None) -> Any:
        """Have a worker do something; raises its error, `JobTimeout`, or `JobError` where the worker died."""
        async with self._slots:
            if self._closed:
                raise JobError("the master is stopping")
            worker = await self._take()
            try:
                async with asyncio.timeout(timeout or None):
                    result = await self._converse(worker, message, reply)
            except TimeoutError:
                await self._discard(worker)
                raise JobTimeout(f"{message.get('op')} took longer than {timeout:g} s and was ended") from None
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                await self._discard(worker)
                raise JobError(f"the worker for {message.get('op')} died (exit {worker.process.returncode})") from error
            except RemoteError:
                self._give_back(worker)
                raise
            except BaseException:
                await asyncio.shield(self._discard(worker))
                raise
            self._give_back(worker)
            return result

    async def _converse(self, worker: Worker, message: dict[str, Any], reply: Reply | None) -> Any:
        worker.served += 1
        await worker.send(["do", message])
        while True:
            kind, data = await worker.receive()
            if kind == "done":
                return data
            if kind == "failed":
                raise RemoteError(data["name"], data["message"], code=data["code"], traceback=data.get("traceback", ""))
            if reply is None:
                raise JobError(f"a worker sent {kind!r}, which nobody expects")
            if kind == "progress":
                await reply.progress(data)
            elif kind == "call":
                await self._answer(worker, data, reply)

    async def _answer(self, worker: Worker, request: dict[str, Any], reply: Reply) -> None:
        async def item(kind: str, data: Any) -> None:
            await worker.send(["item", [kind, data]])

        try:
            result = await reply.call(request, item)
        except CtlError as error:
            data = {"name": type(error).__name__, "code": error.code, "message": str(error)}
            await worker.send(["error", data])
            return
        await worker.send(["answer", result])

    async def _take(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.process.poll() is None:
                return worker
            await self._discard(worker)
        starting = asyncio.get_running_loop().create_task(self._start(), name="start a worker")
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(self._keep)
            raise

    def _keep(self, starting: asyncio.Task[Worker]) -> None:
        """Keep a worker that was started for somebody who has gone."""
        if not starting.cancelled() and starting.exception() is None:
            self._give_back(starting.result())

    async def _start(self) -> Worker:
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.to_thread(_spawn, theirs)
        except OSError as error:
            ours.close()
            raise JobError(f"a worker cannot be started: {error}") from error
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        worker = Worker(process, reader, writer)
        self._all.add(worker)
        await worker.send(["configure", dict(self._config.raw)])
        return worker

    def _give_back(self, worker: Worker) -> None:
        if self._closed or worker.served >= MAX_REQUESTS:
            self._retire(worker)
            return
        worker.idle_since = asyncio.get_running_loop().time()
        self._idle.append(worker)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._retire_idle)

    def _retire_idle(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for worker in [worker for worker in self._idle if now - worker.idle_since >= IDLE_SECONDS]:
            self._idle.remove(worker)
            self._retire(worker)
        if self._idle:
            self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._retire_idle)

    def _retire(self, worker: Worker) -> None:
        self._all.discard(worker)
        task = asyncio.get_running_loop().create_task(worker.end(), name="retire a worker")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _discard(self, worker: Worker) -> None:
        self._all.discard(worker)
        await worker.kill()

    async def close(self) -> None:
        """End every worker."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        idle, self._idle = self._idle, []
        for worker in idle:
            self._retire(worker)
        for worker in tuple(self._all):
            await self._discard(worker)
        await asyncio.gather(*self._retiring, return_exceptions=True)


def _spawn(theirs: socket.socket) -> subprocess.Popen[bytes]:
    number = theirs.fileno()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "ctl.master.worker", str(number)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(number,),
        env=environment,
        cwd=Path("/"),
        start_new_session=True,
    )
