"""Handshake messages of every kind that are none: a real master drops them, stays as large as it is, and serves on."""

from __future__ import annotations

import asyncio
import json
import os
import random
from pathlib import Path
from typing import Any

import psutil

from ctl.common import wire
from ctl.common.sockets import Dealer, Heartbeat

COUNT = int(os.environ.get("CTL_CRAFTED_COUNT", "6000"))  # raise it for a long run
PER_CONNECTION = 40
GROWTH_BYTES = 48 * 2**20


def corpus() -> list[bytes]:
    """Return genuine frames of every type, from the test vectors."""
    found: list[bytes] = []
    waiting: list[Any] = [json.loads((Path(__file__).parents[1] / "data" / "protocol-vectors.json").read_text())]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict) and set(item) == {"hex"}:
            data = bytes.fromhex(item["hex"])
            found += [data] if data[:3] == b"CTL" else []
        elif isinstance(item, dict | list):
            waiting += item.values() if isinstance(item, dict) else item
    return found


def crafted(dice: random.Random, frames: list[bytes]) -> bytes:
    """Make one bad frame."""
    frame = bytearray(dice.choice(frames))
    match dice.randrange(6):
        case 0:
            return bytes(frame[: dice.randrange(len(frame))])
        case 1:
            return wire.header(dice.choice([wire.HELLO, wire.AUTH])) + dice.randbytes(dice.choice([0, 16, 120, 5000]))
        case 2:
            frame[3:8] = dice.randbytes(5)
        case 3:
            frame += dice.randbytes(dice.randrange(1, 300))
        case 4:
            frame[4] = dice.choice([wire.HELLO, wire.AUTH])
        case _:
            for _ in range(dice.randrange(1, 8)):
                frame[dice.randrange(len(frame))] ^= 1 << dice.randrange(8)
    return bytes(frame)


async def send(port: int, count: int, seed: int) -> None:
    """Send crafted frames over many connections, some of which the master will cut."""
    dice, frames = random.Random(seed), corpus()
    for _ in range(0, count, PER_CONNECTION):
        dealer = Dealer("127.0.0.1", port, lambda frame: None, heartbeat=Heartbeat(1.0, 3.0))
        try:
            for _ in range(PER_CONNECTION):
                dealer.send(crafted(dice, frames))
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)  # let them go out; what is cut is cut
        finally:
            dealer.close()


def test_s38_crafted_handshakes_change_nothing(make_fleet: Any) -> None:
    fleet = make_fleet(["m1"])
    fleet.start()
    master = psutil.Process(fleet.master.pid)
    port = fleet.request_port
    asyncio.run(send(port, COUNT // 4, seed=1))  # what is allocated once
    before = master.memory_info().rss
    asyncio.run(send(port, COUNT, seed=2))
    assert master.memory_info().rss - before < GROWTH_BYTES
    assert fleet.run("ctl", "m1", "test.ping").returncode == 0
    fleet.add_minion("m2").start()
    fleet.accept()
    assert fleet.run("ctl", "m2", "test.ping").returncode == 0
    log = fleet.master.log.read_text()
    assert "Traceback" not in log
    assert "broke" not in log
    assert set(json.loads(fleet.run("ctl-key", "-L", "--out", "json").stdout)["minions"]) == {"m1", "m2"}
