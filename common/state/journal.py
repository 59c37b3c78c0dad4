"""The journal of a state run: a line for each state as it finishes, in a file of the minion's data directory.

What is left of a run that is killed, so that it can be said what had been done; and what `state.explain` reads of the
last run. A dry run keeps none.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

DIRECTORY = "minion/runs"
LAST = "last"
MAX_LINE_CHARS = 16 * 1024
MAX_COMMENT_CHARS = 2000
KEPT_S = 7 * 86400.0
INTERRUPTED_TAG = "ctl_|-interrupted_|-interrupted_|-run"

Return = dict[str, Any]


@dataclass(slots=True)
class Record:
    """What a journal says: the run's jid, its start, how many states it has, and the returns of the finished ones."""

    jid: str = ""
    started: float = 0.0
    total: int = 0
    results: dict[str, Return] = field(default_factory=dict)


class Journal:
    """The journal of the run under way. Without a directory, or where it cannot be written, nothing is kept."""

    def __init__(self, data_dir: str | Path | None, jid: str, total: int) -> None:
        self._fd: int | None = None
        self._path = _path(data_dir or "", jid or f"local-{os.getpid()}")
        if data_dir:
            self._open(jid, total)

    def _open(self, jid: str, total: int) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sweep(self._path.parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, 0o600)
        except OSError as error:
            log.info("this run keeps no journal: %s", error)
            return
        self._write({"jid": jid, "started": time.time(), "total": total})

    def add(self, tag: str, ret: Mapping[str, Any]) -> None:
        """Write down that a state has finished."""
        if self._fd is None:
            return
        if not self._write([tag, ret]):
            short = {"changes": dict.fromkeys(ret["changes"], "…"), "comment": str(ret["comment"])[:MAX_COMMENT_CHARS]}
            self._write([tag, {**ret, **short}], cut=False)

    def _write(self, entry: Any, *, cut: bool = True) -> bool:
        try:
            line = json.dumps(entry, default=str, skipkeys=True)
        except (ValueError, RecursionError) as error:  # what refers to itself
            log.debug("a return does not fit into the journal: %s", error)
            return False
        if cut and len(line) > MAX_LINE_CHARS:
            return False
        if self._fd is not None:
            try:
                os.write(self._fd, line.encode() + b"\n")
            except OSError as error:
                log.warning("this run's journal ends early: %s", error)
                self.close()
        return True

    def close(self) -> None:
        """The run is over: its journal becomes the one of the last run."""
        if self._fd is None:
            return
        os.close(self._fd)
        self._fd = None
        keep_as_last(self._path)


def keep_as_last(path: Path) -> None:
    """Make a journal the one of the last run."""
    try:
        path.replace(path.with_name(f"{LAST}.jsonl"))
    except OSError as error:
        log.info("the journal of the last run is not kept: %s", error)


def _path(data_dir: str | Path, name: str) -> Path:
    return Path(data_dir, DIRECTORY, f"{name}.jsonl")


def _sweep(directory: Path) -> None:
    """Remove what killed runs left that nobody asked for."""
    limit = time.time() - KEPT_S
    for path in directory.glob("*.jsonl"):
        if path.stem != LAST and path.stat().st_mtime < limit:
            path.unlink(missing_ok=True)


def read(data_dir: str | Path, name: str = LAST) -> Record | None:
    """Read a journal, of the last run or of the job `name`; None where there is none. A torn last line is left out."""
    try:
        lines = _path(data_dir, name).read_bytes().split(b"\n")
    except OSError:
        return None
    record = Record()
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            record = Record(str(entry.get("jid", "")), float(entry.get("started", 0)), int(entry.get("total", 0)))
        elif isinstance(entry, list) and len(entry) == 2:
            record.results[str(entry[0])] = entry[1]
    return record


def interrupted(data_dir: str | Path, jid: str, reason: str) -> dict[str, Return] | None:
    """Return what a run had done that was killed, and an entry that says so; None where no run was under way.

    Its journal becomes the one of the last run.
    """
    record = read(data_dir, jid)
    if record is None:
        return None
    keep_as_last(_path(data_dir, jid))
    done = len(record.results)
    comment = f"The run was interrupted: {reason}. {done} of {record.total} states had finished."
    entry: Return = {
        "name": "interrupted",
        "result": False,
        "changes": {},
        "comment": comment,
        "__run_num__": max((ret.get("__run_num__", 0) for ret in record.results.values()), default=-1) + 1,
        "__id__": "interrupted",
        "__sls__": "",
        "start_time": "",
        "duration": 0.0,
    }
    return {**record.results, INTERRUPTED_TAG: entry}
