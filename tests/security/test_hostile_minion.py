"""What a minion with an accepted key tries on its master and on others, over its own, perfectly good session."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ctl.common import ipc, wire
from ctl.common.wire import pack_payload, unpack_payload


async def start(fleet: Any, **options: Any) -> str:
    """Publish a job without following it; return its jid."""
    payload = pack_payload({"fun": "test.ping", "arg": [], "kwarg": {}})
    found = await fleet.call("publish", tgt="*", fun="test.ping", payload=payload, **options)
    return str(found["jid"])


def test_p12_grains_cannot_make_a_minion_somebody_else(run_hostile: Any, tmp_path: Path) -> None:
    """Pillar, targets and templates see the id of the session, and one line for every string."""
    pillar = tmp_path / "pillar"
    pillar.mkdir()
    (pillar / "top.sls").write_text("base:\n  '*': [who]\n")
    (pillar / "who.sls").write_text("by_grain: {{ grains['id'] }}\nos: '{{ grains.os }}'\n")
    lies = pack_payload({"id": "m1", "os": "x\nroot_key: mine", "list": ["a\x1b[31m"]})

    async def scenario(fleet: Any, bad: Any) -> None:
        assert await bad.ask("register", grains=lies) == {}
        assert fleet.master.desk.grains.get("hostile") == {
            "id": "hostile",
            "os": "x root_key: mine",
            "list": ["a [31m"],
        }
        for live in (None, lies):
            found = unpack_payload((await bad.ask("pillar", fresh=True, grains=live))["payload"])
            assert found == {"by_grain": "hostile", "os": "x root_key: mine"}
        with pytest.raises(Exception, match="No minions matched"):
            await fleet.call("targets", tgt="id:m1", tgt_type="grain")

    run_hostile(scenario)


@pytest.mark.parametrize(
    "grains",
    [b"", b"\xc1", b"\x91" * 200, pack_payload([1]), pack_payload("x"), b"\xdf\xff\xff\xff\xff", b"x" * 900_000],
)
def test_grains_that_are_none_are_refused(run_hostile: Any, grains: bytes) -> None:
    async def scenario(fleet: Any, bad: Any) -> None:
        before = fleet.master.desk.grains.get("hostile")
        assert isinstance(await bad.ask("register", grains=grains), str)
        assert isinstance(await bad.ask("pillar", fresh=True, grains=grains), str | dict)
        assert fleet.master.desk.grains.get("hostile") == before

    run_hostile(scenario)


def test_a_return_that_does_not_unpack_spoils_no_event_and_no_job(run_hostile: Any, eventually: Any) -> None:
    async def scenario(fleet: Any, bad: Any) -> None:
        events = fleet.master.desk.events.subscribe(["salt/job/*"])
        jid = await start(fleet)
        bad.dealer.send(bad.session.request("progress", {"jid": jid, "kind": "x", "data": b"\xc1"}, one_way=True)[0])
        answer = await bad.ask("return", jid=jid, state="returned", fun="test.ping", payload=b"\xc1\xc1")
        assert answer == {"stored": True}
        await eventually(lambda: not fleet.master.desk.joblog.active)
        assert not fleet.master.desk.joblog._being_stored
        assert "does not decode" in str(unpack_payload((await _last(events)).data)["return"])

    run_hostile(scenario)


async def _last(events: Any) -> Any:
    event = await events.next()
    while events._queue:
        event = await events.next()
    return event


def test_a_return_in_countless_chunks_is_refused(run_hostile: Any) -> None:
    async def scenario(fleet: Any, bad: Any) -> None:
        jid = await start(fleet)
        uploads = fleet.master.desk.uploads
        await bad.ask("return_chunk", jid=jid, offset=0, size=10_000, data=b"x")
        upload = uploads._uploads["hostile", jid]
        upload.chunks.update(dict.fromkeys(range(1, 4096), 1))
        assert await bad.ask("return_chunk", jid=jid, offset=5000, size=10_000, data=b"x") == "arguments"
        assert len(upload.chunks) == 4096

    run_hostile(scenario)


def test_a_chunk_never_lands_in_a_file_that_is_not_its_own(run_hostile: Any, monkeypatch: Any) -> None:
    """Two sizes for one return: the first file is dropped while a thread still has its chunk to write."""
    written: list[int] = []
    real = os.pwrite

    def late(descriptor: int, data: bytes, offset: int) -> int:
        if data.startswith(b"first"):
            written.append(descriptor)
            time.sleep(0.2)
        return real(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", late)

    async def scenario(fleet: Any, bad: Any) -> None:
        jid = await start(fleet)
        first = asyncio.ensure_future(bad.ask("return_chunk", jid=jid, offset=0, size=100, data=b"first"))
        while not written:
            await asyncio.sleep(0.005)
        await bad.ask("return_chunk", jid=jid, offset=0, size=6, data=b"second")
        await first
        upload = fleet.master.desk.uploads._uploads["hostile", jid]
        assert upload.path.read_bytes() == b"second"
        assert written != [upload.descriptor]

    run_hostile(scenario)


def test_progress_that_nobody_reads_is_dropped_at_a_bound(run_hostile: Any, eventually: Any) -> None:
    async def scenario(fleet: Any, bad: Any) -> None:
        payload = pack_payload({"fun": "test.ping", "arg": [], "kwarg": {}})
        request = {"op": "publish", "tgt": "*", "fun": "test.ping", "payload": payload, "follow": True}

        def begin() -> Any:
            sock = ipc.connect_socket(fleet.socket)
            sock.sendall(ipc.encode({**request, "progress": True, "timeout": 30.0}))
            return sock

        sock = await asyncio.to_thread(begin)  # and reads nothing
        try:
            log = fleet.master.desk.joblog
            await eventually(lambda: log._watchers)
            (jid,) = log._watchers
            (follower,) = log._watchers[jid]
            data = pack_payload("x" * 900_000)
            for _ in range(40):
                frame, _ = bad.session.request("progress", {"jid": jid, "kind": "x", "data": data}, one_way=True)
                bad.dealer.send(frame)
            await bad.ask("keepalive", jids=[jid])
            assert 0 < follower._held <= 16 * 1024 * 1024
        finally:
            sock.close()
        await eventually(lambda: not log._watchers)

    run_hostile(scenario)


def test_what_is_under_way_when_the_key_goes_is_not_done(run_hostile: Any, attack: Any, monkeypatch: Any) -> None:
    async def scenario(fleet: Any, bad: Any) -> None:
        jid = await start(fleet)
        desk = fleet.master.desk
        session = desk.sessions.agent("hostile")
        reached, go_on = asyncio.Event(), asyncio.Event()

        async def slow(*_: Any) -> tuple[Path, bytes]:
            reached.set()
            await go_on.wait()
            path = fleet.root / "body"
            path.write_bytes(b"\xc0")
            return path, bytes(32)

        monkeypatch.setattr(type(desk.uploads), "finish", slow)
        bad.dealer.send(bad.session.request("return", {"jid": jid, "state": "returned", "size": 1})[0])
        await asyncio.wait_for(reached.wait(), 5)
        await fleet.call("key.reject", match="hostile", include=["accepted"])
        go_on.set()
        while session.working:
            await asyncio.sleep(0.005)
        assert (await fleet.call("job.get", jid=jid))["states"] == {"hostile": "not delivered"}
        monkeypatch.undo()
        await fleet.call("key.accept", match="hostile", include=["rejected"])
        assert await bad.shake() == "accepted"

    run_hostile(scenario)


def test_s20_odd_requests_are_refused_without_a_traceback(run_hostile: Any, lines: Any) -> None:
    odd: list[Any] = [
        None,
        True,
        -1,
        2**63,
        float("nan"),
        "",
        "x" * 5000,
        "../../etc/passwd",
        b"",
        b"\xc1" * 40,
        [],
        {},
    ]
    methods = {
        "register": ("grains", "versions"),
        "catch_up": ("offset",),
        "keepalive": ("jids",),
        "return": ("jid", "state", "fun", "retcode", "success", "out", "size", "payload", "reason"),
        "return_chunk": ("jid", "offset", "size", "data"),
        "call_return": ("fun", "arg", "retcode", "out", "payload"),
        "file_find": ("saltenv", "paths"),
        "file_list": ("saltenv", "prefix", "what", "after"),
        "file_chunk": ("saltenv", "path", "digest", "offset", "length"),
        "pillar_chunk": ("handle", "offset", "length"),
        "event": ("tag", "data"),
    }

    async def scenario(fleet: Any, bad: Any) -> None:
        fleet.master.desk.events.subscribe(["*"])
        jid = await start(fleet)
        good = {
            "grains": pack_payload({}), "offset": 0, "jids": [], "jid": jid, "state": "running", "fun": "x", "size": 1,
            "data": b"x", "saltenv": "base", "paths": ["x"], "path": "x", "digest": bytes(32), "length": 1, "tag": "x",
            "handle": bytes(16),
        }  # fmt: skip
        for method, names in methods.items():
            for name in names:
                for value in odd:
                    await bad.ask(method, **{**good, name: value})
        assert lines.about("", logging.ERROR) == []

    run_hostile(scenario)


def test_s03_files_outside_of_the_roots_do_not_exist(run_hostile: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    states = tmp_path / "states"
    states.mkdir()
    (states / "way_out").symlink_to(tmp_path)
    names = [
        "../secret",
        "/etc/passwd",
        "a/../../secret",
        "..\\secret",
        "%2e%2e/secret",
        "x\0y",
        "./../secret",
        "a" * 1000,
    ]

    async def scenario(fleet: Any, bad: Any) -> None:
        found = await bad.ask("file_find", saltenv="base", paths=names)
        assert found in ({"files": [None] * len(names)}, "file")
        for name in names:
            answer = await bad.ask("file_chunk", saltenv="base", path=name, digest=bytes(32), offset=0, length=10)
            assert isinstance(answer, str)
            for what in ("files", "dirs", "symlinks"):
                listed = await bad.ask("file_list", saltenv="base", prefix=name, what=what)
                assert isinstance(listed, str) or listed["names"] == []
        for saltenv in ("../..", "/", "nosuch", "base/..", "\0"):
            assert await bad.ask("file_find", saltenv=saltenv, paths=["secret"]) in ({"files": [None]}, "file")

    run_hostile(scenario)


def test_s31_events_cannot_be_repeated_or_sent_as_the_master(run_hostile: Any) -> None:
    async def scenario(fleet: Any, bad: Any) -> None:
        events = fleet.master.desk.events.subscribe(["*"])
        for _ in range(3):
            await bad.ask(
                "event", rid=b"r" * 16, tag="salt/auth", data=wire.pack_payload({"id": "m1", "act": "accept"})
            )
        assert [event.tag for event in events._queue] == ["minion/hostile/salt/auth"]

    run_hostile(scenario)
