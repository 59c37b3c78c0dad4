"""What a minion says of itself is data: never a template, never more YAML than one value, no proof of who it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctl.client.runner import decode_progress
from ctl.common import ipc
from ctl.common.config import MasterConfig
from ctl.common.context import Context, use
from ctl.common.loader import load_plugins
from ctl.common.plaintext import own_grains
from ctl.common.render import Renderer
from ctl.common.wire import pack_payload
from ctl.master.rendering import pillar_roots, render
from ctl.master.worker import NoDaemon

TEMPLATES = ["{{ 7 * 7 }}", "{% set x = 1 %}", "{# gone #}", "#!py", "{{ salt['test.ping']() }}", "__slot__:salt:a.b()"]


class Tree:
    """A master's pillar tree; `of` renders a minion's pillar from the grains that it sent."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "pillar").mkdir()

    def write(self, name: str, text: str) -> None:
        (self.root / "pillar" / name).write_text(text)

    def of(self, minion: str, grains: dict[str, Any], **settings: Any) -> dict[str, Any]:
        options = {"root_dir": str(self.root / "root"), "pillar_roots": {"base": [str(self.root / "pillar")]}}
        config = MasterConfig.from_mapping({**options, **settings})
        data, _problems = render(config, pillar_roots(config), NoDaemon(), minion, own_grains(minion, grains))
        return data


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    found = Tree(tmp_path)
    found.write("top.sls", "base: {'*': [data]}")
    return found


# -- P01


@pytest.mark.parametrize("text", TEMPLATES)
def test_p01_a_grain_is_no_template_in_pillar(tree: Tree, text: str) -> None:
    tree.write(
        "data.sls", "plain: {{ grains.role | json }}\nlisted: {{ grains.roles }}\nnamed: {{ grains | tojson }}\n"
    )
    found = tree.of("web1", {"role": text, "roles": [text]})
    assert found == {"plain": text, "listed": [text], "named": {"role": text, "roles": [text], "id": "web1"}}


@pytest.mark.parametrize("text", TEMPLATES)
def test_p01_what_an_external_pillar_gives_is_no_template(tree: Tree, text: str) -> None:
    (tree.root / "given.json").write_text(json.dumps({"value": text}))
    tree.write("data.sls", "own: {{ pillar.get('value', 'none') | json }}\n")
    source = {"cmd_json": f"cat {tree.root / 'given.json'}"}
    assert tree.of("web1", {}, ext_pillar=[source]) == {"own": "none", "value": text}
    assert tree.of("web1", {}, ext_pillar=[source], ext_pillar_first=True) == {"own": text, "value": text}


@pytest.mark.parametrize("text", TEMPLATES)
def test_p01_pillar_and_returns_are_no_templates_in_states(tree: Tree, text: str) -> None:
    functions = {"test.echo": lambda value: value}
    renderer = Renderer(
        pillar_roots(MasterConfig.from_mapping({"pillar_roots": {"base": [str(tree.root / "pillar")]}})),
        config={},
        grains={"role": text},
        pillar={"value": text},
        functions=functions,
    )
    names = (
        "a: {{ pillar.value | json }}\nb: {{ grains.role | json }}\nc: {{ salt['test.echo'](pillar.value) | json }}\n"
    )
    tree.write("start.sls", names)
    assert renderer.sls("start.sls", "base", sls="start").data == {"a": text, "b": text, "c": text}
    again = renderer.template("{{ a }}", path="file", saltenv="base", context={"a": text})
    assert again == text


def test_p01_a_target_is_no_template(tree: Tree) -> None:
    tree.write("top.sls", "base:\n  'G@role:{{ '{{' }} 7 * 7 }}': [data]\n  'G@role:49': [never]\n")
    tree.write("data.sls", "given: true\n")
    tree.write("never.sls", "never: true\n")
    assert "never" not in tree.of("web1", {"role": "{{ 7 * 7 }}"})


# -- P02


@pytest.mark.parametrize("breaks", ["\n", "\r\n", "\x85", "\u2028", "\x0b"])
def test_p02_a_line_break_in_a_grain_adds_no_key(tree: Tree, breaks: str) -> None:
    tree.write("data.sls", "mine: {{ grains.site }}\nhidden: false\n")
    found = tree.of("web1", {"site": f"x{breaks}root_key: y"})
    assert "root_key" not in found
    assert found.get("hidden", False) is False
    found = tree.of("web1", {"site": f"x{breaks}root_key"})
    assert found == {"mine": "x root_key", "hidden": False}


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system [id]", "!!python/name:os.system", "!<tag:yaml.org,2002:python/none> x"]
)
def test_p02_a_tag_of_python_is_an_error_and_nothing_else(tree: Tree, text: str) -> None:
    tree.write("data.sls", "mine: {{ grains.site }}\n")
    (error,) = tree.of("web1", {"site": text})["_errors"]
    assert "is not allowed here" in error


@pytest.mark.parametrize(
    "text", ["a', {admin: true}, \"b", "', admin: \"", "a\": {admin: true}, 'b", "\\", "\\' , x", "', {x: 1}, '\"', '"]
)
def test_p02_what_is_in_a_list_or_mapping_stays_one_value(tree: Tree, text: str) -> None:
    tree.write("data.sls", "listed: {{ grains.sites }}\nnamed: {{ {'a': grains.site} }}\n")
    found = tree.of("web1", {"site": text, "sites": [text, 1]})
    assert len(found.get("listed", ["", 1])) == 2
    assert found.get("named", {"a": ""}).keys() == {"a"}
    assert "admin" not in json.dumps(list(found))


def test_p02_quoted_by_a_filter_anything_is_one_value(tree: Tree) -> None:
    hostile = "x: {a: [1, 2]} # 'y' \"z\" \\ !!python/none &a *a"
    tree.write(
        "data.sls",
        "a: {{ grains.site | json }}\nb: {{ grains.site | yaml_dquote }}\nc: {{ grains.site | yaml_encode }}\n"
        "d: {{ grains.site | yaml_squote }}\ne: [{{ grains.site | json }}]\n",
    )
    assert tree.of("web1", {"site": hostile}) == {**dict.fromkeys("abcd", hostile), "e": [hostile]}


# -- P03


def test_p03_the_id_is_the_sessions_whatever_grains_say(tree: Tree) -> None:
    tree.write("top.sls", "base:\n  db1: [data]\n  'G@id:db1': [data]\n  'G@nodename:web*': [other]\n")
    tree.write("data.sls", "secret: of db1\n")
    tree.write("other.sls", "id: {{ grains.id }} {{ opts.id }}\n")
    assert tree.of("web1", {"id": "db1", "nodename": "web"}) == {"id": "web1 web1"}


def test_p03_names_that_templates_have_are_not_shadowed_by_grains(tree: Tree) -> None:
    tree.write("data.sls", "a: {{ salt['grains.get']('os') }}\nb: {{ opts.id }}\nc: {{ pillar | length }}\n")
    grains = {"os": "Debian", "salt": "x", "opts": {"id": "db1"}, "pillar": [1], "__salt__": {}, "grains": {}}
    assert tree.of("web1", grains) == {"a": "Debian", "b": "web1", "c": 0}


def test_p03_a_top_file_that_trusts_grains_is_warned_of(run_fleet: Any) -> None:
    async def scenario(fleet: Any) -> None:
        (fleet.root / "pillar" / "top.sls").write_text("base:\n  'G@role:db': [secret]\n")
        (fleet.root / "pillar" / "secret.sls").write_text("secret: 1\n")
        said = await fleet.in_thread(lambda: _progress(fleet, "pillar.show_top", "m1"))
        assert any("role" in text and "every minion reports itself" in text for text in said)
        (fleet.root / "pillar" / "top.sls").write_text("base:\n  'm1': [secret]\n  'N@dbs': [secret]\n")
        assert await fleet.in_thread(lambda: _progress(fleet, "pillar.show_top", "m1")) == []

    run_fleet(scenario, 1, nodegroups={"dbs": ["m1", "m2"]})


def _progress(fleet: Any, fun: str, *args: Any) -> list[str]:
    payload = pack_payload({"fun": fun, "arg": list(args), "kwarg": {}})
    with ipc.connect(fleet.socket, timeout=60) as client:
        told = client.request("run", fun=fun, payload=payload, timeout=60.0)
        return [str(decode_progress(data)) for kind, data in told if kind == "progress"]


def test_p01_values_reach_a_minions_plugins_as_they_are(tmp_path: Path) -> None:
    context = Context("web1", {}, {"role": TEMPLATES[0]}, {"a": TEMPLATES[0]}, None, None)  # type: ignore[arg-type]
    load_plugins(context)
    with use(context):
        assert context.call("pillar.get", "a") == context.call("grains.get", "role") == TEMPLATES[0]
        assert context.call("grains.filter_by", {"a": {"b": TEMPLATES[0]}}, default="a") == {"b": TEMPLATES[0]}
