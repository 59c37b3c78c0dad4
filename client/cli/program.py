"""What every program does around its work: the version, errors as a line and an exit code, broken pipes, Ctrl-C."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ... import __version__
from . import exits

if TYPE_CHECKING:
    from ...common.errors import CtlError


def run(name: str, work: Callable[[list[str]], int], argv: Sequence[str] | None = None) -> int:
    """Run one program's `work` on its words (those of the command line by default); return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words == ["--version"]:
        print(f"{name} {__version__}")
        return exits.OK
    from ...common.errors import CtlError  # not before the version: scripts ask for that often

    _tolerate_bad_text()
    try:
        return work(words)
    except CtlError as error:
        if "--hard-crash" in words:
            raise
        complain(name, error)
        return exits.REFUSED
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return exits.FAILED
    except BrokenPipeError:
        # whoever read our output has gone; the interpreter must not fail on flushing it either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.FAILED
    except OSError as error:
        if "--hard-crash" in words:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"{name}: {where}{error.strerror or error}", file=sys.stderr)
        return exits.REFUSED


def complain(name: str, error: CtlError) -> None:
    """Print an error of ours as a sentence; one that travelled without words of its own keeps its class's name."""
    from ...common.errors import RemoteError
    from ..output.palette import escape

    text = str(error)
    if isinstance(error, RemoteError) and error.code in ("error", "remote"):
        text = f"{error.name}: {text}"
    print(f"{name}: {escape(text)}", file=sys.stderr)


def _tolerate_bad_text() -> None:
    """Have text that the terminal's encoding lacks printed in escapes instead of failing in mid-print."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
