"""States that root runs inside directories of another user: nothing outside is read, written or given away."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to act as two users")
ANNE = 61001


@pytest.fixture
def home(machine: Any) -> Path:
    """A directory that belongs to another user, with a symlink of theirs that leads out."""
    home: Path = machine.root / "home"
    outside = machine.tree / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret\n")
    (outside / "secret").chmod(0o600)
    home.mkdir()
    os.chown(home, ANNE, ANNE)
    for name, target in (("link", outside / "secret"), ("way", outside)):
        (home / name).symlink_to(target)
        os.lchown(home / name, ANNE, ANNE)
    return home


@pytest.mark.parametrize(
    ("function", "name", "given"),
    [
        ("file.managed", "link", {"contents": "evil", "user": ANNE}),
        ("file.managed", "way/new", {"contents": "evil", "user": ANNE}),
        ("file.managed", "way/secret", {"contents": "evil", "mode": "0666"}),
        ("file.managed", "link", {"replace": False, "user": ANNE, "mode": "0666"}),
        ("file.append", "link", {"text": "evil"}),
        ("file.replace", "link", {"pattern": "secret", "repl": "evil", "backup": False}),
        ("file.directory", "way/new", {"user": ANNE}),
        ("file.directory", "way", {"user": ANNE, "mode": "0777"}),
        ("file.symlink", "way/new", {"target": "/evil"}),
        ("file.absent", "way/secret", {}),
        ("file.touch", "link", {"mtime": 5}),
        ("file.rename", "new", {"source": "{home}/way/secret"}),
    ],
)
def test_a_users_symlink_leads_nowhere(
    machine: Any, home: Path, function: str, name: str, given: dict[str, Any]
) -> None:
    outside = machine.tree / "outside"
    given = {key: value.format(home=home) if isinstance(value, str) else value for key, value in given.items()}
    before = (outside.stat().st_mode, outside.stat().st_uid, (outside / "secret").stat())
    outcome = machine.run(function, name=str(home / name), **given)
    assert outcome.result is False, outcome
    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").read_text() == "secret\n"
    after = (outside.stat().st_mode, outside.stat().st_uid, (outside / "secret").stat())
    assert after[:2] == before[:2]
    assert (after[2].st_mode, after[2].st_uid, after[2].st_mtime) == (
        before[2].st_mode,
        before[2].st_uid,
        before[2].st_mtime,
    )


def test_recursion_does_not_go_through_links(machine: Any, home: Path) -> None:
    machine.run("file.directory", name=str(home), user=ANNE, file_mode="0666", recurse=["user", "mode"])
    secret = machine.tree / "outside" / "secret"
    assert (secret.stat().st_uid, secret.stat().st_mode & 0o777) == (0, 0o600)


@pytest.fixture
def swapping(home: Path, machine: Any) -> Iterator[Path]:
    """A directory in another user's hands that is a directory one moment and a symlink the next."""
    (home / "plain").mkdir()
    (home / "plain" / "f").write_text("")
    for path in (home / "plain", home / "plain" / "f"):
        os.chown(path, ANNE, ANNE)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(home / "plain", home / "aside")
            os.rename(home / "way", home / "plain")
            os.rename(home / "plain", home / "way")
            os.rename(home / "aside", home / "plain")

    racer = threading.Thread(target=swap)
    racer.start()
    yield home / "plain"
    stop.set()
    racer.join()


def test_a_race_for_the_directory_wins_nothing(machine: Any, swapping: Path) -> None:
    outside = machine.tree / "outside"
    states = machine.context.states
    for number in range(300):
        for function, given in (
            ("file.managed", {"name": str(swapping / "secret"), "contents": f"evil {number}", "user": ANNE}),
            ("file.absent", {"name": str(swapping / "secret")}),
            ("file.directory", {"name": str(swapping / "new"), "user": ANNE}),
        ):
            plan = states[function](**given)
            for step in plan.steps:
                try:
                    step.run()
                except OSError:
                    break
    assert os.listdir(outside) == ["secret"]
    assert (outside / "secret").read_text() == "secret\n"
    assert (outside / "secret").stat().st_uid == 0
