"""Run a program: an argument list, in a session of its own, with bounded output and a bounded time.

Owns spawning, draining and ending. It knows no shell (a caller who was asked for one passes `["/bin/sh", "-c", text]`)
and no plugin. A program that runs out of time ends with its whole process group, and so does one whose caller is
interrupted. Nothing that it is given is written to a log.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from .errors import CommandExecutionError, CommandNotFoundError

DEFAULT_LIMIT_BYTES = 64 * 1024 * 1024
TOOL_TIMEOUT_S = 600.0
# How long a program that ran out of time may take to end by itself before it is killed.
GRACE_S = 2.0
# Once the program has ended, what it left behind may hold its output open: it is read until it is silent this long.
QUIET_S = 1.0
_CHUNK_BYTES = 65536
_STOP_POLL_S = 0.2
_POLL_S = 0.05
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Completed:
    """What became of a program. A negative `retcode` is the signal that ended it."""

    pid: int
    retcode: int
    stdout: bytes
    stderr: bytes
    truncated: bool = False
    timed_out: bool = False

    @property
    def text(self) -> str:
        """The standard output as text."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        """The standard error as text."""
        return self.stderr.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a program runs as: a user, a primary group, and all groups of the user."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    shell: str


def find_account(user: str | int | None, group: str | int | None = None) -> Account | None:
    """Look up whom to run as; None where that is who we already are.

    Raises `CommandExecutionError` for an unknown user or group, and where we are not root and so cannot become them.
    """
    if user is None and group is None:
        return None
    entry = _passwd_entry(os.geteuid() if user is None else user)
    gid = entry.pw_gid if group is None else _group_id(group)
    if os.geteuid() != 0:
        if entry.pw_uid == os.geteuid() and gid == os.getegid():
            return None
        raise CommandExecutionError(
            f"cannot run a command as user {entry.pw_name}: this process runs as uid {os.geteuid()}",
            hint="only root can become another user",
        )
    groups = tuple(os.getgrouplist(entry.pw_name, gid))
    return Account(entry.pw_name, entry.pw_uid, gid, groups, entry.pw_dir, entry.pw_shell)


def _passwd_entry(user: str | int) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(str(user))
    except KeyError:
        pass
    try:
        return pwd.getpwuid(int(user))
    except (KeyError, ValueError, OverflowError):
        raise CommandExecutionError(f"there is no user {user!r} on this machine") from None


def _group_id(group: str | int) -> int:
    try:
        return grp.getgrnam(str(group)).gr_gid
    except KeyError:
        pass
    try:
        return int(group)
    except ValueError:
        raise CommandExecutionError(f"there is no group {group!r} on this machine") from None


def run(
    argv: Sequence[str],
    *,
    stdin: bytes | str | None = None,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    user: str | int | None = None,
    group: str | int | None = None,
    timeout: float | None = None,
    umask: int = -1,
    limit_bytes: int | None = DEFAULT_LIMIT_BYTES,
    merge_stderr: bool = False,
    stop: threading.Event | None = None,
) -> Completed:
    """Run `argv` to its end and return what it wrote.

    `env` replaces the environment; without it ours is passed on. Of each stream the first and last half of
    `limit_bytes` are kept (None keeps all) with a line between them that says how much was left out. With
    `merge_stderr`, both streams come in the order of writing as `stdout`. After `timeout` seconds the process group is
    told to terminate, and is killed shortly after; the result says `timed_out`. The same happens within a moment when
    `stop` is set.

    Raises `CommandNotFoundError` where there is no such program, `CommandExecutionError` where it cannot be started.
    """
    process = _spawn(argv, stdin, cwd, env, find_account(user, group), umask, merge_stderr)
    with process:
        try:
            with contextlib.closing(_Exchange(process, stdin, limit_bytes, timeout, stop)) as exchange:
                exchange.complete()
        except BaseException:
            _signal_group(process.pid, signal.SIGKILL)
            raise
    return exchange.result()


def tool(
    argv: Sequence[str],
    *,
    stdin: bytes | str | None = None,
    ok: Sequence[int] | None = (0,),
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    timeout: float | None = TOOL_TIMEOUT_S,
) -> Completed:
    """Run a tool of the system whose output is read by a program: in the C locale, found in the `sbin`s as well.

    `env` is added to our environment. Raises `CommandExecutionError` with the tool's own words where it ran out of time
    or its exit code is not in `ok` (None accepts any).
    """
    environment = {**os.environ, "PATH": search_path(), "LC_ALL": "C.UTF-8", "LANGUAGE": "", **(env or {})}
    done = run(argv, stdin=stdin, env=environment, cwd=cwd, timeout=timeout)
    name = Path(argv[0]).name
    if done.timed_out:
        raise CommandExecutionError(f"{name} did not finish within {timeout:g} seconds and was stopped")
    if ok is not None and done.retcode not in ok:
        raise CommandExecutionError(f"{name} failed with exit code {done.retcode}: {complaint(done)}")
    return done


def complaint(done: Completed, lines: int = 10) -> str:
    """Return the last lines of what a program complained about, for an error's sentence."""
    text = done.error_text.strip() or done.text.strip()
    return "\n".join(text.splitlines()[-lines:]) or "it gave no reason"


def find_tool(name: str) -> str | None:
    """Return the path of a program, or None; looks in the `sbin` directories too, whatever `PATH` says."""
    return shutil.which(name, path=search_path())


def require_tool(name: str, package: str = "") -> str:
    """Return the path of a program, or raise `CommandNotFoundError` with the package to install."""
    path = find_tool(name)
    if path is None:
        hint = f"install the package {package}" if package else ""
        raise CommandNotFoundError(f"the program {name} is not installed on this machine", hint=hint)
    return path


def search_path() -> str:
    """Return `PATH` with the system's own directories at its end."""
    words = (os.environ.get("PATH") or "").split(":") + _SYSTEM_PATH.split(":")
    return ":".join(dict.fromkeys(word for word in words if word))


def _spawn(
    argv: Sequence[str],
    stdin: bytes | str | None,
    cwd: str | Path | None,
    env: Mapping[str, str] | None,
    account: Account | None,
    umask: int,
    merge_stderr: bool,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge_stderr else subprocess.PIPE,
            cwd=cwd,
            env=None if env is None else dict(env),
            bufsize=0,
            start_new_session=True,
            umask=umask,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=account.groups if account else None,
        )
    except (OSError, ValueError) as error:
        raise _spawn_error(error, argv, cwd, env, account) from error


def _spawn_error(
    error: Exception,
    argv: Sequence[str],
    cwd: str | Path | None,
    env: Mapping[str, str] | None,
    account: Account | None,
) -> CommandExecutionError:
    program = argv[0] if argv else ""
    who = f" as user {account.name}" if account else ""
    if cwd is not None and not Path(cwd).is_dir():
        return CommandExecutionError(f"cannot run {program}{who}: the working directory {cwd} does not exist")
    if isinstance(error, FileNotFoundError) or (isinstance(error, PermissionError) and _is_missing(program, env)):
        return CommandNotFoundError(f"cannot run {program}: there is no such program")
    reason = error.strerror if isinstance(error, OSError) else str(error)
    if cwd is not None and isinstance(error, PermissionError):
        reason = f"{reason} (to run it, or to enter {cwd})"
    return CommandExecutionError(f"cannot run {program}{who}: {reason}")


def _is_missing(program: str, env: Mapping[str, str] | None) -> bool:
    """Say whether a name is in none of the directories of `PATH` (one of them may just be closed to us)."""
    return bool(program) and "/" not in program and shutil.which(program, path=(env or os.environ).get("PATH")) is None


def _signal_group(pgid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pgid, number)


@dataclass(slots=True)
class _Sink:
    """The first and the last half of what a stream brings, and a count of what fell between."""

    limit: int | None
    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    dropped: int = 0

    def feed(self, data: bytes) -> None:
        room = len(data) if self.limit is None else (self.limit + 1) // 2 - len(self.head)
        self.head += data[:room]
        self.tail += data[room:]
        if self.limit is not None and len(self.tail) > self.limit + _CHUNK_BYTES:
            self._trim()

    def _trim(self) -> None:
        excess = len(self.tail) - (self.limit or 0) // 2
        if self.limit is not None and excess > 0:
            del self.tail[:excess]
            self.dropped += excess

    def value(self) -> bytes:
        self._trim()
        marker = f"\n[... {self.dropped} bytes left out, the limit is {self.limit} bytes ...]\n" if self.dropped else ""
        return b"".join((self.head, marker.encode(), self.tail))


class _Exchange:
    """Feed a program, drain it, watch its end and the clock."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        stdin: bytes | str | None,
        limit_bytes: int | None,
        timeout: float | None,
        stop: threading.Event | None = None,
    ) -> None:
        self._process = process
        self._stop = stop
        self._input = memoryview(stdin.encode() if isinstance(stdin, str) else stdin or b"")
        self._selector = selectors.DefaultSelector()
        self._sinks = {"stdout": _Sink(limit_bytes), "stderr": _Sink(limit_bytes)}
        self._open_outputs = 0
        self._ended = False
        self._timed_out = False
        self._last_heard = time.monotonic()
        self._deadline = None if timeout is None else self._last_heard + timeout
        self._kill_at: float | None = None
        self._exit_fd = _open_exit_watch(process.pid)
        self._register()

    def _register(self) -> None:
        for name in ("stdout", "stderr"):
            stream = getattr(self._process, name)
            if stream is not None:
                self._open_outputs += 1
                self._selector.register(stream, selectors.EVENT_READ, self._reader(stream, self._sinks[name]))
        if self._process.stdin is not None:
            os.set_blocking(self._process.stdin.fileno(), False)
            self._selector.register(self._process.stdin, selectors.EVENT_WRITE, self._write_input)
        if self._exit_fd is not None:
            self._selector.register(self._exit_fd, selectors.EVENT_READ, self._note_exit)

    def complete(self) -> None:
        """Return when the program has ended and its output has been read."""
        while not self._finished():
            for key, _ in self._selector.select(self._wait_s()):
                key.data()
            if self._exit_fd is None and not self._ended and _has_exited(self._process.pid):
                self._note_exit()
            self._check_clock()
        if self._timed_out:
            # Before the leader is reaped: until then its process group's number cannot belong to anybody else.
            _signal_group(self._process.pid, signal.SIGKILL)

    def _finished(self) -> bool:
        if not self._ended:
            return False
        return self._open_outputs == 0 or time.monotonic() - self._last_heard >= QUIET_S

    def _wait_s(self) -> float | None:
        moments = [moment for moment in (self._deadline, self._kill_at) if moment is not None]
        if self._ended:
            moments = [self._last_heard + QUIET_S]
        elif self._exit_fd is None:
            moments.append(time.monotonic() + _POLL_S)
        elif self._stop is not None and not self._timed_out:
            moments.append(time.monotonic() + _STOP_POLL_S)
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _check_clock(self) -> None:
        now = time.monotonic()
        if self._ended:
            return
        stopped = self._stop is not None and self._stop.is_set() and not self._timed_out
        if stopped or (self._deadline is not None and now >= self._deadline):
            self._deadline = None
            self._timed_out = True
            self._kill_at = now + GRACE_S
            _signal_group(self._process.pid, signal.SIGTERM)
        elif self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            _signal_group(self._process.pid, signal.SIGKILL)

    def _note_exit(self) -> None:
        self._ended = True
        self._last_heard = time.monotonic()
        if self._timed_out:
            _signal_group(self._process.pid, signal.SIGKILL)
        if self._exit_fd is not None:
            self._selector.unregister(self._exit_fd)
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._close_input()

    def _reader(self, stream: IO[bytes], sink: _Sink) -> Callable[[], None]:
        def read() -> None:
            data = os.read(stream.fileno(), _CHUNK_BYTES)
            if data:
                self._last_heard = time.monotonic()
                sink.feed(data)
            else:
                self._open_outputs -= 1
                self._selector.unregister(stream)

        return read

    def _write_input(self) -> None:
        assert self._process.stdin is not None
        try:
            written = os.write(self._process.stdin.fileno(), self._input[:_CHUNK_BYTES])
        except BlockingIOError:
            return
        except BrokenPipeError:
            written = len(self._input)
        self._input = self._input[written:]
        if not self._input:
            self._close_input()

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        self._selector.unregister(self._process.stdin)
        self._process.stdin.close()

    def close(self) -> None:
        self._selector.close()
        if self._exit_fd is not None:
            os.close(self._exit_fd)

    def result(self) -> Completed:
        return Completed(
            pid=self._process.pid,
            retcode=self._process.returncode,
            stdout=self._sinks["stdout"].value(),
            stderr=self._sinks["stderr"].value(),
            truncated=any(sink.dropped for sink in self._sinks.values()),
            timed_out=self._timed_out,
        )


def _open_exit_watch(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends; None on a kernel that has none (before 5.3)."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _has_exited(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def start_detached(
    argv: Sequence[str],
    *,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    user: str | int | None = None,
    group: str | int | None = None,
    umask: int = -1,
) -> int:
    """Start a program that outlives us, with no input and no output, and return its pid."""
    # The shell only starts its arguments and ends, so that the program belongs to init and leaves no zombie here.
    launcher = [
        "/bin/sh",
        "-c",
        'command -v "$1" >/dev/null || exit 127; "$@" </dev/null >/dev/null 2>&1 & echo $!',
        "sh",
    ]
    done = run([*launcher, *argv], cwd=cwd, env=env, user=user, group=group, umask=umask, timeout=60)
    if done.retcode == 127:
        raise CommandNotFoundError(f"cannot run {argv[0]}: there is no such program")
    if done.retcode != 0:
        raise CommandExecutionError(f"cannot start {argv[0]}: {complaint(done)}")
    return int(done.text)


def lines(text: str) -> Iterator[str]:
    """Yield the lines of a tool's output that are not blank, without the space at their ends."""
    return (line.strip() for line in text.splitlines() if line.strip())
