"""`ctl-key`: see which minions' keys wait, and accept, reject or delete them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from . import program


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return program.run("ctl-key", _work, argv)


def _work(words: list[str]) -> int:
    from .key_actions import work  # `ctl-key --version` needs none of it

    return work(words)


if __name__ == "__main__":
    sys.exit(main())
