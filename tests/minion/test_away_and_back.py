"""What is promised of a job when connections, daemons and masters come and go."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ctl.common import handshake, wire
from ctl.common.config import MinionConfig
from ctl.common.crypto import IdentityKey
from ctl.common.errors import RequestRefused
from ctl.minion.daemon import Minion
from ctl.minion.helper_process import Helper
from ctl.minion.store import open_store

from .conftest import FakeMaster, until

Make = Callable[..., MinionConfig]


async def _connected(minion: Minion, seconds: float = 20.0) -> None:
    await asyncio.wait_for(minion.connected.wait(), seconds)


async def _open(identity: IdentityKey, ports: tuple[int, int]) -> FakeMaster:
    """Open a master on ports that another has just given up, which ZeroMQ does in its own time."""
    for _ in range(200):
        try:
            return FakeMaster(identity, *ports)
        except OSError:
            await asyncio.sleep(0.02)
    return FakeMaster(identity, *ports)


def test_a_job_starts_once_however_often_it_comes(make_config: Make, helper: Helper, tmp_path: Path) -> None:
    async def main() -> None:
        target = tmp_path / "count"
        async with FakeMaster() as master:
            config = make_config(master=[master.address])
            async with Minion(config, helper) as minion:
                await _connected(minion)
                jid = master.job("probe.append", str(target))
                await master.wait_return(jid)
                master.publish(master.log[-1][1])
                master.publish(master.log[-1][1])
                await master.wait_return(master.job("probe.ping"))
            async with Minion(config, helper) as minion:  # after a restart, too
                await _connected(minion)
                master.answers["catch_up"] = {"jobs": [[1, wire.pack(master.log[0][1])]], "head": 2, "more": False}
                master.publish(master.log[0][1])
                await master.wait_return(master.job("probe.ping"))
        assert target.read_text() == "x"

    asyncio.run(main())


def test_a_job_published_while_away_runs_when_back(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        async with FakeMaster() as master:
            config = make_config(master=[master.address])
            async with Minion(config, helper) as minion:
                await _connected(minion)
                await master.wait_return(master.job("probe.ping"))
            missed = master.job("probe.ping", publish=False)
            late = master.job("probe.ping", publish=False, expires_ms=master.now_ms() - 1)
            async with Minion(config, helper) as minion:
                await _connected(minion)
                assert (await master.wait_return(missed))["success"]
                assert master.calls("catch_up")[-1]["offset"] == 1
            assert late not in master.returns()
            assert minion.ledger is not None

    asyncio.run(main())


def test_a_lost_publication_is_found_by_the_gap_and_by_the_heartbeat(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        async with FakeMaster() as master, Minion(make_config(master=[master.address]), helper) as minion:
            await _connected(minion)
            lost = master.job("probe.ping", publish=False)
            seen = master.job("probe.ping")
            await master.wait_return(seen)
            await master.wait_return(lost)
            lost = master.job("probe.ping", publish=False)
            master.heartbeat()
            await master.wait_return(lost)
            calls = len(master.calls("catch_up"))
            master.heartbeat()
            await master.wait_return(master.job("probe.ping"))
            assert len(master.calls("catch_up")) == calls  # nothing was missing

    asyncio.run(main())


def test_a_new_epoch_is_fetched_and_what_it_hid_is_caught_up(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        async with FakeMaster() as master, Minion(make_config(master=[master.address]), helper) as minion:
            await _connected(minion)
            master.rotate()
            first = master.job("probe.ping")
            await master.wait_return(first)
            assert len(master.calls("group_get")) == 1
            await master.wait_return(master.job("probe.ping"))
            assert len(master.calls("group_get")) == 1

    asyncio.run(main())


def test_jobs_for_others_do_not_run_and_move_the_offset(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        async with FakeMaster() as master:
            config = make_config(master=[master.address])
            async with Minion(config, helper) as minion:
                await _connected(minion)
                other = master.job("probe.ping", slots=b"\x01")
                await master.wait_return(master.job("probe.ping"))
                assert other not in master.returns()
            async with Minion(config, helper) as minion:
                await _connected(minion)
                assert master.calls("catch_up")[-1]["offset"] == 2

    asyncio.run(main())


def test_a_target_that_no_longer_matches_is_refused(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        async with FakeMaster() as master, Minion(make_config(master=[master.address]), helper) as minion:
            await _connected(minion)
            for tgt, kind, matches in (
                ("id:m1", "grain", True),
                ("id:other", "grain", False),
                ("role:web", "pillar", True),
                ("G@id:m1 and I@role:db", "compound", False),
            ):
                answer = await master.wait_return(master.job("probe.ping", tgt=tgt, tgt_type=kind))
                assert (answer["state"] == "returned") is matches, tgt
                assert matches or ("no longer matches" in answer["reason"] and answer["state"] == "refused")

    asyncio.run(main())


def test_a_return_is_sent_again_until_the_master_has_it(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        async with FakeMaster() as master:
            config = make_config(master=[master.address], shutdown_seconds=1.6)
            master.silent.add("return")
            async with Minion(config, helper) as minion:
                await _connected(minion)
                jid = master.job("probe.ping")
                await master.wait_return(jid)  # heard, not confirmed
                await until(lambda: _stored(minion, jid), what="the return on disk")
            master.silent.clear()
            master.heard.clear()
            async with Minion(config, helper) as minion:
                await _connected(minion)
                assert (await master.wait_return(jid))["state"] == "returned"
                await until(lambda: not len(minion.outbox), what="the outbox to be empty")

    asyncio.run(main())


def _stored(minion: Minion, jid: str) -> bool:
    return bool(minion.outbox._database.read("SELECT jid FROM outbox WHERE jid=?", (jid,)))


def test_a_return_that_the_master_will_never_take_is_dropped(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        async with FakeMaster() as master, Minion(make_config(master=[master.address]), helper) as minion:
            await _connected(minion)
            master.answers["return"] = RequestRefused("unknown_job", "there is no such job")
            jid = master.job("probe.ping")
            await master.wait_return(jid)
            await until(lambda: not len(minion.outbox))

    asyncio.run(main())


def test_a_job_of_a_minion_that_died_is_reported_interrupted(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        async with FakeMaster() as master:
            config = make_config(master=[master.address])
            async with Minion(config, helper) as minion:
                await _connected(minion)
                jid = master.job("probe.ping")
                await master.wait_return(jid)
            database = open_store(config.data_dir / "minion")
            database.write_now(lambda cursor: cursor.execute("UPDATE ledger SET state='started'"))
            database.close()
            master.heard.clear()
            async with Minion(config, helper) as minion:
                await _connected(minion)
                answer = await master.wait_return(jid)
            assert (answer["state"], answer["fun"]) == ("interrupted", "probe.ping")
            assert "not known" in answer["reason"]

    asyncio.run(main())


def test_a_master_that_forgot_the_session_gets_a_new_handshake(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        async with (
            FakeMaster() as master,
            Minion(make_config(master=[master.address], keepalive_seconds=0.3), helper) as minion,
        ):
            await _connected(minion)
            registered = len(master.calls("register"))
            master.forget_sessions()
            await until(lambda: master.handshakes == 2, what="the second handshake")
            await until(lambda: len(master.calls("register")) > registered, what="another registration")
            await master.wait_return(master.job("probe.ping"))

    asyncio.run(main())


def test_new_keys_are_made_in_time_and_what_is_under_way_is_answered(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        async with FakeMaster() as master:
            master.params = {"rekey_seconds": 1.0}
            async with Minion(make_config(master=[master.address]), helper) as minion:
                await _connected(minion)
                master.params = {}
                registered = len(master.calls("register"))
                jids = []
                while master.handshakes == 1 or len(master.calls("register")) == registered:
                    jids.append(master.job("probe.ping"))
                    await asyncio.sleep(0.1)
                for jid in jids:
                    assert (await master.wait_return(jid))["success"]
                assert minion.connected.is_set()
                assert len(master.calls("return")) == len(jids)

    asyncio.run(main())


def test_a_restarted_master_has_its_minion_back(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        identity = IdentityKey.generate()
        master = FakeMaster(identity)
        ports = master.router.port, master.publisher.port
        async with Minion(make_config(master=[master.address]), helper) as minion:
            await _connected(minion)
            master.close()
            await until(lambda: not minion.connected.is_set(), what="the loss to be noticed")
            async with await _open(identity, ports) as again:
                await _connected(minion)
                await again.wait_return(again.job("probe.ping"))

    asyncio.run(main())


def test_a_changed_key_is_refused_with_one_line_and_the_true_one_is_found_again(
    make_config: Make, helper: Helper, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        identity = IdentityKey.generate()
        master = FakeMaster(identity)
        ports = master.router.port, master.publisher.port
        settings = {"pin_backoff_min": 0.1, "pin_backoff_max": 0.2, "keepalive_seconds": 0.3}
        async with Minion(make_config(master=[master.address], **settings), helper) as minion:
            await _connected(minion)
            pins = minion.config.pki_dir / "trust.json"
            pinned = pins.read_text()
            master.close()
            async with await _open(IdentityKey.generate(), ports) as fake:
                await until(lambda: _pin_lines(caplog), what="the line about the key")
                await asyncio.sleep(0.5)
                assert fake.handshakes == 0
                assert pins.read_text() == pinned
            async with await _open(identity, ports) as again:
                await _connected(minion, 40)
                await again.wait_return(again.job("probe.ping"))
        (line,) = _pin_lines(caplog)
        assert fake.fingerprint in line
        assert master.fingerprint in line

    asyncio.run(main())


def _pin_lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.ERROR and "key" in record.message]


@pytest.mark.parametrize("status", [handshake.PENDING, handshake.REJECTED, handshake.DENIED])
def test_a_minion_that_is_not_accepted_keeps_asking(
    make_config: Make, helper: Helper, caplog: pytest.LogCaptureFixture, status: str
) -> None:
    async def main() -> None:
        async with FakeMaster() as master:
            master.status = status
            master.params = {"retry_after": 0.5}
            async with Minion(make_config(master=[master.address]), helper) as minion:
                await until(lambda: master.handshakes >= 2)
                master.status = handshake.ACCEPTED
                await _connected(minion)
        lines = [record.message for record in caplog.records if f"as {status}" in record.message]
        assert len(lines) == 1

    asyncio.run(main())


def test_a_nudge_ends_the_wait_for_acceptance(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        async with FakeMaster() as master:
            master.status = handshake.PENDING
            master.params = {"retry_after": 60.0}
            async with Minion(make_config(master=[master.address]), helper) as minion:
                await until(lambda: master.handshakes == 1)
                await asyncio.sleep(0.1)
                master.status = handshake.ACCEPTED
                master.router.send(master.routing_id, handshake.encode_hint(handshake.Nudge(os.urandom(16))))
                master.router.send(master.routing_id, handshake.encode_hint(handshake.Nudge(master.hsid)))
                await _connected(minion, 5)

    asyncio.run(main())


def test_the_next_master_is_tried_where_one_does_not_answer(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        async with FakeMaster() as master:
            config = make_config(master=["no-such-host.invalid:1", master.address])
            async with Minion(config, helper) as minion:
                await _connected(minion, 60)
                await master.wait_return(master.job("probe.ping"))

    asyncio.run(main())


def test_garbage_changes_nothing(make_config: Make, helper: Helper) -> None:
    async def main() -> None:
        async with FakeMaster() as master, Minion(make_config(master=[master.address]), helper) as minion:
            await _connected(minion)
            good = master._publisher_packets.publish(99, b"x")
            for packet in (b"", b"G", os.urandom(200), good[:-1], good[:60] + os.urandom(len(good) - 60)):
                master.send_packet(packet)
            for frame in (b"", b"CTL1", b"CTL1\x11" + os.urandom(100), b"CTL1\x02\0\0\1" + os.urandom(200)):
                master.router.send(master.routing_id, frame)
            sid = next(iter(master._sessions))
            for _ in range(100):  # hints in clear text: at most one handshake comes of them
                master.router.send(master.routing_id, handshake.encode_hint(handshake.NoSession(sid)))
            await master.wait_return(master.job("probe.ping"))
            assert master.handshakes <= 2

    asyncio.run(main())
