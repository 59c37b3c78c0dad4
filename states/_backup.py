"""Copies of files that a state is about to change, where `file.list_backups` and `file.restore_backup` find them."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from ..common.atomic import atomic_write
from ..common.context import current
from ..common.directory import make_directories

MODES = ("minion", "master", "both")
DIRECTORY = "file_backup"
_CHUNK_BYTES = 1 << 20


def wants_backup(mode: str | bool | None) -> bool:
    """Say whether a state's `backup`, or the minion's `backup_mode` where it says nothing, asks for a copy here."""
    chosen = mode or current().config.get("backup_mode") or ""
    return chosen is True or chosen in ("minion", "both")


def back_up(path: str) -> str:
    """Copy a file with its owner and mode below the cache directory, under its own path and the time; return where."""
    status = os.stat(path)
    now = time.time_ns()
    moment = time.localtime(now // 10**9)
    stamp = f"{time.strftime('%a_%b_%d_%H:%M:%S', moment)}_{now // 1000 % 10**6:06d}_{moment.tm_year}"
    where = Path(current().config["cachedir"], DIRECTORY, os.path.abspath(path).lstrip("/"))
    make_directories(where.parent, mode=0o700)
    copy = where.with_name(f"{where.name}_{stamp}")
    atomic_write(copy, _read(path), mode=stat.S_IMODE(status.st_mode), uid=status.st_uid, gid=status.st_gid)
    return str(copy)


def _read(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
