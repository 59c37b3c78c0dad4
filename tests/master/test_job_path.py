"""The way of a job through the master: log, publication, returns, catch-up, restarts. Every job gets a stated end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ctl.common import wire
from ctl.common.errors import NoMinions, RemoteError, TargetError


def kinds(items: list[tuple[str, Any]]) -> list[str]:
    return [kind for kind, _ in items]


def test_a_job_is_published_returned_and_told(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        asked = asyncio.ensure_future(house.publish(follow=True, progress=True))
        body = await peer.job()
        peer.tell("ack", jids=[body["jid"]])
        peer.tell("progress", jid=body["jid"], kind="state", data=wire.pack_payload({"n": 1}))
        assert await peer.give(body["jid"], {80: "x"}) == {"stored": True}
        items = await asked
        assert kinds(items) == ["job", "ack", "progress", "return", "result"]
        assert items[0][1] == {"jid": body["jid"], "minions": [["web1", True]]}
        assert wire.unpack_payload(items[3][1]["payload"]) == {80: "x"}
        assert items[4][1]["returned"] == ["web1"]
        assert wire.unpack_payload(body["payload"]) == {"fun": "test.ping", "arg": [], "kwarg": {}}
        assert body["slots"] == b""  # it came to this minion alone

    run_house(scenario)


def test_a_job_for_more_than_a_few_is_published_to_all(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        peers = await house.join("web1", "web2", "web3")
        jid = await house.start("web[12]")
        bodies = [await peer.job() for peer in peers[:2]]
        assert {body["jid"] for body in bodies} == {jid}
        assert bodies[0]["epoch"] == peers[0].group[0]
        assert house.master.desk.publications.published == 1
        assert not peers[2].jobs

    run_house(scenario, direct_minions=1)


def test_a_jid_in_a_clients_hand_is_on_disk(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        await house.join("web1")
        jid = await house.start()
        assert house.master.desk.store.job(jid) is not None

    run_house(scenario)


def test_nothing_matched_is_said_and_makes_no_job(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        with pytest.raises(NoMinions):
            await house.publish("nobody")
        with pytest.raises(TargetError):
            await house.publish("G@", tgt_type="compound")
        assert house.master.desk.store.list_jobs(10) == []

    run_house(scenario)


def test_who_is_not_connected_is_named_at_once(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        up, down = await house.join("up", "down")
        await house.leave(down)
        asked = asyncio.ensure_future(house.publish(follow=True))
        body = await up.job()
        await up.give(body["jid"])
        items = await asked
        absent = [data for kind, data in items if kind == "absent"]
        assert absent == [{"id": "down", "reason": "Not connected", "state": "sent"}]
        assert items[-1][1]["missing"] == {"down": "Not connected"}

    run_house(scenario)


def test_silence_ends_the_wait_and_a_late_return_is_stored_all_the_same(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        items = await house.publish(follow=True, timeout=0.3)
        assert items[-1][1]["missing"] == {"web1": "No response"}
        jid = items[-1][1]["jid"]
        await peer.give(jid, "late")
        assert kinds(await house.stream("returns", jid=jid)) == ["return", "result"]

    run_house(scenario)


def test_a_running_job_is_waited_for(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        asked = asyncio.ensure_future(house.publish(follow=True, timeout=0.3))
        jid = (await peer.job())["jid"]
        peer.tell("ack", jids=[jid])
        for _ in range(5):
            await asyncio.sleep(0.2)
            await peer.ask("keepalive", jids=[jid])
        assert await house.states(jid) == {"web1": "running"}
        await peer.give(jid)
        assert (await asked)[-1][1]["returned"] == ["web1"]

    run_house(scenario)


def test_a_return_is_stored_once_and_the_first_one_stays(run_house: Any, refused: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        jid = await house.start()
        await peer.job()
        answers = await asyncio.gather(*(peer.give(jid, 0) for _ in range(20)))
        assert answers == [{"stored": True}] * 20
        with pytest.raises(refused) as caught:
            await peer.give(jid, 1)
        assert caught.value.code == "already_returned"
        returns = await house.stream("returns", jid=jid)
        assert [wire.unpack_payload(data["payload"]) for kind, data in returns if kind == "return"] == [0]

    run_house(scenario)


@pytest.mark.parametrize(("jid", "code"), [("2" * 20, "unknown_job"), ("", "not_expected")])
def test_a_return_that_nobody_expects_is_refused(run_house: Any, refused: Any, jid: str, code: str) -> None:
    async def scenario(house: Any) -> None:
        _, other = await house.join("a", "b")
        real = await house.start("a")
        with pytest.raises(refused) as caught:
            await other.give(jid or real, state="returned")
        assert caught.value.code == code
        assert await house.states(real) == {"a": "sent"}

    run_house(scenario)


@pytest.mark.parametrize("state", ["sent", "running", "not delivered", "x"])
def test_a_minion_cannot_state_what_is_no_end(run_house: Any, refused: Any, state: str) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("a")
        jid = await house.start()
        with pytest.raises(refused) as caught:
            await peer.give(jid, state=state)
        assert caught.value.code == "arguments"

    run_house(scenario)


def test_a_minion_that_was_away_gets_what_it_missed_in_order(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        await house.leave(peer)
        jids = [await house.start() for _ in range(3)]
        again = await house.peer("web1", identity=peer.identity).join()
        answer = await again.ask("catch_up", offset=0)
        bodies = [wire.unpack(body) for _, body in answer["jobs"]]
        assert [body["jid"] for body in bodies] == jids
        assert [offset for offset, _ in answer["jobs"]] == [1, 2, 3]
        assert (answer["head"], answer["more"]) == (3, False)
        assert all(body["slots"] == b"" for body in bodies)
        await again.give(jids[0])
        assert [offset for offset, _ in (await again.ask("catch_up", offset=0))["jobs"]] == [2, 3]
        assert [offset for offset, _ in (await again.ask("catch_up", offset=2))["jobs"]] == [3]

    run_house(scenario)


def test_what_a_minion_missed_comes_in_pages(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        payload = wire.pack_payload({"fun": "test.ping", "arg": ["x" * 200_000], "kwarg": {}})
        for _ in range(5):
            await house.call("publish", tgt="*", fun="test.ping", payload=payload)
        offset, seen, more = 0, [], True
        while more:
            answer = await peer.ask("catch_up", offset=offset)
            seen += [number for number, _ in answer["jobs"]]
            offset, more = seen[-1], answer["more"]
        assert seen == [1, 2, 3, 4, 5]

    run_house(scenario)


def test_others_jobs_are_not_caught_up_with(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        _, other = await house.join("a", "b")
        await house.start("a")
        assert (await other.ask("catch_up", offset=0)) == {"jobs": [], "head": 1, "more": False}
        assert not other.jobs

    run_house(scenario)


def test_a_window_that_closes_leaves_a_stated_end(run_house: Any, eventually: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("ctl.master.joblog.SETTLE_SECONDS", 0.1)

    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        await house.leave(peer)
        items = await house.publish(follow=True, wait=True, window=0.3)
        assert items[-1][1]["missing"] == {"web1": "Not delivered within its window"}
        jid = items[-1][1]["jid"]
        assert await house.states(jid) == {"web1": "not delivered"}
        again = await house.peer("web1", identity=peer.identity).join()
        assert (await again.ask("catch_up", offset=0))["jobs"] == []
        await again.give(jid, "it had come through after all")
        assert await house.states(jid) == {"web1": "returned"}

    run_house(scenario)


def test_without_a_queue_only_connected_minions_are_expected_to_run_it(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        up, down = await house.join("up", "down")
        await house.leave(down)
        asked = asyncio.ensure_future(house.publish(follow=True, window=0.0))
        body = await up.job()
        await up.give(body["jid"])
        assert (await asked)[-1][1]["missing"] == {"down": "Not connected"}
        again = await house.peer("down", identity=down.identity).join()
        assert (await again.ask("catch_up", offset=0))["jobs"] == []
        assert await house.states(body["jid"]) == {"down": "not delivered", "up": "returned"}

    run_house(scenario)


def test_a_repeated_request_gives_the_first_job(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        first = await house.start(request_id="abc")
        assert await house.start(request_id="abc") == first
        await peer.job()
        await peer.give(first)
        assert await house.start(request_id="abc") == first
        assert len(peer.jobs) == 1
        assert await house.start(request_id="abd") > first

    run_house(scenario)


def test_a_job_survives_the_master(run_house: Any, eventually: Any) -> None:
    async def scenario(house: Any) -> None:
        one, two, three = await house.join("one", "two", "three")
        jid = await house.start()
        await one.job()
        await one.give(jid, "stored")
        two.tell("ack", jids=[jid])
        await eventually(lambda: house.master.desk.joblog.active[jid].mark_of("two").state == "acknowledged")
        await house.restart()
        assert await house.states(jid) == {"one": "returned", "two": "acknowledged", "three": "sent"}
        again = await house.peer("three", identity=three.identity).join()
        assert [wire.unpack(body)["jid"] for _, body in (await again.ask("catch_up", offset=0))["jobs"]] == [jid]
        await again.give(jid)
        back = await house.peer("two", identity=two.identity).join()
        await back.give(jid, state="interrupted", reason="the minion was stopped", payload=b"")
        items = await house.stream("follow", jid=jid, timeout=1.0)
        assert [data["id"] for kind, data in items if kind == "return"] == ["one", "three", "two"]
        assert house.master.desk.joblog.active == {}
        assert await house.start() > jid

    run_house(scenario)


def test_after_a_restart_what_nobody_came_for_in_time_is_not_delivered(
    run_house: Any, eventually: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("ctl.master.joblog.SETTLE_SECONDS", 0.1)

    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        await house.leave(peer)
        jid = await house.start(window=0.05)
        await house.restart()
        await eventually(lambda: jid not in house.master.desk.joblog.active)
        assert await house.states(jid) == {"web1": "not delivered"}

    run_house(scenario)


def test_a_minion_that_does_not_know_a_job_any_more_has_interrupted_it(run_house: Any, eventually: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        jid = await house.start()
        await peer.job()
        peer.tell("ack", jids=[jid])
        await eventually(lambda: house.master.desk.joblog.active[jid].mark_of("web1").state == "acknowledged")
        await asyncio.sleep(0.5)
        await peer.ask("keepalive", jids=[])
        assert await house.states(jid) == {"web1": "interrupted"}
        await peer.give(jid, "here it is")
        assert await house.states(jid) == {"web1": "returned"}

    run_house(scenario, keepalive_seconds=0.1)


def test_a_large_return_comes_in_chunks_and_goes_out_in_parts(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        asked = asyncio.ensure_future(house.publish(follow=True, timeout=20.0))
        jid = (await peer.job())["jid"]
        payload = wire.pack_payload("0123456789abcdef" * 600_000)
        size, step = len(payload), 500_000
        starts = list(range(0, size, step))
        for start in [*starts[1:], starts[0], starts[3]]:
            data = payload[start : start + step]
            answer = await peer.ask("return_chunk", jid=jid, offset=start, size=size, data=data)
        assert answer == {"received": size}
        assert await peer.give(jid, payload=b"", size=size) == {"stored": True}
        items = await asked
        parts = [data["data"] for kind, data in items if kind == "part"]
        assert [kind for kind in kinds(items) if kind != "ack"] == ["job", "return", "part", "part", "part", "result"]
        assert b"".join(parts) == payload
        again = await house.stream("returns", jid=jid)
        assert b"".join(data["data"] for kind, data in again if kind == "part") == payload

    run_house(scenario)


def test_a_large_return_that_is_not_whole_is_asked_for_again(run_house: Any, refused: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        jid = await house.start()
        await peer.ask("return_chunk", jid=jid, offset=0, size=1000, data=b"x" * 500)
        with pytest.raises(refused) as caught:
            await peer.give(jid, payload=b"", size=1000)
        assert caught.value.code == "incomplete"
        with pytest.raises(refused):
            await peer.ask("return_chunk", jid=jid, offset=900, size=1000, data=b"x" * 500)

    run_house(scenario)


def test_a_return_of_a_few_hundred_kilobytes_is_a_file(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        jid = await house.start()
        await peer.give(jid, "y" * 400_000)
        (_, data), _ = await house.stream("returns", jid=jid)
        assert wire.unpack_payload(data["payload"]) == "y" * 400_000
        assert house.master.desk.store.end(jid, "web1").digest is not None

    run_house(scenario)


def test_a_return_that_cannot_be_stored_is_not_confirmed_and_counts_for_nothing(
    run_house: Any, refused: Any, monkeypatch: Any
) -> None:
    from ctl.common.errors import StorageError
    from ctl.master.store import broken

    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        jid = await house.start()
        with monkeypatch.context() as patch:
            patch.setattr(house.master.desk.store, "add_end", lambda *_: broken(StorageError("no space left")))
            with pytest.raises(refused) as caught:
                await peer.give(jid, "lost")
            assert caught.value.code == "storage"
        assert await house.states(jid) == {"web1": "sent"}
        await peer.give(jid, "kept")
        assert await house.states(jid) == {"web1": "returned"}

    run_house(scenario)


def test_a_job_that_cannot_be_stored_has_no_jid(run_house: Any, monkeypatch: Any) -> None:
    from ctl.common.errors import StorageError
    from ctl.master.store import broken

    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        with monkeypatch.context() as patch:
            patch.setattr(house.master.desk.store, "add_job", lambda *_: broken(StorageError("no space left")))
            with pytest.raises(StorageError, match="no space left"):
                await house.publish()
        await house.start()
        assert (await peer.job())["log_off"] == 1

    run_house(scenario)


def test_what_a_payload_runs_must_be_what_the_request_names(run_house: Any) -> None:
    """S18: authorised is what is run."""

    async def scenario(house: Any) -> None:
        await house.join("web1")
        for fun in ("cmd.run", ["test.ping", "cmd.run"]):
            payload = wire.pack_payload({"fun": fun, "arg": [], "kwarg": {}})
            with pytest.raises(Exception, match="does not name the function"):
                await house.call("publish", tgt="*", fun="test.ping", payload=payload)
        with pytest.raises(Exception, match="do not fit"):
            await house.call("publish", tgt="*", fun=b"test.ping", payload=b"")
        with pytest.raises(TargetError):
            await house.publish("")
        with pytest.raises(TargetError):
            await house.publish([], tgt_type="list")

    run_house(scenario)


def test_jobs_are_published_in_the_order_of_the_log(run_house: Any, eventually: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        await asyncio.gather(*(house.start() for _ in range(50)))
        await eventually(lambda: len(peer.jobs) == 50)
        assert [body["log_off"] for body in peer.jobs] == list(range(1, 51))
        jids = [body["jid"] for body in peer.jobs]
        assert jids == sorted(set(jids))

    run_house(scenario)


def test_old_jobs_leave_the_cache_with_a_stated_end(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        jid = await house.start()
        await peer.job()
        peer.tell("ack", jids=[jid])
        last = await house.start()
        asked = asyncio.ensure_future(house.stream("follow", jid=jid, timeout=30.0))
        await asyncio.sleep(0.2)
        assert await house.master.desk.joblog.expire(-1.0) == 1
        assert "No word" in (await asked)[-1][1]["missing"]["web1"]
        with pytest.raises(Exception, match="no job"):
            await house.states(jid)
        assert await house.states(last)

    run_house(scenario)


def test_what_a_ctl_call_did_is_in_the_job_cache(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        call = house.peer("web1", identity=peer.identity, kind="call")
        call.open()
        await call.shake()
        fields = {"fun": "test.ping", "arg": wire.pack_payload({"fun": "test.ping", "arg": []})}
        answer = await call.ask("call_return", **fields, retcode=0, success=True, payload=wire.pack_payload(True))
        assert await house.states(answer["jid"]) == {"web1": "returned"}
        await house.start()
        assert (await peer.job())["log_off"] == 1

    run_house(scenario)


def test_another_user_may_do_nothing(run_house: Any, monkeypatch: Any) -> None:
    from ctl.common.ipc_server import Peer as IpcPeer

    async def scenario(house: Any) -> None:
        await house.join("web1")
        monkeypatch.setattr("ctl.common.ipc_server.peer_of", lambda _: IpcPeer(12345, 1, 1, "mallory", ()))
        from ctl.common.errors import AuthorizationError
        from ctl.master.clients import OPERATIONS

        for operation in OPERATIONS:
            with pytest.raises(AuthorizationError):
                await house.call(operation)

    run_house(scenario)


def test_an_operation_that_does_not_exist_is_refused(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        for name in ("__class__", "job", ""):
            with pytest.raises((RemoteError, Exception), match="no operation"):
                await house.call(name)

    run_house(scenario)
