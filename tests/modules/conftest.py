"""A context with the real execution modules, a file source over a folder, and a daemon that does nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ctl.common import loader
from ctl.common.arguments import bind
from ctl.common.context import Context, FileInfo, use
from ctl.common.errors import FileServerError


class FolderSource:
    """A file source over one folder, for every environment."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def environments(self) -> list[str]:
        return ["base"]

    def find(self, paths: Sequence[str], saltenv: str) -> dict[str, FileInfo | None]:
        return {path: self._info(self.root / path) for path in paths}

    def _info(self, path: Path) -> FileInfo | None:
        if not path.is_file():
            return None
        content = path.read_bytes()
        return FileInfo(hashlib.sha256(content).hexdigest(), len(content))

    def fetch(self, path: str, saltenv: str) -> Path:
        if not (self.root / path).is_file():
            raise FileServerError(f"no file {path} in environment {saltenv}")
        return self.root / path

    def list_files(self, saltenv: str, prefix: str = "") -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())

    def list_dirs(self, saltenv: str, prefix: str = "") -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_dir())

    def list_symlinks(self, saltenv: str, prefix: str = "") -> dict[str, str]:
        return {}


class IdleDaemon:
    """A daemon that answers nothing and remembers the events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []

    def pillar(
        self,
        *,
        saltenv: str | None = None,
        pillarenv: str | None = None,
        override: Mapping[str, Any] | None = None,
        fresh: bool = False,
    ) -> dict[str, Any]:
        return {}

    def event(self, tag: str, data: Mapping[str, Any]) -> bool:
        self.events.append((tag, data))
        return True

    def progress(self, data: Mapping[str, Any]) -> None:
        pass

    def running(self) -> list[dict[str, Any]]:
        return []

    def kill(self, jid: str, signal: int) -> bool:
        return False

    def refresh(self, what: str) -> bool:
        return True

    def state_lock(self, queue: bool | int, concurrent: bool) -> dict[str, Any] | None:
        return None


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The folder behind `salt://`."""
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


@pytest.fixture
def context(tree: Path) -> Iterator[Context]:
    """The current context, with every execution module that loads on this machine."""
    made = Context(
        id="minion",
        config={"id": "minion"},
        grains={"id": "minion", "os": "Debian", "os_family": "Debian", "shell": "/bin/sh"},
        pillar={},
        files=FolderSource(tree),
        daemon=IdleDaemon(),
    )
    loader.load_plugins(made)
    with use(made):
        yield made


@pytest.fixture
def call(context: Context) -> Callable[..., Any]:
    """Call a function as a job does: looked up by its name, its arguments checked and coerced."""

    def caller(name: str, /, *args: Any, **kwargs: Any) -> Any:
        function = context.functions[name]
        bound_args, bound_kwargs = bind(function, args, kwargs, name)
        return function(*bound_args, **bound_kwargs)

    return caller


@pytest.fixture(autouse=True)
def _skip_without_root(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def fake_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put a program on the path that prints a text and writes its arguments, NUL-separated, to the file returned."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str, output: str = "", retcode: int = 0) -> Path:
        record, text = tmp_path / f"{name}.args", tmp_path / f"{name}.out"
        text.write_text(output)
        record.touch()
        program = folder / name
        program.write_text(
            f'#!/bin/sh\nfor word in "$@"; do printf "%s\\0" "$word" >>{record}; done\nprintf "\\n" >>{record}\n'
            f"cat {text}\nexit {retcode}\n"
        )
        program.chmod(0o755)
        return record

    return make


@pytest.fixture(scope="session")
def apt_index() -> None:
    """Skip where apt is missing or does not know any package."""
    if not shutil.which("apt-get"):
        pytest.skip("apt-get is not installed here")
    done = subprocess.run(["apt-cache", "policy", "hello"], capture_output=True, text=True, check=False)
    if "Candidate: (none)" in done.stdout or "Candidate:" not in done.stdout:
        pytest.skip("apt has no index here")
