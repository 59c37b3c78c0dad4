"""file.managed: content from everywhere, owner and mode, dry runs, and what stands in the way."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from ctl.common.errors import FileServerError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")


def mode_of(path: Path) -> str:
    return f"{stat.S_IMODE(path.lstat().st_mode):04o}"


def test_a_new_file_comes_from_the_tree(machine: Any) -> None:
    path = machine.root / "motd"
    url = machine.source("motd", "hello\n")
    dry = machine.dry("file.managed", name=str(path), source=url)
    assert (dry.result, dry.changes, dry.certain) == (None, {"newfile": str(path)}, True)
    outcome = machine.settle("file.managed", name=str(path), source=url, mode=640)
    assert outcome.result is True
    assert outcome.changes == {"diff": "New file", "mode": "0640"}
    assert path.read_text() == "hello\n"
    assert mode_of(path) == "0640"
    assert os.listdir(machine.root) == ["motd"]


def test_a_changed_source_shows_its_difference_and_replaces_the_file(machine: Any) -> None:
    path = machine.root / "motd"
    path.write_text("one\ntwo\n")
    path.chmod(0o600)
    url = machine.source("motd", "one\nthree")
    dry = machine.dry("file.managed", name=str(path), source=url)
    assert dry.changes["diff"] == "--- \n+++ \n@@ -1,2 +1,2 @@\n one\n-two\n+three\n"
    outcome = machine.settle("file.managed", name=str(path), source=url)
    assert outcome.changes == dict(dry.changes)
    assert path.read_text() == "one\nthree"
    assert mode_of(path) == "0600"


def test_only_the_mode_differs(machine: Any) -> None:
    path = machine.root / "motd"
    path.write_text("x")
    path.chmod(0o600)
    inode = path.stat().st_ino
    outcome = machine.settle("file.managed", name=str(path), contents="x", contents_newline=False, mode="0644")
    assert outcome.changes == {"mode": "0644"}
    assert path.stat().st_ino == inode


@pytest.mark.parametrize(
    ("contents", "wanted"),
    [
        ("one", "one\n"),
        ("one\n", "one\n"),
        (["one", "two\n"], "one\ntwo\n"),
        (5, "5\n"),
        (True, "True\n"),
        ("", ""),
        ([], ""),
        (b"\x00\xff", b"\x00\xff"),
    ],
)
def test_contents_are_spelled_out(machine: Any, contents: Any, wanted: str | bytes) -> None:
    path = machine.root / "a"
    machine.settle("file.managed", name=str(path), contents=contents)
    assert path.read_bytes() == (wanted if isinstance(wanted, bytes) else wanted.encode())


def test_contents_come_from_pillar_and_grains(machine: Any) -> None:
    machine.context.pillar["app"] = {"key": "secret", "lines": ["a", "b"]}
    path = machine.root / "a"
    machine.settle("file.managed", name=str(path), contents_pillar="app:key")
    assert path.read_text() == "secret\n"
    machine.settle("file.managed", name=str(path), contents_pillar=["app:key", "app:key"])
    assert path.read_text() == "secret\nsecret\n"
    machine.settle("file.managed", name=str(path), contents_pillar="app/lines", contents_delimiter="/")
    assert path.read_text() == "a\nb\n"
    machine.settle("file.managed", name=str(path), contents_grains="os")
    assert path.read_text() == "Debian\n"
    assert "app:no" in machine.run("file.managed", name=str(path), contents_pillar="app:no").comment


def test_empty_contents_can_be_refused(machine: Any) -> None:
    outcome = machine.run("file.managed", name=str(machine.root / "a"), contents="", allow_empty=False)
    assert outcome.result is False
    assert "allow_empty" in outcome.comment


def test_without_content_an_existing_file_is_left_and_a_new_one_is_empty(machine: Any) -> None:
    path = machine.root / "a"
    assert machine.settle("file.managed", name=str(path)).changes == {"new": f"file {path} created"}
    assert path.read_bytes() == b""
    path.write_text("mine")
    assert machine.plan("file.managed", name=str(path)).result is True


def test_replace_false_leaves_the_content_alone(machine: Any) -> None:
    path = machine.root / "a"
    path.write_text("mine")
    path.chmod(0o644)
    outcome = machine.settle("file.managed", name=str(path), contents="other", replace=False, mode="0600")
    assert outcome.changes == {"mode": "0600"}
    assert path.read_text() == "mine"
    path.unlink()
    machine.settle("file.managed", name=str(path), contents="other", replace=False)
    assert path.read_text() == "other\n"


def test_create_false_makes_no_file(machine: Any) -> None:
    plan = machine.plan("file.managed", name=str(machine.root / "a"), contents="x", create=False)
    assert (plan.result, plan.steps) == (True, ())


def test_templates_know_the_minion_and_their_variables(machine: Any) -> None:
    machine.context.pillar["port"] = 80
    url = machine.source(
        "app/conf.jinja", "{{ grains.os }} {{ pillar.port }} {{ user_name }} {{ size }} {{ mode }} {{ tpldir }}\n"
    )
    path = machine.root / "conf"
    machine.settle(
        "file.managed",
        name=str(path),
        source=url,
        template="jinja",
        mode="0644",
        defaults={"user_name": "anne", "size": 1},
        context=[{"size": 2}],
    )
    assert path.read_text() == "Debian 80 anne 2 0644 app\n"


def test_contents_can_be_a_template(machine: Any) -> None:
    path = machine.root / "a"
    machine.settle("file.managed", name=str(path), contents="{{ grains['id'] }}", template="jinja")
    assert path.read_text().strip() == "web1"


def test_a_mistake_in_a_template_names_file_and_line(machine: Any) -> None:
    url = machine.source("t.jinja", "one\n{{ nothing_here }}\n")
    for plan in (machine.plan, machine.dry):
        outcome = plan("file.managed", name=str(machine.root / "a"), source=url, template="jinja")
        assert outcome.result is False
        assert "t.jinja:2" in outcome.comment


def test_a_template_that_reads_a_missing_file_is_uncertain_in_a_dry_run(machine: Any) -> None:
    url = machine.source("t.jinja", "{{ salt['file.read']('/nowhere/at/all') }}\n")
    plan = machine.dry("file.managed", name=str(machine.root / "a"), source=url, template="jinja")
    assert (plan.result, plan.certain) == (None, False)


def test_the_first_source_that_exists_is_taken(machine: Any) -> None:
    machine.source("b", "from b")
    path = machine.root / "a"
    machine.settle("file.managed", name=str(path), source=["salt://a", "ctl://b", "salt://c"])
    assert path.read_text() == "from b"


def test_a_source_names_its_environment(machine: Any) -> None:
    machine.source("dev/x", "from dev")
    path = machine.root / "a"
    machine.settle("file.managed", name=str(path), source="salt://x?saltenv=dev")
    assert path.read_text() == "from dev"
    machine.context.saltenv = "dev"
    machine.settle("file.managed", name=str(path), source="salt://x")


def test_a_missing_source_is_refused_in_every_run(machine: Any) -> None:
    for plan in (machine.plan, machine.dry):
        outcome = plan("file.managed", name=str(machine.root / "a"), source="salt://nothing")
        assert outcome.result is False
        assert "salt://nothing" in outcome.comment
    assert machine.plan("file.managed", name=str(machine.root / "a"), source="salt://../x").result is False


def test_a_local_source_may_come_later(machine: Any) -> None:
    path = machine.root / "a"
    given = {"name": str(path), "source": str(machine.root / "source")}
    assert machine.plan("file.managed", **given).result is False
    dry = machine.dry("file.managed", **given)
    assert (dry.result, dry.certain) == (None, False)
    (machine.root / "source").write_text("local")
    machine.settle("file.managed", **given)
    assert path.read_text() == "local"


@pytest.mark.parametrize("form", ["{digest}", "sha256={digest}", "sha256:{digest}", "SHA256={digest}"])
def test_a_local_source_is_checked_against_its_digest(machine: Any, form: str) -> None:
    source = machine.root / "source"
    source.write_text("local")
    right = form.format(digest=hashlib.sha256(b"local").hexdigest())
    machine.settle("file.managed", name=str(machine.root / "a"), source=str(source), source_hash=right)
    wrong = form.format(digest=hashlib.sha256(b"other").hexdigest())
    outcome = machine.run("file.managed", name=str(machine.root / "b"), source=str(source), source_hash=wrong)
    assert outcome.result is False
    assert "digest" in outcome.comment


def test_a_missing_parent_directory_is_refused_or_uncertain_or_made(machine: Any) -> None:
    path = machine.root / "x" / "y" / "a"
    assert machine.plan("file.managed", name=str(path), contents="x").result is False
    assert machine.dry("file.managed", name=str(path), contents="x").certain is False
    machine.settle("file.managed", name=str(path), contents="x", makedirs=True, mode="0640")
    assert mode_of(path.parent) == "0750"
    machine.settle("file.managed", name=str(machine.root / "z" / "a"), contents="x", makedirs=True, dir_mode="0700")
    assert mode_of(machine.root / "z") == "0700"


def test_an_unknown_user_is_refused_or_uncertain(machine: Any) -> None:
    given = {"name": str(machine.root / "a"), "contents": "x", "user": "nobody-by-that-name"}
    assert machine.plan("file.managed", **given).result is False
    assert machine.dry("file.managed", **given).certain is False


@needs_root
def test_owner_and_group_by_name_or_number(machine: Any) -> None:
    path = machine.root / "a"
    outcome = machine.settle("file.managed", name=str(path), contents="x", user="daemon", group=61001)
    assert outcome.changes == {"diff": "New file", "user": "daemon", "group": "61001"}
    assert path.owner() == "daemon"
    assert path.stat().st_gid == 61001


def test_mode_keep_takes_the_mode_of_the_source(machine: Any) -> None:
    url = machine.source("run.sh", "#!/bin/sh\n")
    (machine.tree / "run.sh").chmod(0o755)
    machine.settle("file.managed", name=str(machine.root / "a"), source=url, mode="keep")
    assert mode_of(machine.root / "a") == "0755"


def test_a_directory_in_the_way_is_refused(machine: Any) -> None:
    (machine.root / "a").mkdir()
    assert "directory" in machine.run("file.managed", name=str(machine.root / "a"), contents="x").comment


def test_a_relative_name_is_refused(machine: Any) -> None:
    assert "absolute" in machine.run("file.managed", name="etc/motd", contents="x").comment


def test_two_origins_are_refused(machine: Any) -> None:
    outcome = machine.run("file.managed", name=str(machine.root / "a"), contents="x", source=machine.source("a", ""))
    assert "only one of source and contents" in outcome.comment


def test_symlinks_are_followed_or_replaced(machine: Any) -> None:
    (machine.root / "real").write_text("old")
    (machine.root / "link").symlink_to("real")
    machine.settle("file.managed", name=str(machine.root / "link"), contents="new")
    assert (machine.root / "link").is_symlink()
    assert (machine.root / "real").read_text() == "new\n"
    machine.settle("file.managed", name=str(machine.root / "link"), contents="own", follow_symlinks=False)
    assert not (machine.root / "link").is_symlink()
    assert (machine.root / "real").read_text() == "new\n"


def test_a_backup_keeps_what_was_there(machine: Any) -> None:
    path = machine.root / "a"
    path.write_text("old")
    machine.settle("file.managed", name=str(path), contents="new", backup="minion")
    kept = list(Path(machine.context.config["cachedir"], "file_backup").rglob("a_*"))
    assert [copy.read_text() for copy in kept] == ["old"]


def test_show_changes_false_hides_the_difference(machine: Any) -> None:
    path = machine.root / "a"
    path.write_text("old secret")
    outcome = machine.settle("file.managed", name=str(path), contents="new secret", show_changes=False)
    assert "secret" not in str(outcome.changes)


def test_a_binary_difference_is_not_shown(machine: Any) -> None:
    path = machine.root / "a"
    path.write_bytes(b"\0\1")
    outcome = machine.settle("file.managed", name=str(path), source=machine.source("a", b"\0\2"))
    assert outcome.changes == {"diff": "Replaced binary file"}


def test_check_cmd_sees_the_new_content_and_can_stop_it(machine: Any) -> None:
    path = machine.root / "a"
    given = {"name": str(path), "check_cmd": "grep -q good"}
    bad = machine.run("file.managed", contents="bad", **given)
    assert bad.result is False
    assert not path.exists()
    assert machine.settle("file.managed", contents="good", **given).result is True


def test_encodings(machine: Any) -> None:
    path = machine.root / "a"
    machine.settle("file.managed", name=str(path), contents="grün", encoding="latin-1")
    assert path.read_bytes() == b"gr\xfcn\n"
    machine.settle("file.managed", name=str(path), source=machine.source("s", "grün"), encoding="latin-1")
    assert path.read_bytes() == b"gr\xfcn"
    given = {"name": str(path), "contents": "grün €", "encoding": "latin-1"}
    assert machine.run("file.managed", **given).result is False
    machine.settle("file.managed", encoding_errors="ignore", **given)


def test_a_thousand_unchanged_files_are_planned_quickly(machine: Any) -> None:
    for number in range(1000):
        url = machine.source(f"many/{number}", f"content {number}\n")
        (machine.root / str(number)).write_text(f"content {number}\n")
    managed = machine.context.states["file.managed"]
    started = time.process_time()  # what others do on this machine does not count
    for number in range(1000):
        url = f"salt://many/{number}"
        plan = managed(name=str(machine.root / str(number)), source=url, user="root", group="root", mode="0644")
        assert plan.result is not False
    taken = time.process_time() - started
    assert taken < 1.5, taken


@pytest.mark.parametrize(
    ("given", "contents", "quiet"),
    [
        ({"ignore_ordering": True}, "two\none\n", True),
        ({"ignore_ordering": True}, "two\nthree\n", False),
        ({"ignore_whitespace": True}, " one\n\nt w o\n", True),
        ({"ignore_comment_characters": "#"}, "# new\none # why\ntwo\n", True),
        ({"ignore_comment_characters": ["#"]}, "one\ntwo ; x\n", False),
        ({}, "two\none\n", False),
    ],
)
def test_what_does_not_matter_triggers_nothing(machine: Any, given: Any, contents: str, quiet: bool) -> None:
    path = machine.root / "a"
    path.write_text("one\ntwo\n")
    plan = machine.plan("file.managed", name=str(path), contents=contents, **given)
    assert "diff" in plan.changes
    assert bool(plan.extra.get("skip_req")) is quiet


def test_a_new_file_may_be_shown(machine: Any) -> None:
    given = {"name": str(machine.root / "a"), "contents": "one"}
    assert machine.settle("file.managed", new_file_diff=True, **given).changes["diff"].endswith("+one\n")


def test_a_bad_environment_is_refused(machine: Any) -> None:
    with pytest.raises(FileServerError):
        machine.context.files.find(["x"], "prod")
    outcome = machine.run("file.managed", name=str(machine.root / "a"), source="salt://x?saltenv=prod")
    assert outcome.result is False
