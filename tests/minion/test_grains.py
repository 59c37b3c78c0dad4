"""The table of all grains: lazy, layered, kept to one line; users' plugins fail without harm."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ctl.common.config import MinionConfig
from ctl.minion.grains import GrainTable, MachineGrains, collect, own_grains, server_id
from ctl.minion.grains_machine import Group, Machine

Write = Callable[[str, str], Path]
PROMISED = """
os osfullname os_family osrelease osrelease_info oscodename osmajorrelease osfinger osarch lsb_distrib_id
lsb_distrib_codename lsb_distrib_release kernel kernelrelease kernelversion cpuarch cpu_model cpu_flags num_cpus
num_gpus gpus mem_total swap_total host fqdn fqdns domain nodename localhost ipv4 ipv6 fqdn_ip4 fqdn_ip6 ip_interfaces
ip4_interfaces ip6_interfaces hwaddr_interfaces dns locale_info timezone virtual init systemd machine_id uuid server_id
manufacturer productname path shell pythonversion pythonpath pythonexecutable zmqversion username uid groupname gid
disks ssds id master ctlversion saltversion saltversioninfo
"""
NOT_EVERYWHERE = {
    "systemd",
    "uuid",
    "manufacturer",
    "productname",
    "lsb_distrib_release",
    "osmajorrelease",
    "machine_id",
}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def _config(tmp_path: Path, **given: Any) -> MinionConfig:
    return MinionConfig.from_mapping({"id": "m1", "config_dir": str(tmp_path), **given})


def _machine(values: Mapping[str, Any], calls: list[str] | None = None) -> MachineGrains:
    def load(name: str) -> Callable[[Machine], Mapping[str, Any]]:
        def read(_machine: Machine) -> Mapping[str, Any]:
            if calls is not None:
                calls.append(name)
            return {name: values[name]}

        return read

    return MachineGrains(groups=[Group((name,), load(name)) for name in values])


def test_every_promised_grain_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def no_names(*_args: Any) -> Any:
        raise socket.gaierror("no network in a test")

    for name in ("getaddrinfo", "gethostbyaddr"):
        monkeypatch.setattr(socket, name, no_names)
    grains = collect(_config(tmp_path))
    assert set(PROMISED.split()) - NOT_EVERYWHERE <= set(grains)
    assert grains["saltversioninfo"] == [3008, 3]
    assert grains["saltversion"] == "3008.3"
    assert grains["id"] == "m1"
    assert "127.0.0.1" in grains["ipv4"]


def test_a_grain_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    calls: list[str] = []
    table = GrainTable(_config(tmp_path), machine=_machine({"os": "Debian", "fqdn": "x"}, calls))
    assert calls == []
    assert table["os"] == "Debian"
    assert table["id"] == "m1"
    assert calls == ["os"]
    assert table["os"] == "Debian"
    assert calls == ["os"]
    assert "nope" not in table
    assert set(table) == {"os", "fqdn", *own_grains(_config(tmp_path))}


def test_one_group_that_fails_leaves_the_others(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_machine: Machine) -> Mapping[str, Any]:
        raise ValueError("odd machine")

    grains = MachineGrains(groups=[Group(("a", "b"), fail), Group(("c",), lambda _m: {"c": 1}, slow=True)])
    assert dict(grains) == {"c": 1}
    assert "the grains a, b cannot be read: ValueError: odd machine" in caplog.text


def test_the_configuration_wins_over_the_file_over_plugins_over_the_machine(tmp_path: Path, write: Write) -> None:
    write("grains", "a: file\nb: file\n")
    plugins = write("plugins/p.py", "def f():\n    return dict.fromkeys('abc', 'plugin')\n").parent
    config = _config(tmp_path, grains={"a": "config"})
    table = GrainTable(config, [plugins], machine=_machine(dict.fromkeys("abcd", "machine")))
    assert [table[key] for key in "abcd"] == ["config", "file", "plugin", "machine"]


def test_mappings_merge_where_asked(tmp_path: Path, write: Write) -> None:
    write("grains", "m: {x: file}\n")
    given = {"grains": {"m": {"y": "config"}}}
    machine = _machine({"m": {"z": "machine"}})
    assert GrainTable(_config(tmp_path, **given), machine=machine)["m"] == {"y": "config"}
    merged = GrainTable(_config(tmp_path, **given, grains_deep_merge=True), machine=machine)
    assert merged["m"] == {"x": "file", "y": "config", "z": "machine"}


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [\n", "just words"])
def test_a_wrong_file_of_grains_is_passed_over(
    tmp_path: Path, write: Write, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write("grains", text)
    assert GrainTable(_config(tmp_path), machine=_machine({"os": "x"})).collect()["os"] == "x"
    assert str(path) in caplog.text


def test_line_breaks_do_not_get_into_grains(tmp_path: Path, write: Write, caplog: pytest.LogCaptureFixture) -> None:
    write("grains", 'a: "x\\nroot_key: y"\n')
    plugins = write("plugins/p.py", "def f():\n    return {'b': ['1\\n2']}\n").parent
    table = GrainTable(_config(tmp_path), [plugins], machine=_machine({"c": "m\n1"}))
    assert (table["a"], table["b"], table["c"]) == ("x root_key: y", ["1 2"], "m 1")
    assert "the grain 'a' of static grains has control characters" in caplog.text


PLUGINS = """
import salt.utils.platform
__virtualname__ = 'mine'
def __virtual__():
    return True
def plain():
    return {'plain': __grains__['os'] + __opts__['id']}
def with_grains(grains):
    return {'seen': grains['os']}
def nothing():
    return None
def wrong():
    return ['x']
def broken():
    raise RuntimeError('it broke')
def shell():
    return {'has_cmd': 'cmd.run' in __salt__}
def _private():
    raise AssertionError
"""


def test_users_plugins(tmp_path: Path, write: Write, caplog: pytest.LogCaptureFixture) -> None:
    directory = write("_grains/mine.py", PLUGINS).parent
    write("_grains/bad.py", "import nothing_of_that_name\n")
    write("_grains/elsewhere.py", "def __virtual__():\n    return False, 'not here'\ndef x():\n    return {'x': 1}\n")
    with caplog.at_level(logging.WARNING):
        table = GrainTable(_config(tmp_path), [directory], machine=_machine({"os": "Debian"}))
        grains = table.collect()
    assert grains["plain"] == "Debianm1"
    assert grains["seen"] == "Debian"
    assert grains["has_cmd"] is True
    assert "x" not in grains
    assert "mine.broken are left out: RuntimeError: it broke" in caplog.text
    assert "mine.wrong are left out: it returned list" in caplog.text
    assert "nothing_of_that_name" in caplog.text


def test_the_same_id_has_the_same_number() -> None:
    assert server_id("testmin") == 168508286


def test_several_masters_are_a_list(tmp_path: Path) -> None:
    assert own_grains(_config(tmp_path, master="one"))["master"] == "one"
    assert own_grains(_config(tmp_path, master=["one", "two"]))["master"] == ["one", "two"]
