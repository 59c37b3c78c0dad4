"""A TCP proxy on the loopback that can cut, hold or slow what passes through it: a network to break, without root."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from types import TracebackType

CHUNK = 65536
BOTH = frozenset({"up", "down"})


class Proxy:
    """Forward `listen`:port to 127.0.0.1:port for each port.

    `cut()` closes and refuses, `hold()` keeps silent (both ways, or `up` from those who connect, or `down`), `slow()`
    makes each piece wait. One thread touches the sockets; the methods tell it what to do and wait until it is done.
    """

    def __init__(self, ports: list[int], listen: str = "127.0.0.2") -> None:
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._listen = listen
        self._ports = ports
        self._listeners: list[socket.socket] = []
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._up: set[socket.socket] = set()  # the ends whose data comes from those who connect
        self._held: frozenset[str] = frozenset()
        self._delay = 0.0
        self._open = True
        self._stopping = False
        self._asked = 0
        self._done = 0
        self._settled = threading.Condition()
        self._obey()
        self._thread = threading.Thread(target=self._loop, name="proxy")
        self._thread.start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._tell(opened=False, stopping=True)
        self._thread.join()
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def cut(self) -> None:
        """Close every connection and refuse new ones."""
        self._tell(opened=False)

    def hold(self, *ways: str) -> None:
        """Let nothing through, and close nothing: packets that are lost."""
        self._tell(held=frozenset(ways) or BOTH)

    def slow(self, seconds: float) -> None:
        """Make each piece of data wait so long."""
        self._tell(delay=seconds)

    def mend(self) -> None:
        """Let everything through again."""
        self._tell()

    def _tell(
        self, *, opened: bool = True, held: frozenset[str] = frozenset(), delay: float = 0.0, stopping: bool = False
    ) -> None:
        with self._settled:
            self._open, self._held, self._delay, self._stopping = opened, held, delay, stopping
            self._asked += 1
            asked = self._asked
            self._wake.send(b"x")
            self._settled.wait_for(lambda: self._done >= asked, timeout=10)

    def _obey(self) -> None:
        """Make the sockets what they are asked to be."""
        with self._settled:
            if not self._open:
                for sock in [*self._listeners, *self._pairs]:
                    self._forget(sock)
                self._listeners.clear()
                self._pairs.clear()
                self._up.clear()
            elif not self._listeners:
                for port in self._ports:
                    listener = socket.create_server((self._listen, port))
                    self._listeners.append(listener)
                    self._selector.register(listener, selectors.EVENT_READ, "listener")
            self._done = self._asked
            self._settled.notify_all()

    def _forget(self, sock: socket.socket) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(sock)
        sock.close()

    def _loop(self) -> None:
        while not self._stopping:
            for key, _events in self._selector.select(timeout=1.0):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                if key.data is None:
                    sock.recv(CHUNK)
                elif not self._holds(sock, key.data):
                    self._pause(self._delay)
                    self._accept(sock) if key.data == "listener" else self._forward(sock)
                if self._done != self._asked:
                    break
            if self._done != self._asked:
                self._obey()
            elif self._held:
                self._pause(0.01)  # what is held back stays readable

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and self._done == self._asked:
            time.sleep(min(left, 0.02))

    def _holds(self, sock: socket.socket, what: str) -> bool:
        return ("up" if what == "listener" or sock in self._up else "down") in self._held

    def _accept(self, listener: socket.socket) -> None:
        if listener not in self._listeners:
            return
        inside, _address = listener.accept()
        try:
            outside = socket.create_connection(("127.0.0.1", inside.getsockname()[1]), timeout=2)
        except OSError:
            inside.close()
            return
        self._up.add(inside)
        for one, other in ((inside, outside), (outside, inside)):
            one.setblocking(False)
            self._pairs[one] = other
            self._selector.register(one, selectors.EVENT_READ, "pipe")

    def _forward(self, sock: socket.socket) -> None:
        other = self._pairs.get(sock)
        if other is None:
            return
        try:
            if (data := sock.recv(CHUNK)) and self._pass_on(other, data):
                return
        except OSError:
            pass
        for end in (sock, other):
            self._pairs.pop(end, None)
            self._up.discard(end)
            self._forget(end)

    def _pass_on(self, sock: socket.socket, data: bytes) -> bool:
        """Send all of it to one who may not be reading; False where it was told otherwise meanwhile."""
        view = memoryview(data)
        while view:
            try:
                view = view[sock.send(view) :]
            except BlockingIOError:
                if not self._open or self._stopping:
                    return False
                if self._done != self._asked:
                    self._obey()
                time.sleep(0.005)
        return True
