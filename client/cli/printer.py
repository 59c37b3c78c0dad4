"""Where results go and how they look: standard output or a file, colours on a terminal only."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Any, TextIO

from ...common.errors import ConfigError, nearest
from .. import output
from ..settings import Settings
from .options import Options, UsageError

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Printer:
    """Prints results as the options and settings ask; a context manager, since it may hold a file."""

    def __init__(self, options: Options, settings: Settings) -> None:
        self.out = output.check_name(options.out) if options.out else settings.output
        self._file = _open(options.out_file, options.out_file_append) if options.out_file else None
        self.style = make_style(options, settings, self.stream)

    @property
    def stream(self) -> TextIO:
        """Where results go."""
        return self._file or sys.stdout

    @property
    def prints_documents(self) -> bool:
        """Whether a program reads the results, so that nothing else may stand between them."""
        return self.out in output.DOCUMENTS

    def __enter__(self) -> Printer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def show(self, data: Any, default: str = output.DEFAULT) -> None:
        """Print data by the outputter that was asked for, else by `default`."""
        name = self.out or default
        self._write(output.render(name, data, self.style))

    def show_return(self, minion: str, fun: Any, ret: Any, out: str = "") -> None:
        """Print what stands for one minion."""
        name = output.choose(self.out, out, fun)
        self._write(output.render(name, {minion: ret}, self.style))

    def say(self, text: str) -> None:
        """Print a line about the results: beside them for a person, on standard error where a program reads them."""
        if self.out == "quiet":
            return
        print(text, file=sys.stderr if self.prints_documents else self.stream, flush=True)

    def line(self, text: str) -> None:
        """Print a line that is a result by itself, as it is and at once."""
        if self.out != "quiet":
            print(text, file=self.stream, flush=True)

    def remark(self, text: str) -> None:
        """Print a line for a person on standard error."""
        if self.out != "quiet" and not self.prints_documents:
            sys.stdout.flush()
            print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Print on standard error what nobody may miss, whoever reads the results."""
        sys.stdout.flush()
        print(text, file=sys.stderr, flush=True)

    def _write(self, text: str) -> None:
        if text:
            print(text, file=self.stream, flush=True)


def make_style(options: Options, settings: Settings, stream: TextIO) -> output.Style:
    """Put together how to print from the options, the settings and what is printed to."""
    terminal = stream.isatty()
    plain = options.no_color or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb" or not settings.color
    return output.Style(
        color=options.force_color or (terminal and not plain),
        terminal=terminal,
        indent=options.out_indent if options.out_indent >= 0 else None,
        state_output=_state_output(options.state_output, settings.state_output),
        state_verbose=_flag(options.state_verbose, settings.state_verbose),
        state_output_diff=options.output_diff or settings.state_output_diff,
        state_output_profile=settings.state_output_profile,
        exclude=settings.state_output_exclude,
        terse=settings.state_output_terse,
    )


def _state_output(mode: str, default: str) -> str:
    if not mode:
        return default
    from ..output.highstate import MODES  # most commands show no states

    if mode.lower().removesuffix("_id") not in MODES:
        close = nearest(mode, MODES)
        hint = f"did you mean {close}?" if close else f"known: {', '.join(MODES)}, each also with _id"
        raise UsageError(f"--state-output: there is no mode {mode!r}", hint=hint)
    return mode


def _flag(text: str, default: bool) -> bool:
    if not text:
        return default
    if text.lower() not in _WORDS:
        raise UsageError(f"--state-verbose takes true or false, not {text!r}")
    return _WORDS[text.lower()]


def _open(path: str, append: bool) -> TextIO:
    try:
        return open(path, "a" if append else "w", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ConfigError(f"--out-file: {path} cannot be written: {error.strerror}") from error
