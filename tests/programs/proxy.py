"""A TCP proxy on the loopback that can cut or hold what passes through it: a network to break, without root."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from types import TracebackType

CHUNK = 65536


class Proxy:
    """Forward `listen`:port to 127.0.0.1:port for each port. `cut()` closes and refuses, `hold()` keeps silent."""

    def __init__(self, ports: list[int], listen: str = "127.0.0.2") -> None:
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._listen = listen
        self._ports = ports
        self._listeners: list[socket.socket] = []
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._held = False
        self._stopping = False
        self._lock = threading.RLock()
        self.mend()
        self._thread = threading.Thread(target=self._loop, name="proxy")
        self._thread.start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stopping = True
        self._wake.send(b"x")
        self._thread.join()
        self.cut()
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def cut(self) -> None:
        """Close every connection and refuse new ones."""
        with self._lock:
            for sock in [*self._listeners, *self._pairs]:
                self._forget(sock)
            self._listeners.clear()
            self._pairs.clear()

    def hold(self) -> None:
        """Let nothing through, and close nothing: packets that are lost."""
        self._held = True
        self._wake.send(b"x")

    def mend(self) -> None:
        """Let everything through again."""
        with self._lock:
            self._held = False
            if not self._listeners:
                for port in self._ports:
                    listener = socket.create_server((self._listen, port))
                    self._listeners.append(listener)
                    self._selector.register(listener, selectors.EVENT_READ, "listener")
        self._wake.send(b"x")

    def _forget(self, sock: socket.socket) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(sock)
        sock.close()

    def _loop(self) -> None:
        while not self._stopping:
            for key, _events in self._selector.select(timeout=0.02 if self._held else 1.0):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if key.data is None:
                    sock.recv(CHUNK)
                elif not self._held:
                    with self._lock:
                        self._accept(sock) if key.data == "listener" else self._forward(sock)

    def _accept(self, listener: socket.socket) -> None:
        if listener not in self._listeners:
            return
        inside, _address = listener.accept()
        try:
            outside = socket.create_connection(("127.0.0.1", inside.getsockname()[1]), timeout=2)
        except OSError:
            inside.close()
            return
        for one, other in ((inside, outside), (outside, inside)):
            self._pairs[one] = other
            self._selector.register(one, selectors.EVENT_READ, "pipe")

    def _forward(self, sock: socket.socket) -> None:
        other = self._pairs.get(sock)
        if other is None:
            return
        try:
            data = sock.recv(CHUNK)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        for end in (sock, other):
            self._pairs.pop(end, None)
            self._forget(end)
