"""The stream socket between the master and programs on its machine: framing, peer credentials, client and server.

A frame is a 32-bit big-endian length and that many bytes of msgpack, 8 MiB at most. A client sends one map
`{"op": name, ...}`; the server answers with frames `[kind, data]` until a final `result` or `error`. Several requests
may follow each other on one connection. Who the client is, the kernel says; nothing in a request is believed about it.

The client half imports nothing heavy: `ctl` starts in the time of an interpreter.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import msgpack

from .errors import (
    AuthenticationError,
    AuthorizationError,
    CtlError,
    JobError,
    MasterUnavailable,
    NoMinions,
    RemoteError,
    StorageError,
    TargetError,
    WireError,
)

MAX_FRAME_BYTES = 8 * 1024 * 1024
MAX_ELEMENTS = 2_000_000
LENGTH = struct.Struct("!I")
FINAL_KINDS = frozenset({"result", "error"})
SOCKET_NAME_BYTES = 107  # what fits into sockaddr_un beside its final NUL


def encode(message: Any) -> bytes:
    """Pack one message into a frame; raises `WireError` for one that is too large."""
    body: bytes = msgpack.packb(message, use_bin_type=True)
    if len(body) > MAX_FRAME_BYTES:
        raise WireError(f"a message of {len(body)} bytes is over the limit of {MAX_FRAME_BYTES}")
    return LENGTH.pack(len(body)) + body


def decode(body: bytes) -> Any:
    """Unpack the body of a frame; raises `WireError` for what is no message of ours."""
    limit = min(len(body), MAX_ELEMENTS)
    try:
        return msgpack.unpackb(
            body, raw=False, strict_map_key=True, max_array_len=limit, max_map_len=limit, max_ext_len=0
        )
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise WireError(f"a malformed message: {error}") from error


def check_length(header: bytes, most: int = MAX_FRAME_BYTES) -> int:
    """Read a frame's length; raises `WireError` where it is over the limit, before anything is allocated."""
    length: int = LENGTH.unpack(header)[0]
    if length > most:
        raise WireError(f"a frame of {length} bytes is over the limit of {most}")
    return length


def connect_socket(path: Path) -> socket.socket:
    """Connect to a Unix stream socket; a path too long for the kernel goes through its directory's descriptor."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if len(os.fsencode(path)) <= SOCKET_NAME_BYTES:
            sock.connect(os.fspath(path))
        else:
            directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                sock.connect(f"/proc/self/fd/{directory}/{path.name}")
            finally:
                os.close(directory)
    except BaseException:
        sock.close()
        raise
    return sock


def connect(path: Path, timeout: float | None = None) -> Client:
    """Connect to the master's socket at `path`; raises `MasterUnavailable` where none answers.

    `timeout` bounds each wait for a frame, in seconds (None waits for ever).
    """
    try:
        sock = connect_socket(path)
    except FileNotFoundError:
        raise MasterUnavailable(
            f"no master is running here: there is no socket {path}", hint="start ctl-master, or choose its -c DIR"
        ) from None
    except ConnectionRefusedError:
        raise MasterUnavailable(f"no master answers on {path}", hint="start ctl-master") from None
    except PermissionError:
        raise MasterUnavailable(
            f"this user may not open the master's socket {path}", hint="use root or the master's own user"
        ) from None
    sock.settimeout(timeout)
    return Client(sock, path)


class Client:
    """One connection to the master: `call` for one answer, `request` for a stream of them."""

    def __init__(self, sock: socket.socket, path: Path) -> None:
        self._sock = sock
        self._path = path
        self._buffer = bytearray()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a request that is under way ends there."""
        self._sock.close()

    def settimeout(self, timeout: float | None) -> None:
        """Bound each wait for a frame, in seconds; `TimeoutError` then ends the request."""
        self._sock.settimeout(timeout)

    def fileno(self) -> int:
        """Return the socket's descriptor, for select."""
        return self._sock.fileno()

    def buffered(self) -> bool:
        """Say whether part of the next frame has already been read from the socket."""
        return bool(self._buffer)

    def request(self, op: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Send one request; yield each `(kind, data)` up to and with the final result; errors are raised."""
        self._send(encode({"op": op, **arguments}))
        while True:
            kind, data = self._receive()
            if kind == "error":
                raise remote_error(data)
            yield kind, data
            if kind in FINAL_KINDS:
                return

    def call(self, op: str, **arguments: Any) -> Any:
        """Send one request and return its result; what streams before it is passed over."""
        result = None
        for _kind, data in self.request(op, **arguments):
            result = data
        return result

    def _send(self, frame: bytes) -> None:
        try:
            self._sock.sendall(frame)
        except (BrokenPipeError, ConnectionResetError):
            raise MasterUnavailable(f"the master on {self._path} closed the connection") from None

    def _receive(self) -> tuple[str, Any]:
        length = check_length(self._take(LENGTH.size))
        message = decode(self._take(length))
        if not (isinstance(message, list) and len(message) == 2 and isinstance(message[0], str)):
            raise WireError("the master sent something that is no answer")
        return message[0], message[1]

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            try:
                data = self._sock.recv(max(65536, count - len(self._buffer)))
            except ConnectionResetError:
                data = b""
            if not data:
                raise MasterUnavailable(f"the master on {self._path} closed the connection before it answered")
            self._buffer += data
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


def error_data(error: BaseException) -> dict[str, Any]:
    """Turn an error into what travels: its class's name, its code, its sentence; `TargetError` keeps its place."""
    data = {"name": type(error).__name__, "code": getattr(error, "code", "error"), "message": str(error)}
    if isinstance(error, TargetError):
        data |= {"message": error.message, "hint": error.hint}
        data |= {"expression": error.expression, "position": error.position}
    return data


_FAMILIES: dict[str, type[CtlError]] = {
    "no_minions": NoMinions,
    "authorization": AuthorizationError,
    "authentication": AuthenticationError,
    "storage": StorageError,
    "job": JobError,
}


def remote_error(data: Any) -> CtlError:
    """Turn what travelled back into an error of our tree; a name that is not known becomes `RemoteError`."""
    if not isinstance(data, dict):
        return RemoteError("WireError", "the master sent an error without words")
    message = str(data.get("message", ""))
    code = str(data.get("code", "remote"))
    if code == "target":
        position = data.get("position")
        return TargetError(
            message,
            expression=str(data.get("expression", "")),
            position=position if isinstance(position, int) else 0,
            hint=str(data.get("hint", "")),
        )
    if family := _FAMILIES.get(code):
        return family(message)
    return RemoteError(str(data.get("name", "Error")), message, code=code)
