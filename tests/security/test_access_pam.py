"""External authentication by PAM, against the real one: users made by useradd, a service of its own (S19, S06).

Needs root, useradd and libpam; skipped without.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctl.common.config import MasterConfig
from ctl.common.errors import AuthenticationError, AuthorizationError, ConfigError, CtlError, JobError
from ctl.master.access import Access
from ctl.master.auth import HelperMethod
from ctl.master.auth_pam import PamMethod

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes users"),
    pytest.mark.skipif(shutil.which("useradd") is None, reason="there is no useradd"),
    pytest.mark.skipif(not Path("/etc/pam.d").is_dir(), reason="there is no PAM here"),
]
PASSWORD = "Correct-horse 7"
SERVICE = f"ctl-test-{os.getpid()}"


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """A PAM service like a login's, without its delays."""
    path = Path("/etc/pam.d") / SERVICE
    path.write_text("auth required pam_unix.so nodelay\naccount required pam_unix.so\n")
    yield SERVICE
    path.unlink()


@pytest.fixture
def user(stranger: Any) -> Iterator[Any]:
    with stranger.account(PASSWORD) as made:
        yield made


@pytest.fixture
def method(service: str) -> PamMethod:
    return PamMethod(service)


def change(user: Any, program: str, *options: str) -> None:
    subprocess.run([program, *options, user.name], check=True, capture_output=True)


def test_the_right_password_of_a_real_account_and_no_other(method: PamMethod, user: Any) -> None:
    account = method.check(user.name, PASSWORD)
    assert account is not None
    assert (account.user, list(account.groups), account.stamp) == (user.name, [user.name], str(user.uid))
    assert method.find(user.name) == account
    for wrong in ("wrong", PASSWORD + " ", PASSWORD[:-1], PASSWORD.lower()):
        assert method.check(user.name, wrong) is None
    for name in ("nosuchuser", user.name.upper(), f"{user.name} ", "root", ""):
        assert method.check(name, PASSWORD) is None


@pytest.mark.parametrize(
    ("what", "command"),
    [
        ("locked", ("usermod", "-L")),
        ("expired", ("chage", "-E", "0")),
        ("must change its password", ("chage", "-d", "0")),
        ("no shell", ("usermod", "-s", "/usr/sbin/nologin")),
        ("a shell that is none", ("usermod", "-s", "/bin/cat")),
        ("no password", ("passwd", "-d")),
    ],
)
def test_s19_an_account_that_must_not_log_in_is_refused(
    method: PamMethod, user: Any, what: str, command: tuple[str, ...]
) -> None:
    change(user, *command)
    assert method.check(user.name, PASSWORD) is None
    assert method.check(user.name, "") is None
    if what != "no password":  # the account itself may still be used, by other means than a password
        assert method.find(user.name) is None


def test_s19_the_service_is_the_configurations_and_must_exist(user: Any) -> None:
    for name in ("nosuch-service", "../pam.d/login", "/etc/pam.d/login", ""):
        with pytest.raises(JobError, match=r"service|auth_pam_service"):
            PamMethod(name).check(user.name, PASSWORD)


def test_s19_the_password_is_in_no_argument_and_no_environment(service: str, monkeypatch: Any) -> None:
    seen: list[Any] = []
    real = subprocess.Popen

    def start(command: Any, **options: Any) -> Any:
        seen.append((command, options["env"]))
        return real(command, **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    assert HelperMethod("pam", service).check("nosuchuser", "canary-password") is None
    assert len(seen) == 1
    assert "canary-password" not in repr(seen)


RUN = Callable[..., None]


def settings(root: Path, service: str, user: Any, **more: Any) -> dict[str, Any]:
    return {
        "root_dir": str(root / "master"),
        "auth_pam_service": service,
        "external_auth": {"pam": {user.name: ["test.*", "@runner"]}},
        "auth_failures": 1000,
        **more,
    }


def test_s19_a_token_is_good_only_as_long_as_its_account_is(
    run_house: RUN, service: str, user: Any, tmp_path: Path
) -> None:
    async def scenario(house: Any) -> None:
        await house.join("web1")
        right = {"eauth": "pam", "username": user.name, "password": PASSWORD}
        token = {"token": (await house.call("token.make", auth=right))["token"]}
        frames = await house.publish("web1", auth=token)
        assert (await house.call("job.get", jid=frames[-1][1]["jid"]))["user"] == f"pam:{user.name}"
        with pytest.raises(AuthorizationError):
            await house.publish("web1", "cmd.run", auth=token)
        for command, back in (
            (("usermod", "-L"), ("usermod", "-U")),
            (("chage", "-E", "0"), ("chage", "-E", "-1")),
            (("usermod", "-s", "/usr/sbin/nologin"), ("usermod", "-s", "/bin/sh")),
        ):
            await asyncio.to_thread(change, user, *command)
            for auth in (token, right):
                with pytest.raises(AuthenticationError):
                    await house.call("ping", auth=auth)
            await asyncio.to_thread(change, user, *back)
            assert (await house.call("ping", auth=token))["version"]
        await house.restart(external_auth={"pam": {user.name: ["other.function"]}})
        with pytest.raises(AuthorizationError):  # the rights of now, not of when it was made
            await house.publish("web1", auth=token)
        await house.restart(external_auth={"pam": {"somebody": ["*"]}})
        with pytest.raises(AuthorizationError):
            await house.call("ping", auth=token)

    run_house(scenario, **settings(tmp_path, service, user))


def test_a_method_that_hangs_keeps_nobody_else_waiting_not_even_the_end(
    run_house: RUN, service: str, user: Any, tmp_path: Path
) -> None:
    hanging = Path("/etc/pam.d") / f"{service}-hangs"
    hanging.write_text("auth required pam_exec.so quiet /bin/sleep 60\naccount required pam_permit.so\n")

    async def scenario(house: Any) -> None:
        right = {"eauth": "pam", "username": user.name, "password": PASSWORD}
        asked = asyncio.ensure_future(house.call("ping", auth=right))
        method = house.master.desk.access.authenticator._methods["pam"]
        async with asyncio.timeout(20):
            while not method._running:
                await asyncio.sleep(0.01)
            assert (await house.call("ping"))["version"]
        began = time.monotonic()
        await house.master.close("while PAM hangs")
        assert time.monotonic() - began < 15
        with pytest.raises(CtlError):
            await asked

    try:
        run_house(scenario, **settings(tmp_path, hanging.name, user))
    finally:
        hanging.unlink()


def test_groups_are_granted_rights(run_house: RUN, service: str, user: Any, tmp_path: Path) -> None:
    async def scenario(house: Any) -> None:
        right = {"eauth": "pam", "username": user.name, "password": PASSWORD}
        assert (await house.call("ping", auth=right))["version"]

        # who asks does not choose the service
        other = {**right, "password": "wrong", "service": "su", "auth_pam_service": "su"}
        with pytest.raises(AuthenticationError):
            await house.call("ping", auth=other, service="su")

    run_house(scenario, **settings(tmp_path, service, user, external_auth={"pam": {f"{user.name}%": ["test.*"]}}))


def test_the_programs_ask_for_an_account_and_keep_a_token(
    run_house: RUN, stranger: Any, service: str, user: Any
) -> None:
    """The whole way: a user's `ctl -a pam -T`, its file, `ctl-run -a pam`, and an end to it."""

    async def scenario(house: Any) -> None:
        await house.join("web1")
        root = house.root_dir
        config = root / "etc"
        config.mkdir()
        (config / "master").write_text(f"root_dir: {root / 'master'}\ntimeout: 0.5\n")

        async def run(program: str, *words: str, typed: str = "") -> Any:
            return await asyncio.to_thread(user.run, program, "-c", str(config), *words, typed=typed)

        denied = await run("ctl", "web1", "test.ping", "--async")
        assert (denied.returncode, denied.stderr) == (2, f"ctl: user {user.name} may not publish jobs\n"), denied
        wrong = await run("ctl", "-a", "pam", "--password-file", "-", "web1", "test.ping", typed="wrong\n")
        assert (wrong.returncode, wrong.stderr) == (2, "ctl: authentication failed\n")
        made = await run(
            "ctl", "-T", "-a", "pam", "--password-file", "-", "web1", "test.ping", "--async", typed=PASSWORD
        )
        assert made.returncode == 0, made.stderr
        kept = user.home / ".ctl_token"
        assert (kept.stat().st_mode & 0o777, kept.stat().st_uid) == (0o600, user.uid)
        assert PASSWORD not in kept.read_text()

        again = await run("ctl", "-a", "pam", "web1", "test.ping", "--async")
        assert (again.returncode, again.stderr) == (0, "")
        forbidden = await run("ctl", "-a", "pam", "web1", "cmd.run", "id")
        assert forbidden.returncode == 2
        assert forbidden.stderr == f"ctl: user pam:{user.name} may not run cmd.run on web1\n"
        listed = await run("run", "-a", "pam", "auth.list_tokens", "--out=json")
        assert (listed.returncode, listed.stdout.count(f"pam:{user.name}")) == (0, 1), listed.stderr
        revoked = await run("run", "-a", "pam", "auth.revoke", f"account=pam:{user.name}")
        assert revoked.returncode == 0, revoked.stderr
        gone = await run("ctl", "-a", "pam", "web1", "test.ping")
        assert (gone.returncode, gone.stderr) == (2, "ctl: the token is not valid, or not any more\n")

    with stranger.open_directory() as root:

        async def with_root(house: Any) -> None:
            house.root_dir = root
            await scenario(house)

        run_house(with_root, **settings(root, service, user, sock_group=user.name))


def test_a_method_that_does_not_exist_stops_the_start(tmp_path: Path) -> None:
    config = MasterConfig.from_mapping({"external_auth": {"nosuch": {"bob": ["*"]}}})
    with pytest.raises(ConfigError, match="nosuch"):
        Access.open(config, tmp_path, lambda: 0, lambda: 0.0)
