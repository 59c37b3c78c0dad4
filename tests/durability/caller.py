"""A client that asks for jobs until it is ended, and notes each call before it is made and what came of it after.

Run as a program of its own, so that it can be killed: `python -m ctl.tests.durability.caller CONFIG NOTES SEED`.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

from ctl.client import job
from ctl.client.local import LocalClient
from ctl.common.errors import CtlError

MINIONS = ("m0", "m1", "m2")
PAUSE_SECONDS = (0.05, 0.5)


class Notes:
    """An append-only file of JSON lines, each there as a whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def add(self, event: str, token: str, *more: Any) -> None:
        """Note an event with the time."""
        os.write(self._descriptor, (json.dumps([event, token, time.monotonic(), *more]) + "\n").encode())


def request(choose: random.Random, token: str, window: float) -> tuple[job.Request, bool]:
    """Choose what to ask for, and whether to wait for it."""
    chosen = choose.sample(MINIONS, choose.randint(1, len(MINIONS)))
    seconds = choose.choice((0.0, 0.0, 0.05, 0.3, 1.5))
    size = choose.choices((0, 1_000, 300_000, 1_500_000), (60, 25, 10, 5))[0]
    asked = job.Request(
        chosen, "durable.work", kwarg={"mark": token, "seconds": seconds, "size": size}, tgt_type="list",
        timeout=2.0, window=0.0 if choose.random() < 0.15 else window,
    )  # fmt: skip
    return asked, choose.random() < 0.5


def call(client: LocalClient, notes: Notes, token: str, asked: job.Request, follow: bool) -> None:
    """Make one call and note what comes of it."""
    notes.add("call", token, asked.window)
    known = False
    try:
        with job.publish(client.pool, asked, follow=follow) as stream:
            for event in stream:
                if isinstance(event, job.Published):
                    known = True
                    notes.add("answer", token, event.jid)
                elif isinstance(event, job.Return):
                    notes.add("told", token, event.id, event.state)
    except CtlError as error:
        if not known:
            notes.add("fail", token, f"{type(error).__name__}: {error}")


def main(config: str, path: str, seed: str, window: str) -> None:
    """Call until killed."""
    choose, notes = random.Random(int(seed)), Notes(Path(path))
    number = 0
    with LocalClient(config) as client:
        while True:
            number += 1
            token = f"{seed}-{number}"
            asked, follow = request(choose, token, float(window))
            call(client, notes, token, asked, follow)
            time.sleep(choose.uniform(*PAUSE_SECONDS))


if __name__ == "__main__":
    main(*sys.argv[1:])
