"""`ctl-call`: run one function on this machine, as its minion would, and print what it returns."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import exits, program
from .options import Options, UsageError, read, split_names

if TYPE_CHECKING:
    from ...common.config import MinionConfig
    from .parser import Parser
    from .printer import Printer

DESCRIPTION = "Run a function on this machine, as its minion would, and print what it returns."
USAGE = "ctl-call [options] <function> [arguments]"
UNAVAILABLE = 255
DOCUMENTATION = "sys.doc"
GRAINS = "grains.items"


class CallOptions(Options):
    """The options of `ctl-call`; where they say nothing, the minion's configuration does."""

    log_level: str = ""
    local: bool = False
    master: str = ""
    id: str = ""
    timeout: float = 60.0
    grains: bool = False
    doc: bool = False
    module_dirs: Sequence[str] | None = None
    states_dirs: Sequence[str] | None = None
    file_roots: Sequence[str] | None = None
    pillar_roots: Sequence[str] | None = None
    cachedir: str = ""
    retcode_passthrough: bool = False
    skip_report: bool = False
    returners: str = ""
    metadata: bool = False
    args_stdin: bool = False
    no_parse: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return program.run("ctl-call", _work, argv)


def _work(words: list[str]) -> int:
    from ...common.config import load_minion
    from .. import settings
    from .printer import Printer

    options = read(words, CallOptions(), _make_parser)
    fun, arguments = _choose(options)
    directory = options.directory()
    config = load_minion(Path(directory) if directory else None, _overrides(options))
    _set_up_log(options, config)
    with Printer(options, settings.from_mapping(config.config_dir / "minion", config.raw)) as printer:
        found = _call(options, config, fun, arguments)
        _show(options, config, fun, found, printer)
    return _exit_code(options, found)


def _choose(options: CallOptions) -> tuple[str, list[str]]:
    """Return the function that the options mean, and the words of its arguments."""
    if options.grains:
        return GRAINS, []
    if options.doc:
        return DOCUMENTATION, list(options.words)
    if not options.words:
        raise UsageError("there is no function to run", hint="ctl-call test.ping; ctl-call -d lists what there is")
    return options.words[0], list(options.words[1:])


def _overrides(options: CallOptions) -> dict[str, Any]:
    """Return the settings that the command line gives."""
    given: dict[str, Any] = {
        "log_level": options.log_level,
        "log_level_logfile": options.log_file_level,
        "id": options.id,
        "master": [options.master] if options.master else None,
        "cachedir": os.path.abspath(options.cachedir) if options.cachedir else None,
        "file_client": "local" if options.local else None,
        "module_dirs": _absolute(options.module_dirs),
        "states_dirs": _absolute(options.states_dirs),
        "file_roots": {"base": roots} if (roots := _absolute(options.file_roots)) else None,
        "pillar_roots": {"base": roots} if (roots := _absolute(options.pillar_roots)) else None,
    }
    return {key: value for key, value in given.items() if value}


def _absolute(directories: Sequence[str] | None) -> list[str]:
    """Take paths given on the command line as seen from here; several may be joined by commas."""
    return [os.path.abspath(word) for text in directories or () for word in split_names(text)]


def _set_up_log(options: CallOptions, config: MinionConfig) -> None:
    """Start logging; a file of the command line is taken as it is, not below `root_dir`."""
    from ...common.log import set_up

    file = Path(os.path.abspath(options.log_file)) if options.log_file else config.log_file
    set_up(config.log_level, file, config.log_level_logfile)


def _call(options: CallOptions, config: MinionConfig, fun: str, words: list[str]) -> dict[str, Any]:
    from ...common.arguments import parse_cli
    from ...minion import call

    args, kwargs = parse_cli(words, split_names(options.no_parse), fun)
    return call.call(
        config,
        fun,
        args,
        kwargs,
        options.local,
        timeout=options.timeout,
        whole_process=True,
        report=not options.skip_report,
        returners=split_names(options.returners),
    )


def _show(options: CallOptions, config: MinionConfig, fun: str, found: dict[str, Any], printer: Printer) -> None:
    shown = found["return"]
    if options.metadata:
        shown = {**found, "fun": fun, "id": config.id}
    elif fun == DOCUMENTATION and isinstance(shown, dict) and not printer.out:
        _show_docs(options, shown, printer)
        return
    printer.show_return("local", fun, shown, found["out"])


def _show_docs(options: CallOptions, docs: dict[str, Any], printer: Printer) -> None:
    from .watch import format_docs, no_docs

    if docs:
        printer.say(format_docs(docs))
    else:
        printer.remark(no_docs(options.words))


def _exit_code(options: CallOptions, found: dict[str, Any]) -> int:
    retcode = int(found["retcode"])
    if options.retcode_passthrough or retcode == UNAVAILABLE:
        return retcode & 0xFF or (exits.FAILED if retcode else exits.OK)
    return exits.FAILED if retcode or not found["success"] else exits.OK


def _make_parser() -> Parser:
    from .parser import Parser, add_common, add_output, add_words, seconds

    parser = Parser("ctl-call", USAGE, DESCRIPTION)
    group = parser.add_argument_group("Call")
    add = group.add_argument
    add("--local", action="store_true", help="Ask no master: files and pillar come from this machine.")
    add("--master", metavar="HOST", help="Ask this master.")
    add("--id", metavar="ID", help="Run as the minion of this id.")
    add("-t", "--timeout", type=seconds, metavar="S", help="How long to wait for the master; 60 seconds by default.")
    add("-g", "--grains", action="store_true", help="Print the grains instead.")
    add("-d", "--doc", "--documentation", action="store_true", help="Print the documentation of functions instead.")
    add("--retcode-passthrough", action="store_true", help="Exit with the function's own return code.")
    add("--metadata", action="store_true", help="Print the return code and more beside the return.")
    add("--skip-report", "--no-return-event", action="store_true", help="Do not store the return with the master.")
    add("--return", dest="returners", metavar="NAMES", help="Returners (a,b,...) that get the return, too.")
    group = parser.add_argument_group("Where things are (before what the configuration says)")
    add = group.add_argument
    many: dict[str, Any] = {"action": "append", "metavar": "DIR"}
    add("--file-root", dest="file_roots", help="The state tree, of environment base.", **many)
    add("--pillar-root", dest="pillar_roots", help="The pillar tree, of environment base.", **many)
    add("-m", "--module-dirs", dest="module_dirs", help="More execution modules.", **many)
    add("--states-dir", dest="states_dirs", help="More state modules.", **many)
    add("--cachedir", metavar="DIR", help="Where to keep what can be fetched again.")
    add_words(parser)
    add_output(parser)
    add_common(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
