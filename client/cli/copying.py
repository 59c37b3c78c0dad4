"""What `ctl-cp` does: stage files with the master, then have minions fetch them and put them in place.

The files are read here, with the rights of whoever asks, and reach the master in chunks. One job names them; minions
fetch each by its handle and verify its digest.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import job
from ..connection import Pool
from ..settings import Settings
from .command import Command
from .options import UsageError, read, set_up_log
from .printer import Printer
from .watch import Watcher

if TYPE_CHECKING:
    from .parser import Parser

DESCRIPTION = "Copy files and directories from this machine to minions; modes are kept."
USAGE = "ctl-cp [options] '<target>' SOURCE... DESTINATION"
FUNCTION = "cp.recv"
CHUNK_BYTES = 4 * 1024 * 1024
MAX_FILES = 4000


class CopyOptions(Command):
    """The options of `ctl-cp`."""

    chunked: bool = True
    no_compression: bool = True


@dataclass(frozen=True, slots=True)
class Source:
    """One file to copy, and what it is called below the destination."""

    path: str
    name: str


def work(words: list[str]) -> int:
    """Do what the words of a command line ask for."""
    options = read(words, CopyOptions(), _make_parser)
    set_up_log(options)
    if len(options.words) < 3:
        raise UsageError(
            "a target, files and a destination are needed", hint="for example: ctl-cp '*' /etc/hosts /tmp/hosts"
        )
    target, *given, destination = options.words
    if not os.path.isabs(destination):
        raise UsageError(f"the destination {destination!r} is not an absolute path")
    if len(given) > 1 and not destination.endswith("/"):
        destination += "/"
    sources = find_sources(given)
    settings = options.settings()
    pool = Pool(settings.socket, options.credentials(settings))
    with Printer(options, settings) as printer:
        try:
            return _copy(options, settings, pool, printer, target, sources, destination)
        finally:
            pool.close()


def find_sources(paths: list[str]) -> list[Source]:
    """List the files that are meant; of a directory all below it, under the directory's name."""
    found = [source for path in paths for source in _below(path)]
    if not found:
        raise UsageError("there are no files to copy")
    if len(found) > MAX_FILES:
        raise UsageError(f"{len(found)} files are too many for one copy ({MAX_FILES} at most)")
    return found


def _below(path: str) -> Iterator[Source]:
    if not os.path.isdir(path):
        if not os.path.isfile(path):
            raise UsageError(f"there is no file {path}")
        yield Source(path, os.path.basename(path))
        return
    top = os.path.abspath(path)
    for directory, dirs, names in os.walk(top):
        dirs.sort()
        for name in sorted(names):
            file = os.path.join(directory, name)
            if os.path.isfile(file):
                yield Source(file, os.path.relpath(file, os.path.dirname(top)))


def _copy(
    options: CopyOptions,
    settings: Settings,
    pool: Pool,
    printer: Printer,
    target: str,
    sources: list[Source],
    destination: str,
) -> int:
    staged: list[dict[str, Any]] = []
    everyone = False
    request = _request(options, settings, target, staged, destination)
    try:
        job.targets(pool, request)  # a target that is wrong is told before anything is read
        staged += [stage(pool, source) for source in sources]
        watcher = Watcher(options, printer, request)
        code = watcher.watch(lambda: _events(pool, request))
        everyone = not watcher.missing
        return code
    finally:
        # who is away may still come for the files; the master drops them in time
        if everyone and staged:
            pool.call("unstage", handles=[file["handle"] for file in staged])


def stage(pool: Pool, source: Source) -> dict[str, Any]:
    """Give a file to the master; return what minions need to fetch it."""
    try:
        with open(source.path, "rb") as file:
            status = os.fstat(file.fileno())
            reply: dict[str, Any] = {"handle": b"", "received": 0}
            while True:
                data = file.read(min(CHUNK_BYTES, status.st_size - reply["received"]))
                if not data and reply["received"] < status.st_size:
                    raise UsageError(f"{source.path} became shorter while it was being read")
                reply = pool.call(
                    "stage", handle=reply["handle"], offset=reply["received"], size=status.st_size, data=data
                )
                if reply["received"] >= status.st_size:
                    break
    except OSError as error:
        raise UsageError(f"{source.path} cannot be read: {error.strerror}") from error
    return {
        "name": source.name,
        "handle": reply["handle"],
        "digest": reply["digest"].hex(),
        "size": status.st_size,
        "mode": stat.S_IMODE(status.st_mode),
    }


def _events(pool: Pool, request: job.Request) -> Iterator[job.Event]:
    with job.publish(pool, request) as stream:
        yield from stream


def _request(
    options: CopyOptions, settings: Settings, target: str, files: list[dict[str, Any]], destination: str
) -> job.Request:
    return job.Request(
        target,
        FUNCTION,
        [files, destination],
        {},
        tgt_type=options.tgt_type,
        delimiter=options.delimiter,
        timeout=settings.timeout if options.timeout is None else options.timeout,
        window=settings.delivery_window,
    )


def _make_parser() -> Parser:
    from .ctl_parser import TARGETS
    from .parser import Parser, add_common, add_login, add_output, seconds

    parser = Parser("ctl-cp", USAGE, DESCRIPTION)
    group = parser.add_argument_group("Target (a glob over ids unless one of these says otherwise)")
    for short, long, kind, help_text in TARGETS:
        names = (long,) if short == "-C" else (short, long)  # -C is Salt's --chunked here
        group.add_argument(*names, dest="tgt_type", action="store_const", const=kind, help=f"It is {help_text}.")
    group.add_argument("--delimiter", metavar="C", help="Between the levels of a grain's key.")
    group = parser.add_argument_group("Copy")
    add = group.add_argument
    add("-C", "--chunked", action="store_true", help="Nothing: files always go in chunks.")
    add("-n", "--no-compression", action="store_true", help="Nothing: files are not compressed.")
    add("-t", "--timeout", type=seconds, metavar="S", help="How long a minion may be silent.")
    add("-s", "--static", action="store_true", help="Print everything together at the end.")
    add("--summary", action="store_true", help="Print how many returned, failed, or did not return.")
    add_login(parser, short=False)
    add_output(parser)
    add_common(parser)
    return parser
