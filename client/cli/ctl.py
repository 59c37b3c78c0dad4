"""`ctl`: run a function on minions and print what they return, each as it comes."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from . import program


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return program.run("ctl", _work, argv)


def _work(words: list[str]) -> int:
    from .publish import work  # `ctl --version` needs none of it

    return work(words)


if __name__ == "__main__":
    sys.exit(main())
