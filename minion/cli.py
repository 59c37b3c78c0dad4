"""The program `ctl-minion`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from ..common.config import MinionConfig, load_minion
from ..common.daemon import Daemon, Started
from ..common.systemd import notify
from .daemon import Minion


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["trust"]:
        from .trust_command import main as trust  # the daemon needs none of it

        return trust(words[1:])
    return Daemon("minion", "The minion of a ctl fleet.", load_minion, serve).main(words)


async def serve(config: MinionConfig, stop: asyncio.Event, started: Started) -> None:
    """Run a minion until `stop` is set."""
    async with Minion(config) as minion:
        started()
        await stop.wait()
        notify("STOPPING=1")
        await minion.close("a signal came")


if __name__ == "__main__":
    raise SystemExit(main())
