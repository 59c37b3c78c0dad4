"""B15, F22, F32, S36: a key that is taken away is worth nothing from the moment `ctl-key` returns."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ctl.common import crypto, wire
from ctl.common.errors import KeyTableError
from ctl.master.keys import KeyTable

RunFleet = Callable[..., None]
BROADCAST = {"direct_minions": 0}


def test_a_revoked_minion_reads_nothing_that_was_published_after_the_command_returned(
    run_fleet: RunFleet, hostile: Any, eventually: Any, lines: Any
) -> None:
    """B15: it keeps both connections, keeps asking, subscribes again, shakes hands again and again; a tap on it all."""

    async def scenario(fleet: Any) -> None:
        with hostile(fleet) as bad, hostile(fleet) as friend, contextlib.ExitStack() as stack:
            friend.id = "friend"
            await bad.join()
            await friend.join()
            group = bad.group
            await fleet.publish("m*", "test.ping")
            await eventually(lambda: len(bad.readable()) == len(friend.readable()) == 1)
            start = time.monotonic()
            await fleet.call("key.reject", match="hostile", include=["accepted"])
            took = time.monotonic() - start
            bad.packets.clear()
            friend.packets.clear()
            answered = len(bad.of_kind(wire.REPLY))
            stack.callback(bad.subscriber.close)
            bad.subscribe(b"G", bad.session.topic(), b"S", b"")
            published = 0
            for _ in range(5):
                published += 1
                assert len((await fleet.publish("m*", "test.ping")).returns) == 3
                bad.dealer.send(bad.session.request("group_get", {})[0])
                bad.dealer.send(bad.session.request("catch_up", {"offset": 0})[0])
            friend.group = await friend.ask("group_get")
            await eventually(lambda: len(friend.readable()) == published)
            assert bad.group == group
            assert bad.readable() == []
            assert len(bad.of_kind(wire.REPLY)) == answered  # hints at most, where a request found a connection at all
            assert not any(topic != b"G" and topic == bad.session.topic() for topic, _ in bad.packets)
            assert await bad.shake() == "rejected"
            assert bad.group is None
            assert took < 5.0
        assert lines.alarms() == []

    run_fleet(scenario, minions=3, **BROADCAST)


def test_a_job_in_the_moment_of_a_revocation_runs_once_on_all_others(
    run_fleet: RunFleet, hostile: Any, tmp_path: Path
) -> None:
    """F22, small."""
    ran = tmp_path / "ran"

    async def scenario(fleet: Any) -> None:
        with hostile(fleet) as bad:
            await bad.join()
            for number in range(4):
                job = fleet.publish("m*", "cmd.run", f"echo $PPID >> {ran}.{number}")
                if number == 1:
                    found, _ = await asyncio.gather(
                        job, fleet.call("key.reject", match="hostile", include=["accepted"])
                    )
                else:
                    fleet.master.desk.publications.rotate()
                    found = await job
                assert set(found.returns) == {"m1", "m2", "m3"}, (number, found.absent)

    run_fleet(scenario, minions=3, **BROADCAST)
    assert [len(Path(f"{ran}.{number}").read_text().split()) for number in range(4)] == [3] * 4


def test_the_next_holder_of_an_id_gets_nothing_of_the_one_before(run_fleet: RunFleet, hostile: Any) -> None:
    """S36."""

    async def scenario(fleet: Any) -> None:
        desk = fleet.master.desk
        with hostile(fleet, id="web1") as first:
            await first.join(role="db")
            pushed = await first.ask("file_push", name="secret", offset=0, size=4, data=b"mine")
            assert pushed == {"received": 4}
            area = fleet.master.config.cachedir / "master" / "minions" / "web1"
            assert (area / "files" / "secret").exists()
            await fleet.publish("web1", "test.ping", timeout=0.3)  # it never answers: the job is open
            await fleet.call("key.delete", match="web1")
            assert "web1" not in desk.grains
            assert not area.exists()
            with hostile(fleet, id="web1") as second:
                await second.join()
                assert (await second.ask("catch_up", offset=0))["jobs"] == []
                assert "role" not in desk.grains.get("web1")
                first.dealer.send(first.session.request("keepalive", {"jids": []})[0])
                await first._next(wire.NOSESSION, 0)
                assert await first.shake() == "denied"

    run_fleet(scenario, minions=0, file_recv=True)


def test_changes_by_many_at_once_leave_the_state_of_the_last_one_in_memory_and_on_disk(tmp_path: Path) -> None:
    """F32, small: ten threads, whatever they do."""
    table = KeyTable(tmp_path / "keys.db", pending_per_source=1e6)
    publics = [crypto.IdentityKey.generate().public for _ in range(3)]
    for public in publics:
        table.claim("web1", public, "10.0.0.1")
    prints = [crypto.fingerprint(crypto.MINION, public) for public in publics]
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        dice = random.Random(seed)
        try:
            for _ in range(30):
                what = dice.choice([table.accept, table.reject, table.delete])
                with contextlib.suppress(KeyTableError):
                    what(fingerprint=dice.choice(prints))
                table.claim("web1", dice.choice(publics), "10.0.0.1")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    in_memory = table.all()
    table.close()
    again = KeyTable(tmp_path / "keys.db")
    try:
        assert [(key.public, key.state) for key in again.all()] == [(key.public, key.state) for key in in_memory]
        assert sum(key.state in ("accepted", "pending") for key in in_memory) <= 1
    finally:
        again.close()


def test_a_flood_of_new_keys_stays_within_its_limits_and_the_true_minion_enrols(tmp_path: Path, caplog: Any) -> None:
    """B06: 3,000 keys from as many addresses."""
    table = KeyTable(tmp_path / "keys.db", max_pending=200)
    try:
        table.claim("web1", b"w" * 32, "192.0.2.1")
        table.note_after = time.time() + 1  # a second look is noted, however short ago the first was
        table.claim("web1", b"w" * 32, "192.0.2.1")
        for number in range(3000):
            table.claim(f"x{number}", number.to_bytes(32, "big"), f"10.{number >> 8}.{number & 255}.1")
        listed = table.list()
        assert len(listed["pending"]) == 200
        assert "web1" in listed["pending"], "who came again stays"
        assert len([r for r in caplog.records if "give way" in r.getMessage()]) == 1
        assert table.accept("web1")[0].after is not None
        assert (tmp_path / "keys.db").stat().st_size < 1 << 20
    finally:
        table.close()
