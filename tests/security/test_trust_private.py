"""A3, S12: what of a job other minions and readers of the job cache can see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ctl.client.local import LocalClient
from ctl.common.wire import unpack_payload

RunFleet = Callable[..., None]
CANARY = "cAnArY-7f3b"
BROADCAST = {"direct_minions": 0}  # every job goes to everybody's eyes


async def seen_by(peer: Any) -> str:
    """Return everything that an accepted minion has got and can read, as text."""
    return repr(peer.readable()) + repr(peer.packets) + repr(peer.frames)


def test_a_private_job_reaches_its_minion_and_no_other_accepted_one_can_read_it(
    run_fleet: RunFleet, hostile: Any, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        with hostile(fleet) as insider:
            await insider.join()
            open_one = await fleet.publish("m1", "test.echo", f"open {CANARY}")
            await eventually(lambda: len(insider.readable()) == 1)
            assert CANARY in repr(insider.readable()), "else this test looks at nothing"
            assert open_one.returns == {"m1": f"open {CANARY}"}
            insider.packets.clear()
            found = await fleet.publish("m1", "test.echo", CANARY, private=True, metadata=None)
            assert found.returns == {"m1": CANARY}
            await eventually(lambda: len(insider.readable()) == 1)
            (told,) = insider.readable()
            assert (told["jid"], told["payload"], len(told["digest"])) == (found.jid, b"", 32)
            assert "test.echo" not in repr(told)
            answer = await insider.ask("catch_up", offset=0)
            assert answer["jobs"] == []
            assert CANARY not in repr(answer) + await seen_by(insider)

    run_fleet(scenario, **BROADCAST)


def test_large_arguments_are_for_those_alone_who_are_meant(run_fleet: RunFleet, hostile: Any, eventually: Any) -> None:
    async def scenario(fleet: Any) -> None:
        with hostile(fleet) as insider:
            await insider.join()
            large = CANARY * 8000
            found = await fleet.publish("m1", "test.echo", large)
            assert found.returns == {"m1": large}
            await eventually(lambda: len(insider.readable()) == 1)
            assert CANARY not in await seen_by(insider)

    run_fleet(scenario, **BROADCAST)


def test_secret_arguments_are_masked_wherever_jobs_are_shown(
    run_fleet: RunFleet, hostile: Any, eventually: Any, lines: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        events = fleet.master.desk.events.subscribe(["salt/job/*/new"])
        with hostile(fleet) as insider:
            await insider.join()
            found = await fleet.publish("m1", "shadow.gen_password", CANARY)  # its annotation says so
            assert found.returns["m1"].startswith("$6$")
            by_name = await fleet.publish("m1", "test.kwarg", kwarg={"db_password": CANARY, "plain": 1})
            marked = await fleet.publish("m1", "test.arg", "first", CANARY, secret=["1"])
            assert marked.returns["m1"]["args"] == ["first", CANARY]
            inside = await fleet.publish("m1", "test.kwarg", kwarg={"pillar": {"app": {"token": CANARY}}})
            for job in (found, by_name, marked, inside):
                one = await fleet.call("job.get", jid=job.jid)
                assert "*****" in repr(unpack_payload(one["arg"])) + repr(unpack_payload(one["kwarg"]))
                assert CANARY not in repr(one)
                assert CANARY not in repr((await events.next()).data)
            listed = await fleet.run("jobs.list_jobs")
            assert CANARY not in repr(listed)
            assert CANARY not in await seen_by(insider)
        hidden = "SELECT count(*) FROM hidden"  # what is over needs its secrets no more
        await eventually(lambda: fleet.master.desk.store._database.read(hidden) == [(0,)])
        assert all(CANARY not in record.getMessage() for record in lines._caplog.records)

    run_fleet(scenario, **BROADCAST)


def test_a_secret_job_that_waits_for_its_minion_survives_a_restart_of_the_master(
    run_fleet: RunFleet, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        await fleet.drop("m1")
        with_client = LocalClient(mopts={"root_dir": fleet.master.config.root_dir})
        try:
            jid = await fleet.in_thread(
                lambda: with_client.cmd_async("m1", "shadow.gen_password", [CANARY], private=True)
            )
        finally:
            with_client.close()
        await fleet.restart_master()
        await fleet.add("m1")
        await fleet.connected("m1")
        store = fleet.master.desk.store
        await eventually(lambda: store.ends(jid), 20)
        (end,) = store.ends(jid)
        assert unpack_payload(end.payload).startswith("$6$")
        assert CANARY not in repr(store.job(jid))

    run_fleet(scenario)
