"""file.directory and file.recurse: whole trees, their owners and modes, and what else may be in them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ctl.common.state.low import LOWSTATE

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")


def mode_of(path: Path) -> str:
    return f"{stat.S_IMODE(path.lstat().st_mode):04o}"


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_a_directory_is_made_with_its_mode(machine: Any) -> None:
    path = machine.root / "d"
    dry = machine.dry("file.directory", name=str(path), mode="0750")
    assert dict(dry.changes) == {str(path): {"directory": "new"}}
    outcome = machine.settle("file.directory", name=str(path), mode="0750")
    assert outcome.changes == {str(path): {"directory": "new"}}
    assert mode_of(path) == "0750"


def test_parents_are_made_only_where_that_is_asked_for(machine: Any) -> None:
    path = machine.root / "a" / "b" / "c"
    assert machine.plan("file.directory", name=str(path)).result is False
    dry = machine.dry("file.directory", name=str(path))
    assert (dry.result, dry.certain) == (None, False)
    machine.settle("file.directory", name=str(path), makedirs=True, dir_mode="0700")
    assert [mode_of(one) for one in (path, path.parent)] == ["0700", "0700"]


def test_a_mode_that_differs_is_set(machine: Any) -> None:
    path = machine.root / "d"
    path.mkdir(0o700)
    outcome = machine.settle("file.directory", name=str(path) + "/", dir_mode=755)
    assert outcome.changes == {"mode": "0755"}


def test_what_is_in_the_way_is_refused_removed_or_renamed(machine: Any) -> None:
    path = machine.root / "d"
    path.write_text("a file")
    assert "no directory" in machine.run("file.directory", name=str(path)).comment
    machine.settle("file.directory", name=str(path), backupname="kept")
    assert (machine.root / "kept").read_text() == "a file"
    path.rmdir()
    path.write_text("another")
    outcome = machine.settle("file.directory", name=str(path), force=True)
    assert outcome.changes["forced"]


def test_a_symlink_to_a_directory_is_one_unless_it_may_not_be(machine: Any) -> None:
    (machine.root / "real").mkdir()
    (machine.root / "link").symlink_to("real")
    assert machine.plan("file.directory", name=str(machine.root / "link")).result is True
    machine.settle("file.directory", name=str(machine.root / "link"), allow_symlink=False, force=True)
    assert not (machine.root / "link").is_symlink()


def test_recurse_sets_modes_below(machine: Any) -> None:
    top = machine.root / "d"
    (top / "sub" / "deep").mkdir(parents=True)
    (top / "sub" / "f").write_text("")
    (top / "sub" / "deep" / "f").write_text("")
    (top / "link").symlink_to("/etc/passwd")
    given = {"name": str(top), "dir_mode": "0750", "file_mode": "0640", "recurse": ["mode"]}
    outcome = machine.run("file.directory", max_depth=2, **given)
    assert outcome.changes[str(top / "sub" / "f")] == {"mode": "0640"}
    assert mode_of(top / "sub" / "deep") == "0750"
    assert mode_of(top / "sub" / "deep" / "f") != "0640"
    machine.settle("file.directory", **given)
    assert mode_of(top / "sub" / "deep" / "f") == "0640"
    assert mode_of(Path("/etc/passwd")) != "0640"


@needs_root
def test_recurse_sets_owners_and_can_be_silent(machine: Any) -> None:
    top = machine.root / "d"
    (top / "sub").mkdir(parents=True)
    (top / "sub" / "f").write_text("")
    given = {"name": str(top), "user": 61001, "group": "daemon"}
    outcome = machine.settle("file.directory", recurse=["user", "silent", "ignore_files"], **given)
    assert outcome.changes == {"user": "61001", "group": "daemon", "recursion": "Changes silenced"}
    assert (top / "sub").stat().st_uid == 61001
    assert (top / "sub" / "f").stat().st_uid == 0


def test_an_unknown_word_in_recurse_is_named(machine: Any) -> None:
    outcome = machine.run("file.directory", name=str(machine.root), recurse=["users"])
    assert "users" in outcome.comment


def test_clean_removes_what_no_other_state_manages(machine: Any) -> None:
    top = machine.root / "conf.d"
    (top / "old").mkdir(parents=True)
    for name in ("mine.conf", "stray.conf", "keep.local", "old/x"):
        (top / name).write_text("")
    (top / "nested" / "deep").mkdir(parents=True)
    (top / "nested" / "deep" / "mine").write_text("")
    machine.context.scratch[LOWSTATE] = [
        {"state": "file", "fun": "managed", "name": str(top / "mine.conf")},
        {"state": "file", "fun": "managed", "name": str(top / "nested" / "deep" / "mine")},
        {"state": "file", "fun": "absent", "name": str(top / "stray.conf")},
    ]
    outcome = machine.settle("file.directory", name=str(top), clean=True, exclude_pat="*.local")
    assert outcome.changes == {"removed": [str(top / "old"), str(top / "stray.conf")]}
    assert names(top) == ["keep.local", "mine.conf", "nested", "nested/deep", "nested/deep/mine"]


def test_a_tree_is_copied_and_kept_so(machine: Any) -> None:
    for name in ("www/index.html", "www/css/a.css", "www/css/deep/b.css", "other/x"):
        machine.source(name, name)
    (machine.tree / "www" / "empty").mkdir()
    top = machine.root / "srv"
    dry = machine.dry("file.recurse", name=str(top), source="salt://www")
    assert dry.changes[str(top / "index.html")] == {"newfile": str(top / "index.html")}
    outcome = machine.settle(
        "file.recurse", name=str(top), source="salt://www", file_mode="0640", dir_mode="0750", include_empty=True
    )
    assert outcome.changes[str(top / "css" / "a.css")] == {"diff": "New file", "mode": "0640"}
    assert outcome.changes[str(top)] == {"directory": "new"}
    assert names(top) == ["css", "css/a.css", "css/deep", "css/deep/b.css", "empty", "index.html"]
    assert (mode_of(top / "css" / "deep"), mode_of(top / "css" / "a.css")) == ("0750", "0640")
    machine.source("www/index.html", "new")
    outcome = machine.settle("file.recurse", name=str(top), source="salt://www")
    assert list(outcome.changes) == [str(top / "index.html")]
    assert "+new" in outcome.changes[str(top / "index.html")]["diff"]


def test_recurse_cleans_selects_and_renders(machine: Any) -> None:
    for name, text in {"www/a.html": "{{ grains.os }}", "www/b.txt": "b", "www/sub/c.html": "c"}.items():
        machine.source(name, text)
    top = machine.root / "srv"
    top.mkdir()
    (top / "stray").write_text("")
    (top / "keep.me").write_text("")
    outcome = machine.settle(
        "file.recurse",
        name=str(top),
        source="salt://www/",
        clean=True,
        include_pat="*.html",
        exclude_pat="E@^keep",
        template="jinja",
    )
    assert outcome.changes["removed"] == [str(top / "stray")]
    assert names(top) == ["a.html", "keep.me", "sub", "sub/c.html"]
    assert (top / "a.html").read_text() == "Debian"


def test_recurse_keeps_modes_and_symlinks_and_depth(machine: Any) -> None:
    machine.source("www/run.sh", "#!/bin/sh")
    (machine.tree / "www" / "run.sh").chmod(0o755)
    (machine.tree / "www" / "link").symlink_to("run.sh")
    machine.source("www/a/b/c", "deep")
    top = machine.root / "srv"
    machine.settle("file.recurse", name=str(top), source="salt://www", file_mode="keep", keep_symlinks=True, maxdepth=0)
    assert mode_of(top / "run.sh") == "0755"
    assert os.readlink(top / "link") == "run.sh"
    assert names(top) == ["link", "run.sh"]


def test_a_missing_source_directory_is_refused(machine: Any) -> None:
    outcome = machine.run("file.recurse", name=str(machine.root / "x"), source="salt://nothing")
    assert outcome.result is False
    assert "salt://nothing" in outcome.comment
