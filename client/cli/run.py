"""`ctl-run`: run one of the master's own functions (a runner) and print what it returns."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from . import program


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return program.run("ctl-run", _work, argv)


def _work(words: list[str]) -> int:
    from .runner import work  # `ctl-run --version` needs none of it

    return work(words)


if __name__ == "__main__":
    sys.exit(main())
