"""The front of a daemon's program: its options, whom it runs as, foreground or background, pid file and exit codes."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from .. import __version__
from .atomic import atomic_write
from .config import Config, unknown_keys
from .errors import ConfigError, CtlError
from .log import set_up
from .privileges import become
from .secret import remember_config
from .systemd import notify
from .writers import make_own_directory

log = logging.getLogger(__name__)

C = TypeVar("C", bound=Config)
LOG_DIRECTORY = Path("/var/log/ctl")
STARTED = b"\0"
PRIVATE_UMASK = 0o077
"""Of the daemons: nobody else reads what they make, unless its place says so. Jobs have 022."""

Started = Callable[[], None]
"""To be called once, when the daemon serves."""


class _Version(argparse.Action):
    """Show which ctl this is, and which ZeroMQ stands between it and the network."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from .sockets import describe_library  # loads ZeroMQ

        sys.stdout.write(f"{parser.prog} {__version__}\nlibzmq {describe_library()}\n")
        parser.exit(0)


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
        os.umask(PRIVATE_UMASK)
        try:
            if options.config_dir is not None and not options.config_dir.is_dir():
                raise ConfigError(f"-c: there is no directory {options.config_dir}")
            config = _with_paths(self.load(options.config_dir, _overrides(options)), options)
            if options.daemon:
                config = self._for_background(config)
            become(config.user, self._directories(config))
            remember_config(config.raw)
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
        add("-V", "--version", action=_Version, nargs=0, help="show the versions of ctl and of libzmq, and exit")
        return made

    def _directories(self, config: C) -> Iterator[tuple[Path, int]]:
        """Name what the daemon writes into, and with which modes."""
        yield config.pki_dir, 0o700
        for path in (config.data_dir, config.cachedir):
            yield path / self.word, 0o700
        yield config.sock_dir / self.word, 0o750
        if config.log_file is not None:
            yield config.log_file.parent, 0o750
        if config.pidfile is not None and config.pidfile.parent != config.sock_dir / self.word:
            yield config.pidfile.parent, 0o755

    def _for_background(self, config: C) -> C:
        """Fill in where a daemon without a terminal logs to, and where it says which process it is."""
        root = Path(os.path.abspath(config.root_dir))
        return dataclasses.replace(
            config,
            log_file=config.log_file or root / LOG_DIRECTORY.relative_to("/") / self.word,
            pidfile=config.pidfile or self._pid_directory(config) / f"{self.program}.pid",
        )

    def _pid_directory(self, config: C) -> Path:
        """Return where the pid file goes: of an ordinary user into the one directory below that is this user's."""
        return config.sock_dir / self.word if config.user else config.sock_dir

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
        make_own_directory(path.parent, 0o755)
        atomic_write(path, f"{os.getpid()}\n".encode(), mode=0o644)
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
