"""The program `ctl-master`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ..common.config import MasterConfig, load_master
from ..common.daemon import Daemon, Started
from ..common.systemd import notify
from .daemon import Master


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return Daemon("master", "The master of a ctl fleet.", load_master, serve).main(argv)


async def serve(config: MasterConfig, stop: asyncio.Event, started: Started) -> None:
    """Run a master until `stop` is set, also while it is still starting."""
    master = Master(config)
    starting = asyncio.ensure_future(master.start())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            started()
            await stopping
    finally:
        for task in (starting, stopping):
            task.cancel()
        await asyncio.gather(starting, stopping, return_exceptions=True)
        notify("STOPPING=1")
        await master.close("a signal came" if stop.is_set() else "it did not start")


if __name__ == "__main__":
    raise SystemExit(main())
