"""Files that are thinned out, patched, linked, copied and cached."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

DAY = 86400


def _old(path: Path, days: float, size: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    moment = time.time() - days * DAY
    os.utime(path, (moment, moment))
    return path


def _names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"age": 5}, {"new", "d/big"}),
        ({"age": 5, "matches": ["o"]}, {"new", "d/big", "d/x.gz"}),
        ({"age": 5, "exclude": r".*\.gz"}, {"new", "d/big", "d/x.gz"}),
        ({"size": "1k"}, {"new", "old", "d/x.gz"}),
        ({"size": "1k", "age": 5}, {"new"}),
        ({"size": "1k", "age": 5, "age_size_logical_operator": "AND"}, {"new", "old", "d/big", "d/x.gz"}),
        ({"size": "1k", "age": 5, "age_size_only": "size"}, {"new", "old", "d/x.gz"}),
        ({}, set()),
        ({"age": 0, "rmdirs": True, "matches": "d"}, {"new", "old"}),
    ],
)
def test_files_are_removed_by_age_and_size(machine: Any, given: dict[str, Any], left: set[str]) -> None:
    _old(machine.root / "new", 0)
    _old(machine.root / "old", 9)
    _old(machine.root / "d/big", 1, 2000)
    _old(machine.root / "d/x.gz", 30)
    machine.settle("file.tidied", name=str(machine.root), time_comparison="mtime", **given)
    assert _names(machine.root) == left


def test_empty_directories_are_pruned(machine: Any) -> None:
    (machine.root / "a/b/c").mkdir(parents=True)
    (machine.root / "d").mkdir()
    (machine.root / "d/file").write_text("")
    assert "not empty" in machine.run("file.pruned", name=str(machine.root / "a")).comment
    outcome = machine.settle("file.pruned", name=str(machine.root), recurse=True)
    assert sorted(outcome.changes["deleted"]) == [str(machine.root / name) for name in ("a", "a/b", "a/b/c")]
    assert _names(machine.root) == {"d/file"}


def test_backups_are_kept_by_a_schedule(machine: Any) -> None:
    names = [f"db-2024{month:02d}{day:02d}" for month in (1, 2) for day in (1, 2, 3)]
    for name in [*names, "other"]:
        (machine.root / name).write_text("")
    retain = {"most_recent": 1, "first_of_month": "all"}
    given = {"name": str(machine.root), "retain": retain, "strptime_format": "db-%Y%m%d"}
    machine.settle("file.retention_schedule", **given)
    assert _names(machine.root) == {"db-20240101", "db-20240201", "db-20240203", "other"}
    assert "none of" in machine.run("file.retention_schedule", name=str(machine.root), retain={"x": 1}).comment


def test_backups_may_be_directories_and_the_changes_tell_all(machine: Any) -> None:
    for name in ("db-20240101", "db-20240102", "notes"):
        (machine.root / name).mkdir()
    given = {"name": str(machine.root), "retain": {"most_recent": 1}, "strptime_format": "db-%Y%m%d"}
    outcome = machine.settle("file.retention_schedule", **given)
    assert outcome.changes == {"retained": ["db-20240102"], "deleted": ["db-20240101"], "ignored": ["notes"]}


def test_a_copy_is_told_as_one_and_a_replaced_file_with_the_difference(machine: Any) -> None:
    source, path = machine.root / "a", machine.root / "b"
    source.write_text("new\n")
    assert machine.settle("file.copy", name=str(path), source=str(source)).changes == {str(path): str(source)}
    path.write_text("old\n")
    changes = machine.settle("file.copy", name=str(path), source=str(source), force=True).changes
    assert changes == {str(path): str(source), "diff": "--- \n+++ \n@@ -1 +1 @@\n-old\n+new\n"}


def test_files_get_further_names(machine: Any) -> None:
    target, path = machine.root / "a", machine.root / "d/b"
    given = {"name": str(path), "target": str(target)}
    assert "is not there" in machine.run("file.hardlink", **given).comment
    target.write_text("x")
    machine.settle("file.hardlink", makedirs=True, **given)
    assert path.stat().st_ino == target.stat().st_ino
    path.unlink()
    path.write_text("another")
    assert "force: True" in machine.run("file.hardlink", **given).comment
    machine.settle("file.hardlink", force=True, **given)
    assert path.read_text() == "x"


def test_pipes_and_devices_are_made(machine: Any) -> None:
    path = machine.root / "pipe"
    machine.settle("file.mknod", name=str(path), ntype="p", mode="0640")
    assert path.is_fifo()
    machine.settle("file.mknod", name=str(path), ntype="p", mode="0600")
    assert path.stat().st_mode & 0o777 == 0o600
    assert "no character device" in machine.run("file.mknod", name=str(path), ntype="c", major=1, minor=3).comment
    assert machine.run("file.mknod", name="/dev/null", ntype="c", major=1, minor=3, mode="0666").result is True
    assert "numbers" in machine.run("file.mknod", name="/dev/null", ntype="c", major=1, minor=4).comment


PATCH = "--- x/a\n+++ x/a\n@@ -1,3 +1,3 @@\n one\n-two\n+zwei\n three\n"


def test_a_file_is_patched_once_and_at_once(machine: Any) -> None:
    path = machine.root / "a"
    path.write_text("one\ntwo\nthree\n")
    path.chmod(0o640)
    source = machine.source("p", PATCH)
    outcome = machine.settle("file.patch", name=str(path), source=source)
    assert "+zwei" in outcome.changes["diff"]
    assert path.read_text() == "one\nzwei\nthree\n"
    assert path.stat().st_mode & 0o777 == 0o640
    path.write_text("something else\n")
    refused = machine.run("file.patch", name=str(path), source=source)
    assert refused.result is False
    assert "does not fit" in refused.comment
    assert _names(machine.root) == {"a"}


def test_a_directory_is_patched(machine: Any) -> None:
    (machine.root / "a").write_text("one\ntwo\nthree\n")
    source = machine.source("p", PATCH + "--- /dev/null\n+++ x/new\n@@ -0,0 +1 @@\n+made\n")
    assert "strip" in machine.run("file.patch", name=str(machine.root), source=source).comment
    machine.settle("file.patch", name=str(machine.root), source=source, strip=1)
    assert (machine.root / "new").read_text() == "made\n"
    assert _names(machine.root) == {"a", "new"}


def test_a_copy_or_a_new_name_never_loses_its_source(machine: Any) -> None:
    path = machine.root / "d"
    (path / "e").mkdir(parents=True)
    (path / "e/x").write_text("x")
    for function in ("file.copy", "file.rename"):
        assert machine.run(function, name=str(path), source=str(path), force=True).changes == {}
        assert "inside" in machine.run(function, name=str(path), source=str(path / "e"), force=True).comment
        assert "inside" in machine.run(function, name=str(path / "e/f"), source=str(path), force=True).comment
    assert (path / "e/x").read_text() == "x"


def test_a_directory_is_copied_without_following_links(machine: Any) -> None:
    source, copy = machine.root / "d", machine.root / "copy"
    (source / "e").mkdir(parents=True)
    (source / "e").chmod(0o750)
    (source / "e/x").write_text("x")
    (source / "link").symlink_to("/etc/passwd")
    os.mkfifo(source / "pipe")
    machine.settle("file.copy", name=str(copy), source=str(source), mode="0700")
    assert (copy / "e/x").read_text() == "x"
    assert (copy / "e").stat().st_mode & 0o777 == 0o750
    assert copy.stat().st_mode & 0o777 == 0o700
    assert os.readlink(copy / "link") == "/etc/passwd"
    assert not (copy / "pipe").exists()
    (copy / "e/x").write_text("changed")
    (copy / "more").write_text("")
    assert machine.run("file.copy", name=str(copy), source=str(source)).changes == {}
    machine.settle("file.copy", name=str(copy), source=str(source), force=True)
    assert _names(copy) == {"e/x", "link"}


def test_files_of_the_tree_are_cached_and_forgotten(machine: Any) -> None:
    url = machine.source("a/b", "x\n")
    outcome = machine.settle("file.cached", name=url)
    copy = Path(outcome.comment.removeprefix("File is cached to "))
    assert copy.read_text() == "x\n"
    machine.source("a/b", "another\n")
    machine.settle("file.cached", name=url)
    assert copy.read_text() == "another\n"
    machine.settle("file.not_cached", name=url)
    assert not copy.exists()


@pytest.mark.root
def test_attributes_are_set_and_lifted_for_a_change(machine: Any) -> None:
    path = machine.root / "a"
    path.write_text("x\n")
    if os.geteuid() != 0 or machine.context.call("file.lsattr", str(path)) is None:
        pytest.skip("needs root and lsattr")
    try:
        machine.context.call("file.chattr", str(path), attributes="i")
    except Exception as error:
        pytest.skip(f"the file system has no attributes: {error}")
    try:
        machine.settle("file.managed", name=str(path), contents="y", attrs="i")
        assert path.read_text() == "y\n"
        assert machine.context.call("file.attributes_of", str(path)) == {"i"}
        machine.settle("file.managed", name=str(path), contents="z", attrs="")
    finally:
        machine.context.call("file.chattr", str(path), attributes="i", operator="remove")
    assert path.read_text() == "z\n"


def test_a_context_without_selinux_is_a_warning(machine: Any) -> None:
    if os.path.isdir("/sys/fs/selinux"):
        pytest.skip("this machine has SELinux")
    given = {"name": str(machine.root / "a"), "contents": "x"}
    assert "no SELinux" in machine.plan("file.managed", selinux={"setype": "etc_t"}, **given).warnings[0]
    assert "none of" in machine.run("file.managed", selinux={"type": "etc_t"}, **given).comment


def test_replaced_files_are_backed_up_and_come_back(machine: Any) -> None:
    path = machine.root / "a"
    path.write_text("first\n")
    for text in ("second", "third"):
        machine.run("file.managed", name=str(path), contents=text, backup="minion")
    backups = machine.context.call("file.list_backups", str(path))
    assert [Path(backup["Location"]).read_text() for backup in backups.values()] == ["second\n", "first\n"]
    machine.context.call("file.restore_backup", str(path), 1)
    assert path.read_text() == "first\n"
    machine.context.call("file.delete_backup", str(path), 0)
    assert len(machine.context.call("file.list_backups", str(path))) == 1
