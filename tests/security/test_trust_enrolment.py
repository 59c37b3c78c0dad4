"""B16, S16, S27: how a minion's first key is accepted, and what a false master gets of a minion that has a token."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import stat
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from ctl.common import handshake, wire
from ctl.common.crypto import MASTER, IdentityKey, fingerprint
from ctl.common.enrol_token import EnrolToken
from ctl.master.keys import KeyTable

RunFleet = Callable[..., None]
QUICK = {"pin_backoff_min": 0.05, "pin_backoff_max": 0.2, "reconnect_min": 0.05, "reconnect_max": 0.2}


def put(path: Path, text: str) -> Path:
    """Write a file that only its owner can read."""
    path.write_text(text)
    path.chmod(0o600)
    return path


async def token_file(fleet: Any, path: Path, **wanted: Any) -> Path:
    """Have the master make a token, and put it where only its minion can read it."""
    made = await fleet.call("key.token.create", **wanted)
    return put(path, made["token"] + "\n")


async def add(fleet: Any, name: str, token: Path, **settings: Any) -> None:
    """Start a minion that finds this token in a file below its own root."""
    (fleet.root / name).mkdir(exist_ok=True)
    shutil.copy(token, fleet.root / name / "token")
    await fleet.add(name, enroll_token_file="/token", **settings)


def pins_of(fleet: Any, name: str) -> str:
    path = fleet.root / name / "etc/ctl/pki/trust.json"
    return path.read_text() if path.exists() else ""


def test_a_token_enrols_as_often_as_it_says_and_only_the_ids_it_is_for(
    run_fleet: RunFleet, lines: Any, eventually: Any, tmp_path: Path
) -> None:
    async def scenario(fleet: Any) -> None:
        token = await token_file(fleet, tmp_path / "token", match="web*", uses=1)
        await add(fleet, "db1", token)
        await eventually(lambda: lines.about("for web*", room="ctl.master"))
        await add(fleet, "web1", token, tofu=False)
        await fleet.connected("web1")
        assert fleet.master.fingerprint in pins_of(fleet, "web1")
        ((_, _, uses, used, *_rest),) = (await fleet.call("key.token.list"))["tokens"]
        assert (uses, used) == (1, 1)
        await add(fleet, "web2", token)
        await eventually(lambda: lines.about("used up", room="ctl.master"))
        await eventually(lambda: lines.about("does not take this minion's enrolment token", room="ctl.minion"))
        listed = await fleet.call("key.list")
        assert set(listed["accepted"]) == {"web1"}
        assert set(listed["pending"]) == {"db1", "web2"}
        text = token.read_text().strip()
        assert all(text not in record.getMessage() for record in lines._caplog.records)
        assert lines.alarms() == []

    run_fleet(scenario, minions=0, auto_accept=False)


def test_a_revoked_or_expired_token_enrols_nobody(
    run_fleet: RunFleet, eventually: Any, lines: Any, tmp_path: Path
) -> None:
    async def scenario(fleet: Any) -> None:
        revoked = await token_file(fleet, tmp_path / "revoked")
        name = (await fleet.call("key.token.list"))["tokens"][0][0]
        assert (await fleet.call("key.token.revoke", name=name[:8]))["names"] == [name]
        expired = await token_file(fleet, tmp_path / "expired", seconds=0.001)
        await add(fleet, "m1", revoked)
        await add(fleet, "m2", expired)
        await eventually(lambda: lines.about("does not know this minion's enrolment token"))
        await eventually(lambda: lines.about("shows the enrolment token"))
        listed = await fleet.call("key.list")
        assert listed["accepted"] == {}
        assert set(listed["pending"]) == {"m1", "m2"}

    run_fleet(scenario, minions=0, auto_accept=False)


def test_a_token_wins_over_a_squatter_that_waits_but_not_over_an_accepted_key(
    run_fleet: RunFleet, hostile: Any, eventually: Any, lines: Any, tmp_path: Path
) -> None:
    async def scenario(fleet: Any) -> None:
        token = await token_file(fleet, tmp_path / "token", uses=5)
        with hostile(fleet, id="web1") as squatter:
            assert await squatter.open().shake() == "pending"
            await add(fleet, "web1", token)
            await fleet.connected("web1")
            assert await squatter.shake() == "denied"
        with hostile(fleet, id="web1") as thief:
            known = EnrolToken.parse(token.read_text())
            assert await shake_with(thief.open(), known) == "denied"
        ((_, _, _, used, *_rest),) = (await fleet.call("key.token.list"))["tokens"]
        assert used == 1

    run_fleet(scenario, minions=0, auto_accept=False)


async def shake_with(peer: Any, token: EnrolToken) -> str:
    """Shake hands as the hostile minion, with a token."""
    initiator = handshake.Initiator(peer.identity, peer.id, token=(token.id, token.key))
    challenges, results = len(peer.of_kind(wire.CHALLENGE)), len(peer.of_kind(wire.RESULT))
    peer.dealer.send(initiator.hello())
    peer.dealer.send(initiator.challenge(await peer._next(wire.CHALLENGE, challenges)))
    return str(initiator.result(await peer._next(wire.RESULT, results)).status)


def test_a_token_without_its_secret_is_worth_nothing(run_fleet: RunFleet, hostile: Any, tmp_path: Path) -> None:
    async def scenario(fleet: Any) -> None:
        token = EnrolToken.parse((await token_file(fleet, tmp_path / "token")).read_text())
        with hostile(fleet) as peer:
            peer.open()
            initiator = handshake.Initiator(peer.identity, "hostile", pin=token.master, token=(token.id, bytes(32)))
            peer.dealer.send(initiator.hello())
            peer.dealer.send(initiator.challenge(await peer._next(wire.CHALLENGE, 0)))
            outcome = initiator.result(await peer._next(wire.RESULT, 0))
            assert (outcome.status, outcome.knows_token) == ("pending", False)

    run_fleet(scenario, minions=0, auto_accept=False)


def test_a_false_master_learns_nothing_of_a_minion_with_a_token(
    run_fleet: RunFleet, attack: Any, lines: Any, eventually: Any, tmp_path: Path
) -> None:
    """B16: the address was taken over. The token names its master's key, so there is no AUTH."""

    async def scenario(fleet: Any) -> None:
        token = await token_file(fleet, tmp_path / "token")
        await attack.restart_with(fleet, IdentityKey.generate())
        async with attack.on_path(fleet) as path:
            await add(fleet, "m1", token, master=[attack.ADDRESS], **QUICK)
            await eventually(lambda: lines.about("not the pinned", logging.ERROR))
            hellos = len(path.frames(wire.HELLO))
            await eventually(lambda: len(path.frames(wire.HELLO)) > hellos)
            assert path.frames(wire.AUTH) == []
        assert pins_of(fleet, "m1") == ""

    run_fleet(scenario, minions=0)


def test_a_master_that_does_not_know_a_token_is_not_trusted_however_much_it_accepts(
    run_fleet: RunFleet, lines: Any, eventually: Any, tmp_path: Path
) -> None:
    """A token that was made before its master had a key: the proof in RESULT is all that there is."""

    async def scenario(fleet: Any) -> None:
        path = put(tmp_path / "token", EnrolToken.create(os.urandom).text())
        await add(fleet, "m1", path, **QUICK)
        await eventually(lambda: lines.about("does not know this minion's enrolment token", logging.ERROR))
        assert pins_of(fleet, "m1") == ""
        assert not fleet.minions["m1"].channel.has_session

    run_fleet(scenario, minions=0)  # it accepts every key


def test_a_master_with_the_token_is_trusted_by_its_proof_alone(run_fleet: RunFleet, tmp_path: Path) -> None:
    async def scenario(fleet: Any) -> None:
        known = EnrolToken.parse((await token_file(fleet, tmp_path / "token")).read_text())
        put(tmp_path / "token", EnrolToken(known.id, known.secret).text())
        await add(fleet, "m1", tmp_path / "token", tofu=False)
        await fleet.connected("m1")
        assert fleet.master.fingerprint in pins_of(fleet, "m1")

    run_fleet(scenario, minions=0, auto_accept=False)


def test_without_trust_on_first_use_or_with_another_fingerprint_nothing_is_said(
    run_fleet: RunFleet, attack: Any, lines: Any, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        other = fingerprint(MASTER, IdentityKey.generate().public)
        async with attack.on_path(fleet) as path:
            await fleet.add("m1", master=[attack.ADDRESS], tofu=False, **QUICK)
            await fleet.add("m2", master=[attack.ADDRESS], master_fingerprint=other, **QUICK)
            await eventually(lambda: lines.about("no key is trusted yet", logging.ERROR))
            await eventually(lambda: lines.about(f"not the pinned {other}", logging.ERROR))
            assert path.frames(wire.AUTH) == []
            own = fleet.master.fingerprint
            await fleet.add("m3", master=[attack.ADDRESS], tofu=False, master_fingerprint=own.rstrip("="), **QUICK)
            await fleet.connected("m3")
        assert pins_of(fleet, "m1") == pins_of(fleet, "m2") == ""

    run_fleet(scenario, minions=0)


# -- rules


def write_policy(path: Path, body: str) -> Path:
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return path


def test_a_policy_program_decides_by_its_exit_code(
    run_fleet: RunFleet, hostile: Any, lines: Any, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    policy = write_policy(
        tmp_path / "master" / "policy",
        f'read -r asked; echo "$asked" >> {seen}\n'
        'case "$asked" in *\'"id": "good"\'*) exit 0;; *\'"id": "bad"\'*) exit 2;; '
        '*\'"id": "slow"\'*) sleep 60;; *\'"id": "broken"\'*) exit 77;; esac\nexit 1',
    )

    async def scenario(fleet: Any) -> None:
        answers = {"good": "accepted", "bad": "rejected", "other": "pending", "slow": "pending", "broken": "pending"}
        for name, answer in answers.items():
            with hostile(fleet, id=name) as peer:
                assert await peer.open().shake() == answer, name
        asked = seen.read_text()
        assert all(word in asked for word in ('"address": "127.0.0.1"', '"fingerprint": "', "BEGIN PUBLIC KEY"))
        assert len(lines.about("new keys wait for an administrator", logging.ERROR)) == 1
        for mode in (0o722, 0o777):
            policy.chmod(mode)
            with hostile(fleet, id="good") as peer:
                assert await peer.open().shake() == "denied"  # another key: the program is not asked
            with hostile(fleet, id=f"good{mode}") as peer:
                assert await peer.open().shake() == "pending"

    run_fleet(scenario, minions=0, auto_accept=False, autosign_policy=str(policy), autosign_policy_timeout=0.5)


def test_lists_of_ids_accept_and_reject_with_addresses(run_fleet: RunFleet, hostile: Any, tmp_path: Path) -> None:
    accept, reject = tmp_path / "master" / "autosign", tmp_path / "master" / "autoreject"
    accept.parent.mkdir()
    accept.write_text("# ours\nweb* 127.0.0.0/8 ::1\ndb[0-9]+\nfar* 192.0.2.0/24\nboth\n")
    reject.write_text("evil*\nboth\n")

    async def scenario(fleet: Any) -> None:
        answers = {"web1": "accepted", "db17": "accepted", "far1": "pending", "evil1": "rejected", "both": "rejected"}
        for name, answer in {**answers, "unlisted": "pending"}.items():
            with hostile(fleet, id=name) as peer:
                assert await peer.open().shake() == answer, name
        accept.chmod(0o666)
        with hostile(fleet, id="web2") as peer:
            assert await peer.open().shake() == "pending"

    files = {"autosign_file": str(accept), "autoreject_file": str(reject)}
    run_fleet(scenario, minions=0, auto_accept=False, **files)


def test_nobody_hears_of_an_acceptance_that_is_not_on_disk_yet(
    run_fleet: RunFleet, hostile: Any, monkeypatch: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        keys, written = fleet.master.desk.keys, Future[None]()
        settle, really = keys.settle, []

        def held(*args: Any) -> Any:
            really.append(settle(*args))
            return written, lambda: None

        monkeypatch.setattr(KeyTable, "settle", lambda self, *args: held(*args))
        with hostile(fleet) as peer:
            shaking = asyncio.ensure_future(peer.open().shake())
            async with asyncio.timeout(10):
                while not really:
                    await asyncio.sleep(0.005)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(shaking), 0.2)
            assert not shaking.done()
            written.set_result(None)
            assert await shaking == "accepted"

    run_fleet(scenario, minions=0)


# -- files


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_a_token_that_others_can_read_is_not_used(run_fleet: RunFleet, tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    path.write_text(EnrolToken.create(os.urandom).text())
    path.chmod(mode)

    async def scenario(fleet: Any) -> None:
        with pytest.raises(ValueError, match="other users can read"):
            await add(fleet, "m1", path)

    run_fleet(scenario, minions=0)
    assert stat.S_IMODE(path.stat().st_mode) == mode
