"""File roots: which file a path means, that nothing outside a root is reached, and that changes are noticed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from ctl.common.errors import FileServerError
from ctl.common.files import Roots, check_relative, is_tree_url, safe_join, split_url

OUT_OF_BOUNDS = [
    "../x",
    "a/../../x",
    "..",
    "/etc/passwd",
    "",
    ".",
    "/",
    "a\0b",
    "\\etc\\passwd",
    "..\\x",
    "a\\..\\..\\x",
    "a/..\\b",
    "x" * 5000,
    "x" * 256,
    "/".join(["abc"] * 400),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in {
        "one/top.sls": "one",
        "one/web/init.sls": "web",
        "two/top.sls": "two",
        "two/web/files/site.conf": "site",
        "dev/top.sls": "dev",
        "outside/secret": "secret",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "one" / "empty").mkdir()
    return tmp_path


@pytest.fixture
def roots(tree: Path) -> Roots:
    return Roots({"base": [tree / "one", tree / "two", tree / "missing"], "dev": [str(tree / "dev")]})


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("salt://a/b", ("a/b", None)),
        ("ctl://a/b", ("a/b", None)),
        ("salt:///a/b", ("a/b", None)),
        ("salt://a/b?saltenv=dev", ("a/b", "dev")),
        ("salt://a?b", ("a?b", None)),
        ("salt://|a:b", ("a:b", None)),
        ("a/b", ("a/b", None)),
    ],
)
def test_urls_come_apart_into_path_and_environment(url: str, wanted: tuple[str, str | None]) -> None:
    assert split_url(url) == wanted


def test_only_the_two_schemes_are_tree_urls() -> None:
    assert is_tree_url("salt://x")
    assert is_tree_url("ctl://x")
    assert not is_tree_url("https://x")
    assert not is_tree_url("/srv/salt")


@pytest.mark.parametrize("path", OUT_OF_BOUNDS)
def test_paths_out_of_bounds_are_refused(tree: Path, roots: Roots, path: str) -> None:
    with pytest.raises(FileServerError):
        safe_join(tree / "one", path)
    with pytest.raises(FileServerError):
        roots.find([path], "base")
    with pytest.raises(FileServerError):
        roots.fetch(path, "base")


def test_a_backslash_in_a_name_is_allowed(tree: Path) -> None:
    assert check_relative("units/dev-disk\\x2dlabel.swap") == "units/dev-disk\\x2dlabel.swap"


def test_paths_are_normalised_as_text() -> None:
    assert check_relative("./a//b/./c") == "a/b/c"


@pytest.mark.parametrize("saltenv", ["../..", "/", "base\0", "prod", "", "BASE"])
def test_only_configured_environments_exist(roots: Roots, saltenv: str) -> None:
    for call in (roots.list_files, roots.list_dirs, roots.list_symlinks, roots.tree_fingerprint):
        with pytest.raises(FileServerError, match="no such environment"):
            call(saltenv)
    with pytest.raises(FileServerError, match="no such environment"):
        roots.find(["top.sls"], saltenv)


def test_the_nearest_environment_is_named(roots: Roots) -> None:
    with pytest.raises(FileServerError, match="did you mean 'base'"):
        roots.find(["top.sls"], "bace")


def test_the_first_root_wins(roots: Roots, tree: Path) -> None:
    assert roots.fetch("top.sls", "base") == tree / "one" / "top.sls"
    assert roots.fetch("web/files/site.conf", "base") == tree / "two" / "web/files/site.conf"
    assert roots.fetch("top.sls", "dev").read_text() == "dev"


def test_find_tells_digest_size_and_mode_and_none_for_no_file(roots: Roots, tree: Path) -> None:
    (tree / "one" / "top.sls").chmod(0o640)
    found = roots.find(["top.sls", "web", "nothing", "web/init.sls/x"], "base")
    info = found["top.sls"]
    assert info is not None
    assert (info.digest, info.size, info.mode) == (hashlib.sha256(b"one").hexdigest(), 3, 0o640)
    assert [path for path, value in found.items() if value is None] == ["web", "nothing", "web/init.sls/x"]


def test_fetch_names_a_missing_file_and_its_environment(roots: Roots) -> None:
    with pytest.raises(FileServerError, match="salt://nothing in environment 'base'"):
        roots.fetch("nothing", "base")


def test_a_changed_file_has_a_new_digest(roots: Roots, tree: Path) -> None:
    path = tree / "one" / "top.sls"
    for text in ("aaa", "bbb", "ccc"):
        path.write_text(text)
        info = roots.find(["top.sls"], "base")["top.sls"]
        assert info is not None
        assert info.digest == hashlib.sha256(text.encode()).hexdigest()


def test_listings_merge_the_roots_and_know_empty_directories(roots: Roots) -> None:
    assert roots.list_files("base") == ["top.sls", "web/files/site.conf", "web/init.sls"]
    assert roots.list_files("base", "web") == ["web/files/site.conf", "web/init.sls"]
    assert roots.list_files("base", "we") == []
    assert roots.list_dirs("base") == ["empty", "web", "web/files"]


def test_listings_notice_what_is_added_and_removed(roots: Roots, tree: Path) -> None:
    for number in range(5):
        (tree / "one" / "empty" / str(number)).write_text("")
        assert f"empty/{number}" in roots.list_files("base")
    (tree / "one" / "empty" / "0").unlink()
    assert "empty/0" not in roots.list_files("base")
    (tree / "missing").mkdir()
    (tree / "missing" / "late").write_text("")
    assert "late" in roots.list_files("base")


def test_symlinks_inside_the_root_are_served_and_others_are_not(tree: Path) -> None:
    one = tree / "one"
    (one / "inside").symlink_to("web/init.sls")
    (one / "outside").symlink_to(tree / "outside" / "secret")
    (one / "directory").symlink_to(tree / "outside")
    (one / "loop").symlink_to(".")
    strict = Roots({"base": [one]})
    found = strict.find(["inside", "outside", "directory/secret"], "base")
    assert [path for path, info in found.items() if info] == ["inside"]
    assert strict.list_symlinks("base") == {"inside": "web/init.sls", "loop": "."}
    assert strict.list_files("base") == ["inside", "top.sls", "web/init.sls"]
    with pytest.raises(FileServerError):
        safe_join(one, "directory/secret")
    following = Roots({"base": [one]}, follow_symlinks=True)
    assert following.fetch("directory/secret", "base").read_text() == "secret"
    assert "directory/secret" in following.list_files("base")


def test_what_is_ignored_does_not_exist(tree: Path) -> None:
    (tree / "one" / "web" / "x.swp").write_text("")
    (tree / "one" / ".git").mkdir()
    (tree / "one" / ".git" / "config").write_text("")
    roots = Roots({"base": [tree / "one"]}, ignore_glob=["*.swp"], ignore_regex=[r"/?\.git($|/)"])
    assert roots.list_files("base") == ["top.sls", "web/init.sls"]
    assert roots.find(["web/x.swp", ".git/config"], "base") == {"web/x.swp": None, ".git/config": None}


def test_a_fifo_is_no_file(tree: Path, roots: Roots) -> None:
    os.mkfifo(tree / "one" / "fifo")
    assert roots.find(["fifo"], "base") == {"fifo": None}
    assert "fifo" not in roots.list_files("base")


def test_the_fingerprint_follows_the_tree(roots: Roots, tree: Path) -> None:
    first = roots.tree_fingerprint("base")
    assert roots.tree_fingerprint("base") == first
    (tree / "two" / "new").write_text("x")
    second = roots.tree_fingerprint("base")
    assert second != first
    (tree / "two" / "new").write_text("xy")
    assert roots.tree_fingerprint("base") != second
    assert roots.tree_fingerprint("dev") != first


def test_a_symlink_may_lead_into_another_root_of_its_environment(tree: Path) -> None:
    (tree / "one" / "shared").symlink_to(tree / "two")
    (tree / "two" / "file").write_text("two")
    (tree / "dev" / "file").write_text("dev")
    (tree / "one" / "dev").symlink_to(tree / "dev")
    both = Roots({"base": [tree / "one", tree / "two"], "dev": [tree / "dev"]})
    assert both.fetch("shared/file", "base").read_text() == "two"
    assert "shared/file" in both.list_files("base")
    assert both.find(["dev/file"], "base") == {"dev/file": None}
    assert "dev/file" not in both.list_files("base")
    assert Roots({"base": [tree / "one"]}).find(["shared/file"], "base") == {"shared/file": None}


def test_a_root_that_is_a_symlink_is_a_root(tree: Path) -> None:
    (tree / "alias").symlink_to(tree / "one")
    assert Roots({"base": [tree / "alias"]}).fetch("top.sls", "base").exists()


def test_other_directories_can_take_over(tree: Path) -> None:
    roots = Roots({"base": [tree / "one"]})
    assert "top.sls" in roots.list_files("base")
    roots.use({"new": [tree / "one"]})
    assert roots.environments() == ["new"]
    assert "top.sls" in roots.list_files("new")
    with pytest.raises(FileServerError, match="no such environment"):
        roots.list_files("base")
    found = roots.look_up("top.sls", "new")
    assert found is not None
    assert found[0] == str(tree / "one" / "top.sls")
    assert roots.look_up("no", "new") is None


def test_one_entry_may_stand_for_every_environment_that_has_a_directory(tmp_path: Path) -> None:
    for path in ("base/x", "envs/dev/x", "envs/dev/sub/x", "outside/x"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    roots = Roots({"base": [tmp_path / "base"], "__env__": [tmp_path / "envs" / "__env__"]})
    assert roots.fetch("x", "dev").read_text() == "envs/dev/x"
    assert roots.fetch("x", "dev/sub").read_text() == "envs/dev/sub/x"
    assert roots.fetch("x", "base").read_text() == "base/x"
    assert roots.list_files("dev") == ["sub/x", "x"]
    for saltenv in ("nosuch", "../outside", "dev/../../outside", "/etc", "dev/", "./dev", "."):
        with pytest.raises(FileServerError):
            roots.find(["x"], saltenv)
