"""Tokens and the audit log on a running master: S09, S42, B18, and what the record says of all that."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.client.cli import runner
from ctl.client.cli.options import UsageError
from ctl.common.errors import AuthenticationError, AuthorizationError, CtlError, StorageError
from ctl.common.ipc_server import Peer
from ctl.common.wire import pack_payload
from ctl.master import clients
from ctl.master.auth_file import make_hash

PASSWORD = "correct horse"
RIGHT = {"eauth": "file", "username": "deploy", "password": PASSWORD}
STRANGER = Peer(64321, 64321, 1, "64321", ())
Run = Callable[..., None]


@pytest.fixture
def run(run_house: Run, tmp_path: Path) -> Run:
    def start(scenario: Any, **more: Any) -> None:
        accounts = tmp_path / "master" / "accounts"
        accounts.parent.mkdir()
        write_account(accounts, PASSWORD)
        rights = {"file": {"deploy": ["test.*", "@runner"]}}
        run_house(scenario, **{"auth_file": str(accounts), "external_auth": rights, "auth_failures": 1000, **more})

    return start


def write_account(path: Path, password: str) -> None:
    path.write_text(f"deploy:{make_hash(password, os.urandom(16))}\n")
    path.chmod(0o600)


async def make_token(house: Any) -> dict[str, Any]:
    return {"token": (await house.call("token.make", auth=RIGHT))["token"]}


async def refused(house: Any, auth: Any) -> bool:
    try:
        await house.call("ping", auth=auth)
    except AuthenticationError:
        return True
    return False


def test_s09_an_expired_token_is_refused_the_first_time(run: Run) -> None:
    async def scenario(house: Any) -> None:
        token = await make_token(house)
        await asyncio.sleep(1.1)
        assert await refused(house, token)
        assert await refused(house, token)

    run(scenario, token_expire=1.0)


def test_s09_an_expired_token_stays_so_when_the_clock_is_set_back(run: Run, monkeypatch: Any) -> None:
    import time

    real, shift = time.time_ns, [0]
    monkeypatch.setattr(time, "time_ns", lambda: real() + shift[0] * 10**9)

    async def scenario(house: Any) -> None:
        token = await make_token(house)
        shift[0] = 7200
        assert await refused(house, token)
        second = await make_token(house)
        shift[0] = 0
        assert await refused(house, token)
        await house.restart()
        assert await refused(house, token)
        assert not await refused(house, second)
        shift[0] = 7200 + 3601
        assert await refused(house, second)

    run(scenario, token_expire=3600.0)


def test_s42_a_token_survives_ten_sweeps_and_a_restart(run: Run) -> None:
    async def scenario(house: Any) -> None:
        token = await make_token(house)
        for _ in range(10):
            await asyncio.to_thread(house.master.desk.access.tokens.sweep)
            assert not await refused(house, token)
        await house.restart()
        assert not await refused(house, token)

    run(scenario)


def test_a_token_ends_with_its_account_and_with_its_password(run: Run) -> None:
    async def scenario(house: Any) -> None:
        accounts = house.master.config.auth_file
        token = await make_token(house)
        assert not await refused(house, token)
        await asyncio.to_thread(write_account, accounts, "another")
        assert await refused(house, token)
        await asyncio.to_thread(accounts.write_text, "somebody:else\n")
        assert await refused(house, token)

    run(scenario)


def test_a_token_makes_no_token_and_neither_does_who_has_no_password(run: Run) -> None:
    async def scenario(house: Any) -> None:
        token = await make_token(house)
        for auth in ({"auth": token}, {}):
            with pytest.raises(CtlError, match="account and its password"):
                await house.call("token.make", **auth)

    run(scenario)


def test_revoked_tokens_are_refused_from_the_answer_on(run: Run) -> None:
    async def scenario(house: Any) -> None:
        token, other = await make_token(house), await make_token(house)
        listed = await house.run("auth.list_tokens")
        assert [row["account"] for row in listed.values()] == ["file:deploy"] * 2
        assert token["token"] not in repr(listed)
        assert await house.run("auth.revoke", next(iter(listed))) == [next(iter(listed))]
        assert sorted([await refused(house, token), await refused(house, other)]) == [False, True]
        await house.run("auth.revoke", account="file:deploy")
        assert await refused(house, token)
        assert await refused(house, other)

    run(scenario)


def records(house: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in house.master.desk.access.audit.path.read_text().splitlines()]


def test_the_audit_log_says_who_did_what_and_who_was_not_let(run: Run) -> None:
    async def scenario(house: Any) -> None:
        await house.join("web1", "web2")
        token = await make_token(house)
        payload = pack_payload({"fun": "test.echo", "arg": ["canary-secret"], "kwarg": {"text": "canary-secret"}})
        frames = await house.stream("publish", tgt="web*", fun="test.echo", payload=payload, auth=token)
        with pytest.raises(AuthorizationError):
            await house.publish("web1", "cmd.run", auth=token)
        assert await refused(house, {**RIGHT, "password": "wrong"})
        with pytest.raises(AuthorizationError):
            await clients.serve(house.master.desk, {"op": "key.list"}, STRANGER, None)  # type: ignore[arg-type]
        await house.call("key.reject", match="web2", include=["accepted"])
        found = records(house)
        assert "canary-secret" not in repr(found)
        by_op = {(record.get("op"), record.get("outcome")): record for record in found}
        allowed = by_op["publish", "allowed"]
        assert allowed["user"] == "file:deploy"
        assert (allowed["how"], allowed["fun"], allowed["tgt"]) == ("token", ["test.echo"], "web*")
        assert (allowed["count"], sorted(allowed["minions"])) == (2, ["web1", "web2"])
        published = next(record for record in found if record.get("of") == allowed["n"])
        assert (published["outcome"], published["jid"]) == ("published", frames[-1][1]["jid"])
        no = by_op["publish", "refused: user file:deploy may not run cmd.run on web1"]
        assert (no["fun"], no["minions"], no["uid"]) == (["cmd.run"], ["web1"], os.geteuid())
        failed = by_op["ping", "refused: authentication failed"]
        assert (failed["user"], failed["how"]) == ("file:deploy", "failed")
        assert by_op["key.list", "refused: user 64321 may not use key.list"]["uid"] == STRANGER.uid
        rejected = by_op["key.reject", "allowed"]
        assert next(record for record in found if record.get("of") == rejected["n"])["changed"] == ["web2"]

    run(scenario)


def test_the_audit_log_is_verified_on_a_running_master_and_across_a_restart(run: Run) -> None:
    async def scenario(house: Any) -> None:
        path = house.master.desk.access.audit.path
        await house.call("key.list")
        await make_token(house)
        assert (await house.run("audit.verify"))["valid"] is True
        await house.restart()
        assert (await house.run("audit.verify"))["valid"] is True
        lines = await asyncio.to_thread(lambda: path.read_bytes().splitlines(keepends=True))
        lines[1] = lines[1].replace(b'"allowed"', b'"refused"')
        await asyncio.to_thread(path.write_bytes, b"".join(lines))
        found = await house.run("audit.verify")
        assert (found["valid"], found["line"]) == (False, 2)

    run(scenario)


def test_a_hash_is_made_by_a_runner_and_never_of_a_command_line(run: Run, tmp_path: Path) -> None:
    async def scenario(house: Any) -> None:
        hashed = await house.run("auth.hash", "another horse")
        assert hashed.startswith("$scrypt$")
        accounts = house.master.config.auth_file
        await asyncio.to_thread(accounts.write_text, f"deploy:{hashed}\n")
        assert not await refused(house, {**RIGHT, "password": "another horse"})
        assert await refused(house, RIGHT)

    run(scenario)
    with pytest.raises(UsageError, match="never given on the command line"):
        runner.work(["-c", str(tmp_path / "master"), "auth.hash", "secret"])


def test_what_cannot_be_recorded_is_not_done(run: Run, monkeypatch: Any) -> None:
    async def scenario(house: Any) -> None:
        await house.join("web1")
        log = house.master.desk.access.audit
        published = house.master.desk.store.last()

        def full(**_: Any) -> int:
            raise StorageError("the audit log takes no more")

        monkeypatch.setattr(log, "record", full)
        with pytest.raises(StorageError, match="audit"):
            await house.publish("web1")
        with pytest.raises(StorageError, match="audit"):
            await house.call("key.delete", match="web1")
        monkeypatch.undo()
        assert house.master.desk.store.last() == published
        assert (await house.call("key.list"))["accepted"]

    run(scenario)
