"""Nobody else reads or writes what the programs make, from its first byte, whatever umask they were started with."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# what may be seen by more than its owner, by the end of its path: everything else has no bits for group and others
SHARED = {
    "run/ctl/master": 0o750,  # the group that may reach the clients' socket
    "run/ctl/master/ctl.sock": 0o660,
    "run/ctl/ctl-master.pid": 0o644,
    "run/ctl/ctl-minion.pid": 0o644,
    "var/log/ctl": 0o750,
}
PARENTS = ("etc", "etc/ctl", "run", "run/ctl", "var", "var/cache", "var/cache/ctl", "var/lib", "var/lib/ctl", "var/log")


class Watcher(threading.Thread):
    """Looks at every file below a directory, over and over, and keeps the widest mode that each one ever had."""

    def __init__(self, directory: Path) -> None:
        super().__init__(daemon=True)
        self._directory = directory
        self._done = threading.Event()
        self.modes: dict[str, int] = {}

    def run(self) -> None:
        while not self._done.is_set():
            self._look(self._directory)

    def _look(self, directory: Path) -> None:
        with contextlib.suppress(OSError), os.scandir(directory) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    info = entry.stat(follow_symlinks=False)
                    if not stat.S_ISLNK(info.st_mode):
                        mode = stat.S_IMODE(info.st_mode)
                        self.modes[entry.path] = self.modes.get(entry.path, 0) | mode
                    if stat.S_ISDIR(info.st_mode):
                        self._look(Path(entry.path))

    def stop(self) -> None:
        """Look a last time."""
        self._done.set()
        self.join()
        self._look(self._directory)


@pytest.fixture
def umask() -> Iterator[Callable[[int], None]]:
    """Set the umask that programs are started with."""
    before = os.umask(0o022)
    yield os.umask  # type: ignore[misc]
    os.umask(before)


def too_wide(modes: dict[str, int], root: Path, below: str) -> dict[str, str]:
    """Return what others may do with files of a daemon's, beside those that are meant for them."""
    found = {}
    for path, mode in modes.items():
        name = os.path.relpath(path, root / below)
        allowed = SHARED.get(name, 0o755 if name in PARENTS else 0o700)
        if not name.startswith("..") and mode & 0o077 & ~allowed:
            found[name] = f"{mode:04o}"
    return found


@pytest.mark.parametrize("mask", [0o000, 0o077], ids=["000", "077"])
def test_s05_what_programs_make_is_theirs_alone(make_fleet: Any, tmp_path: Path, umask: Any, mask: int) -> None:
    pillar = {"top.sls": "base:\n  '*': [x]\n", "x.sls": "password: c4nary\n"}
    srv = {"a.sls": f"{tmp_path}/made:\n  file.managed:\n    - contents: new\n", "f": "x" * 300_000}
    if shutil.which("git") is None:
        pytest.skip("git is not installed here")
    fleet = make_fleet(["m1"], srv=srv, pillar=pillar, master={"file_recv": True, "log_file": "/var/log/ctl/master"})
    given = {str(path) for path in fleet.directory.rglob("*")}
    watcher = Watcher(fleet.directory)
    watcher.start()
    try:
        umask(mask)
        fleet.master.start("--pid-file", str(fleet.directory / "master/run/ctl/ctl-master.pid"))
        fleet.minions["m1"].start("--log-file", str(fleet.directory / "m1/var/log/ctl/minion"))
        fleet.wait_for_master()
        fleet.accept()
        for words in (
            ["m1", "state.apply", "a"],
            ["m1", "cmd.run", "echo x"],
            ["m1", "cp.get_file", "salt://f", str(tmp_path / "got")],
            ["m1", "cp.push", str(fleet.directory / "srv/f")],
            ["m1", "pillar.items"],
            ["m1", "cmd.run", "head -c 900000 /dev/zero | tr '\\0' x"],
        ):
            assert fleet.run("ctl", *words).returncode == 0, words
        assert fleet.run("ctl-run", "jobs.list_jobs").returncode == 0
        fleet.stop()
        assert fleet.run("ctl-key", "-L").returncode == 0
        assert fleet.run("ctl-key", "--yes", "-d", "m1").returncode == 0
    finally:
        watcher.stop()
    made = {path: mode for path, mode in watcher.modes.items() if path not in given and not path.endswith("/log")}
    assert len(made) > 30
    assert too_wide(made, fleet.directory, "master") == {}
    assert too_wide(made, fleet.directory, "m1") == {}
    for directory in ("etc/ctl/pki", "var/lib/ctl/master", "var/cache/ctl/master"):
        assert made[str(fleet.directory / "master" / directory)] == 0o700, directory
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o644, "a job's umask is 022, whatever the daemon's"


def test_s05_a_key_that_others_can_read_is_not_used(make_fleet: Any, tmp_path: Path) -> None:
    fleet = make_fleet([])
    fleet.master.start()
    fleet.wait_for_master()
    fleet.stop()
    (fleet.master.home / "etc/ctl/pki/master.pem").chmod(0o640)
    fleet.master.start()
    assert fleet.master._process.wait(30) == 2
    assert "other users can reach this private key" in fleet.master.log.read_text()
