"""Much at once: large returns (F26), output without end (F27), slow listeners (F25), few descriptors (F31), a stop in
the middle of a hundred jobs (F30), ten administrators who disagree (F32). Real daemons; what they may take is stated.
"""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ctl.client import job
from ctl.client.local import LocalClient
from ctl.common.errors import CtlError
from ctl.tests.durability.arena import Arena, lines

MIB = 1024 * 1024
IDLE_MASTER_MIB = 150  # what a master takes that holds nothing
HELD_MIB = 96  # what it may hold of returns that are on their way (clients' queues, chunks, a commit)


class Memory(threading.Thread):
    """Watches the largest resident size of a process."""

    def __init__(self, pid: int) -> None:
        super().__init__()
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self.peak = 0
        self.start()

    def run(self) -> None:
        while not self._over.wait(0.02):
            try:
                self.peak = max(self.peak, self._process.memory_info().rss)
            except psutil.NoSuchProcess:
                return

    def stop(self) -> float:
        """Return the largest size so far, in MiB."""
        self._over.set()
        self.join()
        return self.peak / MIB


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with Arena(tmp_path_factory.mktemp("pressure"), 7) as made:
        made.wait_for_fleet()
        yield made


@pytest.fixture
def own_arena(tmp_path: Path) -> Iterator[Arena]:
    """A fleet for a test that stops parts of it."""
    with Arena(tmp_path, 8, minions=("m0", "m1")) as made:
        made.wait_for_fleet()
        yield made


@pytest.fixture
def client(arena: Arena) -> Iterator[LocalClient]:
    with LocalClient(arena.master_home / "etc") as made:
        yield made


def _work(tgt: str | list[str], **given: Any) -> job.Request:
    return job.Request(tgt, "durable.work", kwarg={"mark": "x", **given}, timeout=30.0, window=60.0)


@pytest.mark.timeout(240)
def test_f26_many_large_returns_at_once_fit_into_the_masters_budget(arena: Arena, client: LocalClient) -> None:
    memory = Memory(arena.programs["master"].pid)
    sizes: list[int] = []
    try:
        requests = [_work("*", size=8 * MIB) for _ in range(4)] + [_work("m0", size=63 * MIB)]
        streams = [job.publish(client.pool, request) for request in requests]
        for stream in streams:
            with stream:
                sizes += [len(event.ret["filler"]) for event in stream if isinstance(event, job.Return)]
    finally:
        peak = memory.stop()
    assert sorted(sizes) == [8 * MIB] * 12 + [63 * MIB]
    assert peak < IDLE_MASTER_MIB + HELD_MIB, f"the master took {peak:.0f} MiB"


@pytest.mark.timeout(240)
def test_f27_output_without_end_is_cut_and_harms_nobody(arena: Arena, client: LocalClient) -> None:
    memory = Memory(arena.programs["m0"].pid)
    try:
        found = client.cmd_full_return("m0", "cmd.run", ["yes 0123456789"], job_timeout=3.0, timeout=30.0)["m0"]
    finally:
        peak = memory.stop()
    assert found["retcode"] != 0
    assert peak < 256, f"the minion's daemon took {peak:.0f} MiB"
    assert client.cmd("m0", "test.ping") == {"m0": True}
    below = [process.name() for process in psutil.Process(arena.programs["m0"].pid).children(recursive=True)]
    assert "yes" not in below


@pytest.mark.timeout(240)
def test_f25_a_client_that_does_not_read_costs_others_nothing(arena: Arena, client: LocalClient) -> None:
    memory = Memory(arena.programs["master"].pid)
    try:
        slow = [job.publish(client.pool, _work("*", size=8 * MIB)) for _ in range(4)]  # and nobody reads on
        took = []
        for _ in range(10):
            began = time.monotonic()
            assert client.cmd("m1", "test.ping", timeout=30.0) == {"m1": True}
            took.append(time.monotonic() - began)
        for stream in slow:
            stream.close()
    finally:
        peak = memory.stop()
    assert peak < IDLE_MASTER_MIB + HELD_MIB, f"the master took {peak:.0f} MiB"
    assert sorted(took)[5] < 5.0


@pytest.mark.timeout(240)
def test_f30_a_stop_while_a_hundred_jobs_run_is_over_in_time_and_accounts_for_each(
    own_arena: Arena, wait_until: Callable[..., None]
) -> None:
    arena, client = own_arena, LocalClient(own_arena.master_home / "etc")
    jids = [
        client.run_job("m0", "durable.work", kwarg={"mark": f"stop-{n}", "seconds": 60.0})["jid"] for n in range(99)
    ]
    notes = arena.directory / "executions-m0"
    wait_until(lambda: len(lines(notes)) == 99, 60, "the jobs to begin")
    minion = arena.programs["m0"]
    minion.wanted = False
    began = time.monotonic()
    minion.send(signal.SIGTERM)
    time.sleep(0.5)
    minion.send(signal.SIGTERM)  # twice: it is in a hurry now
    wait_until(lambda: not minion.pid, 20, "the minion to end")
    assert time.monotonic() - began < 10.0
    minion.start()

    def states() -> set[str]:
        return {str(client.pool.call("returns", jid=jid)["states"]["m0"]) for jid in jids}

    wait_until(lambda: states() == {"interrupted"}, 60, "each job to be interrupted")
    assert len(lines(notes)) == 99, "none began again"
    master = arena.programs["master"]
    for _ in range(3):  # a master that is stopped while it starts leaves nothing that keeps the next from starting
        master.end(signal.SIGKILL)
        master.start()
        time.sleep(random.uniform(0.0, 0.6))
        assert master.end(signal.SIGTERM) in (0, -signal.SIGTERM)
    master.start()
    wait_until(lambda: _answers(client), 30, "the master to answer")
    client.close()


def _answers(client: LocalClient) -> bool:
    try:
        return bool(client.pool.call("ping"))
    except CtlError:
        return False


@pytest.mark.timeout(240)
def test_f31_few_descriptors_are_kept_for_those_who_are_known(
    own_arena: Arena, wait_until: Callable[..., None]
) -> None:
    arena = own_arena
    master = arena.programs["master"]
    master.end()
    master.prefix = ["prlimit", "--nofile=256:256"]
    master.start()
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(LocalClient(arena.master_home / "etc"))
        wait_until(lambda: _answers(client), 30, "the master to answer")
        wait_until(lambda: len(client.cmd("*", "test.ping", timeout=10.0)) == 2, 60, "all minions to be back")
        for _ in range(400):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", arena.ports[1]))
        process = psutil.Process(master.pid)
        wait_until(lambda: _share(process, client) < 0.5, 60, "the master to come to rest")
        assert client.cmd("m0", "test.ping", timeout=20.0) == {"m0": True}


def _share(process: psutil.Process, client: LocalClient) -> float:
    """Ask a minion again and again for a second; return how much of a core the master took meanwhile."""
    busy, began = process.cpu_times(), time.monotonic()
    while time.monotonic() - began < 1.0:
        assert client.cmd("m1", "test.ping", timeout=20.0) == {"m1": True}
        time.sleep(0.2)
    spent = process.cpu_times()
    return (spent.user + spent.system - busy.user - busy.system) / (time.monotonic() - began)


@pytest.mark.timeout(240)
def test_f32_ten_administrators_who_disagree_leave_what_the_last_one_did(
    arena: Arena, client: LocalClient, wait_until: Callable[..., None]
) -> None:
    failed: list[str] = []

    def administer(seed: int) -> None:
        choose = random.Random(seed)
        with LocalClient(arena.master_home / "etc") as own:
            for _ in range(15):
                act, include = choose.choice([
                    ("accept", ["rejected", "denied"]), ("reject", ["accepted", "pending"]), ("delete", []),
                ])  # fmt: skip
                try:
                    own.pool.call(f"key.{act}", match="m2", include=include)
                except CtlError as error:
                    failed.append(f"{act}: {error}")

    threads = [threading.Thread(target=administer, args=(seed,)) for seed in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    client.pool.call("key.reject", match="m2", include=["accepted", "pending", "denied"])
    listed = client.pool.call("key.list")
    assert "m2" not in listed["accepted"]
    assert len(listed["rejected"].get("m2", ())) <= 1
    with pytest.raises(CtlError, match="No minions matched"):
        list(job.publish(client.pool, job.Request("m2", "test.ping")))
    client.pool.call("key.delete", match="m2")
    wait_until(lambda: "m2" in client.pool.call("key.list")["accepted"], 60, "the minion to be accepted anew")
