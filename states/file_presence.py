"""Whether files are there: absent, exists, missing, touch."""

from __future__ import annotations

import os
import stat
from typing import Any

from ..common.directory import open_parent
from ..common.state.plan import Changes, Plan, Step, change, refuse, same
from ._content import content_of_bytes
from ._managed import Wanted, check_name, file_status, plan_file
from ._planning import Missing, planning
from ._removal import remove_path

__virtualname__ = "file"


@planning
def absent(name: str, force: bool = False) -> Plan:
    """Make sure that there is no file, symlink or directory of this name; a directory goes with all it holds.

    SLS example:

        /etc/nginx/sites-enabled/default:
          file.absent: []
    """
    path = check_name(name).rstrip("/")
    if not path:
        return refuse("the root directory is not removed")
    status = file_status(path, follow=False)
    if status is None:
        return same(f"File {path} is not present")
    kind = "Directory" if stat.S_ISDIR(status.st_mode) else "File"

    def remove() -> Changes:
        remove_path(path)
        return {"removed": path}

    return change(
        f"{kind} {path} is set for removal",
        {"removed": path},
        Step(f"remove {path}", remove),
        done=f"Removed {kind.lower()} {path}",
    )


@planning
def exists(name: str) -> Plan:
    """Succeed where something of this name is there; changes nothing.

    SLS example:

        /etc/machine-id:
          file.exists: []
    """
    path = check_name(name)
    if os.path.exists(path):
        return same(f"Path {path} exists")
    raise Missing(f"the path {path} is not there")


@planning
def missing(name: str) -> Plan:
    """Succeed where nothing of this name is there; changes nothing.

    SLS example:

        /etc/nologin:
          file.missing: []
    """
    path = check_name(name)
    if not os.path.exists(path):
        return same(f"Path {path} is missing")
    raise Missing(f"the path {path} is there")


@planning
def touch(name: str, atime: float | None = None, mtime: float | None = None, makedirs: bool = False) -> Plan:
    """Make an empty file, or set the times of one that is there (to now, where none are given).

    SLS example:

        /var/log/app.log:
          file.touch:
            - makedirs: True
    """
    path = check_name(name)
    status = file_status(path)
    if status is None:
        plan = plan_file(Wanted(path, content_of_bytes(b""), makedirs=makedirs))
        return change(
            f"File {path} is set to be created",
            {"new": path},
            *plan.steps[:-1],
            _touch_step(path, plan.steps[-1], {"new": path}, (atime, mtime)),
            done=f"Created empty file {path}",
        )
    given = [when for when in (atime, mtime) if when is not None]
    if given and (atime in (None, int(status.st_atime))) and (mtime in (None, int(status.st_mtime))):
        return same(f"File {path} exists and has the correct times")
    return change(
        f"Times set to be updated on {path}",
        {"touched": path},
        _touch_step(path, None, {"touched": path}, (atime, mtime)),
        done=f"Updated times on {path}",
    )


def _touch_step(path: str, first: Step | None, changes: Changes, times: tuple[float | None, float | None]) -> Step:
    def run() -> Changes:
        if first is not None:
            first.run()
        if first is None or times != (None, None):
            _set_times(path, *times)
        return changes

    return Step(f"touch {path}", run)


def _set_times(path: str, atime: float | None, mtime: float | None) -> None:
    with open_parent(path, follow=True) as place:
        given: dict[str, Any] = {"dir_fd": place.directory, "follow_symlinks": False}
        if atime is None and mtime is None:
            os.utime(place.name, **given)
            return
        now = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
        times = (now.st_atime if atime is None else atime, now.st_mtime if mtime is None else mtime)
        os.utime(place.name, times, **given)
