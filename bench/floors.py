"""What the machine itself takes for the parts of each row's work, measured in the same run as the rows."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import zmq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LIBRARIES = "import asyncio, msgpack, sqlite3, zmq, cryptography.hazmat.primitives.ciphers.aead"
MESSAGE = bytes(500)
CHUNK = bytes(2**20)
ECHO = """
import sys, zmq
sock = zmq.Context().socket(zmq.ROUTER)
print(sock.bind_to_random_port("tcp://127.0.0.1"), flush=True)
while True:
    sock.send_multipart(sock.recv_multipart())
"""


def median_seconds(work: Callable[[], object], runs: int) -> float:
    """Return the median wall time of one run."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


class Floors:
    """Each floor in seconds, measured when it is first asked for; `directory` is on the disk that the daemons use."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()

    @cached_property
    def python(self) -> float:
        """An interpreter that starts and ends."""
        return median_seconds(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True), 15)

    @cached_property
    def libraries(self) -> float:
        """An interpreter that imports what a daemon is made of."""
        return median_seconds(lambda: subprocess.run([sys.executable, "-c", LIBRARIES], check=True), 7)

    @cached_property
    def round_trip(self) -> float:
        """A message to another process over ZeroMQ and TCP, and back."""
        with subprocess.Popen([sys.executable, "-c", ECHO], stdout=subprocess.PIPE, text=True) as echo:
            assert echo.stdout is not None
            with zmq.Context() as context, context.socket(zmq.DEALER) as sock:
                sock.connect(f"tcp://127.0.0.1:{echo.stdout.readline().strip()}")

                def once() -> None:
                    sock.send(MESSAGE)
                    sock.recv()

                took = median_seconds(once, 1000)
            echo.kill()
        return took

    @cached_property
    def crypto(self) -> float:
        """The cryptography of one job: a signature made and checked, three messages sealed and opened."""
        key, cipher, nonce = Ed25519PrivateKey.generate(), AESGCM(bytes(32)), bytes(12)
        public = key.public_key()

        def once() -> None:
            public.verify(key.sign(MESSAGE), MESSAGE)
            for _ in range(3):
                cipher.decrypt(nonce, cipher.encrypt(nonce, MESSAGE, None), None)

        return median_seconds(once, 200)

    @cached_property
    def commit(self) -> float:
        """A row that SQLite has on the disk."""
        with contextlib.closing(self._database()) as database:
            return median_seconds(lambda: database.execute("insert into t values (?)", (MESSAGE,)), 100)

    @cached_property
    def fork(self) -> float:
        """A process that is forked, ends and is waited for."""

        def once() -> None:
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)

        return median_seconds(once, 100)

    @cached_property
    def shell(self) -> float:
        """A shell that does nothing."""
        return median_seconds(lambda: subprocess.run(["/bin/sh", "-c", "true"], check=True), 50)

    @property
    def job(self) -> float:
        """One job on one minion: there and back, its cryptography, its three rows on two disks, its process."""
        return self.round_trip + self.crypto + 3 * self.commit + self.fork

    def jobs_of(self, minions: int) -> float:
        """One job on many minions of this machine: they share its processors, and each has a disk of its own."""
        share = minions / (os.cpu_count() or 1)
        return self.round_trip + 2 * self.commit + share * (self.crypto + self.fork)

    def write_files(self, sources: list[Path], count: int) -> float:
        """Copy small files one after another into a fresh directory."""

        def once() -> None:
            target = self.fresh("copies")
            for number in range(count):
                shutil.copyfile(sources[number % len(sources)], target / str(number))

        return median_seconds(once, 3)

    def hash_files(self, sources: list[Path], count: int) -> float:
        """Read and hash small files one after another."""

        def once() -> None:
            for number in range(count):
                hashlib.sha256(sources[number % len(sources)].read_bytes()).digest()

        return median_seconds(once, 3)

    def receive(self, size: int) -> float:
        """Decrypt, hash and write a large file with one processor: what its receiver cannot do without."""
        cipher, nonce = AESGCM(bytes(32)), bytes(12)
        sealed = cipher.encrypt(nonce, CHUNK, None)

        def once() -> None:
            digest = hashlib.sha256()
            with (self.fresh("received") / "file").open("wb") as file:
                for _ in range(size // len(CHUNK)):
                    data = cipher.decrypt(nonce, sealed, None)
                    digest.update(data)
                    file.write(data)

        return median_seconds(once, 3)

    def carry(self, size: int) -> float:
        """Bring bytes through a socket, encrypt and decrypt them, and have SQLite keep them."""
        cipher, nonce = AESGCM(bytes(32)), bytes(12)
        ours, theirs = socket.socketpair()

        def once() -> None:
            with contextlib.closing(self._database()) as database:
                whole = bytearray()
                for _ in range(size // len(CHUNK)):
                    for start in range(0, len(CHUNK), 65536):
                        ours.sendall(CHUNK[start : start + 65536])
                        whole += theirs.recv(65536, socket.MSG_WAITALL)
                opened = cipher.decrypt(nonce, cipher.encrypt(nonce, whole, None), None)
                database.execute("insert into t values (?)", (opened,))

        with ours, theirs:
            return median_seconds(once, 3)

    def fresh(self, name: str) -> Path:
        """Make a directory that nothing was ever deleted from: deleting makes ext4 slow at creating for a while."""
        number = sum(1 for _ in self.directory.iterdir())
        made = self.directory / f"{name}-{number}"
        made.mkdir()
        return made

    def _database(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.fresh("database") / "db", isolation_level=None)
        database.execute("pragma journal_mode=wal")
        database.execute("pragma synchronous=full")
        database.execute("create table t (value blob)")
        return database
