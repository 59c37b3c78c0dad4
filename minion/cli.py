"""The program `ctl-minion`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import pwd
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..common.config import MinionConfig, load_minion, unknown_keys
from ..common.errors import ConfigError, CtlError
from ..common.log import set_up
from ..common.systemd import notify
from .daemon import Minion

log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    made = argparse.ArgumentParser(prog="ctl-minion", description="The minion of a ctl fleet.")
    made.add_argument("-c", "--config-dir", type=Path, metavar="DIR", help="read the configuration in DIR")
    made.add_argument("-d", "--daemon", action="store_true", help="run in the background")
    made.add_argument("-l", "--log-level", metavar="LEVEL", help="debug, info, warning, error, critical, quiet")
    made.add_argument("--log-file", type=Path, metavar="FILE", help="log to FILE, too")
    made.add_argument("--log-file-level", metavar="LEVEL", help="the level of the log file")
    made.add_argument("--pid-file", type=Path, metavar="FILE", help="write the process id to FILE")
    made.add_argument("-u", "--user", help="run as this user")
    made.add_argument("-V", "--version", action="version", version=f"ctl-minion {__version__}")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    options = parser().parse_args(argv)
    try:
        config = load_minion(options.config_dir, _overrides(options))
        become(config.user)
        if options.daemon:
            return _run_in_background(config)
        set_up(config.log_level, config.log_file, config.log_level_logfile)
        return run(config)
    except (CtlError, OSError) as error:
        sys.stderr.write(f"ctl-minion: {error}\n")
        return 2 if isinstance(error, ConfigError) else 1


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    given = {
        "log_level": options.log_level,
        "log_file": options.log_file and Path(os.path.abspath(options.log_file)),
        "log_level_logfile": options.log_file_level,
        "pidfile": options.pid_file and Path(os.path.abspath(options.pid_file)),
        "user": options.user,
    }
    return {key: value for key, value in given.items() if value is not None}


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
        raise ConfigError(f"only root can run the minion as {user}", key="user")
    os.initgroups(user, account.pw_gid)
    os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
    os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)


def run(config: MinionConfig, ready: int | None = None) -> int:
    """Run a minion until a signal stops it. The first signal closes cleanly, the second kills."""
    unknown = unknown_keys(config)
    if unknown:
        log.info("settings that are not ctl's own, for plugins: %s", ", ".join(unknown))
    with _pid_file(config.pidfile):
        try:
            asyncio.run(_serve(config, ready))
        except (CtlError, OSError) as error:
            log.critical("%s", error)
            if ready is not None:
                os.write(ready, str(error).encode())
            return 2 if isinstance(error, ConfigError) else 1
    return 0


async def _serve(config: MinionConfig, ready: int | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        stop.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    async with Minion(config) as minion:
        notify(f"READY=1\nMAINPID={os.getpid()}")
        if ready is not None:
            os.close(ready)
        await stop.wait()
        notify("STOPPING=1")
        await minion.close("a signal came")


@contextlib.contextmanager
def _pid_file(path: Path | None) -> Iterator[None]:
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{os.getpid()}\n", encoding="ascii")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _run_in_background(config: MinionConfig) -> int:
    """Start the daemon as a process of its own; return once it runs, or with its error."""
    told, tell = os.pipe()
    if os.fork() == 0:
        os.close(told)
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        _detach()
        set_up(config.log_level, config.log_file, config.log_level_logfile)
        code = run(config, tell)
        logging.shutdown()
        os._exit(code)
    os.close(tell)
    with os.fdopen(told, "rb") as pipe:
        problem = pipe.read().decode("utf-8", "replace")
    if problem:
        sys.stderr.write(f"ctl-minion: {problem}\n")
    return 2 if problem else 0


def _detach() -> None:
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)


if __name__ == "__main__":
    raise SystemExit(main())
