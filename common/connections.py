"""TCP connections by their descriptors: who is at the other end, how much came, how to end one that is not ours.

The descriptors belong to ZeroMQ's thread, which may close one and get its number again at any moment. So nothing here
closes one, and a connection is ended only through a duplicate that was seen to lead to the peer that is meant.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Final

Name = tuple[str, int]

_INFO_BYTES: Final = 136
_RECEIVED: Final = struct.Struct("=Q")
_RECEIVED_AT: Final = 128  # tcpi_bytes_received in struct tcp_info
_NOT_GIVEN: Final = ("", 0)


def peer_name(descriptor: int) -> Name:
    """Return the address (an IPv4 one as such) and the port of the other end; empty where there is none any more."""
    try:
        sock = _borrow(descriptor)
    except OSError:  # closed, and its number is not in use again yet
        return _NOT_GIVEN
    try:
        found = sock.getpeername()
    except OSError:
        return _NOT_GIVEN
    finally:
        sock.detach()
    if not isinstance(found, tuple):  # the number is a Unix socket's by now
        return _NOT_GIVEN
    return str(found[0]).removeprefix("::ffff:"), int(found[1])


def received_bytes(descriptor: int) -> int:
    """Return how many bytes have come in over a connection; 0 where it has gone."""
    try:
        sock = _borrow(descriptor)
    except OSError:  # closed, and its number is not in use again yet
        return 0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    except OSError:
        return 0
    finally:
        sock.detach()
    return int(_RECEIVED.unpack_from(info, _RECEIVED_AT)[0]) if len(info) >= _INFO_BYTES else 0


def shut(descriptor: int, name: Name) -> bool:
    """End the connection to `name`; False where the descriptor leads to somebody else by now, or nowhere."""
    try:
        own = os.dup(descriptor)
    except OSError:
        return False
    sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, fileno=own)
    try:
        found = sock.getpeername()
        if (str(found[0]).removeprefix("::ffff:"), int(found[1])) != name:
            return False
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return False
    finally:
        sock.close()
    return True


def _borrow(descriptor: int) -> socket.socket:
    """Look through a descriptor that stays somebody else's: the caller detaches it. `OSError` where it is closed."""
    return socket.socket(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=descriptor)
