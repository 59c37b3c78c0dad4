"""What a user who is not root may do: exactly what `publisher_acl` grants, by the socket and with a token (S18, P08).

The user is a real process of another user of this machine; without root these tests are skipped.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.common.wire import pack_payload
from ctl.master.auth_file import make_hash

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else"),
]
UID, GID, GROUP = 64321, 64321, 64320
PASSWORD = "correct horse"
RIGHTS = [{"targets": ["web*"], "functions": ["test.*"]}]
ACL = {str(UID): RIGHTS}

Run = Callable[..., None]


def settings(root: Path, **more: Any) -> dict[str, Any]:
    """Return the settings of a master whose socket the stranger's group may reach."""
    accounts = root / "master" / "accounts"
    accounts.parent.mkdir(mode=0o755)
    accounts.write_text(f"deploy:{make_hash(PASSWORD, b'0123456789abcdef')}\n")
    accounts.chmod(0o600)
    return {
        "root_dir": str(root / "master"),
        "sock_group": str(GROUP),
        "publisher_acl": ACL,
        "external_auth": {"file": {"deploy": RIGHTS}},
        "auth_file": str(accounts),
        **more,
    }


@pytest.fixture
def someone(stranger: Any) -> Any:
    return stranger.Stranger(UID, GID, [GROUP])


@pytest.fixture
def run(run_house: Run, stranger: Any) -> Run:
    """Run a scenario with the minions web1, web2 and db1, and strangers that can reach the socket."""

    def start(scenario: Any, **more: Any) -> None:
        with stranger.open_directory() as root:

            async def with_minions(house: Any) -> None:
                await house.join("web1", "web2", "db1")
                await scenario(house)

            run_house(with_minions, **settings(root, **more))

    return start


async def ask(house: Any, someone: Any, *requests: dict[str, Any]) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = await asyncio.to_thread(someone.ask, house.master.socket_path, *requests)
    return found


async def token(house: Any, someone: Any) -> dict[str, Any]:
    """Return the credentials of a token that the stranger made for the account `deploy`."""
    auth = {"eauth": "file", "username": "deploy", "password": PASSWORD}
    [(code, frames)] = await ask(house, someone, {"op": "token.make", "auth": auth})
    assert code == "ok", frames
    return {"token": frames[-1][1]["token"]}


@pytest.mark.parametrize("way", ["socket", "token"])
def test_s18_deploy_can_do_exactly_what_is_granted_whatever_is_tried(
    run: Run, stranger: Any, someone: Any, way: str
) -> None:
    async def scenario(house: Any) -> None:
        auth = {"auth": await token(house, someone)} if way == "token" else {}
        published = house.master.desk.store.last()
        cases = stranger.tricks()
        answers = await ask(house, someone, *({**case, **auth} for case in cases.values()))
        got = {name: code for name, (code, _) in zip(cases, answers, strict=True)}
        assert {name: code for name, code in got.items() if code not in stranger.REFUSALS} == {}
        assert house.master.desk.store.last() == published

        good = [
            stranger.job("web1"),
            stranger.job("web*", "test.echo", "x"),
            stranger.job("web1,web2", tgt_type="list"),
            stranger.job("web1 or web2", ["test.ping", "test.version"], [], [], tgt_type="compound"),
            stranger.job("web1", "test.try", "test.ping"),
            {"op": "targets", "tgt": "web*"},
            {"op": "ping"},
            {"op": "job.list"},
        ]
        answers = await ask(house, someone, *({**case, **auth} for case in good))
        assert [code for code, _ in answers] == ["ok"] * len(good), answers
        expected = [frames[-1][1]["minions"] for _, frames in answers[:5]]
        assert expected == [["web1"], ["web1", "web2"], ["web1", "web2"], ["web1", "web2"], ["web1"]]

    run(scenario, nodegroups={"all": "*"})


def test_s18_a_refusal_says_what_and_for_whom_and_nothing_else(run: Run, stranger: Any, someone: Any) -> None:
    async def scenario(house: Any) -> None:
        cases = [
            stranger.job("db*"),
            stranger.job("nosuch*"),
            stranger.job("*", "cmd.run"),
            stranger.job("x", tgt_type="nodegroup"),
        ]
        [existing, missing, function, group] = [text for _, text in await ask(house, someone, *cases)]
        assert existing == f"user {UID} may not run test.ping on db*"
        assert missing == f"user {UID} may not run test.ping on nosuch*"
        assert function == f"user {UID} may not run cmd.run on *"
        assert "secretgroup" not in group
        for text in (existing, missing, function):
            assert "db1" not in text.replace("db*", "")

    run(scenario, nodegroups={"secretgroup": "db1"})


def test_s18_who_is_granted_nothing_may_not_even_ping(run: Run, stranger: Any) -> None:
    async def scenario(house: Any) -> None:
        nobody = stranger.Stranger(UID + 1, GID + 1, [GROUP])
        answers = await ask(house, nobody, {"op": "ping"}, stranger.job("web1"), {"op": "events"})
        assert [code for code, _ in answers] == ["authorization"] * 3

    run(scenario)


def test_the_socket_is_the_groups_and_nobody_elses(run: Run, stranger: Any) -> None:
    async def scenario(house: Any) -> None:
        info, directory = house.master.socket_path.stat(), house.master.socket_path.parent.stat()
        assert (info.st_gid, info.st_mode & 0o777) == (GROUP, 0o660)
        assert (directory.st_gid, directory.st_mode & 0o777) == (GROUP, 0o750)
        outsider = stranger.Stranger(UID, GID)
        assert [code for code, _ in await ask(house, outsider, {"op": "ping"})] == ["unavailable"]

    run(scenario)


def test_arguments_are_granted_by_regular_expressions(run: Run, stranger: Any, someone: Any) -> None:
    acl = {str(UID): [{"targets": "*", "functions": ["cmd.run"], "args": {0: "uptime( -p)?"}}]}

    async def scenario(house: Any) -> None:
        cases = {
            "uptime": stranger.job("web1", "cmd.run", "uptime"),
            "uptime -p": stranger.job("web1", "cmd.run", "uptime -p"),
            "more": stranger.job("web1", "cmd.run", "uptime; id"),
            "a line more": stranger.job("web1", "cmd.run", "uptime\nid"),
            "a keyword": stranger.job("web1", "cmd.run", "uptime", kwarg={"runas": "root"}),
            "a keyword as text": stranger.job("web1", "cmd.run", "uptime", "shell=/x"),
            "by name": stranger.job("web1", "cmd.run", kwarg={"cmd": "uptime"}),
            "none": stranger.job("web1", "cmd.run", ["uptime"]),
        }
        answers = await ask(house, someone, *cases.values())
        got = {name: code for name, (code, _) in zip(cases, answers, strict=True)}
        assert [name for name, code in got.items() if code == "ok"] == ["uptime", "uptime -p"]
        assert set(got.values()) == {"ok", "authorization"}

    run(scenario, publisher_acl=acl)


def test_a_blacklist_wins_over_every_grant(run: Run, stranger: Any, someone: Any) -> None:
    async def scenario(house: Any) -> None:
        cases = [
            stranger.job("web1"),
            stranger.job("web1", "cmd.run", "id"),
            stranger.job("web1", "test.try", "cmd.run"),
        ]
        assert [code for code, _ in await ask(house, someone, *cases)] == ["ok", "authorization", "authorization"]

    run(scenario, publisher_acl={str(UID): ["*"]}, publisher_acl_blacklist={"modules": ["cmd" r"\..*"]})


def test_own_jobs_are_seen_and_others_are_not(run: Run, stranger: Any, someone: Any) -> None:
    async def scenario(house: Any) -> None:
        roots = await house.start("web1")
        [(_, frames)] = await ask(house, someone, stranger.job("web1"))
        own = frames[-1][1]["jid"]
        looks = [
            {"op": op, "jid": jid, **extra}
            for jid in (own, roots)
            for op, extra in (("job.get", {}), ("returns", {}), ("follow", {"timeout": 0.1, "max_time": 0.1}))
        ]
        answers = await ask(house, someone, *looks)
        assert [code for code, _ in answers] == ["ok"] * 3 + ["authorization"] * 3
        lists = await ask(house, someone, {"op": "job.list"}, {"op": "job.active"})
        for _, frames in lists:
            assert {data["jid"] for kind, data in frames if kind == "job"} == {own}
        strange = ["../../x", "", "1" * 19, "x" * 5000, "1" * 20]
        answers = await ask(house, someone, *({"op": "job.get", "jid": jid} for jid in strange))
        assert {code for code, _ in answers} == {"job"}

    run(scenario)


def test_jobs_of_others_are_seen_by_whom_it_is_granted(run: Run, stranger: Any, someone: Any) -> None:
    async def scenario(house: Any) -> None:
        roots = await house.start("web1")
        answers = await ask(house, someone, {"op": "job.get", "jid": roots}, stranger.job("web1"))
        assert [code for code, _ in answers] == ["ok", "authorization"]

    run(scenario, publisher_acl={str(UID): ["@jobs"]})


def test_runners_are_granted_by_name_and_lend_what_they_need(run: Run, stranger: Any, someone: Any) -> None:
    def runner(name: str, *arg: Any) -> dict[str, Any]:
        return {"op": "run", "fun": name, "call": {"arg": list(arg), "kwarg": {}}}

    async def scenario(house: Any) -> None:
        roots = await house.start("web1")
        [(_, frames)] = await ask(house, someone, stranger.job("web1"))
        own = frames[-1][1]["jid"]
        cases = [
            runner("manage.up"),
            runner("cache.grains", "web1"),
            runner("auth.list_tokens"),
            runner("jobs.print_job", own),
        ]
        answers = await ask(house, someone, *cases)
        assert [code for code, _ in answers] == ["ok", "authorization", "authorization", "ok"]
        assert answers[0][1][-1][1]["success"] is True
        # a runner can do no more than its caller: whose job it shows is asked again
        [(code, frames)] = await ask(house, someone, runner("jobs.print_job", roots))
        assert (code, frames[-1][1]["success"]) == ("ok", False)

    run(scenario, publisher_acl={str(UID): [*RIGHTS, {"@runner": ["manage.up"]}]})


def test_key_operations_are_granted_by_name(run: Run, stranger: Any, someone: Any) -> None:
    async def scenario(house: Any) -> None:
        answers = await ask(house, someone, {"op": "key.list"}, {"op": "key.delete", "match": "web1"})
        assert [code for code, _ in answers] == ["ok", "authorization"]

    run(scenario, publisher_acl={str(UID): [{"@wheel": ["key.list"]}]})


def test_events_of_own_jobs_are_seen_and_others_are_not(run: Run, stranger: Any, someone: Any) -> None:
    from ctl.common.ipc_server import Peer
    from ctl.master import clients

    class Taken:
        closed = False

        def __init__(self) -> None:
            self.tags: list[str] = []

        async def send(self, kind: str, data: Any) -> None:
            self.tags.append(data["tag"])

    async def scenario(house: Any) -> None:
        desk, limited, full = house.master.desk, Taken(), Taken()
        peers = {UID: limited, 0: full}
        tasks = [
            asyncio.ensure_future(clients.serve(desk, {"op": "events"}, Peer(uid, uid, 1, str(uid), ()), stream))
            for uid, stream in peers.items()
        ]
        await asyncio.sleep(0)
        roots = await house.start("web1")
        [(_, frames)] = await ask(house, someone, stranger.job("web1"))
        own = frames[-1][1]["jid"]
        peer = next(peer for peer in house.peers if peer.id == "web1")
        for jid in (roots, own):
            await peer.give(jid)
        desk.events.fire("salt/key", {"id": "x"})
        peer.tell("event", tag="custom", data=pack_payload({}))
        await asyncio.wait_for(_until(lambda: any("custom" in tag for tag in full.tags)), 10)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert set(limited.tags) == {f"salt/job/{own}/new", f"salt/job/{own}/ret/web1"}
        assert f"salt/job/{roots}/ret/web1" in full.tags

    run(scenario)


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_s18_pillar_cannot_be_guessed_by_who_may_not_read_it(
    run: Run, stranger: Any, someone: Any, tmp_path: Path
) -> None:
    (tmp_path / "pillar").mkdir()
    (tmp_path / "pillar" / "top.sls").write_text("base:\n  '*':\n    - secret\n")
    (tmp_path / "pillar" / "secret.sls").write_text("password: hunter2\n")

    async def scenario(house: Any) -> None:
        guesses = [
            stranger.job(tgt, tgt_type=kind)
            for tgt, kind in (
                ("I@password:hunter2 and web1", "compound"),
                ("I@password:wrong and web1", "compound"),
                ("password:hunter*", "pillar"),
                ("password:x.*", "pillar_pcre"),
                ("guess", "nodegroup"),
            )
        ]
        guesses += [{"op": "targets", "tgt": "web1 and I@password:hunter2", "tgt_type": "compound"}]
        answers = await ask(house, someone, *guesses)
        assert [code for code, _ in answers] == ["authorization"] * len(guesses)

    run(scenario, nodegroups={"guess": "web1 and I@password:hunter2"})


def test_deploy_and_the_real_programs_with_a_real_minion(run_fleet: Run, stranger: Any) -> None:
    """The acceptance case: a user of this machine, the installed programs, a minion that runs what it is told."""
    with stranger.open_directory() as root, stranger.account() as deploy:
        rights = [{"targets": ["web*"], "functions": ["test.*", "cp.recv"]}]
        given = settings(root, sock_group=deploy.name, publisher_acl={deploy.name: rights})
        config, source = root / "etc", deploy.home / "notes"
        config.mkdir()
        (config / "master").write_text(f"root_dir: {root / 'master'}\ntimeout: 20\n")
        source.write_text("from deploy\n")
        os.chown(source, deploy.uid, deploy.gid)

        async def scenario(fleet: Any) -> None:
            await fleet.add("web1")
            await fleet.add("db1")
            await fleet.connected()

            async def run(program: str, *words: str) -> Any:
                return await asyncio.to_thread(deploy.run, program, "-c", str(config), *words)

            done = await run("ctl", "web*", "test.ping", "--out=json")
            assert (done.returncode, done.stdout.split()) == (0, ["{", '"web1":', "true", "}"]), done.stderr
            batch = await run("ctl", "-b", "1", "web*", "test.echo", "hello", "--out=txt")
            assert (batch.returncode, batch.stdout.splitlines()[-1]) == (0, "web1: hello"), batch.stderr
            copied = await run("cp", "web1", str(source), str(root / "copied"))
            assert copied.returncode == 0, copied.stderr
            assert await asyncio.to_thread((root / "copied").read_text) == "from deploy\n"
            for program, words, sentence in (
                ("ctl", ("*", "test.ping"), "run test.ping on *"),
                ("ctl", ("web1", "cmd.run", "id"), "run cmd.run on web1"),
                ("cp", ("db1", str(source), "/tmp/x"), "use the target on db1"),
                ("run", ("manage.up",), "run the runner manage.up"),
                ("key", ("-L",), "use key.list"),
            ):
                refused = await run(program, *words)
                name = "ctl" if program == "ctl" else f"ctl-{program}"
                assert (refused.returncode, refused.stdout) == (2, ""), refused
                assert refused.stderr == f"{name}: user {deploy.name} may not {sentence}\n"

        run_fleet(scenario, minions=0, **given)
