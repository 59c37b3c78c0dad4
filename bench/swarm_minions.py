"""Thousands of minions in one process: real keys, handshakes, sessions and returns, without jobs of their own.

`swarm_minions.py FIRST COUNT REQUEST_PORT`: minions FIRST to FIRST+COUNT-1 connect to the master on the loopback, each
from an address of its own in 127.0.0.0/8, and answer `test.ping`. Commands come as lines on standard input, each is
answered by one JSON line. One in fifty verifies the signature of every publication; the others share what one of
their process has opened, so that the swarm does not use up the processors that the master is measured on.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from zmtp import Peer

from ctl.common import crypto, wire
from ctl.common.errors import CtlError, UnknownEpoch, WireError
from ctl.common.handshake import ACCEPTED, AGENT, Initiator
from ctl.common.hints import Busy, NoSession, Nudge, parse_hint
from ctl.common.publication import TOPIC, Receiver
from ctl.common.session import HEAD, JOB, MinionSession, Reply
from ctl.minion.job import Job, name_of, read_job

SAMPLE = 50
CONNECTS_AT_ONCE = 100
KEEPALIVE_S = 20.0
HELLO_AGAIN_S = 10.0
REPLY_S = 15.0
RECONNECT_S = (0.1, 0.5)
REMEMBERED_PACKETS = 32
REMEMBERED_JIDS = 256
PONG = wire.pack_payload(True)

Answer = Callable[[Reply], None]


class Swarm:
    """The minions of this process, and what they share."""

    def __init__(self, first: int, count: int, port: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.port = port
        self.connects = asyncio.Semaphore(CONNECTS_AT_ONCE)
        self.counts: Counter[str] = Counter()
        self.skew_ms = 0.0
        self._receiver: Receiver | None = None
        self._opened: dict[bytes, tuple[int, int, Job | None]] = {}
        self._order: deque[bytes] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self.members = [Member(self, number) for number in range(first, first + count)]

    def start(self, work: Any) -> None:
        """Run a coroutine that belongs to a member."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def now_ms(self) -> int:
        """Return the master's time, as its last handshake told."""
        return int(time.monotonic() * 1000 + self.skew_ms)

    def adopt(self, group: list[Any], master: str) -> None:
        """Take a group that one of the members was given."""
        if self._receiver is None:
            self._receiver = Receiver(group, master)
        elif group[0] != self._receiver.epoch_id:
            self._receiver.adopt(group)

    def opened(self, packet: bytes, master: bytes) -> tuple[int, int, Job | None]:
        """Return a packet's number, its offset in the job log, and its job; opened and verified once a process."""
        found = self._opened.get(packet)
        if found is None:
            assert self._receiver is not None
            publication = self._receiver.open(packet, self.now_ms())
            job = None if publication.heartbeat else read_job(publication.body, master)
            found = self._opened[packet] = publication.seq, publication.log_off, job
            self._order.append(packet)
            if len(self._order) > REMEMBERED_PACKETS:
                del self._opened[self._order.popleft()]
        return found

    def status(self) -> dict[str, Any]:
        """Count."""
        epochs = Counter(member.epoch.hex() for member in self.members if member.connected)
        return {
            "connected": sum(member.connected for member in self.members),
            "unconfirmed": sum(len(member.unconfirmed) for member in self.members),
            "epochs": epochs,
            **self.counts,
        }

    async def fetch(self, count: int, path: str) -> list[float]:
        """Have `count` members ask for their pillar and one file at once; return how long each waited, in seconds."""
        chosen = random.sample([member for member in self.members if member.connected], count)
        return list(await asyncio.gather(*(member.fetch(path) for member in chosen)))


class Member:
    """One minion. What a real one does with tasks, it does in callbacks."""

    def __init__(self, swarm: Swarm, number: int) -> None:
        self.swarm = swarm
        self.id = f"swarm-{number:05}"
        self.address = f"127.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"
        self.key = crypto.IdentityKey(hashlib.sha256(f"swarm key {number}".encode()).digest())
        self.verifies = number % SAMPLE == 0
        self.grains = wire.pack_payload(_grains(self.id, number))
        self.connected = False
        self.epoch = b""
        self.offset = 0
        self.unconfirmed: dict[str, dict[str, Any]] = {}
        self._jids: deque[str] = deque(maxlen=REMEMBERED_JIDS)
        self._slot = -1
        self._seq = 0
        self._receiver: Receiver | None = None
        self._master = ""
        self._session: MinionSession | None = None
        self._initiator: Initiator | None = None
        self._waiting: dict[int, tuple[str, Answer, float]] = {}
        self._requests: Peer | None = None
        self._publications: Peer | None = None
        self._publish_port = 0
        self._spread = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # -- connections

    async def connect(self) -> None:
        """Connect the request socket; what comes next follows from it."""
        self._requests = peer = Peer("DEALER", self._greeted, self._on_message, self._request_lost)
        await self._open(peer, self.swarm.port)

    async def _open(self, peer: Peer, port: int) -> None:
        while True:
            try:
                async with self.swarm.connects:
                    await self.swarm.loop.create_connection(
                        lambda: peer, "127.0.0.1", port, local_addr=(self.address, 0)
                    )
                return
            except OSError:
                self.swarm.counts["connections refused"] += 1
                await asyncio.sleep(random.uniform(*RECONNECT_S))

    def _greeted(self) -> None:
        if self._session is None:
            self._hello()
        else:
            self._beat()

    def _request_lost(self) -> None:
        self._requests = None
        self.connected = False
        self.swarm.start(self._reconnect(self.connect))

    def _publications_lost(self) -> None:
        self._publications = None
        self.connected = False
        self.swarm.start(self._reconnect(self._subscribe))

    async def _reconnect(self, connect: Any) -> None:
        await asyncio.sleep(random.uniform(*RECONNECT_S) + random.uniform(0.0, min(10.0, self._spread)))
        await connect()

    async def _subscribe(self) -> None:
        self._publications = peer = Peer("SUB", self._say_topics, self._on_publication, self._publications_lost)
        await self._open(peer, self._publish_port)

    def _say_topics(self) -> None:
        if self._publications is not None and self._session is not None:
            self._publications.subscribe(TOPIC)
            self._publications.subscribe(self._session.topic())

    # -- the handshake

    def _hello(self) -> None:
        self._initiator = Initiator(self.key, self.id, AGENT, versions={"ctl": "0.1.0"}, last_log_off=self.offset)
        self._say_hello(self._initiator)

    def _say_hello(self, initiator: Initiator) -> None:
        if self._initiator is initiator and self._requests is not None:
            self._requests.send(initiator.hello())
            self.swarm.counts["hellos"] += 1
            self.swarm.loop.call_later(HELLO_AGAIN_S * random.uniform(1.0, 1.5), self._still_greeting, initiator)

    def _still_greeting(self, initiator: Initiator) -> None:
        if self._initiator is initiator:
            self._hello()

    def _on_message(self, parts: list[bytes]) -> None:
        frame = parts[0]
        kind = wire.frame_type(frame)
        try:
            if kind == wire.REPLY:
                self._on_reply(frame)
            elif self._initiator is not None and kind == wire.CHALLENGE:
                assert self._requests is not None
                self._requests.send(self._initiator.challenge(frame))
            elif self._initiator is not None and kind == wire.RESULT:
                self._on_result(self._initiator, frame)
            else:
                self._on_hint(frame)
        except CtlError as error:
            self.swarm.counts[f"dropped: {type(error).__name__}"] += 1

    def _on_hint(self, frame: bytes) -> None:
        hint = parse_hint(frame)
        if isinstance(hint, NoSession):
            if self._session is not None and hint.sid == self._session.sid and self._initiator is None:
                self._session = None
                self.connected = False
                self._hello()
        elif isinstance(hint, Busy) and self._initiator is not None:
            self.swarm.counts["busy"] += 1
            pause = max(hint.retry_after, 1) * random.uniform(0.5, 1.5)
            self.swarm.loop.call_later(pause, self._say_hello, self._initiator)
        elif isinstance(hint, Nudge):
            self.swarm.counts["nudges"] += 1

    def _on_result(self, initiator: Initiator, frame: bytes) -> None:
        outcome = initiator.result(frame)
        self._initiator = None
        self.swarm.skew_ms = outcome.t_master_ms - time.monotonic() * 1000
        if outcome.status != ACCEPTED:
            self.swarm.counts[outcome.status] += 1
            pause = float(outcome.params.get("retry_after", 1)) * random.uniform(0.8, 1.2)
            self.swarm.loop.call_later(pause, self._hello)
            return
        assert outcome.session_keys is not None
        assert outcome.group is not None
        self._session = MinionSession(outcome.session_keys)
        self._waiting.clear()
        self._master = initiator.master_fingerprint
        self._publish_port = outcome.params["publish_port"]
        self._spread = float(outcome.params.get("spread_seconds", 0.0))
        self._adopt(outcome.group)
        self.swarm.counts["handshakes"] += 1
        if self._publications is None:
            self.swarm.start(self._subscribe())
        else:
            self._say_topics()
        if self._timer is None:
            self._keep_alive()

    def _adopt(self, group: list[Any]) -> None:
        self.epoch, self._seq, self._slot = group[0], group[3], group[5]
        self.swarm.adopt(group, self._master)
        if self.verifies:
            if self._receiver is None:
                self._receiver = Receiver(group, self._master)
            else:
                self._receiver.adopt(group)

    # -- requests

    def ask(self, method: str, args: dict[str, Any], answer: Answer) -> None:
        """Make a request; `answer` gets the reply, and nothing where there is none."""
        if self._session is None or self._requests is None:
            return
        frame, counter = self._session.request(method, args)
        self._waiting[counter] = method, answer, time.monotonic()
        self._requests.send(frame)

    def _on_reply(self, frame: bytes) -> None:
        if self._session is None or wire.session_id(frame) != self._session.sid:
            return
        reply = self._session.reply(frame)
        method, answer, _ = self._waiting.pop(reply.irt, ("", None, 0.0))
        if reply.code != 0:
            self.swarm.counts[f"{method}: {reply.code}"] += 1
        if answer is not None:
            answer(reply)

    def _keep_alive(self) -> None:
        oldest = min((asked for _, _, asked in self._waiting.values()), default=time.monotonic())
        if time.monotonic() - oldest > REPLY_S:
            self.swarm.counts["requests without a reply"] += 1
            self._waiting.clear()
        if self.connected:
            self._beat()
        self._timer = self.swarm.loop.call_later(KEEPALIVE_S * random.uniform(0.8, 1.2), self._keep_alive)

    def _beat(self) -> None:
        self.ask("keepalive", {"jids": []}, lambda reply: None)

    # -- publications

    def _on_publication(self, parts: list[bytes]) -> None:
        try:
            if parts[0] == TOPIC:
                self._take(parts[1])
            else:
                self._on_push(parts[1])
        except UnknownEpoch:
            self.swarm.loop.call_later(random.uniform(0.0, min(5.0, self._spread / 2)), self._ask_group)
        except WireError as error:
            self.swarm.counts[f"dropped: {type(error).__name__}"] += 1

    def _on_push(self, frame: bytes) -> None:
        if self._session is None:
            return
        push = self._session.push(frame)
        if push.kind == JOB:
            self._run(read_job(push.body[1], crypto.fingerprint_bytes(self._master)))
        elif push.kind == HEAD:
            if push.body[0] != self.epoch:
                self._ask_group()
            self._catch_up()
            self.ask("register", {"grains": self.grains, "versions": {"ctl": "0.1.0"}}, self._registered)

    def _registered(self, reply: Reply) -> None:
        if reply.code == 0:
            self.connected = True
            for args in list(self.unconfirmed.values()):
                self._return(args)

    def _ask_group(self) -> None:
        self.ask("group_get", {}, self._regrouped)

    def _regrouped(self, reply: Reply) -> None:
        if reply.code == 0:
            self._adopt(reply.body)
            self._catch_up()

    def _catch_up(self) -> None:
        self.ask("catch_up", {"offset": self.offset}, self._caught_up)

    def _caught_up(self, reply: Reply) -> None:
        if reply.code != 0:
            return
        for _, body in reply.body["jobs"]:
            self._run(read_job(body, crypto.fingerprint_bytes(self._master)))
        if reply.body.get("more"):
            self.offset = int(reply.body["jobs"][-1][0])
            self._catch_up()
        else:
            self.offset = max(self.offset, int(reply.body["head"]))

    def _take(self, packet: bytes) -> None:
        master = crypto.fingerprint_bytes(self._master)
        if self._receiver is not None:
            self._receiver.open(packet, self.swarm.now_ms())
            self.swarm.counts["verified"] += 1
        seq, log_off, job = self.swarm.opened(packet, master)
        gap, self._seq = seq > self._seq + 1, max(self._seq, seq)
        if gap or (job is None and log_off > self.offset):
            self.swarm.counts["gaps"] += 1
            self._catch_up()
        if job is not None and job.expects(self._slot):
            self._run(job)
        if not gap:
            self.offset = max(self.offset, log_off)

    def _run(self, job: Job) -> None:
        if job.jid in self._jids:
            return
        self._jids.append(job.jid)
        fun = name_of(wire.unpack_payload(job.payload))
        good = fun == "test.ping"
        args = {
            "jid": job.jid, "state": "returned", "fun": fun, "retcode": 0 if good else 1, "success": good,
            "size": len(PONG), "payload": PONG,
        }  # fmt: skip
        self.unconfirmed[job.jid] = args
        self.swarm.counts["jobs"] += 1
        self._return(args)

    def _return(self, args: dict[str, Any]) -> None:
        def confirmed(reply: Reply) -> None:
            if reply.code == 0:
                self.unconfirmed.pop(args["jid"], None)
            elif reply.code == "busy":
                self.swarm.loop.call_later(random.uniform(0.1, 1.0), self._return, args)

        self.ask("return", args, confirmed)

    # -- what a state run asks for

    async def fetch(self, path: str) -> float:
        """Ask for the pillar and for one file; return how long both took, in seconds."""
        started = time.monotonic()
        await self._answered("pillar", {"fresh": True, "grains": self.grains})
        found = await self._answered("file_find", {"saltenv": "base", "paths": [path]})
        digest = found.body["files"][0][0]
        await self._answered("file_fetch", {"saltenv": "base", "files": [[path, digest]]})
        return time.monotonic() - started

    async def _answered(self, method: str, args: dict[str, Any]) -> Reply:
        while True:
            done: asyncio.Future[Reply] = self.swarm.loop.create_future()
            self.ask(method, args, done.set_result)
            reply = await done
            if reply.code != "busy":
                return reply
            await asyncio.sleep(random.uniform(0.02, 0.2))


def _grains(id: str, number: int) -> dict[str, Any]:
    families = ("Debian", "RedHat", "Suse")
    return {
        "id": id, "os": ("Debian", "CentOS", "SLES")[number % 3], "os_family": families[number % 3],
        "role": ("web", "db", "cache", "queue")[number % 4], "rack": f"r{number % 97}", "host": id,
        "fqdn": f"{id}.example.com", "kernel": "Linux", "kernelrelease": "6.1.0-18-amd64", "cpuarch": "x86_64",
        "num_cpus": 8, "mem_total": 32008, "osmajorrelease": 12, "osrelease": "12.5", "saltversion": "3008.3",
        "ipv4": ["127.0.0.1", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"],
        "ip_interfaces": {"lo": ["127.0.0.1"], "eth0": [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"]},
        "disks": ["sda", "sdb"], "manufacturer": "QEMU", "virtual": "kvm", "init": "systemd", "shell": "/bin/sh",
    }  # fmt: skip


async def main() -> None:
    """Start the minions, and answer commands until standard input ends."""
    first, count, port = (int(word) for word in sys.argv[1:4])
    swarm = Swarm(first, count, port)
    for member in swarm.members:
        swarm.start(member.connect())
    reader = asyncio.StreamReader()
    await swarm.loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command, *words = line.decode().split()
        answer: Any = await swarm.fetch(int(words[0]), words[1]) if command == "fetch" else swarm.status()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
