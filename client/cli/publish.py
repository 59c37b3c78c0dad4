"""What `ctl` does: publish a job and follow it, in batches or at once, or only say whom it would reach."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...common.errors import NoMinions
from .. import batch, job
from ..connection import Pool
from ..settings import Settings
from . import exits
from .command import Command, read_request
from .options import read, set_up_log
from .printer import Printer
from .watch import Watcher

if TYPE_CHECKING:
    from .parser import Parser


def work(words: list[str]) -> int:
    """Do what the words of a command line ask for."""
    options = read(words, Command(), _make_parser)
    set_up_log(options)
    settings = options.settings()
    with Printer(options, settings) as printer:
        if options.config_dump:
            return _dump(settings, printer)
        request = read_request(options, settings)
        pool = Pool(settings.socket, options.credentials(settings))
        try:
            return _carry_out(options, request, pool, printer, settings)
        finally:
            pool.close()


def _make_parser() -> Parser:
    from .ctl_parser import make_parser  # a command line without options needs none

    return make_parser()


def _carry_out(options: Command, request: job.Request, pool: Pool, printer: Printer, settings: Settings) -> int:
    if options.preview_target:
        return _preview(request, pool, printer, options)
    if options.asynchronous:
        return _start(request, pool, printer)
    watcher = Watcher(options, printer, request)
    return watcher.watch(lambda: _events(options, request, pool))


def _events(options: Command, request: job.Request, pool: Pool) -> Iterator[job.Event]:
    if size := _batch_size(options, request, pool):
        yield from batch.run(pool, request, size, options.batch_wait, options.failhard)
        return
    with job.publish(pool, request) as stream:
        yield from stream


def _batch_size(options: Command, request: job.Request, pool: Pool) -> batch.Size | None:
    if options.batch:
        return options.batch
    if options.batch_safe_limit and len(job.targets(pool, request)) >= options.batch_safe_limit:
        return options.batch_safe_size
    return None


def _preview(request: job.Request, pool: Pool, printer: Printer, options: Command) -> int:
    minions = job.targets(pool, request)
    if not minions:
        raise NoMinions("no minion matches the target")
    if options.verbose:
        printer.show({minion: "connected" if there else "not connected" for minion, there in minions})
    else:
        printer.show([minion for minion, _ in minions])
    return exits.OK


def _start(request: job.Request, pool: Pool, printer: Printer) -> int:
    with job.publish(pool, request, follow=False) as stream:
        published = next(event for event in stream if isinstance(event, job.Published))
    if printer.prints_documents:
        printer.show({"jid": published.jid, "minions": published.ids})
    else:
        printer.say(f"Executed command with job ID: {published.jid}")
    return exits.OK


def _dump(settings: Settings, printer: Printer) -> int:
    from ...common.config import load_master  # validates everything, which a client has no need of

    printer.show(dict(load_master(settings.directory).raw), "yaml")
    return exits.OK
