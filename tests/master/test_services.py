"""What minions and clients get from the master beside jobs: files, pillar, runners, events."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from ctl.common import ipc, wire
from ctl.common.errors import JobError, JobTimeout


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# -- files


def test_files_are_found_listed_and_fetched_by_content(run_house: Any, refused: Any) -> None:
    async def scenario(house: Any) -> None:
        states = house.root / "states"
        write(states, "top.sls", "base: {}")
        write(states, "web/nginx.conf", "x" * 1000)
        (states / "link").symlink_to("top.sls")
        (peer,) = await house.join("web1")
        found = (await peer.ask("file_find", saltenv="base", paths=["web/nginx.conf", "nothing"]))["files"]
        digest, size, mode = found[0]
        assert digest == hashlib.sha256(b"x" * 1000).digest()
        assert (size, mode & 0o600, found[1]) == (1000, 0o600, None)
        part = {"saltenv": "base", "path": "web/nginx.conf", "digest": digest, "offset": 990, "length": 100}
        assert await peer.ask("file_chunk", **part) == {"data": b"x" * 10}
        assert (await peer.ask("file_list", saltenv="base"))["names"] == ["link", "top.sls", "web/nginx.conf"]
        assert (await peer.ask("file_list", saltenv="base", after="link", prefix=""))["names"][0] == "top.sls"
        assert (await peer.ask("file_list", saltenv="base", what="dirs"))["names"] == ["web"]
        assert (await peer.ask("file_list", saltenv="base", what="symlinks"))["names"] == [["link", "top.sls"]]
        write(states, "web/nginx.conf", "changed")
        with pytest.raises(refused) as caught:
            await peer.ask("file_chunk", **part)
        assert caught.value.code == "changed"

    run_house(scenario)


@pytest.mark.parametrize("path", ["../master/etc/ctl/pki/master.pem", "/etc/passwd", "a/../../x", "x\0y", "\\..\\x"])
@pytest.mark.parametrize("saltenv", ["base", "../..", "no/such"])
def test_no_path_leads_out_of_the_tree(run_house: Any, refused: Any, path: str, saltenv: str) -> None:
    """S03, S23, S32."""

    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        with pytest.raises(refused) as caught:
            await peer.ask("file_find", saltenv=saltenv, paths=[path])
        assert caught.value.code == "file"
        with pytest.raises(refused):
            await peer.ask("file_chunk", saltenv=saltenv, path=path, digest=bytes(32), offset=0, length=10)

    run_house(scenario)


def test_a_long_list_comes_in_pages(run_house: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("ctl.master.fileserver.PAGE_NAMES", 3)

    async def scenario(house: Any) -> None:
        for number in range(8):
            write(house.root / "states", f"f{number}", "")
        (peer,) = await house.join("web1")
        names: list[str] = []
        more = True
        while more:
            page = await peer.ask("file_list", saltenv="base", after=names[-1] if names else "")
            names, more = names + page["names"], page["more"]
        assert names == [f"f{number}" for number in range(8)]

    run_house(scenario)


# -- pillar


def test_each_minion_gets_its_own_pillar(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        write(
            house.root / "pillar",
            "top.sls",
            "base:\n  'web*':\n    - web\n  'G@os:Debian':\n    - match: compound\n    - deb\n",
        )
        write(house.root / "pillar", "web.sls", "who: {{ grains['id'] }}\nports: {80: http}\n")
        write(house.root / "pillar", "deb.sls", "apt: {{ salt['grains.get']('os') }}\n")
        web, db = house.peer("web1"), house.peer("db1")
        await web.join(os="Debian")
        await db.join(os="RedHat")
        answer = await web.ask("pillar", fresh=True)
        assert wire.unpack_payload(answer["payload"]) == {"who": "web1", "ports": {80: "http"}, "apt": "Debian"}
        assert wire.unpack_payload((await db.ask("pillar", fresh=True))["payload"]) == {}
        live = await db.ask("pillar", fresh=True, grains=wire.pack_payload({"id": "web1", "os": "Debian"}))
        assert wire.unpack_payload(live["payload"]) == {"apt": "Debian"}
        over = await web.ask("pillar", override=wire.pack_payload({"who": "me"}))
        assert wire.unpack_payload(over["payload"])["who"] == "me"
        items = await house.publish("who:web1", tgt_type="pillar")
        assert items[-1][1]["minions"] == ["web1"]

    run_house(scenario)


def test_pillar_from_memory_until_a_fresh_one_is_asked_for(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        write(house.root / "pillar", "top.sls", "base:\n  '*':\n    - a\n")
        write(house.root / "pillar", "a.sls", "n: 1\n")
        (peer,) = await house.join("web1")

        async def number(**args: Any) -> Any:
            return wire.unpack_payload((await peer.ask("pillar", **args))["payload"])["n"]

        assert await number() == 1
        write(house.root / "pillar", "a.sls", "n: 2\n")
        assert await number() == 1
        assert await number(fresh=True) == 2
        assert await number() == 2

    run_house(scenario)


def test_a_large_pillar_comes_in_chunks_to_its_minion_only(run_house: Any, refused: Any) -> None:
    async def scenario(house: Any) -> None:
        write(house.root / "pillar", "top.sls", "base:\n  'web*':\n    - a\n")
        write(house.root / "pillar", "a.sls", "big: '" + "z" * 1_200_000 + "'\n")
        web, other = await house.join("web1", "db1")
        answer = await web.ask("pillar", fresh=True)
        with pytest.raises(refused) as caught:
            await other.ask("pillar_chunk", handle=answer["handle"], offset=0)
        assert caught.value.code == "unknown_handle"
        data = b""
        while len(data) < answer["size"]:
            data += (await web.ask("pillar_chunk", handle=answer["handle"], offset=len(data)))["data"]
        assert len(wire.unpack_payload(data)["big"]) == 1_200_000

    run_house(scenario)


def test_a_mistake_in_pillar_is_in_the_pillar(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        write(house.root / "pillar", "top.sls", "base:\n  '*':\n    - broken\n")
        write(house.root / "pillar", "broken.sls", "a: {{ nothing.at.all }}\n")
        (peer,) = await house.join("web1")
        answer = await peer.ask("pillar", fresh=True)
        (problem,) = wire.unpack_payload(answer["payload"])["_errors"]
        assert "broken.sls:1" in problem

    run_house(scenario)


def test_pillar_cannot_run_commands_on_the_master(run_house: Any) -> None:
    """S11: templates on the master compute, and neither run nor write anything."""

    async def scenario(house: Any) -> None:
        write(house.root / "pillar", "top.sls", "base:\n  '*':\n    - bad\n")
        (peer,) = await house.join("web1")
        for text in (
            "{{ salt['cmd.run']('touch " + str(house.root / "pwned") + "') }}",
            "{{ salt.cmd.run('touch " + str(house.root / "pwned") + "') }}",
            "{{ ''.__class__.__mro__[1].__subclasses__() }}",
            "{{ 'a' * 10**10 }}",
        ):
            write(house.root / "pillar", "bad.sls", f'x: "{text}"\n'.replace('"', "", 0))
            answer = wire.unpack_payload((await peer.ask("pillar", fresh=True))["payload"])
            assert answer.get("_errors"), text
        assert not (house.root / "pwned").exists()

    run_house(scenario)


def test_a_template_without_end_is_ended_and_others_go_on(run_house: Any, refused: Any) -> None:
    async def scenario(house: Any) -> None:
        write(house.root / "pillar", "top.sls", "base:\n  'slow':\n    - slow\n  'web1':\n    - ok\n")
        write(
            house.root / "pillar",
            "slow.sls",
            "x: {% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}\n",
        )
        write(house.root / "pillar", "ok.sls", "x: 1\n")
        slow, web = await house.join("slow", "web1")
        with pytest.raises(refused) as caught:
            await slow.ask("pillar", fresh=True)
        assert caught.value.code == "timeout"
        assert wire.unpack_payload((await web.ask("pillar", fresh=True))["payload"]) == {"x": 1}

    run_house(scenario, render_timeout=2.0, worker_count=1)


# -- workers


def test_a_worker_that_dies_is_an_error_and_is_replaced(run_house: Any, tmp_path: Path) -> None:
    asleep = tmp_path / "asleep"
    runner = f"import pathlib, time\n\ndef sleep():\n    pathlib.Path({str(asleep)!r}).touch()\n    time.sleep(60)\n"
    write(tmp_path / "runners", "sleepy.py", runner)

    async def scenario(house: Any) -> None:
        pool = house.master.desk.workers
        sleep = {"op": "run", "fun": "sleepy.sleep", "payload": wire.pack_payload({"arg": [], "kwarg": {}})}
        assert await house.run("manage.up") == []
        (worker,) = pool._all
        worker.process.kill()
        worker.process.wait()
        assert await house.run("manage.up") == []
        (worker,) = pool._all
        asked = asyncio.ensure_future(pool.request(sleep, timeout=20.0))
        while not asleep.exists():
            await asyncio.sleep(0.01)
        worker.process.kill()
        with pytest.raises(JobError, match="died"):
            await asked
        with pytest.raises(JobTimeout):
            await pool.request(sleep, timeout=0.5)
        assert await house.run("manage.up") == []

    run_house(scenario, runner_dirs=[str(tmp_path / "runners")])


def test_idle_workers_retire(run_house: Any, eventually: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("ctl.master.workers.IDLE_SECONDS", 0.2)

    async def scenario(house: Any) -> None:
        await house.run("manage.up")
        assert len(house.master.desk.workers) == 1
        await eventually(lambda: len(house.master.desk.workers) == 0)

    run_house(scenario)


# -- runners


def test_runners_show_jobs(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        web, db = await house.join("web1", "db1")
        jid = await house.start()
        await web.job()
        active = await house.run("jobs.active")
        assert active[jid]["Function"] == "test.ping"
        assert active[jid]["Returned"] == []
        await web.give(jid, {"a": 1})
        assert (await house.run("jobs.active"))[jid]["Returned"] == ["web1"]
        assert await house.run("jobs.lookup_jid", jid) == {"web1": {"a": 1}}
        assert await house.run("jobs.exit_success", jid) == {"db1": False, "web1": True}
        await db.give(jid, "no", retcode=2, success=False)
        assert await house.run("jobs.active") == {}
        shown = await house.run("jobs.list_job", jid)
        assert shown["Minions"] == ["db1", "web1"]
        assert shown["Result"]["db1"] == {"return": "no", "retcode": 2, "success": False}
        assert list(await house.run("jobs.list_jobs")) == [jid]
        assert list(await house.run("jobs.last_run")) == [jid]
        assert await house.run("jobs.list_jobs", search_function="cmd.run") == {}

    run_house(scenario)


def test_runners_show_minions_and_grains(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        web, down = house.peer("web1"), house.peer("down")
        await web.join(os="Debian", ctlversion="0.0.1")
        await down.join(os="RedHat")
        await house.leave(down)
        assert await house.run("manage.status") == {"up": ["web1"], "down": ["down"]}
        assert await house.run("manage.up") == ["web1"]
        assert await house.run("manage.down") == ["down"]
        versions = await house.run("manage.versions")
        assert versions["Minion requires update"] == {"web1": "0.0.1"}
        grains = await house.run("cache.grains", "os:Red*", tgt_type="grain")
        assert grains == {"down": {"id": "down", "os": "RedHat"}}
        assert await house.run("cache.pillar") == {"web1": {}, "down": {}}

    run_house(scenario)


def test_runners_have_manuals(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        manuals = await house.run("sys.doc")
        assert {"jobs.active", "manage.up", "sys.doc"} <= set(manuals)
        assert set(await house.run("sys.doc", "cache", "jobs.last*")) >= {"cache.grains", "jobs.last_run"}
        assert await house.run("sys.doc", "nothing") == {}
        assert await house.run("sys.list_runners", "m*") == ["manage"]
        assert "jobs.active" in await house.run("sys.list_functions", "jobs")
        spec = await house.run("sys.argspec", "jobs.list_jobs")
        assert spec["jobs.list_jobs"]["args"] == ["search_function", "search_target", "count"]

    run_house(scenario)


def test_a_runner_that_fails_says_so(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        for fun, arguments, words in (
            ("jobs.lookup_jid", ["2" * 20], "no job"),
            ("jobs.actve", [], "did you mean jobs.active"),
            ("jobs.active", ["too", "many"], "jobs.active: takes no arguments, and 2 were given"),
            ("jobs", [], "it has jobs.active"),
            ("nothing.here", [], "ctl-run -d lists what is there"),
        ):
            payload = wire.pack_payload({"fun": fun, "arg": arguments, "kwarg": {}})
            result = await house.call("run", fun=fun, payload=payload)
            assert (result["success"], result["retcode"]) == (False, 1)
            assert words in str(wire.unpack_payload(result["payload"]))

    run_house(scenario)


def test_a_runner_can_be_left_running(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        subscription = house.master.desk.events.subscribe(["salt/run/*"])
        payload = wire.pack_payload({"fun": "manage.up", "arg": [], "kwarg": {}})
        jid = (await house.call("run", fun="manage.up", payload=payload, follow=False))["jid"]
        assert (await subscription.next()).tag == f"salt/run/{jid}/new"
        event = await subscription.next()
        assert event.tag == f"salt/run/{jid}/ret"
        assert wire.unpack_payload(event.data)["success"] is True

    run_house(scenario)


# -- events


def test_events_tell_of_jobs_keys_and_minions(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        subscription = house.master.desk.events.subscribe(["salt/*"])
        (peer,) = await house.join("web1")
        jid = await house.start()
        await peer.job()
        peer.tell("progress", jid=jid, kind="state", data=wire.pack_payload({}))
        await peer.give(jid, 42)
        await house.leave(peer)
        await house.call("key.delete", match="web1")
        events = {event.tag: wire.unpack_payload(event.data) for event in subscription._queue}
        assert {
            "salt/auth", "salt/minion/web1/start", "salt/presence/change", f"salt/job/{jid}/new",
            f"salt/job/{jid}/prog/web1/1", f"salt/job/{jid}/ret/web1", "salt/key",
        } == events.keys()  # fmt: skip
        assert events[f"salt/job/{jid}/ret/web1"]["return"] == 42
        assert events[f"salt/job/{jid}/new"]["minions"] == ["web1"]
        assert events["salt/key"] | {"_stamp": ""} == {"id": "web1", "act": "delete", "result": True, "_stamp": ""}

    run_house(scenario)


def test_clients_stream_events(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        def listen() -> dict[str, Any]:
            with ipc.connect(house.master.socket_path, timeout=20) as client:
                _, data = next(iter(client.request("events", tags=["salt/minion/*"])))
                return dict(data)

        asked = asyncio.get_running_loop().run_in_executor(house.clients, listen)
        while not house.master.desk.events._subscriptions:
            await asyncio.sleep(0.01)
        await house.join("web1")
        assert (await asked)["tag"] == "salt/minion/web1/start"

    run_house(scenario)


def test_a_slow_listener_is_told_what_it_missed() -> None:
    from ctl.master.events import MAX_QUEUED, EventBus

    async def scenario() -> None:
        bus = EventBus()
        subscription = bus.subscribe([])
        for number in range(100_000):
            bus.fire("x", {"n": number})
        assert len(subscription._queue) == MAX_QUEUED
        tags = [(await subscription.next()).tag for _ in range(MAX_QUEUED)]
        assert set(tags) == {"x"}
        last = await subscription.next()
        assert last.tag == "salt/event/missed"
        assert wire.unpack_payload(last.data)["missed"] == 100_000 - MAX_QUEUED

    asyncio.run(scenario())


def test_data_of_an_event_is_made_only_where_somebody_listens() -> None:
    from ctl.master.events import EventBus

    async def scenario() -> None:
        bus = EventBus()
        made: list[int] = []

        def make() -> dict[str, Any]:
            made.append(1)
            return {}

        bus.fire("a", make)
        subscription = bus.subscribe(["b*"])
        bus.fire("a", make)
        assert not made
        bus.unsubscribe(subscription)

    asyncio.run(scenario())
