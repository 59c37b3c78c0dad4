"""Time LocalClient from inside one process. Run by the interpreter of ctl or of Salt; prints one JSON document.

client_script.py MODULE C_PATH calls COUNT     COUNT calls one after another: median and p95 in ms
client_script.py MODULE C_PATH burst COUNT     COUNT jobs at once: jobs per second
client_script.py MODULE C_PATH large BYTES     a return of so many bytes: seconds
client_script.py MODULE C_PATH answer          wait for a line, then until m0 answers: the moment
client_script.py MODULE C_PATH publish         wait for a line, then until a job can be published: the moment
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

PAUSE_S = 0.01
GIVE_UP_S = 100


def main() -> None:
    """Do what the words ask for."""
    module, c_path, what, *numbers = sys.argv[1:]
    table: dict[str, Callable[..., Any]] = {
        "calls": calls, "burst": burst, "large": large, "answer": answer, "publish": publish
    }  # fmt: skip
    print(json.dumps(table[what](module, c_path, *map(int, numbers))))


def make_client(module: str, c_path: str) -> Any:
    """Make a client of ctl or of Salt."""
    return importlib.import_module(module).LocalClient(c_path)


def calls(module: str, c_path: str, count: int) -> dict[str, float]:
    """Make calls one after another."""
    client = make_client(module, c_path)
    wanted = len(client.cmd("*", "test.ping"))
    times = []
    for _ in range(count):
        started = time.perf_counter()
        assert len(client.cmd("*", "test.ping")) == wanted
        times.append(time.perf_counter() - started)
    times.sort()
    return {
        "minions": wanted,
        "median_ms": statistics.median(times) * 1000,
        "p95_ms": times[min(len(times) - 1, int(len(times) * 0.95))] * 1000,
        "jobs_per_second": count / sum(times),
    }


def burst(module: str, c_path: str, count: int) -> dict[str, float]:
    """Publish jobs at once, each from a thread, and wait for every return."""
    client = make_client(module, c_path)
    client.cmd("*", "test.ping")
    got: list[int] = []

    def one() -> None:
        # a client of Salt is not for many threads: each thread gets one of its own
        own = client if module.startswith("ctl") else make_client(module, c_path)
        got.append(len(own.cmd("*", "test.ping", timeout=120)))

    threads = [threading.Thread(target=one) for _ in range(count)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"jobs_per_second": sum(1 for number in got if number) / (time.perf_counter() - started)}


def large(module: str, c_path: str, size: int) -> dict[str, float | None]:
    """Have a command print so many bytes, three times; no time where they do not all come back."""
    client = make_client(module, c_path)
    times = []
    for _ in range(3):
        started = time.perf_counter()
        got = client.cmd("m0", "cmd.run", [f"head -c {size} /dev/zero | tr '\\0' x"], timeout=60)
        times.append(time.perf_counter() - started)
        if len(got.get("m0") or "") != size:
            return {"seconds": None}
    return {"seconds": statistics.median(times)}


def answer(module: str, c_path: str) -> float:
    """Return the moment at which m0 answers."""
    client = _ready(module, c_path)
    options = {"window": 0.0} if module.startswith("ctl") else {}  # or each question is answered later
    return _poll(lambda: bool(client.cmd("m0", "test.ping", timeout=1, **options)))


def publish(module: str, c_path: str) -> float:
    """Return the moment at which a job can be published."""
    client = _ready(module, c_path)
    return _poll(lambda: bool(client.cmd_async("*", "test.ping")))


def _ready(module: str, c_path: str) -> Any:
    client = make_client(module, c_path)
    print("ready", flush=True)
    sys.stdin.readline()
    return client


def _poll(question: Any) -> float:
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        try:
            if question():
                return time.monotonic()
        except Exception:  # of whatever kind: there is no master yet
            pass
        time.sleep(PAUSE_S)
    raise TimeoutError("nothing came")


if __name__ == "__main__":
    main()
