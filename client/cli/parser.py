"""A parser of command lines that names the nearest option to a mistaken one, and the options that programs share.

Defaults are not here but on the `Options` classes: a command line without options is read without any of this.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from ... import __version__
from ...common.errors import nearest
from . import exits
from .options import Options, UsageError

DEFAULT_COLUMNS = 80


class Formatter(argparse.HelpFormatter):
    """argparse's own way of printing; it is made for every option, and only help needs to know the terminal."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns())


def _columns() -> int:
    """Return how wide help may be, as argparse finds it, but without the archives that `shutil` imports."""
    try:
        found = int(os.environ.get("COLUMNS") or os.get_terminal_size().columns)
    except (ValueError, OSError):
        found = 0
    return (found or DEFAULT_COLUMNS) - 2


class Parser(argparse.ArgumentParser):
    """argparse with full option names only, options anywhere among the words, and hints for mistakes."""

    def __init__(self, prog: str, usage: str, description: str) -> None:
        super().__init__(
            prog,
            usage,
            description,
            EPILOG,
            formatter_class=Formatter,
            argument_default=argparse.SUPPRESS,
            add_help=False,
            allow_abbrev=False,
        )
        self.add_argument("words", nargs="*", help=argparse.SUPPRESS)

    def error(self, message: str) -> NoReturn:
        """Raise instead of exiting, so that one place prints errors."""
        raise UsageError(f"{message[:1].lower()}{message[1:]}", hint=f"{self.prog} --help lists the options")

    def read(self, argv: Sequence[str], into: Options) -> None:
        """Set what `argv` says on `into`; raises `UsageError`."""
        _, unknown = self.parse_known_intermixed_args(list(argv), into)
        if unknown:
            self._refuse(unknown[0])

    def _refuse(self, word: str) -> NoReturn:
        name = word.split("=")[0]
        if reason := UNSUPPORTED.get(name):
            raise UsageError(f"{name}: {reason}")
        close = nearest(name, self._option_string_actions, 0.75)
        hint = f"did you mean {close}?" if close else f"{self.prog} --help lists the options"
        raise UsageError(f"there is no option {name}", hint=hint)


EPILOG = "Exit codes: 0 all succeeded; 1 a minion or function failed; 2 nothing matched or the request was wrong."

# What Salt's programs take and these do not, with what to do instead.
UNSUPPORTED = {
    **dict.fromkeys(("--return_config", "--return_kwargs"), "returners read the minion's configuration"),
    "--password": "every process could read it there; it is asked for, or use --password-file FILE (- for stdin)",
    **dict.fromkeys(("--module-executors", "--executor-opts"), "functions are called directly; there are no executors"),
    **dict.fromkeys(("-R", "--range"), "there is no range server; use -N with a nodegroup, or -C"),
    **dict.fromkeys(("-H", "--hosts"), "there are no rosters; use -L with a list of ids"),
    "--saltfile": "options come from the command line and the configuration; use -c DIR",
    "--skip-grains": "runners load no grains",
    "--jid": "the master gives each run its jid",
    "--keysize": "keys are Ed25519 and have one size",
    "--rotate-aes-key": "a new group key follows each rejected or deleted key by itself",
}


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        print(f"{parser.prog} {__version__}")
        sys.exit(exits.OK)


class _Versions(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from .versions import report  # reads the metadata of every distribution

        print(report())
        sys.exit(exits.OK)


def add_common(parser: Parser, short_log: bool = True) -> None:
    """Add what every program has: help, versions, where the configuration is, the log."""
    group = parser.add_argument_group("General")
    add = group.add_argument
    add("-h", "--help", action="help", help="Show this help and exit.")
    add("--version", action=_Version, nargs=0, help="Show the program's version and exit.")
    add("-V", "--versions-report", action=_Versions, nargs=0, help="Show the versions of what it is built on and exit.")
    add("-c", "--config-dir", metavar="DIR", help="The configuration directory ($CTL_CONFIG_DIR, else /etc/ctl).")
    add(*(("-l",) if short_log else ()), "--log-level", metavar="LEVEL", help="What is logged to the terminal.")
    add("--log-file", metavar="FILE", help="Log to this file, too.")
    add("--log-file-level", metavar="LEVEL", help="What is logged to the file.")
    add("--hard-crash", action="store_true", help="Show a traceback where there would be an error's sentence.")


def add_login(parser: Parser, short: bool = True) -> None:
    """Add who to be for the master; without it, it is who the kernel says."""
    group = parser.add_argument_group("Account (without these you are who the kernel says)")
    add = group.add_argument
    add(*(("-a",) if short else ()), "--auth", "--eauth", "--external-auth", dest="eauth", metavar="METHOD",
        help="Authenticate by pam, ldap or file; a token that was made before is used.")  # fmt: skip
    add(*(("-T",) if short else ()), "--make-token", action="store_true",
        help="Authenticate, and keep a token for the next commands (in ~/.ctl_token).")  # fmt: skip
    add("--username", metavar="NAME", help="The account; without it, your own name.")
    add("--password-file", metavar="FILE", help="Read the password from its first line (-: standard input).")


def add_output(parser: Parser) -> None:
    """Add how results are printed."""
    group = parser.add_argument_group("Output")
    add = group.add_argument
    add("--out", "--output", metavar="NAME", help="nested, highstate, json, yaml, txt, raw, quiet, ...")
    add("--out-indent", "--output-indent", type=int, metavar="N",
        help="Spaces a level in JSON and YAML; below 0: everything on one line.")  # fmt: skip
    add("--out-file", "--output-file", metavar="FILE", help="Write the results to this file.")
    add("--out-file-append", "--output-file-append", action="store_true", help="Append to that file.")
    add("--no-color", "--no-colour", action="store_true", help="No colours.")
    add("--force-color", "--force-colour", action="store_true", help="Colours even where no terminal is.")
    add("--state-output", "--state_output", metavar="MODE",
        help="full, terse, mixed, changes or filter; with _id names are IDs.")  # fmt: skip
    add("--state-verbose", "--state_verbose", metavar="BOOL", help="Show states that changed nothing.")
    add("--output-diff", "--state-output-diff", action="store_true", help="Show only states that have changed.")


def add_words(parser: Parser) -> None:
    """Add how a function's arguments are read."""
    group = parser.add_argument_group("Arguments")
    add = group.add_argument
    add("--args-stdin", action="store_true", help="Read more options and arguments from standard input, one a line.")
    add("--no-parse", metavar="NAMES", help="Keyword arguments (a,b,...) whose values stay plain text.")


def seconds(text: str) -> float:
    """Read a time in seconds from the command line."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"takes a time in seconds, not {text!r}")
    return value
