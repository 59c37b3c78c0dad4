"""Links, and whether files are there: symlink, absent, exists, missing, touch, copy, rename."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")


def test_a_symlink_is_made_and_turned(machine: Any) -> None:
    link = machine.root / "link"
    outcome = machine.settle("file.symlink", name=str(link), target="/nowhere")
    assert outcome.changes == {"new": str(link)}
    assert os.readlink(link) == "/nowhere"
    machine.settle("file.symlink", name=str(link), target="elsewhere")
    assert os.readlink(link) == "elsewhere"
    assert os.listdir(machine.root) == ["link"]


def test_a_file_in_the_way_of_a_symlink(machine: Any) -> None:
    link = machine.root / "link"
    link.write_text("mine")
    assert machine.run("file.symlink", name=str(link), target="x").result is False
    machine.settle("file.symlink", name=str(link), target="x", backupname="kept")
    assert (machine.root / "kept").read_text() == "mine"
    link.unlink()
    link.mkdir()
    (link / "child").write_text("")
    machine.settle("file.symlink", name=str(link), target="x", force=True)


def test_a_symlink_in_a_missing_directory(machine: Any) -> None:
    link = machine.root / "d" / "link"
    assert machine.plan("file.symlink", name=str(link), target="x").result is False
    assert machine.dry("file.symlink", name=str(link), target="x").certain is False
    machine.settle("file.symlink", name=str(link), target="x", makedirs=True)


@needs_root
def test_the_owner_of_a_symlink_is_its_own(machine: Any) -> None:
    (machine.root / "real").write_text("")
    link = machine.root / "link"
    link.symlink_to("real")
    outcome = machine.settle("file.symlink", name=str(link), target="real", user="daemon")
    assert outcome.changes == {"user": "daemon"}
    assert link.lstat().st_uid != 0
    assert (machine.root / "real").stat().st_uid == 0


def test_absent_removes_files_links_and_trees(machine: Any) -> None:
    outside = machine.tree / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    (machine.root / "f").write_text("")
    (machine.root / "link").symlink_to(outside)
    (machine.root / "d" / "sub").mkdir(parents=True)
    (machine.root / "d" / "way").symlink_to(outside)
    for name, verb in (("f", "file"), ("link", "file"), ("d", "directory")):
        path = str(machine.root / name)
        assert dict(machine.dry("file.absent", name=path).changes) == {"removed": path}
        outcome = machine.settle("file.absent", name=path)
        assert outcome.changes == {"removed": path}
        assert verb in outcome.comment
    assert os.listdir(machine.root) == []
    assert os.listdir(outside) == ["kept"]


@pytest.mark.parametrize("name", ["/", "//", "relative"])
def test_absent_refuses_what_is_no_file_to_remove(machine: Any, name: str) -> None:
    assert machine.plan("file.absent", name=name).result is False


def test_exists_and_missing_look_and_change_nothing(machine: Any) -> None:
    path = str(machine.root / "f")
    assert machine.plan("file.missing", name=path).result is True
    assert machine.plan("file.exists", name=path).result is False
    assert machine.dry("file.exists", name=path).result is None
    Path(path).write_text("")
    assert machine.plan("file.exists", name=path).result is True
    assert machine.plan("file.missing", name=path).result is False
    assert machine.dry("file.missing", name=path).result is None


def test_touch_makes_or_updates(machine: Any) -> None:
    path = machine.root / "d" / "f"
    assert machine.run("file.touch", name=str(path)).result is False
    outcome = machine.run("file.touch", name=str(path), makedirs=True)
    assert outcome.changes == {"new": str(path)}
    os.utime(path, (1, 1))
    assert machine.run("file.touch", name=str(path)).changes == {"touched": str(path)}
    assert path.stat().st_mtime > 1
    machine.run("file.touch", name=str(path), mtime=1000, atime=2000)
    assert (path.stat().st_mtime, path.stat().st_atime) == (1000, 2000)
    machine.settle("file.touch", name=str(path), mtime=3000)


def test_copy_copies_once_and_with_force_what_differs(machine: Any) -> None:
    source, path = machine.root / "source", machine.root / "d" / "copy"
    source.write_text("one")
    source.chmod(0o640)
    given = {"name": str(path), "source": str(source)}
    assert machine.run("file.copy", **given).result is False
    machine.settle("file.copy", makedirs=True, **given)
    assert path.read_text() == "one"
    source.write_text("two")
    assert machine.plan("file.copy", **given).result is True
    machine.settle("file.copy", force=True, **given)
    assert path.read_text() == "two"


def test_copy_of_a_directory_and_of_nothing(machine: Any) -> None:
    (machine.root / "d").mkdir()
    (machine.root / "d" / "f").write_text("x")
    machine.settle("file.copy", name=str(machine.root / "e"), source=str(machine.root / "d"))
    assert (machine.root / "e" / "f").read_text() == "x"
    nothing = {"name": str(machine.root / "x"), "source": str(machine.root / "nothing")}
    assert machine.plan("file.copy", **nothing).result is False
    assert machine.dry("file.copy", **nothing).certain is False


def test_rename_moves_once(machine: Any) -> None:
    old, new = machine.root / "old", machine.root / "d" / "new"
    old.write_text("x")
    given = {"name": str(new), "source": str(old)}
    assert machine.plan("file.rename", **given).result is False
    outcome = machine.settle("file.rename", makedirs=True, **given)
    assert outcome.changes == {str(new): str(old)}
    old.write_text("y")
    assert machine.plan("file.rename", **given).result is False
    machine.settle("file.rename", force=True, **given)
    assert new.read_text() == "y"


def test_a_link_that_is_replaced_may_leave_its_owner(machine: Any) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    link = machine.root / "l"
    link.symlink_to("old")
    os.lchown(link, 1, 1)
    plan = machine.dry("file.symlink", name=str(link), target="new", inherit_user_and_group=True)
    assert plan.changes == {"change": str(link)}
    machine.settle("file.symlink", name=str(link), target="new", inherit_user_and_group=True)
    assert (os.readlink(link), link.lstat().st_uid) == ("new", 1)
