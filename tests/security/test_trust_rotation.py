"""F06, S17, A10: a master's new key and a minion's new key; what holds wherever the change is cut off."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.common import crypto, wire
from ctl.common.crypto import MASTER, MINION, IdentityKey, fingerprint
from ctl.common.errors import KeyTableError, PinError
from ctl.common.succession import CERTIFICATE_BYTES, certify, check_chain
from ctl.master.identity import Identity
from ctl.minion import trust_command
from ctl.minion.identity import Identity as MinionIdentity
from ctl.minion.trust import Trust

RunFleet = Callable[..., None]
QUICK = {"pin_backoff_min": 0.05, "pin_backoff_max": 0.2, "reconnect_min": 0.05, "reconnect_max": 0.2}
NOW_MS = 1_790_000_000_000


async def ping(fleet: Any, *names: str) -> None:
    found = await fleet.publish(list(names), "test.ping", tgt_type="list")
    assert found.returns == dict.fromkeys(names, True), (found.absent, found.result)


def pinned(fleet: Any, name: str) -> set[str]:
    return set(json.loads((fleet.root / name / "etc/ctl/pki/trust.json").read_text())["masters"].values())


# -- the master's key


def test_minions_follow_a_new_master_key_at_once_or_when_they_are_back(
    run_fleet: RunFleet, lines: Any, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        first = fleet.master.fingerprint
        await fleet.add("away", **QUICK)
        await fleet.connected("away")
        await fleet.drop("away")
        epoch = fleet.master.desk.publications.epoch_id
        presence = fleet.master.desk.presence
        before = presence.session("m1")
        second = (await fleet.call("key.rotate_master"))["fingerprint"]
        assert second == fleet.master.fingerprint != first
        assert fleet.master.desk.publications.epoch_id != epoch
        await eventually(lambda: pinned(fleet, "m1") == {second}, 20)
        await eventually(lambda: presence.session("m1") not in (None, before), 20)
        await ping(fleet, "m1")
        assert lines.about("has a new key, signed by the one before", room="ctl.minion")
        held = await fleet.call("key.finish_rotation")
        assert held == {"finished": False, "behind": ["away"]}
        third = (await fleet.call("key.rotate_master"))["fingerprint"]
        await fleet.restart_master()  # the chain is on disk
        assert fleet.master.fingerprint == third
        await fleet.add("away", **QUICK)
        await fleet.connected()
        assert pinned(fleet, "away") == pinned(fleet, "m1") == {third}
        await ping(fleet, "m1", "away")
        assert await fleet.call("key.finish_rotation") == {"finished": True, "behind": []}
        left = {path.name for path in fleet.master.config.pki_dir.iterdir()}
        assert left == {"master.pem"}
        assert lines.alarms() == []

    run_fleet(scenario)


def test_who_stayed_away_until_the_change_was_finished_is_told_by_hand(
    run_fleet: RunFleet, lines: Any, eventually: Any, tmp_path: Path
) -> None:
    async def scenario(fleet: Any) -> None:
        first = fleet.master.fingerprint
        await fleet.add("m1", **QUICK)
        await fleet.connected()
        await fleet.drop("m1")
        second = (await fleet.call("key.rotate_master"))["fingerprint"]
        assert (await fleet.call("key.finish_rotation", force=True))["finished"]
        await fleet.add("m1", **QUICK)
        await eventually(lambda: lines.about(f"{second}, not the pinned {first}", logging.ERROR))
        assert pinned(fleet, "m1") == {first}
        assert len(lines.about("not the pinned", logging.ERROR)) == 1
        etc = tmp_path / "etc"
        etc.mkdir()
        (etc / "minion").write_text(
            f"id: m1\nroot_dir: {fleet.root / 'm1'}\nmaster: 127.0.0.1\nmaster_port: {fleet.master.ret_port}\n"
        )
        assert trust_command.main(["reset", "--fingerprint", second, "-c", str(etc)]) == 0
        await fleet.connected("m1")  # it noticed by itself
        await ping(fleet, "m1")

    run_fleet(scenario, minions=0)


PLACES = [
    "master.rotate.next_written",
    "master.rotate.chain_written",
    "master.rotate.old_written",
    "master.rotate.moved",
    "",
]
FINISHES = [f"master.rotate.finish.{name}" for name in ("master.chain", "master.old.pem", "master.next.pem")]
ROTATE = "import sys; from ctl.master.identity import Identity; from pathlib import Path\n"
ROTATE += "getattr(Identity(Path(sys.argv[1])), sys.argv[2])(*map(int, sys.argv[3:]))"


def die_at(place: str, code: str, *words: str) -> None:
    """Run code in a process that dies at a named place as by kill -9; at none, it runs to its end."""
    environment = {**os.environ, "CTL_TEST_BUILD": "1", "CTL_CRASH_AT": place}
    done = subprocess.run([sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True)
    assert done.returncode == (-signal.SIGKILL if place else 0), done.stderr


@pytest.mark.parametrize("place", PLACES)
def test_a_rotation_that_is_cut_off_anywhere_leaves_a_key_that_minions_trust(tmp_path: Path, place: str) -> None:
    first = Identity(tmp_path)
    pin = crypto.fingerprint_digest(MASTER, first.key.public)
    die_at(place, ROTATE, str(tmp_path), "rotate", str(NOW_MS))
    after = Identity(tmp_path)
    if after.key.public != first.key.public:
        check_chain(after.chain, pin, after.key.public, NOW_MS)
    else:
        assert after.chain == ()
    half_made = tmp_path / "master.next.pem"
    made = IdentityKey.load(half_made).public if half_made.exists() else b""
    again = Identity(tmp_path)
    again.rotate(NOW_MS + 1)
    assert again.key.public != after.key.public
    assert place != "master.rotate.chain_written" or again.key.public == made, "what was begun is gone on with"
    check_chain(again.chain, pin, again.key.public, NOW_MS + 1)
    assert not half_made.exists()


@pytest.mark.parametrize("place", FINISHES)
def test_an_end_of_a_rotation_that_is_cut_off_can_be_done_again(tmp_path: Path, place: str) -> None:
    master = Identity(tmp_path)
    master.rotate(NOW_MS)
    die_at(place, ROTATE, str(tmp_path), "finish")
    after = Identity(tmp_path)
    assert after.key.public == master.key.public
    after.finish()
    assert [path.name for path in tmp_path.iterdir()] == ["master.pem"]


def test_eight_changes_may_be_under_way_and_the_chain_spans_them(tmp_path: Path) -> None:
    master = Identity(tmp_path)
    keys = [master.key.public]
    for number in range(8):
        master.rotate(NOW_MS + number)
        keys.append(master.key.public)
    for public in keys[:-1]:
        check_chain(master.chain, crypto.fingerprint_digest(MASTER, public), keys[-1], NOW_MS + 10)
    with pytest.raises(KeyTableError, match="not finished"):
        master.rotate(NOW_MS)


def test_a_damaged_chain_stops_the_master_and_names_the_file(tmp_path: Path) -> None:
    Identity(tmp_path).rotate(NOW_MS)
    path = tmp_path / "master.chain"
    good = path.read_bytes()
    for position in (0, 40, 70, 100, CERTIFICATE_BYTES - 1):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        with pytest.raises(ValueError, match=r"damaged.*") as caught:
            Identity(tmp_path)
        assert "master.chain" in str(caught.value)


def test_a_chain_that_the_pinned_key_did_not_sign_leads_nowhere() -> None:
    old, new, evil = (IdentityKey.generate() for _ in range(3))
    pin = crypto.fingerprint_digest(MASTER, old.public)
    good = certify(old, new, 1, NOW_MS, NOW_MS + 10)
    check_chain([good], pin, new.public, NOW_MS)
    own = certify(evil, new, 1, NOW_MS, NOW_MS + 10)
    pretended = old.public + own[32:]
    further = certify(new, evil, 1, NOW_MS, NOW_MS + 10)  # the serial does not grow
    gap = certify(evil, new, 2, NOW_MS, NOW_MS + 10)
    for chain, public in (
        ([], new.public),
        ([own], new.public),
        ([pretended], new.public),
        ([good], evil.public),
        ([good, further], evil.public),
        ([good, gap], new.public),
        ([good[:-1]], new.public),
        ([good + b"x"], new.public),
    ):
        with pytest.raises(PinError):
            check_chain(chain, pin, public, NOW_MS)
    for moment in (NOW_MS - 1, NOW_MS + 11):
        with pytest.raises(PinError, match="at this time"):
            check_chain([good], pin, new.public, moment)


PIN = """
import sys; from pathlib import Path; from ctl.minion.trust import Trust
trust = Trust(Path(sys.argv[1])); trust.checker("a:1")(bytes.fromhex(sys.argv[2]), (b"cert",))
"""


@pytest.mark.parametrize("place", ["minion.trust.before_pin", "minion.trust.after_pin"])
def test_a_minion_that_dies_while_it_pins_the_new_key_has_the_old_pin_or_the_new_one(
    tmp_path: Path, place: str
) -> None:
    old, new = IdentityKey.generate().public, IdentityKey.generate().public
    Trust(tmp_path).checker("a:1")(old, ())
    die_at(place, PIN, str(tmp_path), new.hex())
    expected = old if place.endswith("before_pin") else new
    assert Trust(tmp_path).pin("a:1") == fingerprint(MASTER, expected)
    assert Trust(tmp_path).successor(fingerprint(MASTER, old)) == fingerprint(MASTER, expected)


# -- a minion's key


def test_a_minion_changes_its_key_and_the_old_one_is_worth_nothing(
    run_fleet: RunFleet, hostile: Any, eventually: Any, lines: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        pki = fleet.root / "m1/etc/ctl/pki"
        stolen = IdentityKey.load(pki / "minion.pem")
        epoch = fleet.master.desk.publications.epoch_id
        changed = (await fleet.publish("m1", "minion.rotate_key")).returns["m1"]
        assert changed["old"] == fingerprint(MINION, stolen.public)
        assert fingerprint(MINION, IdentityKey.load(pki / "minion.pem").public) == changed["new"]
        listed = await fleet.call("key.list")
        assert listed["accepted"] == {"m1": changed["new"]}
        assert [row[0] for row in listed["rejected"]["m1"]] == [changed["old"]]
        assert fleet.master.desk.publications.epoch_id != epoch
        with hostile(fleet, id="m1", identity=stolen) as thief:
            assert await thief.open().shake() == "rejected"
        await fleet.connected("m1")
        await ping(fleet, "m1")
        assert not (pki / "minion.next.pem").exists()
        assert lines.alarms() == []

    run_fleet(scenario)


def test_a_minion_that_never_heard_that_its_new_key_was_taken_finds_out(
    run_fleet: RunFleet, eventually: Any, lines: Any
) -> None:
    """It died between the master's commit and its own: the old key is rejected, and the next one is there."""

    async def scenario(fleet: Any) -> None:
        await fleet.drop("m1")
        pki = fleet.root / "m1/etc/ctl/pki"
        identity = MinionIdentity(pki)
        old = identity.public
        change = identity.begin_change("m1")
        fleet.master.desk.keys.replace("m1", old, change["public"])
        await fleet.add("m1")
        await fleet.connected("m1")
        assert IdentityKey.load(pki / "minion.pem").public == change["public"]
        await ping(fleet, "m1")

    run_fleet(scenario)


def test_a_next_key_that_the_master_never_took_is_given_up(run_fleet: RunFleet, eventually: Any) -> None:
    async def scenario(fleet: Any) -> None:
        await fleet.drop("m1")
        pki = fleet.root / "m1/etc/ctl/pki"
        identity = MinionIdentity(pki)
        old = identity.public
        identity.begin_change("m1")
        await fleet.add("m1")
        await eventually(lambda: not (pki / "minion.next.pem").exists())
        await fleet.connected("m1")
        assert IdentityKey.load(pki / "minion.pem").public == old

    run_fleet(scenario)


def test_a_change_that_is_not_signed_by_both_keys_or_comes_too_often_is_refused(
    run_fleet: RunFleet, hostile: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        with hostile(fleet) as bad:
            await bad.join()
            new, other = IdentityKey.generate(), IdentityKey.generate()
            statement = b"minion" + len("hostile").to_bytes(4, "big") + b"hostile" + bad.identity.public + new.public
            by_old, by_new = (key.sign(crypto.CONTEXT_ROTATE, statement) for key in (bad.identity, new))
            asked = {"public": new.public, "by_old": by_old, "by_new": by_new}
            for field, wrong in (("public", other.public), ("by_old", by_new), ("by_new", by_old)):
                assert await bad.ask("rotate_key", **{**asked, field: wrong}) == "not_allowed"
            assert await bad.ask("rotate_key", public=b"short", by_old=by_old, by_new=by_new) == "arguments"
            assert await bad.ask("rotate_key", **asked) == {}
            bad.dealer.send(bad.session.request("keepalive", {"jids": []})[0])
            await bad._next(wire.NOSESSION, 0)
            assert await bad.shake() == "rejected"

    run_fleet(scenario, minions=0)
