"""The thin reader of the master's configuration."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ctl.client import settings
from ctl.common import config
from ctl.common.errors import ConfigError

PLAIN = """\
---
# a comment
root_dir: /srv/fleet   # where everything is
sock_dir: 'run dir'
timeout: 7
state_verbose: no
interface: 0.0.0.0
file_roots:
  base:
    - /srv/ctl
nodegroups: {web: 'x'}
"""
NOT_PLAIN = {
    "a wanted key with nested lines": "state_output_exclude:\n  - a\n",
    "an anchor": "timeout: &x 3\n",
    "a quoted text that goes on": 'foo: "a\ntimeout: 3"\n',
    "a list that goes on": "foo: [a,\ntimeout: 3]\n",
    "a nested list that goes on": "foo:\n  a: [b,\ntimeout: 3]\n",
    "escapes": 'output: "a\\tb"\n',
    "a tab": "timeout:\t3\n",
    "a second document": "timeout: 3\n---\ntimeout: 4\n",
    "a flow mapping for all": "{timeout: 3}\n",
    "a directive": "%YAML 1.1\n---\ntimeout: 3\n",
    "a line of prose": "timeout\n",
    "a tag": "timeout: !!int 3\n",
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    found = tmp_path / "etc"
    found.mkdir()
    return found


def test_a_missing_file_means_the_daemon_s_defaults(directory: Path) -> None:
    thin, whole = settings.load(directory), config.load_master(directory)
    for name in settings.Settings._fields:
        if hasattr(whole, name):
            assert getattr(thin, name) == (Path(whole.root_dir) if name == "root_dir" else getattr(whole, name)), name


def test_plain_files_are_read_as_the_daemon_reads_them(directory: Path) -> None:
    text = "root_dir: /srv/fleet\nsock_dir: /run/x\ndata_dir: lib\npki_dir: '/srv/fleet/pki'\ntimeout: 2.5\n"
    (directory / "master").write_text(text)
    (directory / "master.d").mkdir()
    (directory / "master.d" / "b.conf").write_text("timeout: 3\n")
    (directory / "master.d" / "a.conf").write_text("timeout: 4\nstate_output: terse\n")
    thin, whole = settings.load(directory / "master"), config.load_master(directory)
    for name in ("sock_dir", "data_dir", "pki_dir", "timeout", "state_output"):
        assert getattr(thin, name) == getattr(whole, name), name
    assert thin.socket == Path("/srv/fleet/run/x/master/ctl.sock")


def test_the_scanner_reads_plain_lines() -> None:
    found = settings.scan(PLAIN.replace("nodegroups: {web: 'x'}\n", "nodegroups: {web: x}\n"))
    assert found == {"root_dir": "/srv/fleet", "sock_dir": "run dir", "timeout": "7", "state_verbose": "no"}


@pytest.mark.parametrize("text", NOT_PLAIN.values(), ids=NOT_PLAIN.keys())
def test_the_scanner_leaves_the_rest_to_yaml(text: str) -> None:
    assert settings.scan(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "timeout: 3 # x",
        "timeout: '3'",
        'output: "json"',
        "timeout: ~",
        "timeout:",
        "a:\n- b\ntimeout: 1",
        "a: |\n  b\n",
    ],
)
def test_what_the_scanner_reads_yaml_reads_alike(text: str) -> None:
    found = settings.scan(text)
    assert found is not None
    wanted = {key: value for key, value in yaml.safe_load(text).items() if key in settings.WANTED}
    assert {key: value or None for key, value in found.items()} == {
        key: None if value is None else str(value) for key, value in wanted.items()
    }


def test_yaml_serves_what_is_not_plain(directory: Path) -> None:
    (directory / "master").write_text('sock_dir: "/x\\x41"\nstate_output_exclude: [pkg, "True"]\n')
    found = settings.load(directory)
    assert found.sock_dir == Path("/xA")
    assert found.state_output_exclude == ("pkg", "True")


@pytest.mark.parametrize(
    ("text", "words"),
    [("timeout: soon", "timeout"), ("state_verbose: 3 apples", "state_verbose"), ("[", "no YAML"), ("- a", "mapping")],
)
def test_a_mistake_names_its_file(directory: Path, text: str, words: str) -> None:
    (directory / "master").write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        settings.load(directory)
    assert str(directory / "master") in str(caught.value)


def test_a_file_that_everyone_can_write_is_refused(directory: Path) -> None:
    (directory / "master").write_text("timeout: 3")
    (directory / "master").chmod(0o666)
    with pytest.raises(ConfigError, match="everyone can write"):
        settings.load(directory)


def test_the_environment_chooses_where_nothing_else_does(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "master").write_text("timeout: 3")
    monkeypatch.setenv("CTL_CONFIG_DIR", str(directory))
    assert settings.load().timeout == 3.0
    assert settings.load(directory / "other").timeout == 5.0
    assert settings.load().directory == directory


def test_overrides_win(directory: Path) -> None:
    (directory / "master").write_text("timeout: 3")
    assert settings.load(directory, {"timeout": 4, "unknown": 1}).timeout == 4.0


HEAVY = ("zmq", "jinja2", "asyncio", "importlib.metadata", "yaml", "dataclasses", "inspect", "cryptography", "rich",
         "argparse", "sqlite3", "msgspec", "logging")  # fmt: skip


def test_a_command_imports_nothing_heavy(master: Any) -> None:
    code = (
        "import sys; from ctl.client.cli.ctl import main; code = main(['*', 'test.ping']); "
        f"print(code, [name for name in {HEAVY} if name in sys.modules])"
    )
    roots = 'pillar_roots: {"base": ["/y"], "a b": []}'  # as programs write it
    (master.config).write_text(f"{roots}\nfile_roots:\n  base:\n    - /x\nsock_dir: {master.socket.parent.parent}\n")
    environment = {"CTL_CONFIG_DIR": str(master.config.parent), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
    assert done.stderr == ""
