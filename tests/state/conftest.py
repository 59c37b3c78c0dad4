"""A minion to compile and run states on: a tree in a temporary directory, and a daemon that only remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ctl.common.context import Context, use
from ctl.common.files import Roots
from ctl.common.loader import load_plugins
from ctl.common.state.run import StateRun

DATA = Path(__file__).parent.parent / "data" / "sls"


@dataclass
class RememberingDaemon:
    """A daemon that does nothing, and keeps what it was told."""

    pillar_data: dict[str, Any] = field(default_factory=dict)
    holder: dict[str, Any] | None = None
    told: list[dict[str, Any]] = field(default_factory=list)
    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)

    def pillar(self, **options: Any) -> dict[str, Any]:
        self.asked.append(options)
        return {**self.pillar_data, **(options.get("override") or {})}

    def event(self, tag: str, data: Mapping[str, Any]) -> bool:
        self.events.append((tag, data))
        return True

    def progress(self, data: Mapping[str, Any]) -> None:
        self.told.append(dict(data))

    def running(self) -> list[dict[str, Any]]:
        return self.jobs

    def kill(self, jid: str, signal: int) -> bool:
        return False

    def refresh(self, what: str) -> bool:
        return True

    def state_lock(self, queue: bool | int, concurrent: bool) -> dict[str, Any] | None:
        return self.holder


@dataclass
class Minion:
    """A minion whose tree is `root`; `daemon` and `context` are open to a test."""

    root: Path
    context: Context
    daemon: RememberingDaemon

    def write(self, **files: str) -> None:
        """Write SLS files by their names (`a` is a.sls, `a__b` is a/b.sls)."""
        for name, text in files.items():
            self.file(f"{name.replace('__', '/')}.sls", text)

    def file(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def states(self, **functions: Callable[..., Any]) -> None:
        """Let the minion have these state functions instead of its own: `demo__run` is demo.run."""
        self.context.states = {name.replace("__", "."): function for name, function in functions.items()}

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        self.context.scratch.clear()
        with use(self.context):
            return self.context.functions[function](*args, **kwargs)

    def apply(self, text: str, *, test: bool = False) -> dict[str, dict[str, Any]]:
        """Run SLS text; return the results by ID."""
        self.file("main.sls", text)
        found = self.call("state.sls", "main", test=test)
        assert isinstance(found, dict), found
        return {ret["__id__"]: ret for ret in found.values()}

    @property
    def data(self) -> Path:
        """Where the minion keeps what must not be lost."""
        return Path(self.context.config["data_dir"])

    def run(self) -> StateRun:
        return StateRun(self.context)

    @property
    def retcode(self) -> int:
        return int(self.context.scratch.get("retcode", 0))


def make_minion(root: Path, state_dirs: list[Path] | None = None) -> Minion:
    daemon = RememberingDaemon()
    data_dir = root.parent / "data"
    config: dict[str, Any] = {"id": "web1", "autoload_dynamic_modules": False, "data_dir": str(data_dir)}
    grains = {"id": "web1", "os": "Debian", "shell": "/bin/sh", "roles": ["web"]}
    context = Context("web1", config, grains, {}, Roots({"base": [root]}), daemon)
    load_plugins(context, state_dirs=state_dirs or [DATA / "_states"])
    return Minion(root, context, daemon)


@pytest.fixture
def minion(tmp_path: Path) -> Iterator[Minion]:
    root = tmp_path / "srv"
    root.mkdir()
    made = make_minion(root)
    with use(made.context):
        yield made
