"""What `ctl-run` does: run a runner, show its progress, print its return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import output, runner
from ..connection import Pool
from ..output.nested import lines
from ..output.palette import Palette
from . import exits
from .command import DOCUMENTATION, parse_words
from .options import Options, UsageError, read, set_up_log, split_names
from .printer import Printer
from .watch import format_docs, no_docs

if TYPE_CHECKING:
    from .parser import Parser

DESCRIPTION = "Run one of the master's own functions, and print what it returns."
USAGE = "ctl-run [options] <function> [arguments]"


LISTENING_RUNNER = "state.event"
PASSWORD_RUNNER = "auth.hash"  # noqa: S105 - a name


class RunOptions(Options):
    """The options of `ctl-run`."""

    asynchronous: bool = False
    doc: bool = False
    timeout: float = 0.0
    quiet: bool = False
    args_stdin: bool = False
    no_parse: str = ""


def work(words: list[str]) -> int:
    """Do what the words of a command line ask for."""
    options = read(words, RunOptions(), _make_parser)
    set_up_log(options)
    if not options.words and not options.doc:
        raise UsageError("a function is needed", hint="for example: ctl-run manage.up")
    if options.quiet:
        options.out = "quiet"
    settings = options.settings()
    pool = Pool(settings.socket, options.credentials(settings))
    with Printer(options, settings) as printer:
        try:
            return _carry_out(options, pool, printer)
        finally:
            pool.close()


def _carry_out(options: RunOptions, pool: Pool, printer: Printer) -> int:
    if options.doc:
        names = [name for word in options.words for name in split_names(word)]
        return _show(runner.run(pool, DOCUMENTATION, names), DOCUMENTATION, printer, names)
    fun, *words = options.words
    if fun == PASSWORD_RUNNER:
        return _show(runner.run(pool, fun, [_new_password(words)]), fun, printer)
    args, kwargs = parse_words(words, split_names(options.no_parse))
    if fun == LISTENING_RUNNER:
        from .listening import listen_and_print

        return listen_and_print(pool, printer, args, kwargs)
    if options.asynchronous:
        return _start(runner.start(pool, fun, args, kwargs), printer)

    def show_progress(data: Any) -> None:
        printer.remark("\n".join(lines(data, Palette())))

    return _show(runner.run(pool, fun, args, kwargs, timeout=options.timeout, on_progress=show_progress), fun, printer)


def _new_password(words: list[str]) -> str:
    if words:
        raise UsageError("a password is never given on the command line; it is asked for, or read from standard input")
    from .login import ask_new_password

    return ask_new_password()


def _start(jid: str, printer: Printer) -> int:
    if printer.prints_documents:
        printer.show({"jid": jid})
    else:
        printer.say(f"Executed command with job ID: {jid}")
    return exits.OK


def _show(found: runner.RunnerResult, fun: str, printer: Printer, names: Sequence[str] = ()) -> int:
    ret, out = found.ret, found.out
    if isinstance(ret, dict) and isinstance(ret.get("outputter"), str) and "data" in ret:
        ret, out = ret["data"], ret["outputter"]  # how Salt's runners name their outputter
    if fun == DOCUMENTATION and found.good and isinstance(ret, dict) and not printer.out:
        printer.say(format_docs(ret)) if ret else printer.remark(no_docs(names))
    else:
        printer.show(ret, output.choose("", out, fun))
    return exits.OK if found.good else exits.FAILED


def _make_parser() -> Parser:
    from .parser import Parser, add_common, add_login, add_output, add_words, seconds

    parser = Parser("ctl-run", USAGE, DESCRIPTION)
    group = parser.add_argument_group("Run")
    add = group.add_argument
    add("-d", "--doc", "--documentation", action="store_true", help="Print the documentation of runners instead.")
    add("--async", dest="asynchronous", action="store_true", help="Print the run's jid and do not wait.")
    add("-t", "--timeout", type=seconds, metavar="S", help="Wait at most S seconds; without it there is no limit.")
    add("--quiet", action="store_true", help="Do not print what it returns.")
    add_words(parser)
    add_login(parser)
    add_output(parser)
    add_common(parser)
    return parser
