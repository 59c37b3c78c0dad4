"""pillar, config, defaults, slsutil, sys, log: what templates and people ask of a minion's data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.common.context import Context
from ctl.common.errors import CommandExecutionError, PillarError
from ctl.common.files import Roots

Call = Callable[..., Any]
PILLAR = {"app": {"port": 80, "hosts": ["a", "b"], "deep": {"x": 1}}, "role": "web", "flag": False}


class PillarDaemon:
    """A daemon whose pillar is another one each time it is rendered."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def pillar(self, **options: Any) -> dict[str, Any]:
        self.asked.append(options)
        if options.get("pillarenv") == "broken":
            return {"_errors": ["it is broken"]}
        return {**PILLAR, "fresh": True, **(options.get("override") or {})}

    def refresh(self, what: str) -> bool:
        return what == "modules"


@pytest.fixture
def call(call: Call, context: Context, tree: Path) -> Call:
    context.pillar = dict(PILLAR)
    context.daemon = PillarDaemon()  # type: ignore[assignment]  # only what these functions ask of it
    context.files = Roots({"base": [tree]})
    context.config = {"id": "minion", "app": {"port": 8080}, "host.name": "x", "host.port": 1}
    return call


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (("app:port",), 80),
        (("app:hosts:1",), "b"),
        (("no",), ""),
        (("no", 5), 5),
        (("flag", True), False),
        (("app/port", "", False, None, "/"), 80),
        (("app", {"port": 1, "new": 2, "deep": {"y": 2}}, True), {**PILLAR["app"], "new": 2, "deep": {"x": 1, "y": 2}}),  # type: ignore[dict-item]
        (("app:hosts", ["z"], True), ["z", "a", "b"]),
    ],
)
def test_pillar_get(call: Call, args: tuple[Any, ...], wanted: Any) -> None:
    assert call("pillar.get", *args) == wanted


def test_pillar_get_of_another_environment(call: Call, context: Context) -> None:
    assert call("pillar.get", "fresh", pillarenv="dev") is True
    with pytest.raises(PillarError, match="broken"):
        call("pillar.get", "x", pillarenv="broken")
    with pytest.raises(CommandExecutionError, match="did you mean"):
        call("pillar.get", "app", {"a": 1}, merge="recurs")


def test_other_pillar_functions(call: Call) -> None:
    assert call("pillar.items")["fresh"] is True
    assert call("pillar.items", "role", pillar={"role": "db"}) == {"role": "db"}
    assert call("pillar.item", "role", "app:port", "no", default=0) == {"role": "web", "app:port": 80, "no": 0}
    assert call("pillar.raw") == PILLAR
    assert call("pillar.raw", "role") == "web"
    assert "role" in call("pillar.ls")
    assert call("pillar.keys", "app") == ["port", "hosts", "deep"]
    with pytest.raises(KeyError):
        call("pillar.keys", "no")
    assert call("pillar.obfuscate", "app") == {
        "app": {"port": "<int>", "hosts": ["<str>", "<str>"], "deep": {"x": "<int>"}}
    }
    assert call("pillar.filter_by", {"web": {"a": 1}, "default": {"a": 2}}, "role", merge={"b": 3}) == {"a": 1, "b": 3}


def test_config_looks_everywhere_in_order(call: Call) -> None:
    assert call("config.get", "app:port") == 8080
    assert call("config.get", "app:port", omit_opts=True) == 80
    assert call("config.get", "os") == "Debian"
    assert call("config.get", "no", "fallback") == "fallback"
    assert call("config.get", "app", merge="recurse")["deep"] == {"x": 1}
    assert call("config.get", "app", merge=True)["port"] == 8080
    assert call("config.get", "app", merge="overwrite") == {**PILLAR["app"], "port": 8080}  # type: ignore[dict-item]
    assert call("config.option", "host.name") == "x"
    assert call("config.dot_vals", "host") == {"host.name": "x", "host.port": 1}
    assert call("config.merge", "app")["hosts"] == ["a", "b"]
    assert call("config.items")["id"] == "minion"
    assert call("config.manage_mode", 644) == "0644"
    assert call("config.valid_fileproto", "salt://x")
    assert not call("config.valid_fileproto", "/x")


def test_defaults(call: Call, tree: Path) -> None:
    (tree / "app").mkdir()
    (tree / "app" / "defaults.yaml").write_text("port: 1\nuser: {name: app}\n")
    assert call("defaults.get", "app:user:name") == "app"
    assert call("defaults.get", "app:port") == 80
    assert call("defaults.get", "none:port", 3) == 3
    kept = {"a": {"x": 1}}
    assert call("defaults.merge", kept, {"a": {"y": 2}}, in_place=False) == {"a": {"x": 1, "y": 2}}
    assert kept == {"a": {"x": 1}}
    assert call("defaults.update", {"one": {"x": 1}, "two": None}, {"x": 0, "y": 2}) == {
        "one": {"x": 1, "y": 2},
        "two": {"x": 0, "y": 2},
    }
    assert call("defaults.deepcopy", [1]) == [1]


def test_rendering(call: Call, tree: Path) -> None:
    (tree / "x.sls").write_text("os: {{ grains.os }}\nsize: {{ size }}\n")
    assert call("slsutil.renderer", "salt://x.sls", size=5) == {"os": "Debian", "size": 5}
    assert call("slsutil.renderer", str(tree / "x.sls"), size=1)["size"] == 1
    assert call("slsutil.renderer", string="{{ 1 + 1 }}", default_renderer="jinja").strip() == "2"
    assert call("slsutil.renderer", string="#!json\n{}") == {}
    with pytest.raises(CommandExecutionError):
        call("slsutil.renderer")


def test_merging_and_serialising(call: Call) -> None:
    assert call("slsutil.merge", {"a": {"x": 1}}, {"a": {"y": 2}}) == {"a": {"x": 1, "y": 2}}
    assert call("slsutil.merge", {"a": 1}, {"a": 2}, strategy="list") == {"a": [1, 2]}
    assert call("slsutil.merge_all", [{"a": 1}, {"b": 2}, {"a": 3}]) == {"a": 3, "b": 2}
    assert call("slsutil.update", {"a": 1}, {"b": 2}) == {"a": 1, "b": 2}
    data = {"a": {"b": "1"}}
    for name in ("json", "yaml", "python", "plist", "configparser"):
        assert call("slsutil.deserialize", name, call("slsutil.serialize", name, data)) == data
    assert call("slsutil.deserialize", "toml", "a = 1") == {"a": 1}
    with pytest.raises(CommandExecutionError, match="did you mean 'json'"):
        call("slsutil.serialize", "jsno", {})
    assert call("slsutil.boolstr", "yes", "on", "off") == "on"
    assert call("slsutil.boolstr", "0", "on", "off") == "off"
    lines = call("slsutil.banner", width=40).splitlines()
    assert {len(line) for line in lines} == {40}


def test_looking_for_files_of_the_tree(call: Call, tree: Path) -> None:
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "map.jinja").write_text("")
    assert call("slsutil.findup", "a/b", "map.jinja") == "a/map.jinja"
    assert call("slsutil.findup", "salt://a/b/x.sls", ["no", "map.jinja"]) == "a/map.jinja"
    with pytest.raises(CommandExecutionError):
        call("slsutil.findup", "a/b", "nothing")
    assert call("slsutil.file_exists", "a/map.jinja")
    assert not call("slsutil.file_exists", "../x")
    assert call("slsutil.dir_exists", "salt://a/b")
    assert call("slsutil.path_exists", "a/b")
    assert not call("slsutil.path_exists", "a/c")


def test_sys_knows_names_manuals_and_arguments(call: Call) -> None:
    assert call("sys.doc", "test.ping")["test.ping"]
    assert set(call("sys.doc", "cp")) == set(call("sys.list_functions", "cp"))
    assert "cp" in call("sys.list_modules")
    assert call("sys.list_modules", "c*")[0].startswith("c")
    assert "cp.get_file" in call("sys.list_functions", "cp.get*")
    assert call("sys.list_functions", "no.such") == []
    spec = call("sys.argspec", "cp.get_file_str")["cp.get_file_str"]
    assert spec == {"args": ["path", "saltenv"], "defaults": [None], "kwargs": None, "varargs": None}
    assert "file.managed" in call("sys.list_state_functions", "file")
    assert "pkg" in call("sys.list_state_modules")
    assert "file.managed" in call("sys.state_doc", "file.managed")
    assert "source" in call("sys.state_argspec", "file.managed")["file.managed"]["args"]
    assert "runas" in call("sys.state_argspec", "cmd.run")["cmd.run"]["args"]
    assert "jinja" in call("sys.list_renderers")
    assert call("sys.reload_modules") is True


def test_every_built_in_function_has_a_manual(call: Call, context: Context) -> None:
    ours = ("cp", "pillar", "config", "defaults", "slsutil", "sys", "log")
    documented = {name for module in ours for name in call("sys.doc", module)}
    assert documented == {name for module in ours for name in call("sys.list_functions", module)}
    states = call("sys.list_state_functions")
    assert [name for name in states if not call("sys.state_doc", name).get(name)] == []


def test_log(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    for level in ("debug", "info", "warning", "error", "critical", "exception"):
        assert call(f"log.{level}", f"a word at {level}") is True
    assert "a word at warning" in caplog.text
