"""The front of a daemon's program: its options, whom it runs as, foreground or background, pid file and exit codes."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import logging
import os
import pwd
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from .. import __version__
from .config import Config, unknown_keys
from .errors import ConfigError, CtlError
from .log import set_up
from .systemd import notify

log = logging.getLogger(__name__)

C = TypeVar("C", bound=Config)
LOG_DIRECTORY = Path("/var/log/ctl")
STARTED = b"\0"

Started = Callable[[], None]
"""To be called once, when the daemon serves."""


@dataclasses.dataclass(frozen=True)
class Daemon(Generic[C]):
    """A daemon: `ctl-master` or `ctl-minion`. `serve` runs until the event is set."""

    word: str
    description: str
    load: Callable[[Path | None, dict[str, Any]], C]
    serve: Callable[[C, asyncio.Event, Started], Awaitable[None]]

    @property
    def program(self) -> str:
        """The program's name."""
        return f"ctl-{self.word}"

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Run the program; return its exit code."""
        options = self._parser().parse_args(argv)
        try:
            if options.config_dir is not None and not options.config_dir.is_dir():
                raise ConfigError(f"-c: there is no directory {options.config_dir}")
            config = _with_paths(self.load(options.config_dir, _overrides(options)), options)
            become(config.user)
            if options.daemon:
                config = self._for_background(config)
            set_up(config.log_level, config.log_file, config.log_level_logfile)
            return self._run_in_background(config) if options.daemon else self._run(config)
        except (CtlError, OSError) as error:
            sys.stderr.write(f"{self.program}: {sentence(error)}\n")
            return exit_code(error)

    def _parser(self) -> argparse.ArgumentParser:
        made = argparse.ArgumentParser(prog=self.program, description=self.description, allow_abbrev=False)
        add = made.add_argument
        add("-c", "--config-dir", type=Path, metavar="DIR", help="read the configuration in DIR")
        add("-d", "--daemon", action="store_true", help="run in the background, with a log file and a pid file")
        add("-l", "--log-level", metavar="LEVEL", help="debug, info, warning, error, critical, quiet")
        add("--log-file", type=Path, metavar="FILE", help="log to FILE, too")
        add("--log-file-level", metavar="LEVEL", help="the level of the log file")
        add("--pid-file", type=Path, metavar="FILE", help="write the process id to FILE")
        add("-u", "--user", help="run as this user")
        add("-V", "--version", action="version", version=f"{self.program} {__version__}")
        return made

    def _for_background(self, config: C) -> C:
        """Fill in where a daemon without a terminal logs to, and where it says which process it is."""
        root = Path(os.path.abspath(config.root_dir))
        return dataclasses.replace(
            config,
            log_file=config.log_file or root / LOG_DIRECTORY.relative_to("/") / self.word,
            pidfile=config.pidfile or config.sock_dir / f"{self.program}.pid",
        )

    def _run(self, config: C, tell: Callable[[bytes], None] = lambda said: None) -> int:
        """Run until a signal stops it. The first signal closes cleanly, the second kills."""
        if unknown := unknown_keys(config):
            log.info("settings that are not ctl's own, for plugins: %s", ", ".join(unknown))
        with contextlib.ExitStack() as stack:

            def started() -> None:
                stack.enter_context(_pid_file(config.pidfile))
                notify(f"READY=1\nMAINPID={os.getpid()}")
                tell(STARTED)

            try:
                asyncio.run(self._serve(config, started))
            except (CtlError, OSError) as error:
                log.critical("%s", sentence(error))
                tell(f"{exit_code(error)}{sentence(error)}".encode())
                return exit_code(error)
        return 0

    async def _serve(self, config: C, started: Started) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def on_signal() -> None:
            stop.set()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        await self.serve(config, stop, started)

    def _run_in_background(self, config: C) -> int:
        """Start the daemon as a process of its own; return once it serves, or with its error."""
        told, tell = os.pipe()
        first = os.fork()
        if first == 0:
            os.close(told)
            os.setsid()
            if os.fork() != 0:
                os._exit(0)
            os._exit(self._background(config, tell))
        os.close(tell)
        os.waitpid(first, 0)
        with os.fdopen(told, "rb") as pipe:
            said = pipe.read()
        if said == STARTED:
            return 0
        code, problem = (int(said[:1]), said[1:].decode("utf-8", "replace")) if said else (1, "")
        sys.stderr.write(f"{self.program}: {problem or f'it ended while it started; see {config.log_file}'}\n")
        return code

    def _background(self, config: C, tell: int) -> int:
        """Be the process in the background; its starter is told one thing, and the pipe is closed."""
        pipe = [tell]

        def tell_starter(said: bytes) -> None:
            if pipe:
                os.write(pipe[0], said)
                os.close(pipe.pop())

        try:
            _detach()
            return self._run(config, tell_starter)
        except BaseException:
            log.critical("the daemon ended", exc_info=True)
            return 1
        finally:
            logging.shutdown()


def exit_code(error: Exception) -> int:
    """Return 2 for a mistake in the configuration, 1 for what went wrong otherwise."""
    return 2 if isinstance(error, ConfigError) else 1


def sentence(error: Exception) -> str:
    """Say what went wrong without the number that the system gives it."""
    if not isinstance(error, OSError) or isinstance(error, CtlError) or not error.strerror:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


def become(user: str) -> None:
    """Become the user that the configuration names, with its groups and nothing else."""
    if not user:
        return
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise ConfigError(f"there is no user {user!r} on this machine", key="user") from None
    if account.pw_uid == os.geteuid():
        return
    if os.geteuid() != 0:
        raise ConfigError(f"only root can run this as {user}", key="user")
    os.initgroups(user, account.pw_gid)
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    given = {
        "log_level": options.log_level,
        "log_level_logfile": options.log_file_level,
        "user": options.user,
    }
    return {key: value for key, value in given.items() if value is not None}


def _with_paths(config: C, options: argparse.Namespace) -> C:
    """Take paths of the command line as they are: `root_dir` is for those of the configuration."""
    given = {"log_file": options.log_file, "pidfile": options.pid_file}
    paths: dict[str, Any] = {key: Path(os.path.abspath(path)) for key, path in given.items() if path is not None}
    return dataclasses.replace(config, **paths)


@contextlib.contextmanager
def _pid_file(path: Path | None) -> Iterator[None]:
    """Keep the pid file while the daemon runs; written once it serves, so that a second one never touches it."""
    if path is None:
        yield
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{os.getpid()}\n", encoding="ascii")
    except OSError as error:
        raise ConfigError(f"pidfile: {path} cannot be written: {error.strerror}", key="pidfile") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _detach() -> None:
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)
