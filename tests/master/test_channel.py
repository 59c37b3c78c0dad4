"""The request socket: who is answered, and what."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path
from typing import Any

import pytest

from ctl.common import handshake, wire
from ctl.common.crypto import IdentityKey
from ctl.common.handshake import NoSession, Unsupported
from ctl.master import handlers
from ctl.master.handlers import AGENT_ONLY, METHODS, ONCE, ONE_WAY

ROOT = Path(handlers.__file__).parent


def test_a_minion_shakes_hands_subscribes_registers_and_is_connected(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        assert "web1" in house.master.desk.presence
        assert peer.params["publish_port"] == house.master.publish_port
        reply = await peer.ask("keepalive", jids=[])
        assert abs(reply["t_master_ms"] - house.master.desk.now_ms()) < 5000

    run_house(scenario)


def test_it_counts_as_connected_only_with_subscription_and_grains(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        peer = house.peer("web1")
        peer.open()
        await peer.shake()
        await peer.ask("register", grains=wire.pack_payload({}), versions={})
        assert "web1" not in house.master.desk.presence
        await peer.subscribe()
        assert "web1" in house.master.desk.presence

    run_house(scenario)


def test_the_end_of_the_subscription_ends_presence_at_once(run_house: Any, eventually: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        peer.subscriber.close()
        await eventually(lambda: "web1" not in house.master.desk.presence, 2.0)

    run_house(scenario)


def test_without_a_session_no_method_exists(run_house: Any, eventually: Any) -> None:
    """S01: nothing but a handshake gets anywhere; no frame is answered with data."""

    async def scenario(house: Any) -> None:
        peer = house.peer("h")
        peer.open()
        for name in [*METHODS, "__class__", "_x", "clients.publish", "a.b"]:
            peer.send(wire.pack([name, bytes(16), {}]))
            peer.send(name.encode())
            peer.send(wire.header(wire.REQUEST) + wire.pack([name, bytes(16), {}]))
        for kind in range(256):
            peer.send(wire.header(kind) + bytes(200))
        await eventually(lambda: house.master._channel.dropped)
        peer.close()  # its connection was cut by now
        peer.open()
        await peer.shake()
        assert all(isinstance(hint, NoSession) for hint in peer.hints)
        assert len(house.master.desk.sessions) == 1
        assert house.master.desk.keys.accepted_ids() == ("h",)

    run_house(scenario)


def test_the_table_of_methods_is_a_literal_and_is_looked_up_as_one() -> None:
    tree = ast.parse((ROOT / "handlers.py").read_text())
    tables = [
        node
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "METHODS"
    ]
    assert isinstance(tables[0].value, ast.Dict)
    assert all(isinstance(key, ast.Constant) for key in tables[0].value.keys)
    for path in ROOT.glob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        names = [node.func.id for node in calls if isinstance(node.func, ast.Name)]
        assert "getattr" not in names, f"{path.name} looks something up by a name"
    assert METHODS.keys() >= ONE_WAY | ONCE | AGENT_ONLY


def test_an_unknown_method_is_refused_by_word(run_house: Any, refused: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        for name in ("__class__", "publish", "key.accept", "x" * 64):
            with pytest.raises(refused) as caught:
                await peer.ask(name)
            assert caught.value.code == "unknown_method"

    run_house(scenario)


def test_a_request_in_the_name_of_another_is_refused(run_house: Any, refused: Any, caplog: Any) -> None:
    """S25: the session says who a minion is, whatever a request says."""

    async def scenario(house: Any) -> None:
        peer, other = await house.join("a", "b")
        for method in METHODS.keys() - ONE_WAY:
            with pytest.raises(refused) as caught:
                await peer.ask(method, id="b", grains=wire.pack_payload({"os": "Evil"}), jids=[], offset=0)
            assert caught.value.code == "identity"
        assert house.master.desk.grains.get("b") == {"id": "b"}
        assert await other.ask("keepalive", jids=[])

    run_house(scenario)
    assert "in the name of 'b'" in caplog.text


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("register", {}),
        ("register", {"grains": "text", "versions": {}}),
        ("catch_up", {"offset": -1}),
        ("catch_up", {"offset": "1"}),
        ("return", {"jid": "../../../proc/self/fd/0", "state": "returned"}),
        ("return", {"jid": 20, "state": "returned"}),
        ("return", {"jid": ["20"], "state": "returned"}),
        ("return", {"jid": "1" * 20 + "\n", "state": "returned"}),
        ("return_chunk", {"jid": "1" * 20, "offset": 0, "size": 2**40, "data": b""}),
        ("file_find", {"saltenv": "base", "paths": "x"}),
        ("file_chunk", {"saltenv": "base", "path": "x", "digest": b"short", "offset": 0, "length": 1}),
        ("file_list", {"saltenv": "base", "what": "everything"}),
        ("event", {"tag": ""}),
        ("event", {"tag": "a\nb", "data": b""}),
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_use(
    run_house: Any, refused: Any, method: str, args: dict[str, Any]
) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        with pytest.raises(refused) as caught:
            await peer.ask(method, **args)
        assert caught.value.code == "arguments"

    run_house(scenario)


def test_a_replayed_frame_does_nothing(run_house: Any, eventually: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        subscription = house.master.desk.events.subscribe(["minion/*"])
        await peer.ask("event", tag="hello", data=b"")
        frame, frames = peer.sent[-1], len(peer.frames)
        for _ in range(12):
            peer.send(frame)
        session = house.master.desk.sessions.agent("web1")
        await eventually(lambda: session.replays == 12)
        await peer.ask("keepalive", jids=[])
        assert len(peer.frames) == frames + 1
        assert (await subscription.next()).tag == "minion/web1/hello"
        assert not subscription._queue

    run_house(scenario)


def test_a_tampered_frame_is_dropped_and_the_session_lives(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        frame, counter = peer.session.request("keepalive", {"jids": []})
        peer.session.forget(counter)
        for position in range(8, len(frame), 3):
            broken = bytearray(frame)
            broken[position] ^= 1
            peer.send(bytes(broken))
        assert await peer.ask("keepalive", jids=[])
        assert house.master.desk.sessions.agent("web1") is not None

    run_house(scenario)


def test_a_repeated_request_that_must_not_be_done_twice_gets_its_first_answer(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        subscription = house.master.desk.events.subscribe(["minion/*"])
        for _ in range(3):
            assert await peer.ask("event", rid=b"r" * 16, tag="once", data=b"") == {}
        assert len(subscription._queue) == 1

    run_house(scenario)


def test_events_of_a_minion_arrive_under_its_own_name_only(run_house: Any) -> None:
    """S31."""

    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        subscription = house.master.desk.events.subscribe(["*"])
        tags = ("salt/job/20200101000000000000/ret/b", "salt/key", "salt/auth", "minion/b/x", "../../salt/key")
        for tag in tags:
            await peer.ask("event", tag=tag, data=wire.pack_payload({"pretag": "salt/key", "id": "b"}))
        found = [await subscription.next() for _ in tags]
        assert [event.tag for event in found] == [f"minion/web1/{tag}" for tag in tags]
        assert all(wire.unpack_payload(event.data)["trusted"] is False for event in found)

    run_house(scenario)


def test_an_unknown_session_gets_a_hint(run_house: Any, eventually: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        await house.restart(ret_port=house.master.ret_port, publish_port=house.master.publish_port)
        frame, counter = peer.session.request("keepalive", {"jids": []})
        peer.session.forget(counter)
        await asyncio.sleep(0.3)
        peer.send(frame)
        await eventually(lambda: NoSession(peer.session.sid) in peer.hints)

    run_house(scenario)


def test_another_version_or_suite_is_told_what_is_spoken_here(run_house: Any, eventually: Any) -> None:
    async def scenario(house: Any) -> None:
        peer = house.peer("web1")
        peer.open()
        for head in (b"CTL1\x01\x00\x00\x02", b"CTL2\x01\x00\x00\x01"):
            peer.send(head + bytes(120))
        await eventually(lambda: peer.hints == [Unsupported((1,))] * 2)

    run_house(scenario)


@pytest.mark.parametrize("name", ["../x", "a/b", ".", "..", "a\0b", "x" * 300, "web1\n", "-rf"])
def test_an_id_that_is_none_gets_nowhere(run_house: Any, eventually: Any, name: str) -> None:
    """S23: refused before anything of it reaches the disk."""

    async def scenario(house: Any) -> None:
        peer = house.peer("web1")
        peer.open()
        initiator = handshake.Initiator(peer.identity, "web1")
        initiator._id = name
        peer.send(initiator.hello())
        peer.send(initiator.challenge(await peer._handshake_frames.get()))
        await eventually(lambda: house.master._channel._handshakes.refused == 1)
        assert house.master.desk.keys.all() == []

    run_house(scenario)


def test_a_newer_session_takes_over_and_the_old_one_stays_until_the_new_one_is_used(run_house: Any) -> None:
    async def scenario(house: Any) -> None:
        (peer,) = await house.join("web1")
        old = peer.session
        await peer.shake()
        sessions = house.master.desk.sessions
        assert sessions.get(old.sid).dies_at == 0
        await peer.ask("keepalive", jids=[])
        assert sessions.get(old.sid).dies_at > 0
        assert sessions.agent("web1").sid == peer.session.sid

    run_house(scenario)


def test_a_cloned_key_is_named_with_both_addresses(run_house: Any, caplog: Any) -> None:
    async def scenario(house: Any) -> None:
        key = IdentityKey.generate()
        subscription = house.master.desk.events.subscribe(["salt/auth"])
        for _ in range(5):
            await house.peer("web1", identity=key).join()
        tags = [wire.unpack_payload(event.data)["act"] for event in subscription._queue]
        assert "cloned" in tags

    run_house(scenario)
    assert "is it a cloned machine?" in caplog.text


def test_a_call_session_has_no_jobs_and_no_presence(run_house: Any, refused: Any) -> None:
    async def scenario(house: Any) -> None:
        (daemon,) = await house.join("web1")
        call = house.peer("web1", identity=daemon.identity, kind="call")
        call.open()
        assert await call.shake() == "accepted"
        assert call.group == []
        for method in AGENT_ONLY - ONE_WAY:
            with pytest.raises(refused) as caught:
                await call.ask(method)
            assert caught.value.code == "not_allowed"
        assert (await call.ask("file_envs"))["envs"] == ["base"]
        assert "web1" in house.master.desk.presence

    run_house(scenario)


def test_handshakes_beyond_the_rate_of_a_source_are_refused(run_house: Any, eventually: Any) -> None:
    async def scenario(house: Any) -> None:
        peer = house.peer("web1")
        peer.open()
        for _ in range(20):
            peer.send(handshake.Initiator(peer.identity, "web1").hello())
        await eventually(lambda: house.master._channel._handshakes.refused >= 15)
        assert peer._handshake_frames.qsize() <= 5

    run_house(scenario, trusted_networks=[], handshake_rate=1.0, handshake_burst=5)
