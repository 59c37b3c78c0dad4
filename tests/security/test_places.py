"""What others could have written is not believed, and what lies where a program is started is not looked at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ctl.common import config
from ctl.common.context import Context
from ctl.common.errors import ConfigError, PluginNotLoaded
from ctl.common.loader import Loader
from ctl.common.writers import make_own_directory, other_writers

BIN = Path(sys.executable).parent
PROGRAMS = ("ctl", "ctl-key", "ctl-run", "ctl-cp", "ctl-call", "ctl-master", "ctl-minion")
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users")


@pytest.mark.parametrize("where", ["", "master.d", "master.d/x.conf", "master"])
def test_s14_configuration_that_others_can_write_is_refused(tmp_path: Path, where: str) -> None:
    directory = tmp_path / "etc"
    (directory / "master.d").mkdir(parents=True)
    (directory / "master").write_text("timeout: 3\n")
    (directory / "master.d" / "x.conf").write_text("timeout: 4\n")
    assert config.load_master(directory).timeout == 4
    place = directory / where
    place.chmod(0o777 if place.is_dir() else 0o666)
    with pytest.raises(ConfigError, match="everyone can write") as caught:
        config.load_master(directory)
    assert str(place) in str(caught.value)
    assert "chmod o-w" in caught.value.hint


def test_s14_a_directory_far_above_counts_too_but_for_roots_sticky_ones(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "c" / "file"
    file.parent.mkdir(parents=True)
    file.write_text("")
    (tmp_path / "a").chmod(0o777)
    assert other_writers(file) == (f"everyone can write {tmp_path / 'a'}", f"chmod o-w {tmp_path / 'a'}")
    (tmp_path / "a").chmod(0o1777)
    assert (other_writers(file) is None) is (os.geteuid() == 0)


@needs_root
@pytest.mark.parametrize(("who", "mode", "what"), [((NOBODY, 0), 0o644, "user"), ((0, NOBODY), 0o664, "a group")])
def test_s14_another_user_or_group_that_can_write_is_named(
    tmp_path: Path, who: tuple[int, int], mode: int, what: str
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    os.chown(file, *who)
    file.chmod(mode)
    found = other_writers(file)
    assert found is not None
    assert found[0].startswith(what)
    assert str(file) in found[0]


def test_s14_a_link_is_as_good_as_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "open" / "file")
    (tmp_path / "open").chmod(0o777)
    assert other_writers(tmp_path / "link") is not None


@pytest.mark.parametrize("open_place", ["file", "directory"])
def test_s14_a_plugin_that_others_can_write_is_not_run(tmp_path: Path, open_place: str) -> None:
    directory = tmp_path / "plugins"
    directory.mkdir()
    plugin = directory / "evil.py"
    plugin.write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'pwned')!r}).touch()\ndef run():\n    return 1\n")
    (plugin if open_place == "file" else directory).chmod(0o777)
    loader = Loader("modules", None, [directory], Context("m", {}, {}, {}, None, None))  # type: ignore[arg-type]
    with pytest.raises(PluginNotLoaded, match="everyone can write"):
        loader["evil.run"]
    assert not (tmp_path / "pwned").exists()
    (plugin if open_place == "file" else directory).chmod(0o755)
    loader.forget()
    assert loader["evil.run"]() == 1


def test_s14_a_directory_of_ours_that_everyone_can_write_is_refused(tmp_path: Path) -> None:
    made = tmp_path / "a" / "b"
    before = os.umask(0)
    try:
        make_own_directory(made)
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (made, made.parent)] == [0o700, 0o755]
    made.chmod(0o707)
    with pytest.raises(ConfigError, match="everyone can write"):
        make_own_directory(made)


def test_s14_the_directory_of_another_user_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "roots"
    directory.mkdir(mode=0o555)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ConfigError, match="belongs to user"):
        make_own_directory(directory)


@pytest.mark.parametrize("program", PROGRAMS)
def test_s14_what_lies_where_a_program_is_started_is_not_loaded(tmp_path: Path, program: str) -> None:
    """A directory with configuration, plugins and modules named like the library's, as an attacker would leave them."""
    if not (BIN / program).exists():
        pytest.skip(f"{program} is not installed here")
    mark = tmp_path / "pwned"
    trap = f"open({str(mark)!r}, 'w').write(__file__)\n"
    hostile = tmp_path / "hostile"
    for name in ("json.py", "logging.py", "yaml.py", "msgpack.py", "ctl.py", "socket.py", "sitecustomize.py", "zmq.py"):
        hostile.mkdir(exist_ok=True)
        (hostile / name).write_text(trap)
    for folder in ("common", "_modules", "_states", "_grains", "master.d", "minion.d"):
        (hostile / folder).mkdir()
        (hostile / folder / "__init__.py").write_text(trap)
    for name in ("master", "minion", "master.d/x.conf", "minion.d/x.conf", ".ctlrc"):
        (hostile / name).write_text(f"root_dir: {tmp_path / 'pwned'}\nmodule_dirs: [{hostile}]\n")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "CTL_"))}
    (tmp_path / "etc").mkdir()
    for words in (["--version"], ["-c", str(tmp_path / "etc"), "--help"]):
        done = subprocess.run([BIN / program, *words], cwd=hostile, env=environment, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
    assert not mark.exists(), mark.read_text()


def test_s14_processes_of_ours_do_not_look_where_they_are_started() -> None:
    """The helper of a minion and the workers of a master are started with -P: no directory of theirs is searched."""
    root = Path(__file__).parents[2]
    for file in ("minion/helper_process.py", "master/workers.py"):
        text = (root / file).read_text()
        assert '[sys.executable, "-P", "-m", ' in text, file
