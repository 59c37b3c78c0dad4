"""`file`: reading, changing, finding and editing, and that nobody can lead a change elsewhere."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.common.context import Context
from ctl.common.errors import CommandExecutionError
from ctl.modules import _file_find, _file_text

Call = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    (made / "sub").mkdir(parents=True)
    (made / "a.txt").write_text("one\ntwo words\nthree\n")
    (made / "a.txt").chmod(0o640)
    (made / "sub" / "b.log").write_bytes(b"x" * 3000)
    (made / "link").symlink_to("a.txt")
    return made


def test_kinds_of_files_are_told_apart(call: Call, folder: Path) -> None:
    assert call("file.file_exists", folder / "a.txt")
    assert not call("file.file_exists", folder / "sub")
    assert call("file.directory_exists", folder / "sub")
    assert call("file.is_link", folder / "link")
    assert not call("file.is_link", folder / "missing")
    assert call("file.is_chrdev", "/dev/null")
    assert not call("file.is_blkdev", "/dev/null")
    assert not call("file.is_fifo", folder / "missing")
    assert call("file.path_exists_glob", f"{folder}/*.txt")
    assert not call("file.path_exists_glob", f"{folder}/*.nope")
    assert call("file.access", folder / "a.txt", "fr")
    with pytest.raises(CommandExecutionError, match="kind of access"):
        call("file.access", folder / "a.txt", "q")


def test_hard_links_are_seen(call: Call, folder: Path) -> None:
    assert not call("file.is_hardlink", folder / "a.txt")
    assert call("file.link", folder / "a.txt", folder / "second")
    assert call("file.is_hardlink", folder / "second")


def test_content_is_read_and_searched(call: Call, folder: Path) -> None:
    path = folder / "a.txt"
    assert call("file.read", path) == "one\ntwo words\nthree\n"
    assert call("file.read", path, binary=True) == b"one\ntwo words\nthree\n"
    assert call("file.seek_read", path, 3, 4) == b"two"
    assert call("file.contains", path, "two words")
    assert not call("file.contains", folder / "missing", "two")
    assert call("file.contains_regex", path, "^t.*s$")
    assert call("file.contains_glob", f"{folder}/*.txt", "two*")
    assert call("file.search", path, "^three$")
    assert not call("file.search", path, "^THREE$")
    assert call("file.search", path, "^THREE$", flags=["IGNORECASE", "MULTILINE"])
    assert not call("file.search", folder / "missing", "x", ignore_if_missing=True)


def test_a_mistake_names_what_where_and_why(call: Call, folder: Path) -> None:
    with pytest.raises(CommandExecutionError, match=rf"cannot read {folder}/missing: No such file"):
        call("file.read", folder / "missing")
    with pytest.raises(CommandExecutionError, match="relative is not an absolute path"):
        call("file.read", "relative")
    with pytest.raises(CommandExecutionError, match="regular expression"):
        call("file.search", folder / "a.txt", "(")
    with pytest.raises(CommandExecutionError, match="no hash 'md99'"):
        call("file.get_hash", folder / "a.txt", "md99")
    with pytest.raises(CommandExecutionError, match="no user 'nobody-such'"):
        call("file.chown", folder / "a.txt", "nobody-such")
    with pytest.raises(CommandExecutionError, match="octal"):
        call("file.set_mode", folder / "a.txt", "9")


def test_grep_passes_patterns_and_names_as_data(call: Call, folder: Path) -> None:
    (folder / "-x.txt").write_text("-v\n")
    result = call("file.grep", folder / "a.txt", "two", "--", "-n")
    assert (result["stdout"], result["retcode"]) == ("2:two words", 0)
    assert call("file.grep", f"{folder}/*.txt", "-v")["stdout"] == f"{folder}/-x.txt:-v"
    assert call("file.grep", folder / "a.txt", "nothing")["retcode"] == 1


def test_stats_and_their_parts(call: Call, folder: Path) -> None:
    path = folder / "a.txt"
    stats = call("file.stats", path, hash_type="md5")
    assert (stats["mode"], stats["type"], stats["size"], stats["uid"]) == ("0640", "file", 20, os.getuid())
    assert stats["sum"] == call("file.get_hash", path, "md5") == call("file.get_sum", path, "md5")
    assert call("file.stats", folder / "link", follow_symlinks=False)["type"] == "link"
    assert call("file.get_mode", path) == "0640"
    assert call("file.get_uid", path) == os.getuid()
    assert call("file.get_gid", path) == path.stat().st_gid
    assert call("file.lstat", path)["st_size"] == 20
    assert call("file.statvfs", path)["f_bsize"] > 0
    assert call("file.get_sum", folder / "missing") == "File not found"


def test_names_and_ids_of_owners(call: Call) -> None:
    assert call("file.user_to_uid", "root") == 0
    assert call("file.uid_to_user", 0) == "root"
    assert call("file.uid_to_user", 4_000_000_000) == "4000000000"
    assert call("file.group_to_gid", "root") == 0
    assert call("file.gid_to_group", "0") == "root"
    assert call("file.user_to_uid") == os.geteuid()


@pytest.mark.parametrize("prefix", ["", "sha256=", "sha256:"])
def test_a_hash_is_checked_in_every_spelling(call: Call, folder: Path, prefix: str) -> None:
    digest = call("file.get_hash", folder / "a.txt")
    assert call("file.check_hash", folder / "a.txt", prefix + digest)
    assert not call("file.check_hash", folder / "a.txt", prefix + "0" * 64)
    with pytest.raises(CommandExecutionError, match="no known hash"):
        call("file.check_hash", folder / "a.txt", "abc")


def test_paths_as_text(call: Call) -> None:
    assert call("file.dirname", "/a/b") == "/a"
    assert call("file.basename", "/a/b") == "b"
    assert call("file.join", "/", "usr", 1) == "/usr/1"
    assert call("file.normpath", "/a/../b//c") == "/b/c"
    assert call("file.pardir") == ".."


def test_directories_are_listed_and_measured(call: Call, folder: Path) -> None:
    assert call("file.readdir", folder) == [".", "..", "a.txt", "link", "sub"]
    os.link(folder / "sub" / "b.log", folder / "again")
    assert call("file.diskusage", folder) == 20 + 3000 + 5
    assert call("file.diskusage", folder / "a.txt") == 20


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, ["", "/a.txt", "/link", "/sub", "/sub/b.log"]),
        ({"name": "*.log"}, ["/sub/b.log"]),
        ({"iname": "A.*"}, ["/a.txt"]),
        ({"path": "*/sub*"}, ["/sub", "/sub/b.log"]),
        ({"ipath": "*/SUB*"}, ["/sub", "/sub/b.log"]),
        ({"regex": r".*/b\.l"}, ["/sub/b.log"]),
        ({"iregex": r".*/B\.L"}, ["/sub/b.log"]),
        ({"type": "f"}, ["/a.txt", "/sub/b.log"]),
        ({"type": "dl"}, ["", "/link", "/sub"]),
        ({"size": "+2k", "type": "f"}, ["/sub/b.log"]),
        ({"size": "-100b", "type": "f"}, ["/a.txt"]),
        ({"size": "2k", "type": "f"}, ["/sub/b.log"]),
        ({"mtime": "1d", "type": "f"}, []),
        ({"mtime": "-1d2h", "type": "f"}, ["/a.txt", "/sub/b.log"]),
        ({"grep": "^two"}, ["/a.txt"]),
        ({"maxdepth": 1, "type": "f"}, ["/a.txt"]),
        ({"mindepth": 2}, ["/sub/b.log"]),
    ],
)
def test_find_selects(call: Call, folder: Path, options: dict[str, Any], found: list[str]) -> None:
    # `path` is the name of the argument too: as an option it is given as a word.
    words = [f"path={options.pop('path')}"] if "path" in options else []
    assert call("file.find", folder, *words, **options) == [f"{folder}{name}" for name in found]


def test_find_prints_columns_deletes_and_runs(call: Call, folder: Path) -> None:
    rows = call("file.find", folder, name="a.txt", print="name,mode,size,type")
    assert rows == [["a.txt", "0640", 20, "f"]]
    assert call("file.find", f"{folder}/s*", "type=f", "print=name") == ["b.log"]
    hostile = folder / "$(touch pwned);`touch pwned`\n-x"
    hostile.write_text("")
    out = folder / "sub" / "out"
    call("file.find", folder, type="f", name="*pwned*", exec=["cp", "--", "{}", str(out)])
    assert out.exists()
    assert not list(folder.rglob("pwned"))
    call("file.find", folder, delete="f")
    assert call("file.find", folder, type="f") == []
    assert (folder / "link").is_symlink()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nam": "x"}, "did you mean name"),
        ({"size": "big"}, "no size"),
        ({"mtime": "soon"}, "no interval"),
        ({"type": "q"}, "kind of file 'q'"),
        ({"print": "colour"}, "cannot print 'colour'"),
        ({"regex": "("}, "regular expression"),
    ],
)
def test_find_refuses_what_it_does_not_know(call: Call, folder: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(CommandExecutionError, match=words):
        call("file.find", folder, **options)


def test_age_is_measured_from_now() -> None:
    status = os.stat_result((0,) * 8 + (1000, 0))
    assert _file_find.age_test("10s", 1010)("", status)
    assert not _file_find.age_test("11s", 1010)("", status)
    assert _file_find.age_test("-11s", 1010)("", status)
    assert not _file_find.age_test("-9s", 1010)("", status)


def test_modes_and_times_are_set(call: Call, folder: Path) -> None:
    path = folder / "a.txt"
    assert call("file.set_mode", folder / "link", 600) == "0600"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert call("file.touch", path, mtime=1000)
    assert path.stat().st_mtime == 1000
    assert call("file.touch", folder / "new")
    assert (folder / "new").read_bytes() == b""
    call("file.truncate", path, 3)
    assert call("file.seek_write", path, "XY", 1) == 2
    assert path.read_text() == "oXY"
    assert call("file.touch", folder / "sub")


@pytest.mark.root
def test_owners_are_set_on_the_file_or_the_link(call: Call, folder: Path) -> None:
    path = folder / "a.txt"
    call("file.chown", folder / "link", "nobody", "nogroup")
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)
    assert (folder / "link").lstat().st_uid == 0
    call("file.lchown", folder / "link", "nobody")
    assert (folder / "link").lstat().st_uid == 65534
    call("file.chgrp", path, 0)
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 0)
    assert call("file.get_user", path) == "nobody"
    assert call("file.get_group", path) == "root"


def test_directories_are_made_and_removed(call: Call, folder: Path) -> None:
    assert call("file.mkdir", folder / "x" / "y", mode="0750")
    assert stat.S_IMODE((folder / "x" / "y").stat().st_mode) == 0o750
    assert call("file.makedirs", folder / "p" / "q" / "file.txt")
    assert (folder / "p" / "q").is_dir()
    assert not (folder / "p" / "q" / "file.txt").exists()
    assert call("file.makedirs_perms", folder / "m")
    assert call("file.rmdir", folder / "m")
    with pytest.raises(CommandExecutionError, match="not empty"):
        call("file.rmdir", folder / "p")
    assert call("file.remove", folder / "p")
    assert call("file.remove", folder / "link")
    assert (folder / "a.txt").exists()
    assert call("file.remove", folder / "never-there") is False
    with pytest.raises(CommandExecutionError, match="root directory"):
        call("file.remove", "/")


def test_removing_a_directory_does_not_follow_its_links(call: Call, folder: Path) -> None:
    (folder / "x").mkdir()
    (folder / "x" / "out").symlink_to(folder / "sub")
    call("file.remove", folder / "x")
    assert (folder / "sub" / "b.log").exists()


def test_files_and_trees_are_copied_and_moved(call: Call, folder: Path) -> None:
    assert call("file.copy", folder / "a.txt", folder / "copy")
    assert stat.S_IMODE((folder / "copy").stat().st_mode) == 0o640
    (folder / "copy").chmod(0o600)
    assert call("file.copy", folder / "a.txt", folder / "copy")
    assert stat.S_IMODE((folder / "copy").stat().st_mode) == 0o600
    call("file.copy", folder / "a.txt", folder / "sub")
    assert (folder / "sub" / "a.txt").exists()
    with pytest.raises(CommandExecutionError, match="recurse=True"):
        call("file.copy", folder / "sub", folder / "tree")
    (folder / "sub" / "ln").symlink_to("b.log")
    call("file.copy", folder / "sub", folder / "tree", recurse=True)
    assert os.readlink(folder / "tree" / "ln") == "b.log"
    assert call("file.rename", folder / "copy", folder / "renamed")
    assert call("file.move", folder / "renamed", folder / "sub")["result"] is True
    assert (folder / "sub" / "renamed").exists()


def test_symlinks_are_made_kept_and_replaced(call: Call, folder: Path) -> None:
    link = folder / "new"
    assert call("file.symlink", "a.txt", link)
    assert call("file.symlink", "a.txt", link)
    assert call("file.readlink", link) == "a.txt"
    assert call("file.readlink", link, canonicalize=True) == str(folder / "a.txt")
    with pytest.raises(CommandExecutionError, match="force=True"):
        call("file.symlink", "sub", link)
    assert call("file.symlink", "sub", link, force=True)
    assert os.readlink(link) == "sub"
    with pytest.raises(CommandExecutionError, match="is a directory"):
        call("file.symlink", "x", folder / "sub", force=True)
    assert not list(folder.glob(".ctl-*"))


def test_lines_are_written_appended_and_prepended(call: Call, folder: Path) -> None:
    path = folder / "w"
    assert call("file.write", path, "a", "b") == f'Wrote 2 lines to "{path}"'
    call("file.append", path, args=["c", 4])
    call("file.prepend", path, "z")
    assert path.read_text() == "z\na\nb\nc\n4\n"
    path.write_text("no newline")
    call("file.append", path, "more")
    assert path.read_text() == "no newline\nmore\n"
    with pytest.raises(CommandExecutionError, match="unknown argument 'arg'"):
        call("file.append", path, arg="x")


def test_replace_changes_the_text_and_keeps_the_mode(call: Call, folder: Path) -> None:
    path = folder / "a.txt"
    diff = call("file.replace", path, r"^two (\w+)$", r"2 \1")
    assert "-two words\n+2 words\n" in diff
    assert path.read_text() == "one\n2 words\nthree\n"
    assert (folder / "a.txt.bak").read_text() == "one\ntwo words\nthree\n"
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((folder / "a.txt.bak").stat().st_mode) == 0o640
    assert call("file.replace", path, "one", "1", dry_run=True, show_changes=False) is True
    assert call("file.replace", path, "nothing", "x") == ""
    assert call("file.replace", path, "one", "", search_only=True) is True
    assert path.read_text() == "one\n2 words\nthree\n"
    assert call("file.replace", folder / "missing", "a", "b", ignore_if_missing=True) == ""
    with pytest.raises(CommandExecutionError, match="does not fit the pattern"):
        call("file.replace", path, "one", r"\3")
    call("file.replace", path, "one", r"\3", backslash_literal=True, backup=False)
    assert path.read_text().startswith("\\3\n")


def test_replace_adds_what_it_does_not_find_once(call: Call, folder: Path) -> None:
    path = folder / "a.txt"
    for _ in range(2):
        call("file.replace", path, "^four=.*", "four=4", append_if_not_found=True, backup=False)
        call("file.replace", path, "^zero=", "x", prepend_if_not_found=True, not_found_content="zero", backup=False)
    assert path.read_text() == "zero\none\ntwo words\nthree\nfour=4\n"


def test_a_block_is_added_then_replaced(call: Call, folder: Path) -> None:
    path = folder / "a.txt"
    with pytest.raises(CommandExecutionError, match="append_if_not_found"):
        call("file.blockreplace", path, "#s", "#e", "x")
    call("file.blockreplace", path, "#s", "#e", "x", append_if_not_found=True)
    assert path.read_text().endswith("three\n#s\nx\n#e\n")
    assert "-x\n+y\n+z\n" in call("file.blockreplace", path, "#s", "#e", "y\nz")
    assert call("file.blockreplace", path, "#s", "#e", "y\nz", show_changes=False) is False
    assert call("file.blockreplace", path, "#p", "#q", "w", insert_before_match="^two", show_changes=False)
    assert path.read_text().startswith("one\n#p\nw\n#q\ntwo words\n")
    path.write_text("#s\n")
    with pytest.raises(CommandExecutionError, match="has no end"):
        call("file.blockreplace", path, "#s", "#e", "x")


def test_comments_come_and_go(call: Call, folder: Path) -> None:
    path = folder / "a.txt"
    assert "+#two words" in call("file.comment", path, "^two")
    assert call("file.comment", path, "^two") is False
    assert path.read_text() == "one\n#two words\nthree\n"
    assert "+two words" in call("file.uncomment", path, "^two")
    assert path.read_text() == "one\ntwo words\nthree\n"


def test_differences_are_readable() -> None:
    assert _file_text.unified_diff("a\n", "a\n") == ""
    assert _file_text.unified_diff("a\0", "b") == "Binary files differ"
    assert "\\ No newline at end of file" in _file_text.unified_diff("a\n", "b")
    assert "too large" in _file_text.unified_diff("a" * (1 << 20), "b")


def test_get_diff_compares_two_files(call: Call, folder: Path) -> None:
    (folder / "b.txt").write_text("one\nthree\n")
    assert "-two words\n" in call("file.get_diff", folder / "a.txt", folder / "b.txt")


def test_bytes_that_are_no_text_survive_an_edit(call: Call, folder: Path) -> None:
    path = folder / "latin"
    path.write_bytes(b"caf\xe9 one\n")
    call("file.replace", path, "one", "two", backup=False)
    assert path.read_bytes() == b"caf\xe9 two\n"


def test_backups_are_listed_restored_and_deleted(call: Call, context: Context, folder: Path, tmp_path: Path) -> None:
    context.config = {"cachedir": str(tmp_path / "cache")}
    path = folder / "a.txt"
    store = tmp_path / "cache" / "file_backup" / str(folder).lstrip("/")
    store.mkdir(parents=True)
    (store / "a.txt_Mon_Jan_05_10:00:00_000001_2026").write_text("older")
    (store / "a.txt_Tue_Jan_06_10:00:00_000002_2026").write_text("newer")
    (store / "a.txt_else").write_text("no backup")
    backups = call("file.list_backups", path)
    assert [backups[n]["Backup Time"] for n in backups] == [
        "Tue Jan 06 2026 10:00:00.000002",
        "Mon Jan 05 2026 10:00:00.000001",
    ]
    assert call("file.list_backups", path, limit=1).keys() == {0}
    call("file.restore_backup", path, 1)
    assert path.read_text() == "older"
    call("file.delete_backup", path, 0)
    assert call("file.list_backups", path)[0]["Size"] == 5
    with pytest.raises(CommandExecutionError, match="no backup 7"):
        call("file.restore_backup", path, 7)


def _make_directory(path: Path, _target: Path) -> None:
    path.mkdir()
    os.chown(path, 65534, 65534)


def _make_link(path: Path, target: Path) -> None:
    # made aside: the name must not for a moment be a link of root's, which is trusted
    aside = path.with_name("aside")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    os.chown(aside, 65534, 65534, follow_symlinks=False)
    aside.rename(path)


def _clear(path: Path) -> None:
    if path.is_symlink():
        path.unlink()
        return
    for entry in path.iterdir():
        entry.unlink()
    path.rmdir()


@pytest.mark.root
def test_a_user_who_swaps_directories_for_links_leads_nothing_elsewhere(call: Call, tmp_path: Path) -> None:
    """What an unprivileged owner of a directory can do at any moment, while root works below it."""
    tmp_path.chmod(0o755)
    home, target = tmp_path / "home", tmp_path / "etc"
    home.mkdir()
    target.mkdir()
    (target / "passwd").write_text("safe")
    (target / "passwd").chmod(0o600)
    os.chown(home, 65534, 65534)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for make in (_make_directory, _make_link):
                with contextlib.suppress(OSError):
                    make(home / "d", target)
                    time.sleep(0)
                    _clear(home / "d")

    attacker = threading.Thread(target=swap)
    attacker.start()
    path = home / "d" / "passwd"
    work: list[tuple[Any, ...]] = [
        ("file.set_mode", path, "0777"),
        ("file.chown", path, "nobody"),
        ("file.write", path, "pwned"),
        ("file.touch", home / "d" / "new"),
        ("file.truncate", path, 0),
        ("file.remove", path),
        ("file.symlink", "/x", home / "d" / "new"),
    ]
    try:
        for _ in range(150):
            for name, *args in work:
                with contextlib.suppress(CommandExecutionError):
                    call(name, *args)
    finally:
        stop.set()
        attacker.join()
    assert (target / "passwd").read_text() == "safe"
    status = (target / "passwd").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o600)
    assert os.listdir(target) == ["passwd"]
