"""What all tests share: nothing of ctl may exist under a second name, and no test leaves a child or thread behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

ROOMS = ("common", "master", "minion", "modules", "states", "client")


def wait_until(condition: Callable[[], object], seconds: float = 10.0, what: str = "the condition") -> None:
    """Poll until `condition()` is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not come true within {seconds} s")
        time.sleep(0.005)


@pytest.fixture(name="wait_until")
def wait_until_fixture() -> Callable[..., None]:
    return wait_until


def _own_children() -> set[int]:
    return {child.pid for child in psutil.Process(os.getpid()).children() if child.status() != psutil.STATUS_ZOMBIE}


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    children = _own_children()
    threads = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        new_children = _own_children() - children
        new_threads = [t for t in threading.enumerate() if t not in threads and not t.name.startswith("asyncio_")]
        if not new_children and not new_threads:
            break
        time.sleep(0.01)
    else:
        pytest.fail(f"left behind: children {new_children}, threads {[t.name for t in new_threads]}")
    assert not [room for room in ROOMS if room in sys.modules], "a second identity of a room of ctl was imported"


class GitTree:
    """A repository of the real git, with a working tree to commit from."""

    def __init__(self, path: Path, branch: str = "master") -> None:
        self.path = path
        self.url = f"file://{path}"
        path.mkdir(parents=True)
        self.git("init", "--quiet", f"--initial-branch={branch}")

    def git(self, *words: str) -> str:
        """Run git here and return what it prints."""
        who = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", *words], cwd=self.path, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str] | None = None) -> str:
        """Write files and commit everything; return the commit."""
        for name, text in (files or {}).items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str) -> None:
        """Make a branch here and go to it."""
        self.git("checkout", "--quiet", "-B", name)


@pytest.fixture
def git_tree() -> type[GitTree]:
    """Make repositories: `git_tree(path, branch)`; skips where there is no git."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed here")
    return GitTree
