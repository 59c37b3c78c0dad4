"""Git repositories of the master: names never share files, nothing runs a program, a hanging remote waits alone."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctl.common.config import MasterConfig
from ctl.common.errors import CommandExecutionError, ConfigError
from ctl.master.fileserver import FileServer
from ctl.master.git import Repository
from ctl.master.gitfs import GitEnvironments
from ctl.master.rendering import pillar_roots, render
from ctl.master.worker import NoDaemon

DEADLINE_S = 30.0


def _config(root: Path, **settings: Any) -> MasterConfig:
    return MasterConfig.from_mapping({"root_dir": str(root), "fileserver_backend": ["git"], **settings})


def _git(directory: Path, *words: str) -> str:
    quiet = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t"}
    environment = {**os.environ, **quiet, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    done = subprocess.run(["git", *words], cwd=directory, env=environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _repository(where: Path, branches: dict[str, dict[str, str]]) -> str:
    where.mkdir(parents=True)
    _git(where, "init", "--quiet", "--initial-branch=start")
    _git(where, "commit", "--quiet", "--allow-empty", "-m", "start")
    for branch, files in branches.items():
        _git(where, "checkout", "--quiet", "-b", branch, "start")
        for name, text in files.items():
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            (where / name).write_text(text)
        _git(where, "add", "--all")
        _git(where, "commit", "--quiet", "--allow-empty", "-m", branch)
    return f"file://{where}"


@pytest.fixture
def silent() -> Iterator[int]:
    """A port whose server accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


# -- S21

ALIKE = ["c", "C", "b_c", "b/c", "\u00e9", "e\u0301", "K", "\u212a"]


def test_s21_environments_whose_names_look_alike_have_their_own_files(tmp_path: Path) -> None:
    remotes = {
        name: _repository(tmp_path / name, {branch: {"which": f"{name} {branch}"} for branch in ALIKE})
        for name in ("a", "a_b")
    }
    for root, mountpoint in (("", ""), ("", "m")):
        git = GitEnvironments(
            _config(tmp_path, gitfs_remotes=list(remotes.values()), gitfs_root=root, gitfs_mountpoint=mountpoint)
        )
        found, problems = git.update()
        assert problems == []
        for branch in ALIKE:
            texts = [Path(path, mountpoint, "which").read_text() for path in found[branch]]
            assert texts == [f"{name} {branch}" for name in remotes]
    trees = [path for paths in found.values() for path in paths]
    assert len({os.path.realpath(path).casefold() for path in trees}) == len(set(trees))


def test_s21_one_url_with_different_roots_and_mountpoints_shares_no_tree(tmp_path: Path) -> None:
    url = _repository(tmp_path / "r", {"main": {"x/y/z": "xyz", "x_y/z": "x_yz"}})
    repository = Repository(url, tmp_path / "cache", ["file"])
    repository.fetch()
    commit = repository.refs()["heads/main"]
    options = list(itertools.product(["", "x", "x/y", "x_y"], ["", "x", "x/y", "y/x"]))
    trees = {option: repository.tree(commit, *option) for option in options}
    assert len(set(trees.values())) == len(options)
    assert (trees["x/y", "x"] / "x" / "z").read_text() == "xyz"
    assert (trees["x_y", "x"] / "x" / "z").read_text() == "x_yz"


@pytest.mark.parametrize("mountpoint", ["../../out", "/../out", "a/../../out", "..", "a\0b"])
def test_s21_a_mountpoint_stays_in_its_tree(tmp_path: Path, mountpoint: str) -> None:
    url = _repository(tmp_path / "r", {"main": {"x": "1"}})
    git = GitEnvironments(_config(tmp_path, gitfs_remotes=[{url: [{"mountpoint": mountpoint}]}]))
    found, problems = git.update()
    assert found == {}
    assert problems
    assert not (tmp_path / "out").exists()


# -- S29

PROGRAMS = [
    "ext::sh -c 'touch MADE'",
    "ext::touch% MADE",
    "fd::7",
    "--upload-pack=touch MADE;",
    "-u touch MADE",
    "--exec=touch MADE",
    "-oProxyCommand=touch MADE",
    "ssh://-oProxyCommand=touch MADE/x",
    "ssh://user@-oProxyCommand=touch MADE/x",
    "-oProxyCommand=touch MADE:x",
    "file:///x\ntouch MADE",
]


@pytest.mark.parametrize("url", PROGRAMS)
def test_s29_a_url_runs_no_program(tmp_path: Path, url: str) -> None:
    made = tmp_path / "made"
    url = url.replace("MADE", str(made))
    everything = ["https", "http", "ssh", "git", "file", "ext", "fd"]
    with pytest.raises((ConfigError, CommandExecutionError)):
        Repository(url, tmp_path / "cache", everything, 20.0).fetch()
    assert not made.exists()


def test_s29_refs_roots_and_options_are_data(tmp_path: Path) -> None:
    made = tmp_path / "made"
    url = _repository(tmp_path / "r", {"main": {"x": "1"}, "dev;touch-made": {"x": "2"}, "$(touch-made)": {"x": "3"}})
    hostile = [f"--output={made}", "--upload-pack=touch", f"main;touch {made}", "--", "-x", "main:x", "@{-1}", "^main"]
    for ref in hostile:
        mapping = [{"env": [{"ref": ref}]}, {"rooted": [{"ref": "main"}, {"root": ref}]}]
        found, _problems = GitEnvironments(_config(tmp_path, gitfs_remotes=[{url: [{"saltenv": mapping}]}])).update()
        assert sorted(found) == ["$(touch-made)", "dev;touch-made", "main", "start"]
    assert not made.exists()
    assert not Path("made").exists()


def test_s29_git_is_told_which_protocols_it_may_speak_also_for_what_a_repository_leads_to(tmp_path: Path) -> None:
    made = tmp_path / "made"
    url = _repository(
        tmp_path / "r", {"main": {".gitmodules": f'[submodule "a"]\n\tpath = a\n\turl = ext::touch {made}\n'}}
    )
    repository = Repository(url, tmp_path / "cache", ["file"])
    repository.fetch()
    assert (repository.tree(repository.refs()["heads/main"]) / ".gitmodules").exists()
    assert not made.exists()
    argv = repository._options
    assert argv[:2] == ["-c", "protocol.allow=never"]
    assert [word for word in argv if word.startswith("protocol.")] == [
        "protocol.allow=never",
        "protocol.file.allow=always",
    ]


def test_s29_no_minion_chooses_a_source_or_its_arguments(run_fleet: Any) -> None:
    async def scenario(fleet: Any) -> None:
        made = fleet.root / "made"
        hostile = {
            "ext_pillar": [{"git": [f"main ext::touch {made}"]}, {"cmd_yaml": f"touch {made}"}],
            "gitfs_remotes": [f"ext::touch {made}"],
            "ext": {"git": f"main --upload-pack=touch {made}"},
        }
        for over in (hostile, {"_ext": hostile}):
            found = (await fleet.publish("m1", "pillar.items", kwarg={"pillar": over})).returns["m1"]
            assert found == over
        assert not made.exists()

    run_fleet(scenario)


# -- F29


def test_f29_a_remote_that_hangs_keeps_no_other_waiting(tmp_path: Path, silent: int) -> None:
    """The good remote is served while the other one still hangs; stopping the file server ends what hangs."""
    url = _repository(tmp_path / "good", {"main": {"x": "1"}})
    hanging = f"http://127.0.0.1:{silent}/x.git"
    config = _config(
        tmp_path,
        gitfs_remotes=[hanging, url],
        gitfs_base="main",
        git_protocols=["http", "file"],
        git_timeout=600.0,
        ext_pillar=[{"git": [f"main {hanging}"]}],
    )

    async def main() -> float:
        server = FileServer(config)
        running = asyncio.create_task(server.run())
        deadline = time.monotonic() + DEADLINE_S
        while server.environments() != ["base", "start"]:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        assert (await server.find("base", ["x"]))[0] is not None
        began = time.monotonic()
        running.cancel()
        await asyncio.to_thread(server.close)
        return time.monotonic() - began

    assert asyncio.run(main()) < DEADLINE_S / 2
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("git")] == []


def test_f29_a_remote_that_hangs_is_given_up_and_named(tmp_path: Path, silent: int) -> None:
    config = _config(
        tmp_path, gitfs_remotes=[f"http://u:canary@127.0.0.1:{silent}/x.git"], git_protocols=["http"], git_timeout=1.0
    )
    found, problems = GitEnvironments(config).update()
    assert found == {}
    (problem,) = problems
    assert problem == f"git fetch of http://127.0.0.1:{silent}/x.git failed: it took longer than 1 s"


def test_f29_pillar_that_needs_a_hanging_remote_is_an_error_in_time(
    tmp_path: Path, silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ctl.master.pillar_sources import git

    monkeypatch.setattr(git, "FIRST_FETCH_S", 0.2)
    hanging = f"http://127.0.0.1:{silent}/x.git"
    source = {"ext_pillar": [{"git": [f"main {hanging}"]}], "pillar_roots": {"base": []}}
    config = _config(tmp_path, git_protocols=["http"], git_timeout=600.0, **source)
    stop = threading.Event()
    repository = Repository(hanging, config.cachedir / "master" / "git", ["http"], 600.0, stop)
    fetching = threading.Thread(target=lambda: _fails(repository))
    fetching.start()
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not (repository.home / "fetch.lock").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        data, _problems = render(config, pillar_roots(config), NoDaemon(), "web1", {"id": "web1"})
        assert "is still being fetched" in data["_errors"][0]
    finally:
        stop.set()
        fetching.join(DEADLINE_S)
    assert not fetching.is_alive()


def _fails(repository: Repository) -> None:
    with pytest.raises(CommandExecutionError, match="the master stops"):
        repository.fetch()
