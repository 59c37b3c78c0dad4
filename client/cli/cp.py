"""`ctl-cp`: copy files from the master's machine to minions."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from . import program


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return program.run("ctl-cp", _work, argv)


def _work(words: list[str]) -> int:
    from .copying import work  # `ctl-cp --version` needs none of it

    return work(words)


if __name__ == "__main__":
    sys.exit(main())
