"""Files between a real master and real minions: the tree, git, what is pushed, what is copied; and external pillar."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.client.cli import cp

RunFleet = Callable[..., None]
Eventually = Callable[..., Any]


def test_many_small_files_and_a_large_one_arrive_whole(run_fleet: RunFleet, tmp_path: Path) -> None:
    async def scenario(fleet: Any) -> None:
        tree = tmp_path / "states" / "many"
        tree.mkdir()
        for number in range(700):
            (tree / f"f{number}").write_bytes(f"file {number} ".encode() * (number % 100))
        large = os.urandom(12_345_678)
        (tmp_path / "states" / "large").write_bytes(large)
        found = await fleet.publish("m1", "cp.get_dir", "salt://many", str(tmp_path / "out"))
        assert len(found.returns["m1"]) == 700, found
        for path in tree.iterdir():
            assert (tmp_path / "out" / "many" / path.name).read_bytes() == path.read_bytes()
        where = tmp_path / "out" / "large"
        for _ in range(2):
            found = await fleet.publish("m1", "cp.get_file", "salt://large", str(where))
            assert found.returns["m1"] == str(where)
            assert where.read_bytes() == large
        cache = tmp_path / "m1/var/cache/ctl/minion/files"
        assert list((cache / "taken").iterdir()) == []

    run_fleet(scenario)


def test_a_large_file_that_replaces_another_keeps_its_mode(run_fleet: RunFleet, tmp_path: Path) -> None:
    async def scenario(fleet: Any) -> None:
        (tmp_path / "states" / "large").write_bytes(b"x" * 9_000_000)
        where = tmp_path / "large"
        where.write_text("old")
        where.chmod(0o640)
        (tmp_path / "link").symlink_to(where)
        await fleet.publish("m1", "cp.get_file", "salt://large", str(tmp_path / "link"))
        assert where.stat().st_size == 9_000_000
        assert where.stat().st_mode & 0o777 == 0o640
        assert (tmp_path / "link").is_symlink()
        await fleet.publish("m1", "cp.get_file", "salt://large", str(tmp_path / "new"))
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o666 & ~_umask()
        found = await fleet.publish("m1", "cp.get_file", "salt://large", str(tmp_path / "no" / "new"))
        assert found.envelopes["m1"]["retcode"] != 0

    run_fleet(scenario)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_git_branches_are_environments_of_minions(
    run_fleet: RunFleet, git_tree: Any, tmp_path: Path, eventually: Eventually
) -> None:
    remote = git_tree(tmp_path / "remote")
    remote.commit({"motd": "from git\n", "shared": "git"})
    remote.branch("dev")
    remote.commit({"motd": "from dev\n"})

    async def scenario(fleet: Any) -> None:
        (tmp_path / "states" / "shared").write_text("roots")
        await eventually(lambda: "dev" in fleet.master.desk.files.environments())
        assert await fleet.run("fileserver.envs") == ["base", "dev"]
        assert await fleet.run("fileserver.file_list") == ["motd", "shared"]
        assert await fleet.run("fileserver.file_list", backend="roots") == ["shared"]
        assert await fleet.run("fileserver.file_list", "dev", backend=["gitfs"]) == ["motd", "shared"]
        assert await fleet.run("fileserver.envs", sources=True) == {"roots": ["base"], "git": ["base", "dev"]}
        assert await fleet.run("fileserver.update", backend="roots") is True
        assert "did you mean git" in await fleet.run("fileserver.envs", backend="gti")

        async def text(path: str) -> Any:
            return (await fleet.publish("m1", "cp.get_file_str", path)).returns["m1"]

        assert await text("salt://motd") == "from git\n"
        assert await text("salt://motd?saltenv=dev") == "from dev\n"
        assert await text("salt://shared") == "roots"
        remote.branch("later")
        remote.commit({"motd": "later\n"})
        assert await fleet.run("fileserver.update") is True
        assert await text("salt://motd?saltenv=later") == "later\n"
        assert await fleet.run("fileserver.envs") == ["base", "dev", "later"]
        for env in ("../..", "/etc", "no", "de\0v"):
            assert await text(f"salt://motd?saltenv={env}") is False

    run_fleet(scenario, fileserver_backend=["roots", "git"], gitfs_remotes=[remote.url], gitfs_update_interval=3600)


def test_external_pillar_reaches_its_minion_and_blocks_runs_where_it_fails(run_fleet: RunFleet, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("#!/bin/sh\ncase $1 in m1) echo 'secret: of m1';; m2) echo 'secret: of m2';; *) exit 3;; esac\n")
    source.chmod(0o755)

    async def scenario(fleet: Any) -> None:
        (tmp_path / "states" / "a.sls").write_text("test.nop: []\n")
        found = await fleet.publish("*", "pillar.items")
        assert found.returns == {"m1": {"secret": "of m1"}, "m2": {"secret": "of m2"}}
        assert await fleet.run("pillar.show_pillar", "m2") == {"secret": "of m2"}
        assert "cmd_yaml" in str(await fleet.run("pillar.show_pillar", "nobody"))
        (tmp_path / "pillar" / "top.sls").write_text("base: {'*': [x], 'm1': [y]}")
        assert await fleet.run("pillar.show_top", "m1") == {"base": ["x", "y"]}
        assert (await fleet.run("pillar.show_top"))["base"]["m1"] == ["y"]
        (tmp_path / "pillar" / "top.sls").unlink()
        source.write_text("#!/bin/sh\nexit 1\n")
        found = await fleet.publish("m1", "state.apply", "a")
        assert found.envelopes["m1"]["retcode"] != 0
        assert "cmd_yaml" in str(found.returns["m1"])

    run_fleet(scenario, minions=2, ext_pillar=[{"cmd_yaml": f"{source} %s"}])


def test_minions_push_where_the_master_lets_them(run_fleet: RunFleet, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    (logs / "sub").mkdir(parents=True)
    for name, content in {"a.log": b"a" * 1_500_000, "b.txt": b"b", "sub/c.log": b""}.items():
        (logs / name).write_bytes(content)

    async def scenario(fleet: Any) -> None:
        area = tmp_path / "master/var/cache/ctl/master/minions/m1/files"
        found = await fleet.publish("m1", "cp.push", str(logs / "a.log"), kwarg={"upload_path": "/up/a"})
        assert found.returns["m1"] is True
        assert (area / "up/a").read_bytes() == b"a" * 1_500_000
        assert (await fleet.publish("m1", "cp.push_dir", str(logs), kwarg={"glob": "*.log"})).returns["m1"] is True
        below = area / str(logs).lstrip("/")
        assert sorted(str(path.relative_to(below)) for path in below.rglob("*.*")) == ["a.log", "sub/c.log"]
        assert (await fleet.publish("m1", "cp.push", str(logs / "no"))).returns["m1"] is False
        found = await fleet.publish("m1", "cp.push", str(logs / "b.txt"), kwarg={"upload_path": "/../../m2/files/x"})
        assert found.envelopes["m1"]["retcode"] != 0
        found = await fleet.publish("m1", "cp.push", str(logs / "b.txt"), kwarg={"remove_source": True})
        assert found.returns["m1"] is True
        assert not (logs / "b.txt").exists()

    run_fleet(scenario, file_recv=True)


def test_no_minion_pushes_by_default(run_fleet: RunFleet, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")

    async def scenario(fleet: Any) -> None:
        found = await fleet.publish("m1", "cp.push", str(tmp_path / "x"))
        assert "file_recv" in str(found.returns["m1"])

    run_fleet(scenario)


@pytest.fixture
def ctl_cp(tmp_path: Path) -> Callable[..., int]:
    """Run `ctl-cp` against the fleet's master."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "master").write_text(json.dumps({"root_dir": str(tmp_path / "master")}))
    return lambda *words: cp.main(["-c", str(tmp_path / "conf"), *map(str, words)])


def test_ctl_cp_copies_files_and_directories(
    run_fleet: RunFleet, ctl_cp: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    for name, content in {"tool": b"#!/bin/sh\n", "big": os.urandom(9_000_000), "sub/x": b"", "-n": b"dash"}.items():
        (source / name).write_bytes(content)
    (source / "tool").chmod(0o751)

    async def scenario(fleet: Any) -> None:
        one = tmp_path / "out" / "one"
        assert await fleet.in_thread(lambda: ctl_cp("--out", "json", "*", source / "tool", one)) == 0
        assert one.read_bytes() == b"#!/bin/sh\n"
        assert one.stat().st_mode & 0o777 == 0o751
        assert json.loads(capsys.readouterr().out)["m1"] == {str(one): True}
        assert await fleet.in_thread(lambda: ctl_cp("-C", "m1", source / "tool", source, tmp_path / "all")) == 0
        for name in ("tool", "big", "sub/x", "-n"):
            assert (tmp_path / "all/source" / name).read_bytes() == (source / name).read_bytes()
        assert (tmp_path / "all/tool").exists()
        assert list((tmp_path / "master/var/cache/ctl/master/staged").iterdir()) == []
        for wrong in (
            ("m1", "/nowhere/x", "/y"),
            ("m1", source / "tool", "relative"),
            ("m1", "x"),
            ("no*", source, "/y"),
        ):
            assert await fleet.in_thread(lambda wrong=wrong: ctl_cp(*wrong)) == 2
        assert await fleet.in_thread(lambda: ctl_cp("m1", source / "tool", f"{tmp_path}/all/tool/below")) == 1

    run_fleet(scenario, minions=1)
