"""The options that programs share, with their defaults, and how a command line becomes one object of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ...common.errors import CtlError
from ..settings import DEFAULT_PATH, Settings, load

if TYPE_CHECKING:
    from .parser import Parser

N = TypeVar("N", bound="Options")


class UsageError(CtlError, ValueError):
    """The command line is wrong."""

    code = "usage"


class Options:
    """The options that every program has; the class holds their defaults."""

    words: Sequence[str] = ()
    config_dir: str | None = None
    log_level: str = "warning"
    log_file: str | None = None
    log_file_level: str = ""
    hard_crash: bool = False
    out: str = ""
    out_indent: int = 4
    out_file: str | None = None
    out_file_append: bool = False
    no_color: bool = False
    force_color: bool = False
    state_output: str = ""
    state_verbose: str = ""
    output_diff: bool = False
    eauth: str = ""
    username: str = ""
    password_file: str = ""
    make_token: bool = False

    def credentials(self, settings: Settings) -> dict[str, Any] | None:
        """Return who to be for the master; None: who the kernel says."""
        if not (self.eauth or self.make_token or self.username or self.password_file):
            return None
        from .login import credentials  # most commands need no password

        return credentials(self, settings)

    def settings(self) -> Settings:
        """Read the client's settings from where the options say."""
        return load(self.directory() or DEFAULT_PATH)

    def directory(self) -> str | None:
        """Return what -c names, if it is given; raises `UsageError` where there is no such place."""
        if self.config_dir is not None and not os.path.exists(self.config_dir):
            raise UsageError(f"-c: there is no directory {self.config_dir}")
        return self.config_dir


def read(argv: Sequence[str], into: N, make_parser: Callable[[], Parser]) -> N:
    """Read a command line into `into`; raises `UsageError`. The parser is only made where there are options."""
    words = with_stdin(argv)
    if any(word.startswith("-") for word in words):
        make_parser().read(words, into)
    else:
        into.words = words
    return into


def with_stdin(argv: Sequence[str]) -> list[str]:
    """Return the words, with the lines of standard input after them where --args-stdin asks for it."""
    words = list(argv)
    end = words.index("--") if "--" in words else len(words)
    if "--args-stdin" in words[:end]:
        words += sys.stdin.read().splitlines()
    return words


def split_names(text: str) -> list[str]:
    """Split `a,b,...` into its names."""
    return [name.strip() for name in text.split(",") if name.strip()]


def set_up_log(options: Options) -> None:
    """Start logging where the options ask for something; a client has nothing to say otherwise."""
    if options.log_file is None and options.log_level == "warning":
        return
    from pathlib import Path

    from ...common import log

    log.set_up(options.log_level, Path(options.log_file) if options.log_file else None, options.log_file_level)
