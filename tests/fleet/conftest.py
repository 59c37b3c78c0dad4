"""A fleet in one process: one master and some minions in one loop, over real sockets on loopback, without root.

`run_fleet(scenario, minions=3)` starts them, waits until all are connected, runs the coroutine `scenario(fleet)` and
stops them. Minions share one fork helper.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ctl.common import ipc
from ctl.common.config import MasterConfig, MinionConfig
from ctl.common.wire import pack_payload, unpack_payload
from ctl.master.daemon import Master
from ctl.minion.daemon import Minion
from ctl.minion.helper_process import Helper

T = TypeVar("T")

START_SECONDS = 30.0

Scenario = Callable[["Fleet"], Awaitable[None]]


@dataclass
class Published:
    """What a client was told of one job."""

    jid: str = ""
    minions: list[list[Any]] = field(default_factory=list)
    returns: dict[str, Any] = field(default_factory=dict)
    envelopes: dict[str, dict[str, Any]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)


@dataclass
class Fleet:
    """A running fleet. `call`, `publish` and `run` are what a client on the master's machine can do."""

    root: Path
    master: Master
    helper: Helper | None
    clients: ThreadPoolExecutor
    minions: dict[str, Minion] = field(default_factory=dict)

    @property
    def socket(self) -> Path:
        return self.master.socket_path

    # -- clients

    async def call(self, op: str, **arguments: Any) -> Any:
        """Do one operation of the clients' socket."""
        return await self.in_thread(lambda: self._call(op, arguments))

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run what blocks, as clients do, in a thread that is not one of the master's."""
        return await asyncio.get_running_loop().run_in_executor(self.clients, work)

    def _call(self, op: str, arguments: Mapping[str, Any]) -> Any:
        with ipc.connect(self.socket, timeout=60) as client:
            return client.call(op, **arguments)

    async def publish(self, tgt: str | list[str], fun: str, *args: Any, **options: Any) -> Published:
        """Publish a job and follow it to its end; keyword arguments of the function are in `kwarg`."""
        kwarg = options.pop("kwarg", {})
        payload = pack_payload({"fun": fun, "arg": list(args), "kwarg": kwarg})
        # the machine that runs the tests may be busy; what is about silence says its own timeout
        arguments = {"tgt": tgt, "fun": fun, "payload": payload, "follow": True, "timeout": 20.0, **options}
        return await self.in_thread(lambda: self._publish(arguments))

    def _publish(self, arguments: Mapping[str, Any]) -> Published:
        found = Published()
        with ipc.connect(self.socket, timeout=60) as client:
            for kind, data in client.request("publish", **arguments):
                if kind == "job":
                    found.jid, found.minions = data["jid"], data["minions"]
                elif kind == "return":
                    found.envelopes[data["id"]] = data
                    found.returns[data["id"]] = unpack_payload(data["payload"]) if data["payload"] else data["reason"]
                elif kind == "absent":
                    found.absent[data["id"]] = data["reason"]
                elif kind == "result":
                    found.result = data
        return found

    async def run(self, fun: str, *args: Any, **kwarg: Any) -> Any:
        """Run a runner and return what it returns."""
        payload = pack_payload({"fun": fun, "arg": list(args), "kwarg": kwarg})
        result = await self.call("run", fun=fun, payload=payload, timeout=60.0)
        return unpack_payload(result["payload"])

    # -- members

    async def add(self, name: str, **settings: Any) -> Minion:
        """Start a minion; it is a member of the fleet until the end."""
        minion = Minion(self.minion_config(name, **settings), self.helper)
        await minion.start()
        self.minions[name] = minion
        return minion

    def minion_config(self, name: str, **settings: Any) -> MinionConfig:
        """Return the configuration of a minion of this fleet."""
        defaults = {
            "id": name,
            "root_dir": str(self.root / name),
            "master": ["127.0.0.1"],
            "master_port": self.master.ret_port,
            "heartbeat_seconds": 1.0,
            "heartbeat_timeout_seconds": 3.0,
            "keepalive_seconds": 2.0,
            "reconnect_max": 1.0,
            "shutdown_seconds": 2.0,
        }
        return MinionConfig.from_mapping({**defaults, **settings})

    async def drop(self, name: str) -> None:
        """Stop a minion."""
        await self.minions.pop(name).close("dropped by the test")

    async def connected(self, *names: str) -> None:
        """Wait until minions (all members without a name) count as connected."""
        wanted = names or tuple(self.minions)
        await eventually(lambda: all(name in self.master.desk.presence for name in wanted), START_SECONDS)

    async def restart_master(self) -> None:
        """Stop the master and start another on the same directory and ports."""
        ports = {"ret_port": self.master.ret_port, "publish_port": self.master.publish_port}
        config = MasterConfig.from_mapping({**self.master.config.raw, **ports})
        await self.master.close("restarted by the test")
        self.master = Master(config)
        await self.master.start()


async def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until `condition()` is true."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, "it did not come true in time"
        await asyncio.sleep(0.01)


def master_settings(root: Path) -> dict[str, Any]:
    """Return the settings of a master that lives below `root`, on free ports of loopback, and accepts every key."""
    return {
        "root_dir": str(root / "master"),
        "interface": "127.0.0.1",
        "ret_port": 0,
        "publish_port": 0,
        "auto_accept": True,
        "pending_per_source": 1000,
        "trusted_networks": ["127.0.0.0/8"],
        "heartbeat_seconds": 1.0,
        "heartbeat_timeout_seconds": 3.0,
        "keepalive_seconds": 2.0,
        "publication_heartbeat_seconds": 1.0,
        "file_roots": {"base": [str(root / "states")]},
        "pillar_roots": {"base": [str(root / "pillar")]},
    }


@contextlib.asynccontextmanager
async def open_fleet(
    root: Path, minions: int, helper: Helper | None, settings: Mapping[str, Any]
) -> AsyncIterator[Fleet]:
    """Start a fleet and stop it."""
    for name in ("states", "pillar"):
        (root / name).mkdir(exist_ok=True)
    master = Master(MasterConfig.from_mapping({**master_settings(root), **settings}))
    await master.start()
    clients = ThreadPoolExecutor(64, thread_name_prefix="asyncio_clients")
    fleet = Fleet(root, master, helper, clients)
    try:
        for number in range(1, minions + 1):
            await fleet.add(f"m{number}")
        await fleet.connected()
        yield fleet
    finally:
        await asyncio.gather(*(minion.close("end of the test") for minion in fleet.minions.values()))
        await fleet.master.close("end of the test")
        clients.shutdown()


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Awaitable[None]]:
    return eventually


@pytest.fixture
def run_fleet(tmp_path: Path) -> Callable[..., None]:
    """Return a function that runs a scenario with a fleet: `run_fleet(scenario, minions=3, **master_settings)`."""

    def run(scenario: Scenario, minions: int = 1, **settings: Any) -> None:
        async def main() -> None:
            async with open_fleet(tmp_path, minions, None, settings) as fleet:
                await scenario(fleet)

        asyncio.run(main())

    return run
