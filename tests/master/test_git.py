"""Git repositories as directories and as environments, with the real git."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ctl.common.config import MasterConfig
from ctl.common.errors import CommandExecutionError, ConfigError
from ctl.master.git import Repository, check_url, protocol_of, without_secret
from ctl.master.gitfs import GitEnvironments, combined, read_remotes

ALLOWED = ("https", "ssh", "file")


def config(root: Path, **settings: Any) -> MasterConfig:
    return MasterConfig.from_mapping({"root_dir": str(root), **settings})


@pytest.fixture
def tree(git_tree: Any, tmp_path: Path) -> Any:
    made = git_tree(tmp_path / "remote")
    made.commit({"top.sls": "base: {}\n", "web/init.sls": "one\n"})
    return made


@pytest.mark.parametrize(
    ("url", "protocol"),
    [
        ("https://host/x.git", "https"),
        ("ssh://git@host/x", "ssh"),
        ("git@host:x/y.git", "ssh"),
        ("git+ssh://host/x", "ssh"),
        ("/srv/x.git", "file"),
        ("file:///srv/x", "file"),
        ("./x:y", "file"),
        ("http://host/x", "http"),
    ],
)
def test_the_protocol_of_a_url_is_known(url: str, protocol: str) -> None:
    assert protocol_of(url) == protocol


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c true",
        "fd::17",
        "--upload-pack=touch /tmp/x",
        "-x",
        "",
        "git://host/x",
        "http://host/x",
        "foo://x",
        "a\nb",
    ],
)
def test_what_could_make_git_run_something_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        check_url(url, ALLOWED)


def test_a_password_in_a_url_is_not_shown() -> None:
    assert without_secret("https://u:p@host/x") == "https://host/x"


def test_commits_are_unpacked_once_and_refs_are_followed(tree: Any, tmp_path: Path) -> None:
    repository = Repository(tree.url, tmp_path / "cache", ALLOWED)
    assert repository.refs() == {}
    assert repository.fetched_at == 0
    repository.fetch()
    first = repository.refs()["heads/master"]
    where = repository.tree(first)
    assert (where / "web" / "init.sls").read_text() == "one\n"
    assert repository.tree(first) == where
    tree.branch("feature/x")
    second = tree.commit({"web/init.sls": "two\n"})
    tree.git("tag", "-a", "v1", "-m", "v1")
    repository.fetch()
    refs = repository.refs()
    assert refs["heads/feature/x"] == second
    assert refs["tags/v1"] == second
    assert (repository.tree(second, "web") / "init.sls").read_text() == "two\n"
    mounted = repository.tree(second, "web", "salt://at/mount")
    assert (mounted / "at" / "mount" / "init.sls").read_text() == "two\n"
    assert (where / "web" / "init.sls").read_text() == "one\n"
    tree.git("checkout", "--quiet", "master")
    tree.git("branch", "-D", "feature/x")
    repository.fetch()
    assert "heads/feature/x" not in repository.refs()


def test_a_remote_that_is_gone_is_an_error_with_a_reason(tree: Any, tmp_path: Path) -> None:
    repository = Repository(tree.url, tmp_path / "cache", ALLOWED)
    shutil.rmtree(tree.path)
    with pytest.raises(CommandExecutionError, match="fetch of file://"):
        repository.fetch()


def test_links_that_lead_out_of_a_commit_are_left_out(tree: Any, tmp_path: Path) -> None:
    (tree.path / "inside").symlink_to("top.sls")
    (tree.path / "outside").symlink_to("/etc/passwd")
    (tree.path / "up").symlink_to("../../..")
    repository = Repository(tree.url, tmp_path / "cache", ALLOWED)
    commit = tree.commit()
    repository.fetch()
    assert sorted(os.listdir(repository.tree(commit))) == ["inside", "top.sls", "web"]


def test_branches_and_tags_are_environments(tree: Any, tmp_path: Path) -> None:
    tree.git("tag", "v1")
    tree.branch("dev")
    tree.commit({"web/init.sls": "dev\n"})
    settings = config(
        tmp_path, fileserver_backend=["roots", "git"], gitfs_remotes=[tree.url], file_roots={"base": ["/r"]}
    )
    git = GitEnvironments(settings)
    assert git.directories() == {}
    found, problems = git.update()
    assert problems == []
    assert sorted(found) == ["base", "dev", "v1"]
    assert GitEnvironments(settings).directories() == found
    assert combined(settings, git)["base"] == ["/r", *found["base"]]
    assert Path(found["dev"][0], "web/init.sls").read_text() == "dev\n"
    tree.commit({"web/init.sls": "dev 2\n"})
    git.update()
    assert Path(git.directories()["dev"][0], "web/init.sls").read_text() == "dev 2\n"
    shutil.rmtree(tree.path)
    kept, problems = git.update()
    assert sorted(kept) == ["base", "dev", "v1"]
    assert len(problems) == 1


def test_names_that_look_alike_never_share_files(git_tree: Any, tmp_path: Path) -> None:
    """Remotes `a_b` and `a`, branches `c` and `b_c`, and names that differ by case or form only."""
    remotes = []
    for name, branches in {"a_b": ("c", "C"), "a": ("b_c", "\u00e9", "e\u0301", "b/c")}.items():
        made = git_tree(tmp_path / name)
        made.commit({"start": ""})
        for branch in branches:
            made.branch(branch)
            made.commit({"which": f"{name} {branch}"})
        remotes.append(made.url)
    git = GitEnvironments(config(tmp_path, gitfs_remotes=remotes))
    found, _problems = git.update()
    for env, expected in {
        "c": "a_b c",
        "C": "a_b C",
        "b_c": "a b_c",
        "\u00e9": "a \u00e9",
        "e\u0301": "a e\u0301",
        "b/c": "a b/c",
    }.items():
        assert [Path(path, "which").read_text() for path in found[env]] == [expected]


def test_options_of_remotes(tree: Any, tmp_path: Path) -> None:
    tree.branch("main")
    tree.branch("secret-x")
    given = {tree.url: [{"base": "main"}, {"root": "web"}, {"mountpoint": "m"}, {"saltenv_blacklist": ["secret-*"]}]}
    found, _ = GitEnvironments(config(tmp_path, gitfs_remotes=[given])).update()
    assert sorted(found) == ["base", "master"]
    assert Path(found["base"][0], "m/init.sls").exists()
    with pytest.raises(ConfigError, match="did you mean root"):
        read_remotes(config(tmp_path, gitfs_remotes=[{tree.url: [{"rot": "x"}]}]))
    with pytest.raises(ConfigError, match="did you mean roots"):
        combined(config(tmp_path, fileserver_backend=["rots"]), GitEnvironments(config(tmp_path)))


def test_an_environment_may_be_mapped_to_a_branch_a_tag_a_commit_or_a_directory(tree: Any, tmp_path: Path) -> None:
    first = tree.git("rev-parse", "HEAD").strip()
    tree.git("tag", "v1")
    tree.branch("develop")
    tree.commit({"web/init.sls": "develop\n", "other/init.sls": "other\n"})
    mapping = [
        {"dev": [{"ref": "develop"}]},
        {"old": [{"ref": first}]},
        {"tagged": [{"ref": "v1"}, {"root": "web"}, {"mountpoint": "salt://at"}]},
        {"develop": [{"root": "other"}]},
        {"absent": [{"ref": "nowhere"}]},
        {"base": [{"root": "web"}]},
    ]
    found, problems = GitEnvironments(config(tmp_path, gitfs_remotes=[{tree.url: [{"saltenv": mapping}]}])).update()
    assert problems == []
    assert sorted(found) == ["base", "dev", "develop", "old", "tagged", "v1"]
    texts = {
        "dev": "web/init.sls",
        "old": "web/init.sls",
        "tagged": "at/init.sls",
        "develop": "init.sls",
        "base": "init.sls",
    }
    read = {env: Path(found[env][0], name).read_text().strip() for env, name in texts.items()}
    assert read == {"dev": "develop", "old": "one", "tagged": "one", "develop": "other", "base": "one"}


def test_the_mapping_of_all_remotes_goes_under_that_of_one(tree: Any, tmp_path: Path) -> None:
    tree.branch("develop")
    tree.commit({"web/init.sls": "develop\n"})
    options = {"gitfs_saltenv": [{"dev": [{"ref": "develop"}]}, {"qa": [{"ref": "develop"}]}]}
    given = {tree.url: [{"saltenv": [{"dev": [{"ref": "master"}]}]}, {"disable_saltenv_mapping": True}]}
    found, _problems = GitEnvironments(config(tmp_path, gitfs_remotes=[given], **options)).update()
    assert sorted(found) == ["base", "dev", "qa"]
    assert [Path(found[env][0], "web/init.sls").read_text() for env in ("dev", "qa")] == ["one\n", "develop\n"]
    with pytest.raises(ConfigError, match="the environment 'dev' has no option 'rev'"):
        read_remotes(config(tmp_path, gitfs_remotes=[{tree.url: [{"saltenv": [{"dev": [{"rev": "x"}]}]}]}]))


def test_two_entries_of_one_url_keep_each_others_trees(tree: Any, tmp_path: Path) -> None:
    remotes = [{tree.url: [{"mountpoint": "a"}]}, {tree.url: [{"mountpoint": "b"}]}]
    git = GitEnvironments(config(tmp_path, gitfs_remotes=remotes))
    found, _problems = git.update()
    for path in found["base"]:
        os.utime(path, (0, 0))
    found, _problems = git.update()
    assert [Path(path, name, "top.sls").exists() for path, name in zip(found["base"], "ab", strict=True)] == [
        True,
        True,
    ]


def test_a_submodule_is_left_out_and_named(tree: Any, git_tree: Any, tmp_path: Path, caplog: Any) -> None:
    inner = git_tree(tmp_path / "inner")
    inner.commit({"x": "1"})
    tree.git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", inner.url, "parts/inner")
    commit = tree.commit()
    repository = Repository(tree.url, tmp_path / "cache", ALLOWED)
    repository.fetch()
    assert os.listdir(repository.tree(commit) / "parts" / "inner") == []
    assert "submodules of file://" in caplog.text
    assert "parts/inner" in caplog.text
