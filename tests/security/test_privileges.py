"""A master that is to run as an ordinary user gives root up before it parses anything from a network, for good."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ctl.common.errors import ConfigError
from ctl.common.privileges import become, find_user

USER = "nobody"
STRANGE_GROUP = 54321
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def status_of(pid: int) -> dict[str, list[str]]:
    """Return what the kernel says of a process's ids, groups and capabilities."""
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {key: value.split() for key, _, value in lines if key in ("Uid", "Gid", "Groups") or key.startswith("Cap")}


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that other users can reach."""
    directory = Path(tempfile.mkdtemp(prefix="ctl-privileges-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def reachable() -> None:
    """Skip where the other user cannot run this interpreter: it lies in root's home, for one."""
    account = pwd.getpwnam(USER)
    script = "import ctl.master.daemon, subprocess, sys; subprocess.check_call([sys.executable, '-V'])"
    who: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": ()}
    try:
        subprocess.run([sys.executable, "-c", script], cwd="/", capture_output=True, timeout=60, check=True, **who)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip(f"the user {USER} cannot run {sys.executable} with ctl")


def test_s39_a_master_of_an_ordinary_user_keeps_nothing_of_root(
    bench_fleet: Any, open_directory: Path, reachable: None
) -> None:
    account = pwd.getpwnam(USER)
    fleet = bench_fleet.Fleet(open_directory / "fleet", master={"user": USER, "sock_group": ""})
    fleet.add_minion("m1")
    before = os.getgroups()
    os.setgroups([*before, STRANGE_GROUP])  # what root's own session may bring along
    try:
        fleet.start()
        home = fleet.master.home
        assert fleet.run("ctl", "m1", "test.ping").returncode == 0  # by root
        assert fleet.run("ctl", "-I", "x:y", "test.ping").returncode == 2
        assert fleet.run("ctl-run", "cache.pillar", "m1").returncode == 0  # there is a worker now
        tree = [psutil.Process(fleet.master.pid), *psutil.Process(fleet.master.pid).children(recursive=True)]
        assert len(tree) >= 2
        for process in tree:
            kernel = status_of(process.pid)
            assert set(kernel["Uid"]) == {str(account.pw_uid)}, process.cmdline()
            assert set(kernel["Gid"]) == {str(account.pw_gid)}, process.cmdline()
            assert set(kernel["Groups"]) <= {str(gid) for gid in os.getgrouplist(USER, account.pw_gid)}
            for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                assert int(kernel[kind][0], 16) == 0, (kind, process.cmdline())
        made = [path for name in ("var", "etc/ctl/pki", "run") for path in (home / name).rglob("*")]
        owners = {path.lstat().st_uid for path in made if path.name not in ("lib", "cache", "log", "ctl")}
        assert owners == {account.pw_uid}
        as_user = [sys.executable, "-c", AS_USER, USER, str(fleet.config_dir), *(str(bench_fleet.BIN / "ctl-run"),)]
        done = subprocess.run([*as_user, "manage.up", "--out", "json"], capture_output=True, text=True, timeout=60)
        assert json.loads(done.stdout) == ["m1"], done.stderr
        fleet.stop()
        assert fleet.run("ctl-key", "-L").returncode == 0  # by root, while no master runs
        fleet.master.start()
        fleet.wait_for_master()
    finally:
        os.setgroups(before)
        fleet.stop()


# Becomes a user, then a program: prints what that prints.
AS_USER = """
import os, pwd, sys
user, config, program, *words = sys.argv[1:]
account = pwd.getpwnam(user)
os.setgroups([]); os.setresgid(*[account.pw_gid] * 3); os.setresuid(*[account.pw_uid] * 3)
os.chdir("/")
os.execv(program, [program, "-c", config, *words])
"""


NO_WAY_BACK = """
import os
from ctl.common.privileges import become
become("nobody")
for way in (os.setuid, os.seteuid, os.setgid):
    try:
        way(0)
    except PermissionError:
        continue
    raise SystemExit(f"{way} went back")
print(os.getresuid(), os.getgroups())
"""


def test_s39_there_is_no_way_back_to_root() -> None:
    done = subprocess.run([sys.executable, "-c", NO_WAY_BACK], capture_output=True, text=True, timeout=60, cwd="/")
    assert done.returncode == 0, done.stderr
    account = pwd.getpwnam(USER)
    assert done.stdout.startswith(f"{(account.pw_uid,) * 3}")


def test_s39_a_directory_of_somebody_else_is_named_before_anything_starts(
    bench_fleet: Any, open_directory: Path
) -> None:
    fleet = bench_fleet.Fleet(open_directory / "fleet", master={"user": USER})
    data = fleet.master.home / "var" / "lib" / "ctl" / "master"
    data.mkdir(parents=True)
    fleet.master.start()
    process = fleet.master._process
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert fleet.master.stop() == 2
    said = fleet.master.log.read_text()
    assert f"{data}: this directory belongs to user root, and the daemon is to run as {USER}" in said
    assert f"chown -R {USER} {data}" in said


def test_s39_users_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="there is no user"):
        become("no-such-user-here")
    assert find_user("") is None
    assert find_user("root") is None
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ConfigError, match="only root"):
        find_user("daemon")
