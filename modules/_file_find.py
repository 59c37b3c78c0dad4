"""Search a directory tree by name, kind, owner, size, age and content: what `file.find` does with its options.

Symlinks are not followed, nothing that is found becomes part of a shell's text, and what disappears meanwhile is
passed over.
"""

from __future__ import annotations

import fnmatch
import glob
import hashlib
import os
import re
import shlex
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..common import process
from ..common.directory import open_parent
from ..common.errors import CommandExecutionError, nearest
from ._file_path import find_gid, find_uid, group_name, mode_text, user_name

Test = Callable[[str, os.stat_result], bool]

_KINDS = {
    "b": stat.S_ISBLK,
    "c": stat.S_ISCHR,
    "d": stat.S_ISDIR,
    "p": stat.S_ISFIFO,
    "f": stat.S_ISREG,
    "l": stat.S_ISLNK,
    "s": stat.S_ISSOCK,
}
_UNITS = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_SECONDS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_SIZE = re.compile(r"([-+]?)(\d+)([bkmgt]?)", re.IGNORECASE)
_INTERVAL = re.compile(r"([-+]?)((?:\d+(?:\.\d+)?[wdhms]?)+)", re.IGNORECASE)
_INTERVAL_PART = re.compile(r"(\d+(?:\.\d+)?)([wdhms]?)", re.IGNORECASE)
_CHUNK_BYTES = 1 << 20


@dataclass(slots=True)
class Search:
    """A search: tests on a path, how deep, and what to do with what was found."""

    tests: list[Test] = field(default_factory=list)
    min_depth: int = 0
    max_depth: int = sys.maxsize
    columns: list[str] = field(default_factory=list)
    delete: list[Callable[[int], bool]] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


def parse_search(options: Mapping[str, Any], now: float) -> Search:
    """Make a search of `file.find`'s options; raises with the nearest name for one that is unknown."""
    search = Search()
    for name, value in options.items():
        if name in _TESTS:
            search.tests.append(_TESTS[name](value))
        elif name == "mtime":
            search.tests.append(age_test(value, now))
        elif name == "maxdepth":
            search.max_depth = int(value)
        elif name == "mindepth":
            search.min_depth = int(value)
        elif name == "print":
            search.columns = [word.strip() for word in re.split(r"[,\s]+", str(value)) if word.strip()]
        elif name == "delete":
            search.delete = _kinds("bcfpsl" if value in (None, "", True) else str(value))
        elif name == "exec":
            search.command = shlex.split(value) if isinstance(value, str) else list(map(str, value))
        else:
            close = nearest(name, [*_TESTS, "mtime", "maxdepth", "mindepth", "print", "delete", "exec"])
            raise CommandExecutionError(
                f"file.find has no option {name!r}", hint=f"did you mean {close}?" if close else ""
            )
    unknown = [word for word in search.columns if word not in _COLUMNS]
    if unknown:
        raise CommandExecutionError(f"file.find cannot print {unknown[0]!r} (known: {', '.join(_COLUMNS)})")
    return search


def run_search(path: str, search: Search) -> list[Any]:
    """Return what a search finds below a path (a glob), in order, after doing what it asks for."""
    roots = [path] if os.path.lexists(path) else sorted(glob.glob(path))
    found = []
    for root in roots:
        for name, status in walk(root, search.min_depth, search.max_depth):
            if all(test(name, status) for test in search.tests):
                found.append(_report(name, status, search.columns))
                _act(name, status, search)
    return found


def walk(root: str, min_depth: int, max_depth: int) -> Iterator[tuple[str, os.stat_result]]:
    """Yield a path and what is below it, each directory before what it holds and names in order."""
    waiting = [(root, 0)]
    while waiting:
        path, depth = waiting.pop()
        try:
            status = os.lstat(path)
        except OSError:
            continue
        if depth >= min_depth:
            yield path, status
        if stat.S_ISDIR(status.st_mode) and depth < max_depth:
            waiting += [(os.path.join(path, name), depth + 1) for name in _names_in(path)]


def _names_in(path: str) -> list[str]:
    """List a directory backwards, as a stack wants it; nothing where it is gone or closed to us."""
    try:
        return sorted(os.listdir(path), reverse=True)
    except OSError:
        return []


def _report(path: str, status: os.stat_result, columns: list[str]) -> Any:
    if not columns:
        return path
    values = [_COLUMNS[word](path, status) for word in columns]
    return values[0] if len(values) == 1 else values


def _act(path: str, status: os.stat_result, search: Search) -> None:
    if search.command:
        # What was found replaces `{}` inside a word of an argument list; no shell reads it.
        process.tool([word.replace("{}", path) for word in search.command], ok=None, cwd=os.path.dirname(path) or "/")
    if search.delete and any(test(status.st_mode) for test in search.delete):
        try:
            with open_parent(path) as place:
                if stat.S_ISDIR(status.st_mode):
                    shutil.rmtree(place.name, dir_fd=place.directory)
                else:
                    os.unlink(place.name, dir_fd=place.directory)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise CommandExecutionError(f"cannot delete {path}: {error.strerror}") from error


def _names(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [str(item) for item in value]
    return [word.strip() for word in str(value).split(",")]


def name_test(value: Any) -> Test:
    """Match the last part of the path against a glob."""
    pattern = re.compile(fnmatch.translate(str(value)))
    return lambda path, _status: pattern.match(os.path.basename(path)) is not None


def iname_test(value: Any) -> Test:
    """Match the last part of the path against a glob, without regard to case."""
    pattern = re.compile(fnmatch.translate(str(value)), re.IGNORECASE)
    return lambda path, _status: pattern.match(os.path.basename(path)) is not None


def path_test(value: Any) -> Test:
    """Match the whole path against a glob."""
    pattern = re.compile(fnmatch.translate(str(value)))
    return lambda path, _status: pattern.match(path) is not None


def _regex(text: Any, flags: int = 0) -> re.Pattern[str]:
    try:
        return re.compile(str(text), flags)
    except re.error as error:
        raise CommandExecutionError(f"the regular expression {text!r} is wrong: {error}") from None


def regex_test(value: Any) -> Test:
    """Match the whole path against a regular expression, from its start."""
    pattern = _regex(value)
    return lambda path, _status: pattern.match(path) is not None


def iregex_test(value: Any) -> Test:
    """Match the whole path against a regular expression, without regard to case."""
    pattern = _regex(value, re.IGNORECASE)
    return lambda path, _status: pattern.match(path) is not None


def _kinds(value: Any) -> list[Callable[[int], bool]]:
    letters = [letter for word in _names(value) for letter in word]
    unknown = [letter for letter in letters if letter not in _KINDS]
    if unknown:
        raise CommandExecutionError(f"there is no kind of file {unknown[0]!r} (known: {', '.join(_KINDS)})")
    return [_KINDS[letter] for letter in letters]


def type_test(value: Any) -> Test:
    """Match the kind: letters of b c d p f l s."""
    kinds = _kinds(value)
    return lambda _path, status: any(kind(status.st_mode) for kind in kinds)


def owner_test(value: Any) -> Test:
    """Match the owner: users' names or uids."""
    uids = {find_uid(name) for name in _names(value)}
    return lambda _path, status: status.st_uid in uids


def group_test(value: Any) -> Test:
    """Match the group: groups' names or gids."""
    gids = {find_gid(name) for name in _names(value)}
    return lambda _path, status: status.st_gid in gids


def size_test(value: Any) -> Test:
    """Match the size: `+10k` at least, `-10k` at most, `10k` from 10 KiB to just under 11."""
    found = _SIZE.fullmatch(str(value).strip())
    if not found:
        raise CommandExecutionError(f"{value!r} is no size, such as 10k, +1m or -2g")
    sign, number, unit = found[1], int(found[2]), _UNITS[found[3].lower() or "b"]
    low = 0 if sign == "-" else number * unit
    high = sys.maxsize if sign == "+" else number * unit if sign == "-" else (number + 1) * unit - 1
    return lambda _path, status: low <= status.st_size <= high


def age_test(value: Any, now: float) -> Test:
    """Match the time of the last change: `2w1d` or `+2w1d` longer ago, `-2w1d` since then."""
    found = _INTERVAL.fullmatch(str(value).strip())
    if not found:
        raise CommandExecutionError(f"{value!r} is no interval, such as 3d, -12h or +1w2d")
    parts = _INTERVAL_PART.findall(found[2])
    seconds = sum(float(number) * _SECONDS[unit.lower() or "d"] for number, unit in parts)
    moment = now - seconds
    if found[1] == "-":
        return lambda _path, status: status.st_mtime >= moment
    return lambda _path, status: status.st_mtime <= moment


def content_test(value: Any) -> Test:
    """Match regular files with a line that a regular expression is found in."""
    pattern = _regex(value)

    def test(path: str, status: os.stat_result) -> bool:
        if not stat.S_ISREG(status.st_mode):
            return False
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                return any(pattern.search(line) for line in file)
        except OSError:
            return False

    return test


def file_digest(path: str, form: str = "sha256") -> str:
    """Return a file's digest in hex digits."""
    if form not in hashlib.algorithms_available:
        raise CommandExecutionError(f"there is no hash {form!r} (such as sha256, sha512 or md5)")
    try:
        digest = hashlib.new(form, usedforsecurity=False)
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise CommandExecutionError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()


def _kind_letter(mode: int) -> str:
    return next((letter for letter, test in _KINDS.items() if test(mode)), "?")


_TESTS: dict[str, Callable[[Any], Test]] = {
    "name": name_test,
    "iname": iname_test,
    "path": path_test,
    "ipath": lambda value: iregex_test(fnmatch.translate(str(value))),
    "regex": regex_test,
    "iregex": iregex_test,
    "type": type_test,
    "owner": owner_test,
    "group": group_test,
    "size": size_test,
    "grep": content_test,
}
_COLUMNS: dict[str, Callable[[str, os.stat_result], Any]] = {
    "path": lambda path, _status: path,
    "name": lambda path, _status: os.path.basename(path),
    "user": lambda _path, status: user_name(status.st_uid),
    "group": lambda _path, status: group_name(status.st_gid),
    "type": lambda _path, status: _kind_letter(status.st_mode),
    "mode": lambda _path, status: mode_text(status.st_mode),
    "size": lambda _path, status: status.st_size,
    "mtime": lambda _path, status: int(status.st_mtime),
    "md5": lambda path, status: file_digest(path, "md5") if stat.S_ISREG(status.st_mode) else "",
}
