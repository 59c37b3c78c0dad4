"""A minion to run states on: real modules, real files below a temporary directory, and a daemon that only remembers."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ctl.common import arguments
from ctl.common.context import Context, use
from ctl.common.files import Roots
from ctl.common.loader import load_plugins
from ctl.common.state.applying import finish
from ctl.common.state.plan import Plan
from ctl.common.state.run import StateRun

GRAINS = {"id": "web1", "os": "Debian", "os_family": "Debian", "kernel": "Linux", "roles": ["web"], "shell": "/bin/sh"}


@dataclass
class QuietDaemon:
    """A daemon that does nothing, and keeps what it was told."""

    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def pillar(self, **options: Any) -> dict[str, Any]:
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


@dataclass
class Outcome:
    """What a state came to."""

    result: bool | None
    comment: str
    changes: dict[str, Any]


@dataclass
class Machine:
    """Plans and applies states on a minion; `root` is where their files go, `tree` the state tree."""

    context: Context
    root: Path
    tree: Path

    def source(self, name: str, content: str | bytes) -> str:
        """Put a file into the state tree and return its URL."""
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return f"salt://{name}"

    def plan(self, function: str, **given: Any) -> Plan:
        """Plan a state, and make sure that planning changed nothing below `root`."""
        call = self.context.states[function]
        _, kwargs = arguments.bind(call, [], given, function)
        before = snapshot(self.root)
        plan: Plan = call(**kwargs)
        assert snapshot(self.root) == before, "planning changed something"
        assert plan.result is not None or plan.steps or not plan.certain
        return plan

    def dry(self, function: str, **given: Any) -> Plan:
        """Plan a state as a dry run does."""
        self.context.test = True
        try:
            return self.plan(function, **given)
        finally:
            self.context.test = False

    def run(self, function: str, **given: Any) -> Outcome:
        """Plan a state and apply it."""
        return apply(self.plan(function, **given))

    def replace(self, **functions: Callable[..., Any]) -> None:
        """Replace execution functions for the rest of the test; `pkg_install` stands for `pkg.install`."""
        above = {name.replace("_", ".", 1): function for name, function in functions.items()}
        self.context.functions = Overlay(self.context.functions, above)

    def states(self, low: Mapping[str, Any], *, test: bool = False) -> dict[str, Any]:
        """Run a low chunk in a job of its own, with all that a run does around a state function."""
        self.context.scratch.clear()
        self.context.test = test
        try:
            run = StateRun(self.context)
            compiled = run.compile_lows([dict(low)])
            assert not compiled.problems, compiled.problems
            return next(iter(run.execute(compiled.program).values()))
        finally:
            self.context.test = False

    def snapshot(self) -> dict[str, tuple[Any, ...]]:
        """Describe everything below `root`."""
        return snapshot(self.root)

    def settle(self, function: str, **given: Any) -> Outcome:
        """Plan a state, apply it, and make sure that planning it again finds nothing to do."""
        outcome = self.run(function, **given)
        again = self.plan(function, **given)
        assert (again.result, dict(again.changes)) == (True, {}), again
        return outcome


def apply(plan: Plan) -> Outcome:
    """Run a plan's steps, as a state run does."""
    ret = finish(plan, "", test=False)
    return Outcome(ret["result"], ret["comment"], ret["changes"])


def snapshot(root: Path) -> dict[str, tuple[Any, ...]]:
    """Describe everything below a directory: kinds, owners, modes, times and contents."""
    found: dict[str, tuple[Any, ...]] = {}
    for directory, dirs, files in os.walk(root):
        for name in [".", *dirs, *files]:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            content: Any = None
            if stat.S_ISREG(status.st_mode):
                content = Path(path).read_bytes()
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            found[path] = (
                status.st_mode,
                status.st_ino,
                status.st_uid,
                status.st_gid,
                status.st_mtime_ns,
                status.st_ctime_ns,
                content,
            )
    return found


@contextlib.contextmanager
def opened(tmp_path: Path) -> Iterator[Machine]:
    """Have a machine whose files, tree and cache are below a directory."""
    root, tree, cache = (tmp_path / name for name in ("root", "tree", "cache"))
    for path in (root, tree, cache):
        path.mkdir()
    context = Context(
        id="web1",
        config={"id": "web1", "cachedir": str(cache), "file_client": "local"},
        grains=dict(GRAINS),
        pillar={},
        files=Roots({"base": [tree], "dev": [tree / "dev"]}),
        daemon=QuietDaemon(),
    )
    load_plugins(context)
    with use(context):
        yield Machine(context, root, tree)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with opened(tmp_path) as machine:
        yield machine


class Overlay(Mapping[str, Callable[..., Any]]):
    """The minion's functions with some of them replaced."""

    def __init__(self, below: Mapping[str, Callable[..., Any]], above: Mapping[str, Callable[..., Any]]) -> None:
        self._below, self._above = below, above

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return self._above[name] if name in self._above else self._below[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**dict.fromkeys(self._below), **dict.fromkeys(self._above)})

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self._above or name in self._below
