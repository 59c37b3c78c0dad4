"""What a daemon and all its processes use: proportional memory, its peak, processor time."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import psutil

MIB = 2**20


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all below it."""
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def memory(pid: int) -> float:
    """Return the proportional memory of a process and all below it, in MiB."""
    total = 0
    for member in family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += member.memory_full_info().pss
    return total / MIB


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process and all below it have used, those that have ended included."""
    total = 0.0
    for member in family(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(member.cpu_times()[:4])
    return total


def idle_percent(pids: list[int], seconds: float) -> list[float]:
    """Return what each family uses of one processor while nothing is asked of it, in per cent."""
    before = [processor_seconds(pid) for pid in pids]
    time.sleep(seconds)
    return [100 * (processor_seconds(pid) - start) / seconds for pid, start in zip(pids, before, strict=True)]


class Peak:
    """The largest memory that was seen, in MiB."""

    mib = 0.0


@contextlib.contextmanager
def peak_of(pid: int, interval_s: float = 0.02) -> Iterator[Peak]:
    """Look at a family's memory again and again while the block runs."""
    peak, done = Peak(), threading.Event()

    def watch() -> None:
        while not done.wait(interval_s):
            peak.mib = max(peak.mib, memory(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()
