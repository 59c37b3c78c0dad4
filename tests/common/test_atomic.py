"""Atomic writes: the content, its owner and mode appear at once, nothing is left behind, nobody leads us elsewhere."""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ctl.common.atomic import atomic_write, move_into_place
from ctl.common.directory import open_directory, open_parent

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to act as two users")
ANNE, BERT = 61001, 61002


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory that belongs to another user."""
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, ANNE, ANNE)
    return home


def test_a_new_file_has_its_mode_and_leaves_nothing_else(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a", b"one", mode=0o640)
    assert (tmp_path / "a").read_bytes() == b"one"
    assert mode_of(tmp_path / "a") == 0o640
    assert os.listdir(tmp_path) == ["a"]


def test_without_a_mode_the_umask_decides(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        atomic_write(tmp_path / "a", b"")
    finally:
        os.umask(old)
    assert mode_of(tmp_path / "a") == 0o640


def test_an_existing_file_keeps_what_is_not_given(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o4711)
    inode = path.stat().st_ino
    atomic_write(path, [b"new", b" ", b"text"])
    assert path.read_text() == "new text"
    assert mode_of(path) == 0o4711
    assert path.stat().st_ino != inode


@needs_root
def test_owner_and_group_are_kept_or_set(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    os.chown(path, ANNE, BERT)
    atomic_write(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (ANNE, BERT)
    atomic_write(path, b"new", uid=BERT, gid=ANNE, mode=0o4755)
    assert (path.stat().st_uid, path.stat().st_gid, mode_of(path)) == (BERT, ANNE, 0o4755)


def test_a_failure_keeps_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise OSError("the source broke")

    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(OSError, match="the source broke"):
        atomic_write(path, chunks())
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_directory_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError):
        atomic_write(tmp_path / "a", b"x")
    assert os.listdir(tmp_path) == ["a"]


def test_a_symlink_is_replaced_or_followed(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "real").write_text("old")
    (tmp_path / "link").symlink_to("sub/real")
    atomic_write(tmp_path / "link", b"followed", follow=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "sub" / "real").read_text() == "followed"
    atomic_write(tmp_path / "link", b"replaced")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "sub" / "real").read_text() == "followed"


def test_a_link_to_a_missing_file_makes_the_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    atomic_write(tmp_path / "link", b"x", follow=True)
    assert (tmp_path / "real").read_bytes() == b"x"


def test_symlinked_directories_of_our_own_are_walked(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "way").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "back").symlink_to("../real")
    atomic_write(tmp_path / "way" / "back" / "a", b"x")
    assert (tmp_path / "real" / "a").read_bytes() == b"x"


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError):
        atomic_write(tmp_path / "a" / "x", b"")


def test_missing_directories_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic_write(tmp_path / "no" / "x", b"")


def test_open_directory_gives_the_directory_itself(tmp_path: Path) -> None:
    with open_directory(tmp_path) as fd:
        assert os.fstat(fd).st_ino == tmp_path.stat().st_ino
    with open_parent("/") as place:
        assert os.stat(place.name, dir_fd=place.directory).st_ino == os.stat("/").st_ino


@needs_root
def test_another_users_symlink_does_not_lead_out_of_their_directories(tmp_path: Path, home: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_text("root")
    (home / "way").symlink_to(tmp_path / "etc")
    (home / "link").symlink_to(tmp_path / "etc" / "passwd")
    for link in ("way", "link"):
        os.lchown(home / link, ANNE, ANNE)
    for path in (home / "way" / "passwd", home / "link"):
        with pytest.raises(OSError, match="leads out"):
            atomic_write(path, b"evil", follow=True)
    assert (tmp_path / "etc" / "passwd").read_text() == "root"
    assert os.listdir(tmp_path / "etc") == ["passwd"]


@needs_root
def test_another_users_symlink_within_their_directories_is_followed(home: Path) -> None:
    (home / "real").mkdir()
    os.chown(home / "real", ANNE, ANNE)
    (home / "way").symlink_to("real")
    os.lchown(home / "way", ANNE, ANNE)
    atomic_write(home / "way" / "a", b"x", uid=ANNE, gid=ANNE)
    assert (home / "real" / "a").read_bytes() == b"x"


@needs_root
def test_swapping_a_directory_for_a_symlink_wins_nothing(tmp_path: Path, home: Path) -> None:
    """The race that a check followed by a use would lose."""
    target = tmp_path / "target"
    target.mkdir()
    (home / "plain").mkdir()
    os.chown(home / "plain", ANNE, ANNE)
    (home / "trap").symlink_to(target)
    os.lchown(home / "trap", ANNE, ANNE)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(home / "plain", home / "aside")
            os.rename(home / "trap", home / "plain")
            os.rename(home / "plain", home / "trap")
            os.rename(home / "aside", home / "plain")

    racer = threading.Thread(target=swap)
    racer.start()
    try:
        for _ in range(2000):
            try:
                atomic_write(home / "plain" / "a", b"x")
            except OSError:
                continue
    finally:
        stop.set()
        racer.join()
    assert os.listdir(target) == []


def test_readers_never_see_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    texts = (b"a" * 200_000, b"b" * 200_000)
    atomic_write(path, texts[0])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for text in texts:
                atomic_write(path, (text[:100_000], text[100_000:]))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(300):
            assert path.read_bytes() in texts
    finally:
        stop.set()
        writer.join()


def test_a_file_is_moved_with_the_mode_of_what_it_replaces(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for content, mode, given, expected in (
        (b"1", None, None, None),
        (b"2", 0o604, None, 0o604),
        (b"3", 0o600, 0o711, 0o711),
    ):
        source.write_bytes(content)
        if mode is not None:
            target.chmod(mode)
        move_into_place(source, target, mode=given)
        assert target.read_bytes() == content
        assert not source.exists()
        if expected is not None:
            assert target.stat().st_mode & 0o777 == expected


def test_a_file_is_copied_to_another_file_system(tmp_path: Path) -> None:
    if not os.path.isdir("/dev/shm") or os.stat("/dev/shm").st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one file system only")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        source = Path(other, "source")
        source.write_bytes(b"content" * 1000)
        move_into_place(source, tmp_path / "target", mode=0o640)
        assert not source.exists()
    assert (tmp_path / "target").read_bytes() == b"content" * 1000
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["target"]


def test_what_cannot_be_moved_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    (tmp_path / "directory").mkdir()
    with pytest.raises(OSError):
        move_into_place(source, tmp_path / "directory")
    assert os.listdir(tmp_path) == ["directory"]
