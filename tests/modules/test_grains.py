"""Reading grains, and setting them for good."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from ctl.common.context import Context, DaemonPort, FileSource, use
from ctl.common.errors import CommandExecutionError
from ctl.modules import grains

MACHINE = {
    "os": "Debian",
    "os_family": "Debian",
    "id": "m1",
    "fqdn": "m1.example.com",
    "serialnumber": "1234",
    "roles": ["web"],
    "empty": [],
    "dns": {"nameservers": ["10.0.0.1", "10.0.0.2"]},
    "number": 8,
}


class Daemon:
    """Collects grains anew from the file, as the minion does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.refreshed: list[str] = []
        self.context: Context | None = None
        self.forgetful = False

    def refresh(self, what: str) -> bool:
        self.refreshed.append(what)
        if what == "grains" and self.context and not self.forgetful:
            self.context.grains = {**MACHINE, **stored(self.path)}
        return True


def stored(directory: Path) -> dict[str, Any]:
    path = directory / "grains"
    return dict(yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return Daemon(tmp_path)


@pytest.fixture(autouse=True)
def job(tmp_path: Path, daemon: Daemon) -> Iterator[Context]:
    config = {"config_dir": str(tmp_path), "grains": {"fixed": 1}}
    context = Context("m1", config, MACHINE, {}, cast(FileSource, None), cast(DaemonPort, daemon))
    daemon.context = context
    with use(context):
        yield context


def test_reading() -> None:
    assert grains.items() == MACHINE
    assert grains.ls() == sorted(MACHINE)
    assert grains.get("os") == "Debian"
    assert grains.get("dns:nameservers:1") == "10.0.0.2"
    assert grains.get("dns|nameservers|0", delimiter="|") == "10.0.0.1"
    assert grains.get("nope") == ""
    assert grains.get("nope", default=None) is None
    assert grains.item("os", "dns:nameservers", "nope") == {
        "os": "Debian",
        "dns:nameservers": ["10.0.0.1", "10.0.0.2"],
        "nope": "",
    }


def test_a_report_for_others_names_nobody() -> None:
    shown = grains.items(sanitize=True)
    assert (shown["id"], shown["serialnumber"], shown["os"]) == ("MINION", "FILTERED", "Debian")


@pytest.mark.parametrize(
    ("key", "wanted"), [("os", True), ("nope", False), ("empty", False), ("dns:nameservers", True)]
)
def test_has_value(key: str, wanted: bool) -> None:
    assert grains.has_value(key) is wanted


def test_equals_compares_text() -> None:
    assert grains.equals("number", "8")
    assert not grains.equals("os", "debian")


def test_filter_by() -> None:
    table = {"Debian": {"pkg": "apache2"}, "RedHat": {"pkg": "httpd"}, "default": {"pkg": "x"}, "b": {"port": 80}}
    assert grains.filter_by(table) == {"pkg": "apache2"}
    assert grains.filter_by(table, grain="nope") == {"pkg": "x"}
    assert grains.filter_by(table, merge={"pkg": "mine"}, base="b") == {"pkg": "mine", "port": 80}


def test_set_for_good(tmp_path: Path, daemon: Daemon) -> None:
    (tmp_path / "grains").write_text("old: 1\n")
    assert grains.setval("role", "web") == {"role": "web"}
    assert stored(tmp_path) == {"old": 1, "role": "web"}
    assert daemon.refreshed == ["grains", "pillar"]
    assert grains.get("role") == "web"
    assert grains.setvals({"a": [1, {"b": 2}], "role": "db"}, refresh_pillar=False) == {
        "a": [1, {"b": 2}],
        "role": "db",
    }
    assert stored(tmp_path) == {"old": 1, "role": "db", "a": [1, {"b": 2}]}
    assert daemon.refreshed == ["grains", "pillar", "grains"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grains"]


def test_a_job_sees_its_change_though_nothing_collects_anew(daemon: Daemon) -> None:
    daemon.forgetful = True
    grains.setval("role", "web")
    assert grains.get("role") == "web"
    grains.setval("role", None, destructive=True)
    assert grains.get("role", None) is None


def test_a_value_of_none_stays_unless_destructive(tmp_path: Path) -> None:
    grains.setvals({"a": 1, "b": 2})
    grains.setval("a", None)
    grains.setval("b", None, destructive=True)
    assert stored(tmp_path) == {"a": None}


def test_what_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandExecutionError, match="control characters"):
        grains.setval("a", "x\nroot_key: y")
    with pytest.raises(CommandExecutionError, match="given as a dict"):
        grains.setvals(cast(Any, ["a"]))
    (tmp_path / "grains").write_text("a: [\n")
    with pytest.raises(CommandExecutionError, match="so it is not changed"):
        grains.setval("a", 1)
    assert (tmp_path / "grains").read_text() == "a: [\n"


def test_a_grain_of_the_configuration_wins(caplog: pytest.LogCaptureFixture) -> None:
    grains.setval("fixed", 2)
    assert "the grain fixed is also set in the minion's configuration" in caplog.text


def test_append_and_remove(tmp_path: Path) -> None:
    assert grains.append("roles", "db") == {"roles": ["web", "db"]}
    assert grains.append("roles", "db") == "The val db was already in the list roles"
    assert grains.append("roles", ["x", "y"]) == {"roles": ["web", "db", "x", "y"]}
    assert grains.append("os", "x") == "The key os is not a valid list"
    assert grains.append("os", "x", convert=True) == {"os": ["Debian", "x"]}
    assert grains.append("apps:web:ports", 80) == {"apps": {"web": {"ports": [80]}}}
    assert grains.remove("roles", ["x", "y"]) == {"roles": ["web", "db"]}
    assert grains.remove("roles", "nope") == "The val nope was not in the list roles"
    assert grains.remove("number", "x") == "The key number is not a valid list"
    assert stored(tmp_path)["roles"] == ["web", "db"]
    assert MACHINE["roles"] == ["web"]


def test_set_nested(tmp_path: Path) -> None:
    assert grains.set_("apps:web:port", 80) == {
        "result": True,
        "changes": {"apps": {"web": {"port": 80}}},
        "comment": "",
    }
    assert grains.set_("apps:web:host", "h")["changes"] == {"apps": {"web": {"port": 80, "host": "h"}}}
    assert grains.set_("apps:web:port", 80) == {"result": True, "changes": {}, "comment": "Grain is already set"}
    assert grains.set_("apps:web", "x")["result"] is False
    assert grains.set_("number", {"a": 1})["result"] is False
    assert grains.set_("number", {"a": 1}, force=True)["changes"] == {"number": {"a": 1}}
    assert grains.set_("os:sub", 1)["comment"].startswith("The key 'os' value is 'Debian'")
    assert grains.set_("roles:web", 1)["changes"] == {"roles": [{"web": 1}]}
    assert grains.set_("apps:web:port", None, destructive=True)["changes"] == {"apps": {"web": {"host": "h"}}}
    assert stored(tmp_path)["apps"] == {"web": {"host": "h"}}


def test_deleting(tmp_path: Path) -> None:
    grains.setvals({"a": 1, "b": 2, "c": [1]})
    assert grains.delkey("a") == {"result": True, "changes": {"a": None}, "comment": ""}
    assert grains.delval("b")["changes"] == {"b": None}
    assert grains.delkey("c")["result"] is False
    assert grains.delkey("c", force=True)["result"] is True
    assert grains.delkey("gone") == {"result": True, "changes": {}, "comment": "Grain is already absent"}
    assert stored(tmp_path) == {"b": None}
