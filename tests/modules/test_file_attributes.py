"""What files have beyond owner and mode, and the edits of the execution module."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.common.context import Context
from ctl.common.errors import CommandExecutionError
from ctl.modules._file_text import parse_lsattr, split_lines

Call = Callable[..., Any]


def test_the_output_of_lsattr_is_read() -> None:
    text = "----i---------e------- /etc/a b\n---------------------- /x\nlsattr: something\n"
    assert parse_lsattr(text) == {"/etc/a b": ["e", "i"], "/x": []}


def test_only_a_newline_ends_a_line() -> None:
    assert split_lines("a\x0cb\r\nc\u2028d\n\ne") == ["a\x0cb\r\n", "c\u2028d\n", "\n", "e"]
    assert split_lines("") == []


def test_nodes_are_made(call: Call, tmp_path: Path) -> None:
    path = str(tmp_path / "pipe")
    assert call("file.mknod_fifo", path, mode="0640") is True
    assert call("file.is_fifo", path) is True
    assert call("file.get_mode", path) == "0640"
    assert call("file.get_devmm", path) == (0, 0)
    assert call("file.get_devmm", "/dev/null") == (1, 3)
    with pytest.raises(CommandExecutionError, match="c, b or p"):
        call("file.mknod", path, "x")
    with pytest.raises(CommandExecutionError, match="exists"):
        call("file.mknod", path, "p")


def test_owner_and_mode_are_checked_and_set(call: Call, context: Context, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("")
    path.chmod(0o644)
    user, group = call("file.get_user", str(path)), call("file.get_group", str(path))
    context.test = True
    ret, before = call("file.check_perms", str(path), {}, user, group, 600)
    assert (ret["result"], ret["changes"], before["lmode"]) == (None, {"mode": "0600"}, "0644")
    context.test = False
    ret, _before = call("file.check_perms", str(path), {"changes": {"x": 1}}, user, group, 600)
    assert (ret["result"], ret["changes"]) == (True, {"x": 1, "mode": "0600"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert call("file.check_perms", str(path), {}, user, group, 600)[0]["changes"] == {}


def test_attributes_are_letters(call: Call, tmp_path: Path) -> None:
    with pytest.raises(CommandExecutionError, match="operator"):
        call("file.chattr", str(tmp_path), attributes="i", operator="x")
    with pytest.raises(CommandExecutionError, match="letters"):
        call("file.chattr", str(tmp_path), attributes="i -R")
    assert "No selinux" in call("file.get_selinux_context", str(tmp_path)) or os.path.isdir("/sys/fs/selinux")


def test_a_line_is_edited_as_the_state_does(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one\ntwo\n")
    diff = call("file.line", str(path), "three", mode="insert", location="end")
    assert "+three" in diff
    assert path.read_text() == "one\ntwo\nthree\n"
    assert call("file.line", str(path), match="none", content="x", mode="replace", quiet=True) == ""
    with pytest.raises(CommandExecutionError, match="no line matches"):
        call("file.line", str(path), match="none", content="x", mode="replace")
    with pytest.raises(CommandExecutionError, match="mode must be"):
        call("file.line", str(path), "x")


def test_a_patch_is_tried_and_applied(call: Call, tmp_path: Path) -> None:
    path, patch = tmp_path / "a", tmp_path / "p"
    path.write_text("one\n")
    patch.write_text("--- a\n+++ a\n@@ -1 +1 @@\n-one\n+two\n")
    assert call("file.patch", str(path), str(patch), dry_run=True)["retcode"] == 0
    assert path.read_text() == "one\n"
    assert call("file.patch", str(path), str(patch))["retcode"] == 0
    assert path.read_text() == "two\n"
    assert call("file.patch", str(path), str(patch))["retcode"] == 1


def test_empty_directories_are_removed_through_the_tree(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "c/file").write_text("")
    assert call("file.rmdir", str(tmp_path / "a"), recurse=True) == [str(tmp_path / "a/b"), str(tmp_path / "a")]
    assert call("file.rmdir", str(tmp_path / "c"), recurse=True) == []
    with pytest.raises(CommandExecutionError, match="not empty"):
        call("file.rmdir", str(tmp_path / "c"))
