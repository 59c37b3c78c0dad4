"""Thin directories out: old and large files, empty directories, backups that nobody needs any more."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from ..common.directory import open_parent
from ..common.errors import CommandExecutionError
from ..common.state.plan import Changes, Plan, Step, change, same
from ._managed import check_name, file_status
from ._planning import Missing, planning
from ._removal import remove_path

__virtualname__ = "file"

_DAY_S = 86400
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"(?i)^\s*(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?\s*$")
_PERIODS: dict[str, Callable[[datetime], tuple[int, ...]]] = {
    "first_of_year": lambda moment: (moment.year,),
    "first_of_month": lambda moment: (moment.year, moment.month),
    "first_of_week": lambda moment: tuple(moment.isocalendar()[:2]),
    "first_of_day": lambda moment: (moment.year, moment.month, moment.day),
    "first_of_hour": lambda moment: (moment.year, moment.month, moment.day, moment.hour),
}


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which entries go. `age` is in days and `size` in bytes; what is not given is not looked at."""

    patterns: tuple[re.Pattern[str], ...]
    exclude: tuple[re.Pattern[str], ...]
    age: int | None
    size: int | None
    both: bool
    full_path: bool
    links: bool
    dirs: bool
    stamp: str

    def match(self, path: str, status: os.stat_result, now: float) -> bool:
        """Say whether an entry is to go."""
        shown = path if self.full_path else os.path.basename(path)
        if not any(one.match(shown) for one in self.patterns) or any(one.match(shown) for one in self.exclude):
            return False
        if stat.S_ISLNK(status.st_mode) and not self.links:
            return False
        if stat.S_ISDIR(status.st_mode) and not self.dirs:
            return False
        verdicts = []
        if self.age is not None:
            verdicts.append((now - getattr(status, f"st_{self.stamp}")) // _DAY_S >= self.age)
        if self.size is not None:
            verdicts.append(stat.S_ISREG(status.st_mode) and status.st_size >= self.size)
        return not verdicts or (all(verdicts) if self.both else any(verdicts))


@planning
def tidied(
    name: str,
    age: int | None = None,
    matches: str | list[str] | None = None,
    rmdirs: bool = False,
    size: int | str | None = None,
    exclude: str | list[str] | None = None,
    full_path_match: bool = False,
    followlinks: bool = False,
    time_comparison: str = "atime",
    age_size_logical_operator: str = "OR",
    age_size_only: str | None = None,
    rmlinks: bool = True,
) -> Plan:
    """Remove the files below a directory that are too old or too large.

    age
        In days; files as old as that go. 0 is any age.
    size
        In bytes, or as `10M`; files as large as that go. A criterion that is not given counts for nothing.
    matches, exclude
        Expressions that the name must match, or must not (the path, with `full_path_match`).
    time_comparison
        Which time of the file tells its age: `atime`, `mtime` or `ctime`.
    age_size_logical_operator, age_size_only
        `AND`: both must hold; `OR`: one is enough. `age` or `size`: look at this one only.
    rmdirs, rmlinks
        Directories (with all they hold) and symlinks may go too.
    followlinks
        Look through symlinks to directories.

    SLS example:

        /var/backups:
          file.tidied:
            - age: 30
            - matches: ['.*\\.gz']
            - time_comparison: mtime
    """
    path = check_name(name)
    if not os.path.isdir(path):
        raise Missing(f"the directory {path} is not there")
    criteria = _criteria(
        age if age_size_only != "size" else None,
        _bytes(size) if age_size_only != "age" else None,
        (matches, exclude),
        (full_path_match, rmlinks, rmdirs),
        (age_size_logical_operator, time_comparison),
    )
    found = list(_entries_to_go(path, criteria, followlinks, time.time()))
    if not found:
        return same(f"Nothing to remove from directory {path}")
    done = f"Removed {len(found)} files or directories from directory {path}"
    return _plan_removal(path, found, {"removed": found}, done)


def _criteria(
    age: int | None, size: int | None, patterns: tuple[Any, Any], flags: tuple[bool, bool, bool], words: tuple[str, str]
) -> Criteria:
    operator, stamp = words[0].upper(), words[1].lower()
    if operator not in ("AND", "OR"):
        raise CommandExecutionError(f"age_size_logical_operator is AND or OR, not {words[0]!r}")
    if stamp not in ("atime", "mtime", "ctime"):
        raise CommandExecutionError(f"time_comparison is atime, mtime or ctime, not {words[1]!r}")
    wanted = _expressions(patterns[0]) or (re.compile(".*"),)
    return Criteria(wanted, _expressions(patterns[1]), age, size, operator == "AND", *flags, stamp)


def _expressions(given: Any) -> tuple[re.Pattern[str], ...]:
    try:
        return tuple(re.compile(str(one)) for one in ([given] if isinstance(given, str) else given or ()))
    except re.error as error:
        raise CommandExecutionError(f"the expression {error.pattern!r} is wrong: {error}") from None


def _bytes(size: int | str | None) -> int | None:
    if size is None or isinstance(size, int):
        return size
    found = _SIZE.match(size)
    if found is None:
        raise CommandExecutionError(f"{size!r} is no size, such as 10M")
    return int(float(found[1]) * _UNITS[found[2].lower()])


def _entries_to_go(directory: str, criteria: Criteria, follow: bool, now: float) -> Iterator[str]:
    """Give the topmost entries that are to go."""
    for above, dirs, files in os.walk(directory, followlinks=follow):
        for entry in sorted([*dirs, *files]):
            path = os.path.join(above, entry)
            status = file_status(path, follow=False)
            if status is not None and criteria.match(path, status, now):
                yield path
                if entry in dirs:
                    dirs.remove(entry)


def _plan_removal(directory: str, paths: list[str], changes: Changes, done: str) -> Plan:
    def remove() -> Changes:
        for path in paths:
            remove_path(path)
        return changes

    step = Step(f"remove {len(paths)} files or directories from {directory}", remove)
    return change(f"{directory} is set for tidy", changes, step, done=done)


@planning
def pruned(
    name: str, recurse: bool = False, ignore_errors: bool = False, older_than: int | float | None = None
) -> Plan:
    """Remove a directory if it is empty; with `recurse`, every directory below it that is empty, or becomes so.

    older_than
        Only directories that were last changed more than this many days ago.
    ignore_errors
        Succeed where the directory is not empty.

    SLS example:

        /srv/old:
          file.pruned:
            - recurse: True
    """
    path = check_name(name).rstrip("/")
    if not os.path.lexists(path):
        return same(f"Directory {path} is not present")
    if not path or not os.path.isdir(path) or os.path.islink(path):
        raise CommandExecutionError(f"{path or '/'} is no directory that can be removed")
    newest = None if older_than is None else time.time() - older_than * _DAY_S
    found = _empty_below(path, newest) if recurse else ([path] if _is_empty(path, set(), newest) else [])
    if path not in found and not recurse and not ignore_errors:
        raise Missing(f"the directory {path} is not empty")
    if not found:
        return same(f"Directory {path} holds nothing that is empty")

    def remove() -> Changes:
        for directory in found:
            with open_parent(directory) as place:
                os.rmdir(place.name, dir_fd=place.directory)
        return {"deleted": found}

    step = Step(f"remove {len(found)} empty directories", remove)
    return change(f"{path} is set to be pruned", {"deleted": found}, step, done=f"Removed empty directories of {path}")


def _empty_below(directory: str, newest: float | None) -> list[str]:
    """List the directories that are empty or hold only such, the deepest first."""
    found: list[str] = []
    for above, _, _ in os.walk(directory, topdown=False):
        if _is_empty(above, set(found), newest):
            found.append(above)
    return found


def _is_empty(directory: str, gone: set[str], newest: float | None) -> bool:
    if newest is not None and os.lstat(directory).st_mtime > newest:
        return False
    return all(os.path.join(directory, entry) in gone for entry in os.listdir(directory))


@planning
def retention_schedule(
    name: str, retain: dict[str, Any], strptime_format: str | None = None, timezone: str | None = None
) -> Plan:
    """Keep backups (files or directories) by a schedule, and remove the others of a directory.

    retain
        How many to keep: `most_recent`, and the first of each `first_of_hour`, `first_of_day`, `first_of_week`,
        `first_of_month`, `first_of_year`; a number, or `all`.
    strptime_format, timezone
        Read a backup's time from its name; what has none in its name is left alone. Without it, when it was changed.

    SLS example:

        /var/backups/db:
          file.retention_schedule:
            - retain:
                most_recent: 5
                first_of_day: 7
                first_of_year: all
    """
    path = check_name(name)
    unknown = [key for key in retain if key != "most_recent" and key not in _PERIODS]
    if unknown:
        raise CommandExecutionError(f"retain: {unknown[0]!r} is none of most_recent, {', '.join(_PERIODS)}")
    if not os.path.isdir(path):
        raise Missing(f"the directory {path} is not there")
    moments = _moments(path, strptime_format, _zone(timezone))
    kept = _kept(moments, retain)
    extra = sorted(moments.keys() - kept, reverse=True)
    if not extra:
        return same(f"Nothing to remove from directory {path}")
    ignored = sorted(set(os.listdir(path)) - moments.keys(), reverse=True)
    changes = {"retained": sorted(kept, reverse=True), "deleted": extra, "ignored": ignored}
    paths = [os.path.join(path, entry) for entry in extra]
    return _plan_removal(path, paths, changes, f"{len(extra)} backups were removed from {path}")


def _zone(name: str | None) -> tzinfo:
    if not name:
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # only a schedule with a time zone needs it

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise CommandExecutionError(f"there is no time zone {name!r}") from None


def _moments(directory: str, form: str | None, zone: tzinfo) -> dict[str, datetime]:
    found = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            if form is None:
                found[entry.name] = datetime.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime, zone)
                continue
            try:
                found[entry.name] = datetime.strptime(entry.name, form).replace(tzinfo=zone)
            except ValueError:
                continue
    return found


def _kept(moments: dict[str, datetime], retain: dict[str, Any]) -> set[str]:
    newest_first = sorted(moments, key=lambda entry: (moments[entry], entry), reverse=True)
    kept = set(newest_first[: _number(retain.get("most_recent", 0), len(newest_first))])
    for word, period in _PERIODS.items():
        first: dict[tuple[int, ...], str] = {}
        for entry in newest_first:
            first[period(moments[entry])] = entry  # the last one seen is the earliest
        kept.update(list(first.values())[: _number(retain.get(word, 0), len(first))])
    return kept


def _number(given: Any, everything: int) -> int:
    if given == "all":
        return everything
    try:
        return max(int(given), 0)
    except (TypeError, ValueError):
        raise CommandExecutionError(f"retain: {given!r} is neither a number nor 'all'") from None
