"""One daemon on one data directory: a lock that the kernel gives back however the daemon ends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from .errors import ConfigError
from .writers import make_own_directory

PATIENCE_SECONDS = 5.0
PAUSE_SECONDS = 0.02


class InstanceLock:
    """Holds the lock from its making until `close`."""

    def __init__(self, directory: Path, program: str) -> None:
        """Take the lock; raises `ConfigError` where another daemon has it or the directory cannot be written.

        `ctl-key` holds it for moments, while no daemon runs: a holder that is no running daemon is waited for.
        """
        self._path = directory / "lock"
        try:
            make_own_directory(directory)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise ConfigError(f"it cannot be written: {error.strerror}", path=str(directory), key="data_dir") from error
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._try():
            holder = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
            if _runs(holder) or time.monotonic() > deadline:
                os.close(self._fd)
                raise ConfigError(
                    f"another {program}{f' (pid {holder})' if holder else ''} runs on {directory}",
                    hint="stop it first, or choose another data_dir",
                )
            time.sleep(PAUSE_SECONDS)
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(self._fd)
            raise ConfigError(
                f"it cannot be written: {error.strerror}", path=str(self._path), key="data_dir"
            ) from error

    def _try(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Give the lock back; the file stays, so that nobody locks one that is no longer there."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1


def _runs(pid: str) -> bool:
    return pid.isdecimal() and Path(f"/proc/{pid}").exists()
