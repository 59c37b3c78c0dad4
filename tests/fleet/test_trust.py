"""Whom a fleet trusts: changed, denied and revoked keys, frames that were tampered with, replayed or forged.

Everything goes over real sockets between real daemons. Each time the attack is refused, there is one clear line in the
log, and an honest ping works afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ctl.common import ipc, publication, wire
from ctl.common.crypto import MINION, IdentityKey, fingerprint
from ctl.common.session import SessionKeys
from ctl.minion import connection
from ctl.minion.daemon import Minion

RunFleet = Callable[..., None]
PUBLISHED = {"direct_minions": 0}  # a job for one minion is published too, for all to see
QUICK_PINS = {"pin_backoff_min": 0.05, "pin_backoff_max": 0.2, "reconnect_min": 0.05, "reconnect_max": 0.2}


@pytest.fixture(scope="module")
def attack() -> ModuleType:
    """The attackers, in the file beside this one."""
    spec = importlib.util.spec_from_file_location("fleet_attack", Path(__file__).with_name("attack.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def lines(attack: Any, caplog: Any) -> Any:
    """What is logged."""
    return attack.Lines(caplog)


@pytest.fixture
def hostile(attack: Any) -> Any:
    """Make hostile minions that are closed at the end of `with`."""

    @contextlib.contextmanager
    def make(fleet: Any, **fields: Any) -> Any:
        peer = attack.Hostile(fleet.master, **fields)
        try:
            yield peer
        finally:
            peer.close()

    return make


async def ping(fleet: Any, *names: str) -> None:
    """An honest ping of every connected minion."""
    found = await fleet.publish(list(names), "test.ping", tgt_type="list", timeout=10.0)
    assert found.returns == dict.fromkeys(names, True), (found.absent, found.result)


async def add_on_path(fleet: Any, attack: Any, name: str, **settings: Any) -> Any:
    """Start a minion that reaches the master through the attacker, and wait until it is connected."""
    minion = await fleet.add(name, master=[attack.ADDRESS], **{**QUICK_PINS, **settings})
    await fleet.connected(name)
    return minion


# -- keys


def test_a_changed_master_key_is_refused_and_the_true_one_is_welcome_again(
    run_fleet: RunFleet, attack: Any, lines: Any, eventually: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(connection, "ANSWER_TIMEOUT_S", 0.2)

    async def scenario(fleet: Any) -> None:
        async with attack.on_path(fleet) as path:
            await add_on_path(fleet, attack, "m1")
            pins = (fleet.minions["m1"].config.pki_dir / "trust.json").read_bytes()
            true_key = await attack.restart_with(fleet, IdentityKey.generate())
            lines.clear()
            auths = len(path.frames(wire.AUTH))
            await eventually(lambda: lines.about("not the pinned", logging.ERROR))
            hellos = len(path.frames(wire.HELLO))
            await eventually(lambda: len(path.frames(wire.HELLO)) >= hellos + 3)
            (line,) = lines.about("not the pinned", logging.ERROR)
            assert fleet.master.fingerprint in line
            assert len(path.frames(wire.AUTH)) == auths, "the minion said who it is to a stranger"
            assert fleet.master.desk.keys.list()["accepted"].keys() == {"m1"}
            assert (fleet.minions["m1"].config.pki_dir / "trust.json").read_bytes() == pins
            await attack.restart_with(fleet, true_key)
            await fleet.connected("m1")
            await ping(fleet, "m1")

    run_fleet(scenario, minions=0)


def test_another_key_for_an_id_is_denied_and_the_minion_that_has_it_does_not_notice(
    run_fleet: RunFleet, lines: Any, eventually: Any, tmp_path: Path
) -> None:
    async def scenario(fleet: Any) -> None:
        sid = fleet.master.desk.sessions.agent("m1").sid
        async with Minion(fleet.minion_config("m1", root_dir=str(tmp_path / "thief")), fleet.helper) as thief:
            await eventually(lambda: lines.about("as denied"))
            assert not thief.channel.has_session
            await ping(fleet, "m1")
            listed = await fleet.call("key.list")
            public = IdentityKey.load(thief.config.pki_dir / "minion.pem").public
            assert [row[0] for row in listed["denied"]["m1"]] == [fingerprint(MINION, public)]
        assert fleet.master.desk.sessions.agent("m1").sid == sid
        assert len(lines.about("as denied", room="ctl.minion")) == 1
        assert len(lines.about(": denied", room="ctl.master")) == 1
        assert lines.alarms() == []

    run_fleet(scenario)


def test_a_rejected_minion_that_keeps_its_connections_does_and_reads_nothing(
    run_fleet: RunFleet, hostile: Any, attack: Any, lines: Any, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        with hostile(fleet) as bad:
            await bad.join()
            await ping(fleet, "m1")
            await eventually(lambda: len(bad.readable()) == 1)  # as long as it is accepted, it reads
            await fleet.call("key.reject", match="hostile", include=["accepted"])
            packets, frames = len(bad.packets), len(bad.frames)
            await ping(fleet, "m1")
            assert (len(bad.packets), len(bad.readable())) == (packets, 1)  # its connections were cut
            for method in ("catch_up", "group_get", "register", "keepalive"):
                before = len(bad.frames)
                async with asyncio.timeout(10):
                    while len(bad.frames) == before:  # what went into the old connection is lost
                        bad.dealer.send(bad.session.request(method, {})[0])
                        await asyncio.sleep(0.1)
            assert all(attack.kind_of(frame) == wire.NOSESSION for frame in bad.frames[frames:])
            for _ in range(3):
                assert await bad.shake() == "rejected"
            assert bad.group is None
            assert fleet.master.desk.presence.ids() == ["m1"]
            assert len(lines.about(": rejected", room="ctl.master")) == 1
            await ping(fleet, "m1")
        assert lines.alarms() == []

    run_fleet(scenario, **PUBLISHED)


def test_a_real_minion_bears_being_rejected_and_comes_back_when_it_is_accepted(
    run_fleet: RunFleet, lines: Any, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        await fleet.call("key.reject", match="m1", include=["accepted"])
        await eventually(lambda: lines.about("as rejected"))
        await fleet.call("key.accept", match="m1", include=["rejected"])
        await fleet.connected("m1")
        await ping(fleet, "m1")
        assert len(lines.about("as rejected")) == 1
        assert lines.alarms() == []

    run_fleet(scenario)


def test_a_rejection_holds_also_where_the_program_that_asked_for_it_is_gone(
    run_fleet: RunFleet, hostile: Any, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        with hostile(fleet) as bad:
            await bad.join()
            epoch = fleet.master.desk.publications.epoch_id

            def reject_and_go() -> None:
                with ipc.connect(fleet.socket) as client:
                    request = {"op": "key.reject", "match": "hostile", "include": ["accepted"]}
                    client._sock.sendall(ipc.encode(request))

            await asyncio.to_thread(reject_and_go)
            await eventually(lambda: not fleet.master.desk.keys.accepted("hostile"), 5.0)
            await eventually(lambda: not fleet.master.desk.sessions.of("hostile"), 5.0)
            await eventually(lambda: fleet.master.desk.publications.epoch_id != epoch, 5.0)

    run_fleet(scenario)


def test_a_pending_minion_has_no_methods(
    run_fleet: RunFleet, hostile: Any, attack: Any, lines: Any, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        with hostile(fleet) as bad:
            assert await bad.open().shake() == "pending"
            assert bad.group is None
            name = bad.of_kind(wire.RESULT)[0][8:24]  # of its handshake: the only name that it has
            keys = SessionKeys(bytes(32), bytes(32), bytes(32), name)
            session = attack.MinionSession(keys)
            for method in ("register", "group_get", "catch_up", "pillar", "event"):
                bad.dealer.send(session.request(method, {"id": "m1"})[0])
            bad.subscribe(publication.TOPIC, session.topic())
            await eventually(lambda: len(bad.of_kind(wire.NOSESSION)) == 5)
            assert await bad.shake() == "pending"
            assert bad.packets == []
            assert fleet.master.desk.keys.accepted_ids() == ()
            assert len(fleet.master.desk.sessions) == 0
            assert len(fleet.master.desk.grains) == 0
            assert len(lines.about(": pending", room="ctl.master")) == 1
        assert lines.alarms() == []

    run_fleet(scenario, minions=0, auto_accept=False)


def names_below(directory: Path) -> set[str]:
    """Return the name of everything below a directory."""
    return {path.name for path in directory.rglob("*")}


BAD_IDS = ["../m1", "a/b", ".", "..", "/etc/passwd", "a\0b", "m1\n", "-rf", "x" * 129, "", "a b"]


def test_ids_that_are_none_are_refused_and_those_that_differ_in_case_are_one(
    run_fleet: RunFleet, hostile: Any, lines: Any, tmp_path: Path
) -> None:
    async def scenario(fleet: Any) -> None:
        files = names_below(tmp_path)
        with hostile(fleet) as bad:
            bad.open()
            answers = [await bad.attempt(name, 0.05) for name in BAD_IDS]
            assert answers == [""] * len(BAD_IDS)
            assert len(lines.about("is refused", room="ctl.master")) == 1
            assert await bad.shake("M1") == "denied"
            own = IdentityKey.load(fleet.minions["m1"].config.pki_dir / "minion.pem")
            with hostile(fleet, identity=own) as twin:
                assert await twin.open().shake("M1") == "denied"
            assert fleet.master.desk.keys.list()["accepted"].keys() == {"m1"}
            assert set(fleet.master.desk.keys.list()["denied"]) == {"M1"}
        assert names_below(tmp_path) <= files
        await ping(fleet, "m1")
        assert lines.alarms() == []

    run_fleet(scenario)


# -- frames


def test_handshake_frames_that_were_tampered_with_do_not_even_delay_it(
    run_fleet: RunFleet, attack: Any, lines: Any
) -> None:
    """Each of the four, with each of its bytes changed once, arrives before the true one (of HELLO: after it)."""

    async def scenario(fleet: Any) -> None:
        async with attack.on_path(fleet) as path:
            done: set[int] = set()

            def hook(direction: str, kind: int, frame: bytes) -> Iterable[bytes]:
                if kind not in (wire.HELLO, wire.CHALLENGE, wire.AUTH, wire.RESULT) or kind in done:
                    return [frame]
                done.add(kind)
                wrong = list(attack.flips(frame))
                return [frame, *wrong] if kind == wire.HELLO else [*wrong, frame]

            path.hook = hook
            started = asyncio.get_running_loop().time()
            await add_on_path(fleet, attack, "m1")
            assert asyncio.get_running_loop().time() - started < 4.0
            assert done == {wire.HELLO, wire.CHALLENGE, wire.AUTH, wire.RESULT}
            assert len(lines.about("is refused", room="ctl.master")) == 1
            assert len(lines.about("of the handshake", room="ctl.minion")) == 1
            assert len(fleet.master.desk.sessions) == 1
            assert fleet.master.desk.keys.list()["accepted"].keys() == {"m1"}
            await ping(fleet, "m1")
        assert [line for line in lines.alarms() if "says that it speaks" not in line] == []

    run_fleet(scenario, minions=0)


def test_requests_that_were_tampered_with_are_dropped(
    run_fleet: RunFleet, attack: Any, lines: Any, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        async with attack.on_path(fleet) as path:
            minion = await add_on_path(fleet, attack, "m1")
            session = fleet.master.desk.sessions.agent("m1")
            lines.clear()

            def hook(direction: str, kind: int, frame: bytes) -> Iterable[bytes]:
                return [*attack.flips(frame), frame] if kind == wire.REQUEST else [frame]

            path.hook = hook
            dropped = fleet.master._channel.dropped
            assert minion.channel.tell("ack", {"jids": []})
            await ping(fleet, "m1")
            await eventually(lambda: fleet.master._channel.dropped > dropped + 50)
            assert fleet.master.desk.sessions.agent("m1") is session
            assert len(lines.about("does not open", room="ctl.master")) == 1
            assert len(lines.about("is dropped", room="ctl.master")) <= 2  # headers are another kind
        assert lines.alarms() == []

    run_fleet(scenario, minions=0)


@pytest.mark.parametrize("kind", [wire.REPLY, wire.PUSH, wire.PUBLICATION], ids=["REP", "PUSH", "PUBLICATION"])
def test_what_the_master_sends_and_was_tampered_with_is_dropped(
    run_fleet: RunFleet, attack: Any, lines: Any, eventually: Any, kind: int
) -> None:
    async def scenario(fleet: Any) -> None:
        async with attack.on_path(fleet) as path:
            done: list[bytes] = []

            def hook(direction: str, found: int, frame: bytes) -> Iterable[bytes]:
                if found != kind or len(done) > 2:
                    return [frame]
                done.append(frame)
                return [*attack.flips(frame), frame]

            if kind == wire.PUSH:
                path.hook = hook
            await add_on_path(fleet, attack, "m1")
            path.hook = hook
            await ping(fleet, "m1")
            await eventually(lambda: done)
            await eventually(lambda: lines.about("does not open", room="ctl.minion"))
            await ping(fleet, "m1")
            assert len(lines.about("does not open", room="ctl.minion")) == 1
            assert len(lines.about("was dropped", room="ctl.minion")) <= 4
        assert lines.alarms() == []

    run_fleet(scenario, minions=0, **PUBLISHED)


def test_a_replayed_request_does_nothing_wherever_it_comes_from(
    run_fleet: RunFleet, hostile: Any, attack: Any, lines: Any, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        async with attack.on_path(fleet) as path:
            await add_on_path(fleet, attack, "m1")
            await ping(fleet, "m1")
            session = fleet.master.desk.sessions.agent("m1")
            routing_id, requests = session.routing_id, path.frames(wire.REQUEST)
            lines.clear()
            path.link("request").inject(attack.UP, *requests)
            with hostile(fleet) as stranger, hostile(fleet, id="m2") as other:
                stranger.open()
                await other.join()
                for peer in (stranger, other):
                    for frame in requests:
                        peer.dealer.send(frame)
                await eventually(lambda: session.replays >= 3 * len(requests))
                assert session.routing_id == routing_id
                await ping(fleet, "m1")
                assert stranger.frames == []
            assert len(lines.about("came again", room="ctl.master")) == 1
        assert lines.alarms() == []

    run_fleet(scenario, minions=0)


def test_a_replayed_handshake_makes_no_session(
    run_fleet: RunFleet, hostile: Any, attack: Any, lines: Any, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        async with attack.on_path(fleet) as path:
            await add_on_path(fleet, attack, "m1")
            sessions = dict(fleet.master.desk.sessions.by_sid)
            with hostile(fleet) as stranger:
                stranger.open()
                refused = fleet.master._channel._handshakes.refused
                for frame in [*path.frames(wire.HELLO), *path.frames(wire.AUTH)] * 2:
                    stranger.dealer.send(frame)
                await eventually(lambda: fleet.master._channel._handshakes.refused == refused + 2)
                await eventually(lambda: len(stranger.of_kind(wire.CHALLENGE)) == 2)
                assert stranger.of_kind(wire.RESULT) == []
            # and to the minion, whose handshake is over
            path.link("request").inject(attack.DOWN, *path.frames(wire.CHALLENGE), *path.frames(wire.RESULT))
            await ping(fleet, "m1")
            assert fleet.master.desk.sessions.by_sid == sessions
            assert len(lines.about("no handshake", room="ctl.master")) == 1
        assert lines.alarms() == []

    run_fleet(scenario, minions=0)


def test_replayed_replies_and_publications_run_nothing_again(
    run_fleet: RunFleet, attack: Any, lines: Any, eventually: Any, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"

    async def scenario(fleet: Any) -> None:
        async with attack.on_path(fleet) as path:
            await add_on_path(fleet, attack, "m1")
            other_link = path.link("publish")
            await add_on_path(fleet, attack, "m2")
            found = await fleet.publish("m1", "cmd.run", f"echo once >> {mark}", timeout=10.0)
            assert list(found.returns) == ["m1"]
            lines.clear()
            jobs = path.frames(wire.PUBLICATION)
            for link in (other_link, path.link("publish")):
                link.inject(attack.DOWN, *jobs, topic=publication.TOPIC)
                for frame in path.frames(wire.PUSH):
                    link.inject(attack.DOWN, frame, topic=publication.TOPIC)
            for link in [link for link in path.links if link.port == "request"]:
                link.inject(attack.DOWN, *path.frames(wire.REPLY))
            await ping(fleet, "m1", "m2")
            assert mark.read_text() == "once\n"
            await eventually(lambda: len(lines.about("reply", logging.WARNING, "ctl.minion")) == 4)
            # of each of two minions: a reply again, one of the other's session, a publication again, no publication
            assert len(lines.about("came again", logging.WARNING, "ctl.minion")) == 4
            # a heartbeat among them may be one from before the second minion came: that is a kind of its own
            assert 8 <= len(lines.about("was dropped", logging.INFO, "ctl.minion")) <= 9
        assert lines.alarms() == []

    run_fleet(scenario, minions=0, **PUBLISHED)


def test_a_publication_replayed_to_a_minion_that_began_anew_does_not_run(
    run_fleet: RunFleet, attack: Any, lines: Any, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"

    async def scenario(fleet: Any) -> None:
        async with attack.on_path(fleet) as path:
            await add_on_path(fleet, attack, "m1")
            await fleet.publish("m1", "cmd.run", f"echo once >> {mark}", timeout=10.0)
            jobs = path.frames(wire.PUBLICATION)
            await fleet.drop("m1")
            (fleet.root / "m1" / "var/lib/ctl/minion/minion.db").unlink(missing_ok=True)
            for left in (fleet.root / "m1").rglob("minion.db*"):
                left.unlink()  # not even the ledger remembers
            await add_on_path(fleet, attack, "m1")
            lines.clear()
            path.link("publish").inject(attack.DOWN, *jobs, topic=publication.TOPIC)
            await ping(fleet, "m1")
            assert mark.read_text() == "once\n"
            assert len(lines.about("was dropped", logging.INFO, "ctl.minion")) == 1
        assert lines.alarms() == []

    run_fleet(scenario, minions=0, **PUBLISHED)


def test_what_was_recorded_before_the_master_began_anew_is_worth_nothing(
    run_fleet: RunFleet, hostile: Any, attack: Any, lines: Any, eventually: Any, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"

    async def scenario(fleet: Any) -> None:
        async with attack.on_path(fleet) as path:
            await add_on_path(fleet, attack, "m1")
            await fleet.publish("m1", "cmd.run", f"echo once >> {mark}", timeout=10.0)
            recorded = list(path.seen)
            await fleet.restart_master()
            await fleet.connected("m1")
            lines.clear()
            packets = [frame for _, kind, frame in recorded if kind == wire.PUBLICATION]
            path.link("publish").inject(attack.DOWN, *packets, topic=publication.TOPIC)
            with hostile(fleet) as stranger:
                stranger.open()
                for _, kind, frame in recorded:
                    if kind in (wire.REQUEST, wire.AUTH):
                        stranger.dealer.send(frame)
                await eventually(lambda: stranger.of_kind(wire.NOSESSION))
                assert stranger.of_kind(wire.REPLY) == []
            await ping(fleet, "m1")
            assert mark.read_text() == "once\n"
            assert fleet.master.desk.keys.accepted_ids() == ("m1",)
        assert lines.alarms() == []

    run_fleet(scenario, minions=0, **PUBLISHED)


def test_a_publication_that_an_accepted_minion_forged_is_an_alarm_and_runs_nothing(
    run_fleet: RunFleet, hostile: Any, attack: Any, lines: Any, eventually: Any, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"

    async def scenario(fleet: Any) -> None:
        async with attack.on_path(fleet) as path:
            await add_on_path(fleet, attack, "m1")
            events = fleet.master.desk.events.subscribe(["minion/*"])
            with hostile(fleet) as insider:
                await insider.join()
                await ping(fleet, "m1")
                await eventually(insider.readable)
                (body,) = insider.readable()
                order = {"fun": "cmd.run", "arg": [f"echo forged >> {mark}"], "kwarg": {}}
                body.update(jid="29990101000000000000", slots=b"\xff" * 8, payload=wire.pack_payload(order))
                packets = [insider.forge(99, wire.pack(body), 2**40 + number) for number in range(5)]
                path.link("publish").inject(attack.DOWN, *packets, topic=publication.TOPIC)
                await eventually(lambda: lines.about("an accepted minion attacks", logging.CRITICAL))
                assert (await events.next()).tag == "minion/m1/security/forged_publication"
                await ping(fleet, "m1")
                assert len(lines.about("an accepted minion attacks", logging.CRITICAL)) == 1
                assert not mark.exists()

    run_fleet(scenario, minions=0, **PUBLISHED)


def test_a_subscriber_to_everything_gets_nothing(
    run_fleet: RunFleet, hostile: Any, attack: Any, lines: Any, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        topic = fleet.master.desk.sessions.agent("m1").crypto.topic()
        with hostile(fleet) as tap:
            tap.subscribe(b"", b"G", b"S", topic[:17], topic[:17] + bytes(16), *(bytes([n]) for n in range(1, 200)))
            await eventually(lambda: lines.about("shows no session"))
            published = fleet.master.desk.publications.published
            await ping(fleet, "m1")
            await eventually(lambda: fleet.master.desk.publications.published > published)
            await asyncio.sleep(0.1)
            assert tap.packets == []
        assert len(lines.about("shows no session")) == 1
        await ping(fleet, "m1")
        assert lines.alarms() == []

    run_fleet(scenario, **PUBLISHED)


def test_frames_of_wrong_sizes_and_types_change_nothing(
    run_fleet: RunFleet, hostile: Any, attack: Any, lines: Any, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        keys = fleet.master.desk.keys.list()
        with hostile(fleet) as bad:
            bad.open()
            for kind in (wire.HELLO, wire.AUTH, wire.REQUEST, wire.REPLY, wire.PUSH, wire.PUBLICATION, 0, 255):
                for size in (0, 1, 15, 16, 120, 4096, 5000, wire.MAX_FRAME_BYTES, wire.MAX_FRAME_BYTES + 20):
                    bad.dealer.send(wire.header(kind) + bytes(size))
            for junk in (b"", b"C", b"CTL1", b"\x93\x01", b"GET / HTTP/1.1\r\n\r\n"):
                bad.dealer.send(junk)
            assert await bad.shake() == "accepted"  # after all that, on the same connection
            bad.dealer.send(wire.header(wire.REQUEST) + bytes(wire.MAX_MESSAGE_BYTES))  # ZeroMQ cuts this one off
            await ping(fleet, "m1")
        assert fleet.master.desk.keys.list()["accepted"] == {**keys["accepted"], "hostile": bad_fingerprint(bad)}
        assert len(lines.about("is dropped", room="ctl.master")) <= 2
        assert len(lines.about("is refused", room="ctl.master")) == 1
        assert lines.alarms() == []

    run_fleet(scenario)


def bad_fingerprint(peer: Any) -> str:
    """Return the fingerprint of a hostile minion."""
    return fingerprint(MINION, peer.identity.public)


# -- sessions


def test_an_accepted_minion_cannot_act_as_another_nor_call_what_is_no_method(
    run_fleet: RunFleet, hostile: Any, lines: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        before = fleet.master.desk.grains.get("m1")
        with hostile(fleet) as bad:
            await bad.join(id="m1")
            assert fleet.master.desk.grains.get("hostile")["id"] == "hostile"
            for method in ("register", "catch_up", "group_get", "keepalive", "event", "pillar"):
                assert await bad.ask(method, id="m1", grains=wire.pack_payload({}), jids=[], offset=0) == "identity"
            for method in ("__class__", "key.accept", "publish", "handlers.register", "x" * 64):
                assert await bad.ask(method) == "unknown_method"
            assert len(lines.about("in the name of 'm1'")) == 1
            jid = (await fleet.publish("m1", "test.ping", timeout=10.0)).jid
            answer = await bad.ask("return", jid=jid, state="returned", payload=wire.pack_payload("mine"))
            assert answer == "not_expected"
        assert fleet.master.desk.grains.get("m1") == before
        await ping(fleet, "m1")
        assert lines.alarms() == []

    run_fleet(scenario)


def test_a_connection_that_ends_late_does_not_end_the_presence_of_the_one_after_it(
    run_fleet: RunFleet, hostile: Any, eventually: Any
) -> None:
    """A cut that nobody announces: the minion has long connected again when the master gives the old one up."""

    async def scenario(fleet: Any) -> None:
        with hostile(fleet) as peer:
            await peer.join()
            old = peer.subscriber
            peer.subscribe(publication.TOPIC, peer.session.topic())
            session = fleet.master.desk.sessions.agent("hostile")
            await eventually(lambda: session.subscriptions == 2)
            old.close()
            await eventually(lambda: session.subscriptions == 1)
            assert "hostile" in fleet.master.desk.presence
            peer.subscriber.close()
            await eventually(lambda: "hostile" not in fleet.master.desk.presence)

    run_fleet(scenario, minions=0)
