"""The program `ctl-call`: run one function on this machine and print what it returns."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .. import __version__
from ..common.errors import CtlError

if TYPE_CHECKING:
    from ..client.output import Style
    from ..common.config import MinionConfig

OK = 0
FAILED = 1
REFUSED = 2
UNAVAILABLE = 255


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    made = argparse.ArgumentParser(prog="ctl-call", description="Run a function on this machine.")
    made.add_argument("words", nargs="*", metavar="function [arguments]", help="what to run, with values and key=value")
    made.add_argument("-V", "--version", action="version", version=f"ctl-call {__version__}")
    made.add_argument("-c", "--config-dir", type=Path, metavar="DIR", help="read the configuration in DIR")
    made.add_argument("-l", "--log-level", metavar="LEVEL", help="debug, info, warning, error, critical, quiet")
    made.add_argument("--log-file", type=Path, metavar="FILE", help="log to FILE, too")
    made.add_argument("--log-file-level", metavar="LEVEL", help="the level of the log file")
    made.add_argument("--hard-crash", action="store_true", help="show the traceback of an error")
    made.add_argument("--local", action="store_true", help="ask no master: files and pillar come from this machine")
    made.add_argument("--master", metavar="HOST", help="ask this master")
    made.add_argument("--id", metavar="ID", help="run as the minion of this id")
    made.add_argument("-t", "--timeout", type=float, default=60.0, metavar="S", help="how long to wait for the master")
    made.add_argument("-g", "--grains", action="store_true", help="print the grains")
    made.add_argument("-d", "--doc", action="store_true", help="print the manual of a function or module")
    made.add_argument("-m", "--module-dirs", action="append", default=[], metavar="DIR", help="more modules")
    made.add_argument("--states-dir", action="append", default=[], metavar="DIR", help="more state modules")
    made.add_argument("--file-root", action="append", default=[], metavar="DIR", help="the state tree (base)")
    made.add_argument("--pillar-root", action="append", default=[], metavar="DIR", help="the pillar tree (base)")
    made.add_argument("--cachedir", type=Path, metavar="DIR", help="where to keep what can be fetched again")
    made.add_argument("--retcode-passthrough", action="store_true", help="exit with the function's return code")
    made.add_argument("--skip-report", "--no-return-event", action="store_true", help="do not store the return")
    _add_output(made)
    return made


def _add_output(made: argparse.ArgumentParser) -> None:
    made.add_argument("--out", "--output", default="", metavar="NAME", help="how to print the return")
    made.add_argument("--out-indent", "--output-indent", type=int, default=4, metavar="N", help="spaces of a level")
    made.add_argument("--out-file", "--output-file", metavar="FILE", help="print to FILE")
    made.add_argument("--out-file-append", "--output-file-append", action="store_true", help="append to FILE")
    made.add_argument("--no-color", "--no-colour", action="store_true", help="print without colours")
    made.add_argument("--force-color", "--force-colour", action="store_true", help="print with colours in any case")
    made.add_argument("--state-output", metavar="MODE", help="full, terse, mixed, changes, filter")
    made.add_argument("--state-verbose", metavar="BOOL", help="print states that changed nothing")
    made.add_argument("--output-diff", action="store_true", help="print only what changed")
    made.add_argument("--metadata", action="store_true", help="print the return code and more beside the return")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    options = parser().parse_intermixed_args(argv)
    try:
        return _work(options)
    except CtlError as error:
        if options.hard_crash:
            raise
        sys.stderr.write(f"ctl-call: {error}\n")
        return REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return FAILED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _work(options: argparse.Namespace) -> int:
    from ..common.arguments import parse_cli
    from ..common.config import load_minion
    from ..common.log import set_up

    fun, words = _choose(options)
    config = load_minion(options.config_dir, _overrides(options))
    set_up(config.log_level, config.log_file, config.log_level_logfile)
    args, kwargs = parse_cli(words)
    from . import call

    found = call.call(
        config,
        fun,
        args,
        kwargs,
        options.local,
        timeout=options.timeout,
        whole_process=True,
        report=not options.skip_report,
    )
    _print(options, config, fun, found)
    return _exit_code(options, found)


def _choose(options: argparse.Namespace) -> tuple[str, list[str]]:
    """Return the function that the options mean, and the words of its arguments."""
    if options.grains:
        return "grains.items", []
    if options.doc:
        return "sys.doc", list(options.words)
    if not options.words:
        raise CtlError("there is no function to run", hint="ctl-call test.ping; ctl-call -d lists what there is")
    return options.words[0], list(options.words[1:])


def _overrides(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that the command line gives."""
    given: dict[str, Any] = {
        "log_level": options.log_level,
        "log_file": options.log_file and Path(os.path.abspath(options.log_file)),
        "log_level_logfile": options.log_file_level,
        "id": options.id,
        "master": [options.master] if options.master else None,
        "cachedir": options.cachedir and str(options.cachedir.absolute()),
        "file_client": "local" if options.local else None,
        "module_dirs": _absolute(options.module_dirs),
        "states_dirs": _absolute(options.states_dir),
        "file_roots": {"base": roots} if (roots := _absolute(options.file_root)) else None,
        "pillar_roots": {"base": roots} if (roots := _absolute(options.pillar_root)) else None,
    }
    return {key: value for key, value in given.items() if value is not None}


def _absolute(directories: Sequence[str]) -> list[str] | None:
    """Take paths given on the command line as seen from here; several may be joined by commas."""
    found = [os.path.abspath(word) for text in directories for word in text.split(",") if word]
    return found or None


def _print(options: argparse.Namespace, config: MinionConfig, fun: str, found: dict[str, Any]) -> None:
    from ..client import output

    asked = output.check_name(options.out) if options.out else str(config.raw.get("output") or "")
    shown = found["return"]
    if options.metadata:
        shown = {**found, "fun": fun, "id": config.id}
    if not options.out_file:
        _write(sys.stdout, output.render_return(asked, "local", fun, shown, found["out"], _style(options, config)))
        return
    mode = "a" if options.out_file_append else "w"
    with open(options.out_file, mode, encoding="utf-8", errors="backslashreplace") as file:
        style = _style(options, config)._replace(color=options.force_color, terminal=False)
        _write(file, output.render_return(asked, "local", fun, shown, found["out"], style))


def _write(stream: IO[str], text: str) -> None:
    if text:
        stream.write(text + "\n")
        stream.flush()


def _style(options: argparse.Namespace, config: MinionConfig) -> Style:
    from ..client.output import Style

    terminal = sys.stdout.isatty()
    plain = options.no_color or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    verbose = config.state_verbose
    if options.state_verbose is not None:
        verbose = options.state_verbose.lower() in ("true", "yes", "on", "1")
    return Style(
        color=options.force_color or (terminal and not plain),
        terminal=terminal,
        indent=options.out_indent if options.out_indent >= 0 else None,
        state_output=options.state_output or config.state_output,
        state_verbose=verbose,
        state_output_diff=options.output_diff,
    )


def _exit_code(options: argparse.Namespace, found: dict[str, Any]) -> int:
    retcode = int(found["retcode"])
    if options.retcode_passthrough or retcode == UNAVAILABLE:
        return retcode & 0xFF or (FAILED if retcode else OK)
    return FAILED if retcode or not found["success"] else OK


if __name__ == "__main__":
    raise SystemExit(main())
