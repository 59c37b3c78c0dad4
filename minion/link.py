"""The line between the daemon and the process that runs a job: framed messages over a Unix stream socket.

A frame is a u32 length and a msgpack list `[op, ...]`. The job's end is here; the daemon's is in `link_loop.py`, since
a job needs no event loop. Both ends are ours and on one machine; sizes are bounded because a job may run wild.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from typing import Any

import msgpack

from ..common.errors import CtlError

LENGTH = struct.Struct("!I")
MAX_TO_DAEMON_BYTES = 8 * 1024 * 1024
MAX_TO_JOB_BYTES = 256 * 1024 * 1024
Message = list[Any]


class LinkClosed(CtlError, ConnectionError):
    """The other end is gone, or sent what is no message."""

    code = "link"


def encode(message: Message) -> bytes:
    """Return one message as a frame."""
    body: bytes = msgpack.packb(message, use_bin_type=True)
    return LENGTH.pack(len(body)) + body


def decode(body: bytes | memoryview) -> Message:
    """Return the message in a frame's body; raise `LinkClosed` where it is none."""
    try:
        message = msgpack.unpackb(body, raw=False, strict_map_key=False, max_ext_len=0)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise LinkClosed(f"a job's process sent what is no message: {error}") from error
    if not isinstance(message, list) or not message:
        raise LinkClosed("a job's process sent what is no message")
    return message


class BlockingLink:
    """The job's end: `ask` for an answer, `tell` without one. Safe to use from a job's threads."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lock = threading.Lock()
        self._pid = os.getpid()
        sock.setblocking(True)

    def receive(self) -> Message:
        """Wait for the next message; raises `LinkClosed` at the end."""
        (length,) = LENGTH.unpack(self._read(LENGTH.size))
        if length > MAX_TO_JOB_BYTES:
            raise LinkClosed(f"the daemon sent a message of {length} bytes")
        return decode(memoryview(self._read(length)))

    def ask(self, op: str, *args: Any) -> tuple[bool, Any]:
        """Ask the daemon; return whether it went well, and the answer or what describes the error."""
        with self._lock:
            self._send(["ask", op, *args])
            reply = self.receive()
        return bool(reply[1]), reply[2]

    def tell(self, op: str, *args: Any) -> None:
        """Send a message that has no answer."""
        with self._lock:
            self._send([op, *args])

    def close(self) -> None:
        """Close this end."""
        with contextlib.suppress(OSError):
            self._sock.close()

    def _send(self, message: Message) -> None:
        if os.getpid() != self._pid:
            raise LinkClosed("only the job's own process may talk to its daemon, not one that it forked")
        try:
            self._sock.sendall(encode(message))
        except OSError as error:
            raise LinkClosed("the daemon of this job has ended") from error

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            try:
                count = self._sock.recv_into(view)
            except OSError as error:
                raise LinkClosed("the daemon of this job has ended") from error
            if not count:
                raise LinkClosed("the daemon of this job has ended")
            view = view[count:]
        return data
