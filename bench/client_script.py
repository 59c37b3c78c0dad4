"""Time LocalClient from inside one process. Run by the interpreter of ctl or of Salt; prints one JSON document.

`client_script.py MODULE C_PATH COUNT BURST`: COUNT calls one after another, then BURST jobs at once.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import threading
import time


def main() -> None:
    """Measure, and print milliseconds and jobs per second."""
    module, c_path, count, burst = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    client = importlib.import_module(module).LocalClient(c_path)
    wanted = len(client.cmd("*", "test.ping"))
    times = []
    for _ in range(count):
        started = time.perf_counter()
        assert len(client.cmd("*", "test.ping")) == wanted
        times.append(time.perf_counter() - started)
    times.sort()
    result = {
        "median_ms": statistics.median(times) * 1000,
        "p95_ms": times[min(len(times) - 1, int(len(times) * 0.95))] * 1000,
        "one_after_another": count / sum(times),
        "at_once": run_burst(client, burst, module) if burst else 0,
    }
    print(json.dumps(result))


def run_burst(client: object, burst: int, module: str) -> float:
    """Publish `burst` jobs at once and wait for every return; return jobs per second."""
    got: list[int] = []
    started = time.perf_counter()

    def one() -> None:
        # a client of Salt is not for many threads: each thread gets one of its own
        own = client if module.startswith("ctl") else importlib.import_module(module).LocalClient(sys.argv[2])
        got.append(len(own.cmd("*", "test.ping", timeout=120)))  # type: ignore[attr-defined, union-attr, unused-ignore]

    threads = [threading.Thread(target=one) for _ in range(burst)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(1 for number in got if number) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
