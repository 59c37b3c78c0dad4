"""Every way in is refused by the one function, whatever credentials are tried (S01, S06, P07, P08, B17, B18, S28)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.client import LocalClient, RunnerClient
from ctl.common.errors import AuthenticationError, AuthorizationError, CtlError
from ctl.common.ipc_server import Peer
from ctl.common.wire import pack_payload, unpack_payload
from ctl.master import acl, clients
from ctl.master.auth import STEP_SECONDS, pause_after
from ctl.master.auth_file import make_hash
from ctl.master.clients import OPERATIONS
from ctl.master.handlers import METHODS

PASSWORD = "correct horse"
STRANGER = Peer(64321, 64321, 1, "64321", ())
RUN = Callable[..., None]
GIVEN = {
    "tgt": "web1",
    "fun": "test.ping",
    "payload": b"\x83\xa3fun\xa9test.ping\xa3arg\x90\xa5kwarg\x80",
    "jid": "1" * 20,
    "match": "web1",
    "handles": [],
    "size": 1,
    "name": "x",
}


def settings(root: Path, **more: Any) -> dict[str, Any]:
    accounts = root / "master" / "accounts"
    accounts.parent.mkdir(exist_ok=True)
    accounts.write_text(f"deploy:{make_hash(PASSWORD, b'0123456789abcdef')}\n")
    accounts.chmod(0o600)
    everything = ["*", "@runner", "@wheel", "@jobs", "@events"]
    return {
        "auth_file": str(accounts),
        "external_auth": {"file": {"deploy": everything}},
        "auth_failures": 100_000,
        **more,
    }


@pytest.fixture
def run(run_house: RUN, tmp_path: Path) -> RUN:
    def start(scenario: Any, **more: Any) -> None:
        run_house(scenario, **settings(tmp_path, **more))

    return start


async def make_token(house: Any, peer: Peer | None = None) -> str:
    """Return a token of the account `deploy`, for the process that runs the tests or for another user."""
    request = {"op": "token.make", "auth": {"eauth": "file", "username": "deploy", "password": PASSWORD}}
    if peer is None:
        return str((await house.call(**request))["token"])
    return str((await clients.serve(house.master.desk, request, peer, None))["token"])  # type: ignore[arg-type]


def expire(house: Any, secret: str) -> None:
    """Make a token's time be over."""
    base = house.master.desk.access._base
    base.write_now(lambda cursor: cursor.execute("UPDATE tokens SET expires_ms=made_ms+1").rowcount)


async def bad_credentials(house: Any) -> dict[str, Any]:
    """Everything that must not open anything."""
    expired = await make_token(house)
    await asyncio.sleep(0.01)
    expire(house, expired)
    others = await make_token(house, STRANGER)
    right = {"eauth": "file", "username": "deploy", "password": PASSWORD}
    return {
        "nothing": {},
        "an empty token": {"token": ""},
        "a bad token": {"token": "00" * 32},
        "half a token": {"token": others[:32]},
        "a token that is a number": {"token": 7},
        "a token as bytes": {"token": bytes.fromhex(others)},
        "no token": {"token": None},
        "an expired token": {"token": expired},
        "the token of another user": {"token": others},
        "a bad token with a good password": {**right, "token": "00" * 32},
        "an unknown method": {**right, "eauth": "nosuch"},
        "a method that is not configured": {**right, "eauth": "pam"},
        "a method as list": {**right, "eauth": ["file"]},
        "no method": {**right, "eauth": ""},
        "an unknown account": {**right, "username": "nobody"},
        "an account with a newline": {**right, "username": "deploy\n"},
        "the line of an account": {**right, "username": "deploy:"},
        "a wrong password": {**right, "password": "wrong"},
        "an empty password": {**right, "password": ""},
        "no password": {"eauth": "file", "username": "deploy"},
        "a long password": {**right, "password": "x" * 5000},
        "a password with a NUL": {**right, "password": PASSWORD + "\0"},
        "a list": [right],
        "a text": "root",
        "true": True,
    }


def test_s06_no_bad_credentials_open_any_operation(run: RUN) -> None:
    async def scenario(house: Any) -> None:
        bad = await bad_credentials(house)
        opened: list[tuple[str, str]] = []

        async def attempt(name: str, credentials: Any, operation: str) -> None:
            try:
                await house.stream(operation, **{**GIVEN, "auth": credentials})
                opened.append((name, operation))
            except CtlError as error:
                if error.code != "authentication":
                    opened.append((name, f"{operation}: {error.code}"))

        # every operation with each of the classes that matter most, every class with one operation
        chosen = ("nothing", "a bad token", "an expired token", "the token of another user", "an unknown method")
        attempts = [(name, operation) for name in chosen for operation in OPERATIONS]
        attempts += [(name, "ping") for name in bad if name not in chosen]
        await asyncio.gather(*(attempt(name, bad[name], operation) for name, operation in attempts))
        assert opened == []
        assert house.master.desk.store.last()[1] == ""

    run(scenario)


def test_s06_without_credentials_or_rights_every_operation_is_refused(run: RUN) -> None:
    async def scenario(house: Any) -> None:
        for operation in [*OPERATIONS, "__class__", "desk", "nosuch"]:
            with pytest.raises(AuthorizationError):
                await clients.serve(house.master.desk, {**GIVEN, "op": operation}, STRANGER, None)  # type: ignore[arg-type]

    run(scenario)


def test_s06_where_the_one_function_refuses_nothing_is_open_to_anybody(run: RUN, monkeypatch: Any) -> None:
    """Grey: root itself, by the real socket, and an account with every right."""

    def refuse(principal: Any, action: Any) -> None:
        raise AuthorizationError("closed")

    async def scenario(house: Any) -> None:
        token = await make_token(house)
        monkeypatch.setattr(acl, "authorise", refuse)
        for operation in OPERATIONS:
            for auth in ({}, {"auth": {"token": token}}):
                with pytest.raises(AuthorizationError, match="closed"):
                    await house.stream(operation, **{**GIVEN, **auth})
        monkeypatch.undo()
        assert (await house.call("ping"))["version"]

    run(scenario)


def test_s06_every_method_of_the_clients_is_refused_with_bad_credentials(run: RUN) -> None:
    bad = {"token": "00" * 32}
    right = {"eauth": "nosuch", "username": "root", "password": "x"}

    async def scenario(house: Any) -> None:
        config = {"root_dir": house.master.config.root_dir}
        with (
            LocalClient("/nonexistent/master", config, bad) as local,
            LocalClient("/nonexistent/master", config) as plain,
            RunnerClient({**config}, bad) as runners,
            RunnerClient({**config}) as plain_runners,
        ):
            attempts: list[Callable[[], Any]] = [
                lambda: local.cmd("*", "test.ping"),
                lambda: local.cmd_full_return("*", "test.ping"),
                lambda: local.cmd_async("*", "test.ping"),
                lambda: local.run_job("*", "test.ping"),
                lambda: local.pub("*", "test.ping"),
                lambda: list(local.cmd_iter("*", "test.ping")),
                lambda: list(local.cmd_iter_no_block("*", "test.ping")),
                lambda: list(local.cmd_batch("*", "test.ping")),
                lambda: local.cmd_subset("*", "test.ping"),
                lambda: local.gather_minions("*"),
                lambda: local.get_cache_returns("1" * 20),
                lambda: local.get_returns("1" * 20),
                lambda: plain.cmd("*", "test.ping", **right),  # type: ignore[arg-type]
                lambda: plain.cmd_async("*", "test.ping", token="00" * 32),
                lambda: list(plain.cmd_batch("*", "test.ping", **right)),  # type: ignore[arg-type]
                lambda: runners.cmd("manage.up"),
                lambda: runners.cmd_async("manage.up"),
                lambda: runners.cmd_sync({"fun": "manage.up"}),
                lambda: plain_runners.cmd_sync({"fun": "manage.up", **right}),
                lambda: plain_runners.cmd_async({"fun": "manage.up", "token": "x"}),
            ]

            def attempt(work: Callable[[], Any]) -> bool:
                with contextlib.suppress(AuthenticationError):
                    work()
                    return True
                return False

            loop = asyncio.get_running_loop()
            opened = await asyncio.gather(*(loop.run_in_executor(house.clients, attempt, one) for one in attempts))
        assert [number for number, got_in in enumerate(opened) if got_in] == []
        assert house.master.desk.store.last()[1] == ""

    run(scenario)


def test_credentials_give_the_accounts_rights_and_not_the_senders(run: RUN) -> None:
    async def scenario(house: Any) -> None:
        await house.join("web1")
        right = {"eauth": "file", "username": "deploy", "password": PASSWORD}
        frames = await house.publish("web1", auth=right)
        job = await house.call("job.get", jid=frames[-1][1]["jid"])
        assert job["user"] == "file:deploy"
        with pytest.raises(AuthorizationError, match=r"user file:deploy may not run cmd\.run"):
            await house.publish("web1", "cmd.run", auth=right)

        def by_the_clients() -> None:
            config = {"root_dir": house.master.config.root_dir}
            with LocalClient("/nonexistent/master", config) as client:
                assert client.cmd_async("web1", "test.ping", **right)  # type: ignore[arg-type]
                with pytest.raises(AuthorizationError):
                    client.cmd("web1", "cmd.run", ["id"], **right)  # type: ignore[arg-type]
            with RunnerClient({**config}) as runners:
                assert runners.cmd_sync({"fun": "manage.up", **right}) == ["web1"]
                with pytest.raises(AuthorizationError):
                    runners.cmd_sync({"fun": "cache.grains", **right})

        await asyncio.get_running_loop().run_in_executor(house.clients, by_the_clients)

    run(scenario, external_auth={"file": {"deploy": ["test.*", {"@runner": ["manage.*"]}]}})


def test_s28_minions_cannot_publish_or_do_anything_that_clients_do(run: RUN, refused: Any) -> None:
    """Peer publishing does not exist; a session of a minion knows its own methods alone."""

    async def scenario(house: Any) -> None:
        [bad] = await house.join("web1")
        for name in {*OPERATIONS, "pub", "publish", "minion_publish", "minion_runner", "peer", "wheel"} - set(METHODS):
            with pytest.raises(refused) as caught:
                await bad.ask(name, tgt="*", fun="test.ping", arg=[])
            assert caught.value.code == "unknown_method"
        assert not {"publish", "pub", "run", "minion_pub", "minion_publish"} & set(METHODS)
        assert house.master.desk.store.last()[1] == ""

    run(scenario)


def test_b18_guessing_is_throttled_and_then_even_the_right_token_waits(run: RUN) -> None:
    async def scenario(house: Any) -> None:
        token = await make_token(house)
        assert (await house.call("ping", auth={"token": token}))["version"]
        for _ in range(5):
            with pytest.raises(AuthenticationError, match="not valid"):
                await house.call("ping", auth={"token": "00" * 32})
        for given in ("00" * 32, token):
            with pytest.raises(AuthenticationError, match="too many"):
                await house.call("ping", auth={"token": given})
        assert (await house.call("ping"))["version"]  # who needs no credentials is not locked out

    run(scenario, auth_failures=5)


def test_b18_many_guesses_at_once_count_like_many_in_a_row(run: RUN) -> None:
    async def scenario(house: Any) -> None:
        async def guess(number: int) -> str:
            account = {"eauth": "file", "username": "deploy", "password": f"guess {number}"}
            with pytest.raises(AuthenticationError) as caught:
                await house.call("ping", auth=account)
            return str(caught.value)

        answers = await asyncio.gather(*(guess(number) for number in range(20)))
        assert sum("too many" not in answer for answer in answers) == 5

    run(scenario, auth_failures=5)


def test_many_uses_of_a_good_token_at_once_are_all_let_in(run: RUN) -> None:
    async def scenario(house: Any) -> None:
        token = await make_token(house)
        answers = await asyncio.gather(*(house.call("ping", auth={"token": token}) for _ in range(30)))
        assert len(answers) == 30

    run(scenario, auth_failures=5)


def test_b18_the_time_of_a_failure_says_nothing_about_the_account(run: RUN) -> None:
    """What a wrong password and an unknown name cost is the same (test_auth_file), and the rest is hidden in steps."""
    assert {round(spent + pause_after(spent), 6) for spent in (0.0, 0.05, 0.1, 0.3, 0.48)} == {STEP_SECONDS}
    assert round(0.6 + pause_after(0.6), 6) == 2 * STEP_SECONDS

    async def scenario(house: Any) -> None:
        accounts = ("deploy", "file"), ("nobody", "file"), ("deploy", "nosuch")
        for user, method in accounts:
            began = time.perf_counter()
            with pytest.raises(AuthenticationError, match=r"^authentication failed$"):
                await house.call("ping", auth={"eauth": method, "username": user, "password": "wrong"})
            assert time.perf_counter() - began >= STEP_SECONDS * 0.95

    run(scenario)


def test_s12_no_credentials_are_logged_or_recorded(run: RUN, caplog: Any, tmp_path: Path) -> None:
    async def scenario(house: Any) -> None:
        token = await make_token(house)
        secrets = ["hunter2-canary", token, token[:40]]
        for auth in ({"eauth": "file", "username": "deploy", "password": secrets[0]}, {"token": token[:40]}):
            with pytest.raises(AuthenticationError):
                await house.call("ping", auth=auth)
        await house.call("ping", auth={"token": token})
        await house.join("web1")
        await house.publish("web1", auth={"eauth": "file", "username": "deploy", "password": PASSWORD})
        await house.call("audit.head")
        said = caplog.text.encode() + b"".join(
            path.read_bytes() for path in house.root.rglob("*") if path.is_file() and not path.is_socket()
        )
        for secret in (*secrets, PASSWORD):
            assert secret.encode() not in said
        assert bytes.fromhex(token) not in said

    caplog.set_level("DEBUG")
    run(scenario)


class Taken:
    """A stream that nobody reads."""

    closed = False

    async def send(self, kind: str, data: Any) -> None:
        """Drop it."""


def test_s18_no_trick_gives_more_than_is_granted(run: RUN, stranger: Any) -> None:
    """Grey: the same tricks as a real process of another user tries, where no root is needed to be one."""
    limited = Peer(64321, 64321, 1, "deploy", ())

    async def scenario(house: Any) -> None:
        await house.join("web1", "web2", "db1")
        codes = {}
        for name, given in stranger.tricks().items():
            request = {**given, **({"payload": pack_payload(given["call"])} if "call" in given else {})}
            try:
                codes[name] = repr(await clients.serve(house.master.desk, request, limited, Taken()))
            except CtlError as error:
                codes[name] = error.code
        assert {name: code for name, code in codes.items() if code not in stranger.REFUSALS} == {}
        assert house.master.desk.store.last()[1] == ""
        good = {**stranger.job("web*"), "payload": pack_payload({"fun": "test.ping", "arg": [], "kwarg": {}})}
        found = await clients.serve(house.master.desk, good, limited, Taken())
        assert found["minions"] == ["web1", "web2"]

    rights = [{"targets": ["web*"], "functions": ["test.*"]}]
    run(scenario, publisher_acl={"deploy": rights}, nodegroups={"all": "*"})


STRANGE_NAMES = ("../../x", "/etc/passwd", "..%2f..%2fx", "a\0b", "a\\..\\x", "x" * 5000, "base/../../..", "\n")


def test_s03_s10_an_account_reaches_no_file_by_a_name(run: RUN, tmp_path: Path) -> None:
    """Every runner that takes the name of an environment, a file or a directory; and there is none that writes."""
    (tmp_path / "x").write_text("canary-outside")

    async def scenario(house: Any) -> None:
        token = {"token": await make_token(house)}

        async def run_one(fun: str, *args: Any, **kwarg: Any) -> Any:
            payload = pack_payload({"fun": fun, "arg": list(args), "kwarg": kwarg})
            return await house.call("run", fun=fun, payload=payload, timeout=30.0, auth=token)

        for name in STRANGE_NAMES:
            for fun in ("file_list", "dir_list", "symlink_list"):
                for keyword in ("saltenv", "prefix"):
                    found = await run_one(f"fileserver.{fun}", **{keyword: name})
                    assert unpack_payload(found["payload"]) in ([], {}) or not found["success"], (fun, keyword, name)
            found = await run_one("jobs.lookup_jid", name)
            assert not found["success"]
        for fun in ("file_roots.write", "pillar_roots.write", "config.apply", "salt.cmd", "__init__", "../x.y"):
            opened = False
            with contextlib.suppress(AuthorizationError):
                opened = (await run_one(fun, "../../x", "data"))["success"]
            assert not opened, fun

    run(scenario)
