"""Files that hold data: serialize, keyvalue, decode, and what accumulated collects."""

from __future__ import annotations

import base64
import json
import tomllib
from typing import Any

import pytest
import yaml

from ctl.common.errors import CommandExecutionError
from ctl.common.state.low import LOWSTATE
from ctl.modules._toml import dump_toml
from ctl.states._pairs import Pairs, set_values

DATA = {
    "port": 80,
    "names": ["a", "b"],
    "tls": {"on": True, "ca file": "x\ny"},
    "empty": {},
    "list": [{"n": 1}, {"n": 2}],
}


@pytest.mark.parametrize(("form", "load"), [("json", json.loads), ("yaml", yaml.safe_load), ("toml", tomllib.loads)])
def test_data_is_written_in_a_format_and_read_back(machine: Any, form: str, load: Any) -> None:
    path = machine.root / "a"
    machine.settle("file.serialize", name=str(path), dataset=DATA, serializer=form, mode="0600")
    assert load(path.read_text()) == DATA
    assert path.stat().st_mode & 0o777 == 0o600


def test_merging_keeps_what_the_dataset_does_not_name(machine: Any) -> None:
    path = machine.root / "a.json"
    path.write_text('{"keep": 1, "in": {"a": 1, "b": 2}}')
    given = {"name": str(path), "serializer": "json", "merge_if_exists": True}
    machine.settle("file.serialize", dataset={"in": {"b": 3}}, **given)
    assert json.loads(path.read_text()) == {"keep": 1, "in": {"a": 1, "b": 3}}
    path.write_text('{"in":{"b":3}}')
    assert machine.run("file.serialize", dataset={"in": {"b": 3}}, **given).changes == {}
    assert path.read_text() == '{"in":{"b":3}}'
    path.write_text("{")
    assert "cannot be read as json" in machine.run("file.serialize", dataset={}, **given).comment


def test_data_can_come_from_the_pillar(machine: Any) -> None:
    machine.context.pillar["app"] = {"conf": {"section": {"key": "value"}}}
    path = machine.root / "a.ini"
    machine.settle("file.serialize", name=str(path), dataset_pillar="app:conf", serializer="configparser")
    assert path.read_text() == "[section]\nkey = value\n\n"
    assert "no pillar" in machine.run("file.serialize", name=str(path), dataset_pillar="app:none").comment
    assert "dataset_pillar" in machine.run("file.serialize", name=str(path)).comment
    assert "did you mean 'json'" in machine.run("file.serialize", name=str(path), dataset={}, serializer="jso").comment


def test_toml_says_what_it_cannot_hold() -> None:
    assert dump_toml({"a b": 1.5, "n": None}) == '"a b" = 1.5\n'
    with pytest.raises(CommandExecutionError, match="mapping"):
        dump_toml([1])
    with pytest.raises(CommandExecutionError, match="empty value"):
        dump_toml({"a": [None]})


CONF = "# Port 22\nPort 2222\n#PermitRootLogin yes\nX11  =  on\r\nlast = 1"


@pytest.mark.parametrize(
    ("pairs", "wanted"),
    [
        (Pairs({"Port": "22"}, " "), CONF.replace("Port 2222", "Port 22")),
        (
            Pairs({"PermitRootLogin": "no"}, " ", uncomment="#"),
            CONF.replace("#PermitRootLogin yes", "PermitRootLogin no"),
        ),
        (Pairs({"X11": "off"}), CONF.replace("=  on", "=  off")),
        (Pairs({"x11": "ON"}, key_ignore_case=True, value_ignore_case=True), CONF),
        (Pairs({"last": "2", "new": "3"}, append=True), CONF.replace("last = 1", "last = 2\nnew=3\n")),
        (Pairs({"new": "3"}, prepend=True), "new=3\n" + CONF),
        (Pairs({"last": "1"}, count=0), CONF.removesuffix("last = 1")),
        (Pairs({"Port": "1"}, " ", uncomment="# "), CONF.replace("# Port 22\nPort 2222\n", "Port 1\n")),
    ],
)
def test_values_of_keys_are_set_in_their_lines(pairs: Pairs, wanted: str) -> None:
    assert set_values(CONF, pairs) == wanted
    assert set_values(wanted, pairs) == wanted


def test_keyvalue_makes_and_searches_files(machine: Any) -> None:
    path = machine.root / "a"
    given = {"name": str(path), "key": "k", "value": 1}
    assert "is not there" in machine.run("file.keyvalue", **given).comment
    assert machine.run("file.keyvalue", ignore_if_missing=True, **given).result is True
    machine.settle("file.keyvalue", create_if_missing=True, **given)
    assert path.read_text() == "k=1\n"
    assert machine.run("file.keyvalue", name=str(path), key="k", value=2, search_only=True).result is False
    assert "one line" in machine.run("file.keyvalue", name=str(path), key="a=b", value=2).comment


def test_base64_is_decoded(machine: Any) -> None:
    path = machine.root / "a"
    machine.settle("file.decode", name=str(path), encoded_data=base64.b64encode(b"\0\1").decode())
    assert path.read_bytes() == b"\0\1"
    assert "not base64" in machine.run("file.decode", name=str(path), encoded_data="?").comment
    assert "encoding_type" in machine.run("file.decode", name=str(path), encoded_data="", encoding_type="rot13").comment


def test_what_is_accumulated_reaches_templates_and_blocks(machine: Any) -> None:
    template = machine.source("t", "{% for line in accumulator['lines'] %}{{ line }};{% endfor %}")
    page, hosts = str(machine.root / "page"), str(machine.root / "hosts")
    (machine.root / "hosts").write_text("first\n")
    machine.context.scratch[LOWSTATE] = [{"state": "file", "fun": "managed", "name": page}]
    assert "would be lost" in machine.run("file.accumulated", name="lines", filename=hosts, text="x").comment
    del machine.context.scratch[LOWSTATE]
    for text in (["a", "b"], "b", "c"):
        for path in (page, hosts):
            assert machine.run("file.accumulated", name="lines", filename=path, text=text).result is True
    machine.settle("file.managed", name=page, source=template, template="jinja")
    assert (machine.root / "page").read_text() == "a;b;c;"
    machine.settle("file.blockreplace", name=hosts, append_if_not_found=True, backup=False)
    assert "a\nb\nc\n#-- end" in (machine.root / "hosts").read_text()
