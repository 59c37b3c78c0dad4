"""The daemon's end of a job's link, on its event loop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable

from .link import LENGTH, MAX_TO_DAEMON_BYTES, LinkClosed, Message, decode, encode

log = logging.getLogger(__name__)

READ_BYTES = 256 * 1024


def _nobody(*_: object) -> None:
    """Hear nothing: the link is closed."""


class Link:
    """The daemon's end. `on_message` is called for each message, `on_end` once, when the other end has gone."""

    def __init__(self, sock: socket.socket, on_message: Callable[[Message], None], on_end: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._on_message = on_message
        self._on_end = on_end
        self._received = bytearray()
        self._unsent: deque[memoryview] = deque()
        self._closed = False
        sock.setblocking(False)
        self._loop.add_reader(sock, self._readable)

    def send(self, message: Message) -> None:
        """Send a message, now or as soon as the other end reads; dropped where it has gone."""
        if self._closed:
            return
        self._unsent.append(memoryview(encode(message)))
        if len(self._unsent) == 1:
            self._flush()

    def drain(self) -> None:
        """Read what has arrived already, without waiting for the loop to say so."""
        for _ in range(1024):
            if self._closed or not self._readable():
                return

    def close(self) -> None:
        """Close this end; `on_end` is not called. Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._unsent.clear()
        self._received.clear()
        # they lead back to who holds this link, and what that holds may be large
        self._on_message = self._on_end = _nobody

    def _flush(self) -> None:
        while self._unsent:
            view = self._unsent[0]
            try:
                sent = self._sock.send(view)
            except BlockingIOError:
                self._loop.add_writer(self._sock, self._flush)
                return
            except OSError:
                self._unsent.clear()  # its end is seen by the reader, after what it sent before
                break
            if sent < len(view):
                self._unsent[0] = view[sent:]
            else:
                self._unsent.popleft()
        self._loop.remove_writer(self._sock)

    def _readable(self) -> bool:
        """Read once; False where there was nothing to read."""
        try:
            data = self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._end()
            return False
        self._received += data
        try:
            self._take_messages()
        except LinkClosed as error:
            log.warning("%s", error)
            self._end()
        return True

    def _take_messages(self) -> None:
        start = 0
        while not self._closed and len(self._received) - start >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._received, start)
            if length > MAX_TO_DAEMON_BYTES:
                raise LinkClosed(f"a job's process sent a message of {length} bytes")
            end = start + LENGTH.size + length
            if len(self._received) < end:
                break
            with memoryview(self._received)[start + LENGTH.size : end] as body:
                message = decode(body)
            start = end
            self._on_message(message)
        del self._received[:start]

    def _end(self) -> None:
        if not self._closed:
            tell = self._on_end
            self.close()
            tell()
