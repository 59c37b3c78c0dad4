"""F23, F24: one key on two machines, and two keys for one id."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.common.errors import KeyTableError
from ctl.common.publication import TOPIC
from ctl.common.wire import unpack_payload
from ctl.master.slots import Slots

RunFleet = Callable[..., None]
BROADCAST = {"direct_minions": 0}


@contextlib.asynccontextmanager
async def route(port: int, source: str) -> AsyncIterator[int]:
    """Carry TCP connections to a port of 127.0.0.1 so that they come from another address; yield where to connect."""
    tasks: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        try:
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
        finally:
            for end in (writer, far_writer):
                end.transport.abort()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(carry(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def clone(fleet: Any, name: str, copy: str) -> str:
    """Copy a minion's key to another machine's root; return that root."""
    pki = fleet.root / copy / "etc/ctl/pki"
    pki.mkdir(parents=True, mode=0o700)
    shutil.copy(fleet.root / name / "etc/ctl/pki/minion.pem", pki)
    return str(fleet.root / copy)


def test_a_job_runs_on_the_one_of_two_machines_that_came_last(
    run_fleet: RunFleet, eventually: Any, lines: Any, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"

    async def scenario(fleet: Any) -> None:
        twin_root = clone(fleet, "m1", "twin")
        first = fleet.master.desk.sessions.agent("m1")
        async with route(fleet.master.ret_port, "127.0.0.9") as port:
            config = {"root_dir": twin_root, "master_port": port}
            original = fleet.minions.pop("m1")
            fleet.minions["twin"] = twin = await fleet.add("m1", **config)
            fleet.minions["m1"] = original
            await eventually(lambda: fleet.master.desk.sessions.agent("m1") is not first)
            await eventually(lambda: first.superseded)
            await twin.connected.wait()
            for number in range(5):
                found = await fleet.publish("m1", "cmd.run", f"echo {number} >> {ran}")
                assert set(found.returns) == {"m1"}
            assert ran.read_text().split() == [str(number) for number in range(5)]
            await fleet.drop("twin")

    run_fleet(scenario, **BROADCAST)


async def take_over(peer: Any, eventually: Any) -> None:
    """Shake hands and subscribe anew, as a minion does that was told that its session is gone."""
    before = peer.subscriber
    assert await peer.shake() == "accepted"
    peer.subscribe(TOPIC, peer.session.topic())
    await eventually(lambda: any(topic == peer.session.topic() for topic, _ in peer.packets))
    if before is not None:
        before.close()


def test_a_cloned_key_is_reported_with_both_addresses(
    run_fleet: RunFleet, hostile: Any, lines: Any, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        events = fleet.master.desk.events.subscribe(["salt/auth"])
        async with route(fleet.master.ret_port, "127.0.0.9") as port:
            with hostile(fleet, id="m1") as one, hostile(fleet, id="m1", identity=one.identity) as other:
                one.open()
                other.master = Route(fleet.master, port)
                other.open()
                for _ in range(3):
                    await take_over(one, eventually)
                    await take_over(other, eventually)
        (line,) = lines.about("is it a cloned machine?", room="ctl.master")
        assert "127.0.0.1" in line
        assert "127.0.0.9" in line
        async with asyncio.timeout(5):
            while (event := unpack_payload((await events.next()).data))["act"] != "cloned":
                pass
        assert set(event["addresses"]) == {"127.0.0.1", "127.0.0.9"}

    run_fleet(scenario, minions=0)


class Route:
    """A master that is reached over another port."""

    def __init__(self, master: Any, ret_port: int) -> None:
        self._master = master
        self.ret_port = ret_port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._master, name)


def test_the_session_before_is_told_of_no_jobs_and_gets_no_keys(run_fleet: RunFleet, hostile: Any) -> None:
    async def scenario(fleet: Any) -> None:
        with hostile(fleet, id="m1") as one, hostile(fleet, id="m1", identity=one.identity) as other:
            await one.join()
            slot = one.group[5]
            await other.join()
            assert other.group[5] != slot
            await fleet.publish("m1", "test.ping", timeout=0.3)
            assert (await one.ask("catch_up", offset=0))["jobs"] == []
            assert len((await other.ask("catch_up", offset=0))["jobs"]) == 1
            assert await one.ask("group_get") == "superseded"
            fleet.master.desk.publications.rotate()
            assert await one.ask("group_get") == "superseded"
            assert (await other.ask("group_get"))[0] == fleet.master.desk.publications.epoch_id

    run_fleet(scenario, minions=0, **BROADCAST)


def test_a_job_that_was_acknowledged_is_not_handed_out_again(run_fleet: RunFleet, hostile: Any) -> None:
    async def scenario(fleet: Any) -> None:
        with hostile(fleet, id="m1") as one, hostile(fleet, id="m1", identity=one.identity) as other:
            await one.join()
            jid = (await fleet.publish("m1", "test.ping", timeout=0.3)).jid
            one.dealer.send(one.session.request("ack", {"jids": [jid]})[0])
            await one.ask("keepalive", jids=[jid])
            await other.join()
            assert (await other.ask("catch_up", offset=0))["jobs"] == []

    run_fleet(scenario, minions=0, **BROADCAST)


def test_another_key_for_an_id_is_listed_with_its_address_and_accepted_by_fingerprint_only(
    run_fleet: RunFleet, hostile: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(hostile(fleet, id="web1")) for _ in range(6)]
            answers = [await peer.open().shake() for peer in peers]
            assert answers == ["pending", *["denied"] * 5]
            listed = await fleet.call("key.list")
            assert [row[1] for row in listed["pending"]["web1"]] == ["127.0.0.1"]
            assert len(listed["denied"]["web1"]) == 4, "four candidates beside the one in line"
            with pytest.raises(KeyTableError, match="5 keys claim the id web1"):
                fleet.master.desk.keys.accept("web1")
            chosen = listed["denied"]["web1"][2][0]
            await fleet.call("key.accept", fingerprint=chosen)
            assert (await fleet.call("key.list"))["accepted"] == {"web1": chosen}

    run_fleet(scenario, minions=0, auto_accept=False)


def test_slots_of_one_minion_are_its_own_until_the_epoch_ends() -> None:
    slots = Slots()
    assert slots.take("a") == 0
    assert slots.take("b") == 1
    second = slots.offer("a", {0})
    assert second == 2
    slots.use("a", second)
    third = slots.offer("a", {0, 2})
    assert third == 3
    slots.use("a", third)
    assert slots.offer("a", {3}) == 0, "the one that was left longest ago"
    assert slots.take("c") == 4, "no slot of a goes to another minion"
    slots.renew({"a", "b", "c"})
    assert (slots.take("a"), slots.take("b"), slots.take("c")) == (3, 1, 4)
    assert slots.take("d") == 0
