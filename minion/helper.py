"""The fork helper: a process with one thread and everything preloaded, which forks a child for each job.

Run as `python -P -m ctl.minion.helper FD`, where FD is one end of a `SOCK_SEQPACKET` pair whose other end the daemon
holds (`helper_process.py` describes the messages). It ends when the daemon does: at the end of that socket it kills
what it forked. It imports no user's plugin and opens no network socket; what it has loaded its children share.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable, Iterable

FORK = b"F"
SIGNAL = b"S"
DRAIN = b"Q"
LEARN = b"L"
READY = b"R"
EXITED = b"X"
TOKEN = struct.Struct("!cQ")
SIGNALLED = struct.Struct("!ciB")
FORKED = struct.Struct("!cQi")
ENDED = struct.Struct("!cii")
MAX_MESSAGE_BYTES = 64
JOBS_UMASK = 0o022  # of what jobs make, where they do not say otherwise; the daemon's own is narrower

PR_SET_PDEATHSIG = 1

# What every job needs, so that it is read once and not by each of them. More is learnt from what jobs use.
PRELOAD = (
    "ctl.common.arguments",
    "ctl.common.context",
    "ctl.common.files",
    "ctl.common.loader",
    "ctl.minion.child",
    "ctl.minion.ports",
)
MODULES = ("test", "cmd")
STATE_PRELOAD = (
    "yaml",
    "jinja2",
    "jinja2.ext",
    "jinja2.sandbox",
    "ctl.common.render",
    "ctl.common.state.compiler",
    "ctl.common.state.runtime",
)
STATES = "state"
MAX_NAME_BYTES = 48


def preload() -> None:
    """Import what every child needs, and read the names of what it may need."""
    _import(PRELOAD)
    from ..common.loader import builtin_sources

    builtin_sources("ctl.modules")
    builtin_sources("ctl.states")
    for name in MODULES:
        learn(name)


def learn(module: str) -> None:
    """Import a built-in module that a job has used, so that the next one finds it loaded.

    A user's plugin of that name is never imported here: only what `ctl` itself ships.
    """
    from ..common.loader import builtin_sources

    _import(f"ctl.modules.{source.stem}" for source in builtin_sources("ctl.modules") if source.name == module)
    if module == STATES:
        _import(STATE_PRELOAD)
        _import(f"ctl.states.{source.stem}" for source in builtin_sources("ctl.states"))


def _import(names: Iterable[str]) -> None:
    """Import modules; one that cannot be imported here fails in the job that needs it, with its reason."""
    for name in names:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


class Forker:
    """The loop of the helper: takes messages, forks, reports ends."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: set[int] = set()
        self._draining = False
        self._to_learn: deque[str] = deque()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._die_with_parent = _parent_death_signal()
        self._pid = os.getpid()
        self._reset_oom = _oom_adjustment() < 0

    def run(self) -> None:
        """Serve the daemon until it ends, or until told to drain and the last child has ended."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # The terminal's Ctrl-C is the daemon's to handle: it closes us.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        self._control.send(READY)
        while not (self._draining and not self._children):
            events = poll.poll(0 if self._to_learn else None)
            if not events:
                self._learn_next()
            for fd, _event in events:
                if fd == self._wake_read:
                    self._reap()
                elif not self._take():
                    self._kill_all()
                    return

    def _take(self) -> bool:
        """Take one message; False at the end of the socket."""
        try:
            message, fds, _flags, _address = socket.recv_fds(self._control, MAX_MESSAGE_BYTES, 1)
        except ConnectionError:
            return False
        if not message:
            return False
        kind = message[:1]
        if kind == FORK and fds:
            os.set_inheritable(fds[0], False)
            self._fork(TOKEN.unpack(message)[1], fds[0])
        elif kind == SIGNAL:
            _kind, pid, number = SIGNALLED.unpack(message)
            if pid in self._children:
                signal_tree(pid, number)
        elif kind == LEARN:
            self._to_learn.append(message[1:].decode("ascii", "replace"))
        elif kind == DRAIN:
            self._draining = True
        return True

    def _learn_next(self) -> None:
        """Import the next module that jobs have used; forks go first, so this is only done when there is time."""
        learn(self._to_learn.popleft())
        gc.freeze()
        self._report(LEARN)
        if not single_threaded():
            self._draining = True  # forks would not be safe any more: the daemon starts another helper

    def _fork(self, token: int, fd: int) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            os.close(fd)
            self._report(FORKED.pack(FORK, token, -(error.errno or 1)))
            return
        if pid == 0:
            self._become_child(fd)
        os.close(fd)
        self._children.add(pid)
        self._report(FORKED.pack(FORK, token, pid))

    def _become_child(self, fd: int) -> None:
        """Run the job in the forked process; never returns."""
        status = 1
        try:
            os.setsid()
            self._die_with_parent()
            if os.getppid() != self._pid:
                os._exit(1)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            for inherited in (self._control.detach(), self._wake_read, self._wake_write):
                os.close(inherited)
            if self._reset_oom:
                _reset_oom_adjustment()
            gc.enable()
            from .child import serve

            status = serve(socket.socket(fileno=fd))
        finally:
            os._exit(status)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        while self._children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._children.discard(pid)
            self._report(ENDED.pack(EXITED, pid, status))

    def _report(self, message: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            self._control.send(message)

    def _kill_all(self) -> None:
        for pid in self._children:
            signal_tree(pid, signal.SIGKILL)


def signal_tree(pid: int, number: int) -> None:
    """Send a signal to a job: its process group, and what it started elsewhere and still has below it."""
    below = descendants(pid)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)
    for process in below:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(process) != pid:
                os.kill(process, number)


def descendants(pid: int) -> list[int]:
    """List the processes below `pid`, children before grandchildren."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = _children_of(waiting.pop())
        found += children
        waiting += children
    return found


def _children_of(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += [int(word) for word in file.read().split()]
    return found


def _parent_death_signal() -> Callable[[], None]:
    """Return what asks the kernel to kill this process when its parent ends."""
    import ctypes  # here and not above: the daemon imports this module for its constants

    libc = ctypes.CDLL(None, use_errno=True)
    return lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def single_threaded() -> bool:
    """Say whether this process has one thread only."""
    return len(os.listdir("/proc/self/task")) == 1


def _oom_adjustment() -> int:
    try:
        with open("/proc/self/oom_score_adj", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def _reset_oom_adjustment() -> None:
    """A daemon that the kernel is told to spare must not pass that on to what its jobs start."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
        file.write("0")


def _silence() -> None:
    """Point the standard descriptors at /dev/null: what a plugin prints goes nowhere, its log goes to the daemon."""
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)


def main() -> int:
    """Run the helper on the descriptor named by the first argument."""
    control = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(control.fileno(), False)
    os.umask(JOBS_UMASK)
    gc.disable()
    preload()
    if not single_threaded():
        print("ctl.minion.helper: more than one thread after preloading makes forks unsafe", file=sys.stderr)
        return 70
    _silence()
    gc.collect()
    gc.freeze()
    with contextlib.suppress(ConnectionError):
        Forker(control).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
