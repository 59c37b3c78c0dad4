"""Keys and what follows from them: enrolment, nudges, and that a revoked key can read and do nothing any more."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from ctl.common.crypto import MINION, IdentityKey, fingerprint
from ctl.common.handshake import NoSession, Nudge
from ctl.common.wire import pack_payload


def test_a_new_key_waits_and_is_nudged_when_it_is_accepted(run_house: Any, eventually: Any) -> None:
    async def scenario(house: Any) -> None:
        peer = house.peer("web1")
        peer.open()
        assert await peer.shake() == "pending"
        assert 0.5 < peer.params["retry_after"] < 300
        listed = await house.call("key.list")
        assert listed["pending"]["web1"][0][:2] == [fingerprint(MINION, peer.identity.public), "127.0.0.1"]
        assert (await house.call("key.accept", match="web1"))["ids"][0][0] == "web1"
        await eventually(lambda: any(isinstance(hint, Nudge) for hint in peer.hints))
        assert await peer.shake() == "accepted"

    run_house(scenario, auto_accept=False)


def test_another_key_for_the_id_is_denied_and_the_first_one_does_not_notice(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        thief = house.peer("web1")
        thief.open()
        assert await thief.shake() == "denied"
        assert "web1" in house.master.desk.presence
        assert await peer.ask("keepalive", jids=[])
        assert "web1" in (await house.call("key.list"))["denied"]

    run_house(scenario)


@pytest.mark.parametrize("how", ["reject", "delete"])
def test_a_revoked_minion_that_keeps_its_connections_reads_and_does_nothing(
    run_house: Any, eventually: Any, how: str
) -> None:
    async def scenario(house: Any) -> None:
        good, bad = await house.join("good", "bad")
        waiting = await house.start("bad")
        started = time.monotonic()
        include = ["accepted"] if how == "reject" else []
        await house.call(f"key.{how}", match="bad", include=include)
        assert time.monotonic() - started < 1.0
        assert await house.states(waiting) == {"bad": "not delivered"}
        seen, packets = len(bad.jobs), len(bad.packets)
        good.adopt(await good.ask("group_get"))
        jid = await house.start("*")
        await good.job()
        assert (len(bad.jobs), len(bad.packets)) == (seen, packets)  # its connections were cut
        frame, counter = bad.session.request("catch_up", {"offset": 0})
        bad.session.forget(counter)
        bad.send(frame)
        await eventually(lambda: NoSession(bad.session.sid) in bad.hints)
        assert await house.states(jid) == {"good": "sent"}
        assert "bad" not in house.master.desk.presence
        assert "bad" not in house.master.desk.grains

    run_house(scenario)


def test_a_rejected_key_is_told_so(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        await house.call("key.reject", fingerprint=fingerprint(MINION, peer.identity.public))
        assert await peer.shake() == "rejected"
        assert peer.params["retry_after"] > 10

    run_house(scenario)


def test_the_next_holder_of_an_id_gets_nothing_of_the_one_before(run_house: Any) -> None:
    """S36."""

    async def scenario(house: Any) -> None:
        (old,) = await house.join("web1")
        await house.leave(old)
        await house.start("web1")
        await house.call("key.delete", match="web1")
        new = house.peer("web1")
        new.open()
        assert await new.shake() == "accepted"
        assert house.master.desk.grains.get("web1") == {}
        assert (await new.ask("catch_up", offset=0))["jobs"] == []

    run_house(scenario)


def test_revocations_at_once_share_an_epoch(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        await house.join(*(f"m{number}" for number in range(6)))
        before = house.master.desk.publications.epoch_id
        epochs = set()

        async def one(number: int) -> None:
            await house.call("key.delete", match=f"m{number}")
            epochs.add(house.master.desk.publications.epoch_id)

        await asyncio.gather(*(one(number) for number in range(6)))
        assert before not in epochs
        assert house.master.desk.keys.accepted_ids() == ()

    run_house(scenario)


def test_a_key_can_be_accepted_before_its_minion_comes(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        key = IdentityKey.generate()
        await house.call("key.preseed", id="web1", public=key.public)
        await house.peer("web1", identity=key).join()
        found = await house.call("key.finger", match="*")
        assert found == {"web1": fingerprint(MINION, key.public), "master": house.master.fingerprint}
        assert "PUBLIC KEY" in (await house.call("key.print", match="web*"))["web1"]

    run_house(scenario, auto_accept=False)


def test_a_subscriber_that_shows_no_session_receives_nothing(run_house: Any, eventually: Any) -> None:
    async def scenario(house: Any) -> None:
        (good,) = await house.join("good")
        tap = house.peer("tap")
        await tap.subscribe(b"G", b"", b"S", b"S" + bytes(32), good.session.topic()[:17] + bytes(16))
        await asyncio.sleep(0.1)
        for _ in range(3):
            await house.start()
        await eventually(lambda: len(good.jobs) == 3)
        await asyncio.sleep(0.1)
        assert tap.packets == []

    run_house(scenario)


def test_a_new_epoch_is_learnt_from_the_session(run_house: Any, eventually: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        house.master.desk.publications.rotate()
        jid = await house.start()
        await eventually(lambda: house.master.desk.publications.published == 1)
        assert not peer.jobs
        peer.adopt(await peer.ask("group_get"))
        ((_, body),) = (await peer.ask("catch_up", offset=0))["jobs"]
        assert jid.encode() in body
        await house.start()
        assert (await peer.job())["log_off"] == 2

    run_house(scenario, direct_minions=0)


def test_a_register_after_the_key_is_gone_does_not_bring_it_back(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        frame, counter = peer.session.request("register", {"grains": pack_payload({"x": 1}), "versions": {}})
        peer.session.forget(counter)
        await house.call("key.delete", match="web1")
        peer.send(frame)
        await asyncio.sleep(0.1)
        assert "web1" not in house.master.desk.presence
        assert "web1" not in house.master.desk.grains

    run_house(scenario)
