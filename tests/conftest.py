"""What all tests share: nothing of ctl may exist under a second name, and no test leaves a child or thread behind."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

ROOMS = ("common", "master", "minion", "modules", "states", "client")


def wait_until(condition: Callable[[], object], seconds: float = 10.0, what: str = "the condition") -> None:
    """Poll until `condition()` is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come true within {seconds} s")
        time.sleep(0.005)


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[..., None]:
    return wait_until


def _own_children() -> set[int]:
    return {child.pid for child in psutil.Process(os.getpid()).children() if child.status() != psutil.STATUS_ZOMBIE}


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    children = _own_children()
    threads = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        new_children = _own_children() - children
        new_threads = [t for t in threading.enumerate() if t not in threads and not t.name.startswith("asyncio_")]
        if not new_children and not new_threads:
            break
        time.sleep(0.01)
    else:
        pytest.fail(f"left behind: children {new_children}, threads {[t.name for t in new_threads]}")
    assert not [room for room in ROOMS if room in sys.modules], "a second identity of a room of ctl was imported"
