"""External pillars: each kind, their order, and what a mistake leaves behind."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.common.config import MasterConfig
from ctl.master.pillar_sources import stack
from ctl.master.rendering import pillar_roots, render
from ctl.master.worker import NoDaemon

Render = Callable[..., dict[str, Any]]


@pytest.fixture
def rendered(tmp_path: Path) -> Render:
    """Render web1's pillar with these external pillars and settings."""
    roots = tmp_path / "pillar"
    roots.mkdir()

    def run(*external: Any, tree: dict[str, str] | None = None, **settings: Any) -> dict[str, Any]:
        for name, text in (tree or {}).items():
            (roots / name).write_text(text)
        options = {
            "root_dir": str(tmp_path / "root"),
            "pillar_roots": {"base": [str(roots)]},
            "ext_pillar": list(external),
        }
        config = MasterConfig.from_mapping({**options, **settings})
        data, run.problems = render(  # type: ignore[attr-defined]
            config, pillar_roots(config), NoDaemon(), "web1", {"id": "web1", "os": "Debian"}
        )
        return data

    return run


def test_commands_that_print(rendered: Render) -> None:
    assert rendered({"cmd_json": 'echo \'{"id": "%s", "n": [1]}\''}) == {"id": "web1", "n": [1]}
    assert rendered({"cmd_yaml": "echo 'id: %s'"}) == {"id": "web1"}


def test_a_command_reaches_no_shell(rendered: Render, tmp_path: Path) -> None:
    made = tmp_path / "made"
    rendered({"cmd_json": f"echo '{{}}' ; touch {made}"})
    assert not made.exists()


def test_a_source_that_fails_is_named_and_blocks(rendered: Render) -> None:
    found = rendered({"cmd_json": "false"}, {"cmd_yaml": "echo 'a: 1'"}, {"cmd_jsn": "true"}, {"cmd_yaml": "echo x"})
    assert found["a"] == 1
    first, second, third = found["_errors"]
    assert "'cmd_json'" in first
    assert "exit code 1" in first
    assert "'cmd_jsn'" in second
    assert "'cmd_yaml' gave a str" in third


def test_what_a_plugin_says_goes_to_the_log_only(rendered: Render, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def ext_pillar(minion_id, pillar, *args, **kwargs):\n"
        "    if not args: raise ValueError('secret')\n"
        "    return {'who': minion_id, 'args': list(args), 'grain': __grains__['os']}\n"
    )
    found = rendered({"mine": None}, {"mine": ["a", "b"]}, pillar_dirs=[str(tmp_path)])
    assert found["who"] == "web1"
    assert found["args"] == ["a", "b"]
    assert found["grain"] == "Debian"
    assert "secret" not in str(found["_errors"])
    assert "mine" in str(found["_errors"])
    assert "secret" in str(rendered.problems)  # type: ignore[attr-defined]


TREE = {"top.sls": "base: {'*': [a]}\n", "a.sls": "x: tree\nseen: {{ pillar.get('x', 'nothing') }}\n"}


def test_what_comes_later_wins(rendered: Render) -> None:
    external = {"cmd_yaml": "echo '{x: external, y: 1}'"}
    assert rendered(external, tree=TREE) == {"x": "external", "seen": "nothing", "y": 1}
    assert rendered(external, tree=TREE, ext_pillar_first=True) == {"x": "tree", "seen": "external", "y": 1}


def test_nodegroups(rendered: Render) -> None:
    groups = {"webs": "web*", "debian": "G@os:Debian", "dbs": "db*"}
    assert rendered({"nodegroups": {"pillar_name": "in"}}, nodegroups=groups) == {"in": ["webs", "debian"]}


def test_file_tree(rendered: Render, tmp_path: Path) -> None:
    for name, content in {
        "hosts/web1/ssl/key": b"k\n",
        "hosts/web1/raw": b"\xff\x00",
        "hosts/web2/ssl/key": b"other",
        "nodegroups/webs/ssl/cert": b"c\n",
        "nodegroups/webs/ssl/key": b"group",
    }.items():
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (tmp_path / "files" / "hosts" / "web1" / "link").symlink_to(tmp_path / "files" / "hosts" / "web2")
    root = str(tmp_path / "files")
    groups = {"webs": "web*"}
    found = rendered({"file_tree": {"root_dir": root}}, nodegroups=groups)
    assert found == {"ssl": {"key": "k", "cert": "c"}, "raw": b"\xff\x00"}
    kept = rendered({"file_tree": {"root_dir": root, "keep_newline": ["ssl/k*"]}}, nodegroups=groups)
    assert kept["ssl"] == {"key": "k\n", "cert": "c"}
    assert "file_tree" in str(rendered({"file_tree": {"root_dir": "/nowhere"}})["_errors"])


def test_stack(rendered: Render, tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("x: {y: 1, l: [1]}\nz: old\nhost: {{ minion_id }}\n")
    (tmp_path / "b.yml").write_text(
        "x: {__: merge-first, y: 2, w: 3}\nz: {{ stack.x.y }}\nx2: {l: [{__: remove}, 1]}\n"
    )
    (tmp_path / "c.cfg").write_text(
        "# comment\n*.yml\n{% if grains.os == 'Debian' %}more/deb*.y\n{% endif %}missing.yml\n"
    )
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "debian.y").write_text("x: {l: [{__: merge-first}, 0]}\n")
    expected = {"x": {"y": 1, "l": [0, 1], "w": 3}, "z": 1, "host": "web1", "x2": {"l": []}}
    assert rendered({"stack": str(tmp_path / "c.cfg")}) == expected
    assert rendered({"stack": {"grains:os": {"Debian": [str(tmp_path / "c.cfg")], "Other": "/no"}}}) == expected
    (tmp_path / "b.yml").write_text("a: [\n")
    assert "b.yml" in str(rendered({"stack": str(tmp_path / "c.cfg")})["_errors"])


@pytest.mark.parametrize(
    ("over", "expected"),
    [
        ({"a": {"x": 2}}, {"a": {"x": 2, "y": 1}, "b": [1]}),
        ({"__": "overwrite", "a": 1}, {"a": 1}),
        ({"__": "remove", "a": None}, {"b": [1]}),
        ({"b": [2]}, {"a": {"x": 1, "y": 1}, "b": [1, 2]}),
        ({"b": [{"__": "overwrite"}, 2]}, {"a": {"x": 1, "y": 1}, "b": [2]}),
        ({"a": {"__": "overwrite", "z": {"__": "remove", "q": 1}}}, {"a": {"z": {}}, "b": [1]}),
    ],
)
def test_strategies_of_a_stack(over: dict[str, Any], expected: dict[str, Any]) -> None:
    assert stack.merge_mapping({"a": {"x": 1, "y": 1}, "b": [1]}, over) == expected


def test_git(rendered: Render, git_tree: Any, tmp_path: Path) -> None:
    tree = git_tree(tmp_path / "remote", "main")
    tree.commit({"pillar/top.sls": "base: {'web*': [a]}\n", "pillar/a.sls": "from: git\nos: {{ grains.os }}\n"})
    entry = {"git": [{f"main {tree.url}": [{"root": "pillar"}, {"env": "base"}]}]}
    assert rendered(entry) == {"from": "git", "os": "Debian"}
    wrong = rendered({"git": [f"nowhere {tree.url}"]}, {"git": ["main ext::sh -c true"]})
    assert "no branch or tag 'nowhere'" in wrong["_errors"][0]
    assert "not allowed" in wrong["_errors"][1]
    tree.commit({"pillar/b.sls": "{% bad", "pillar/top.sls": "base: {'web*': [b]}\n"})
    from ctl.master.pillar_git import update_pillars

    config = MasterConfig.from_mapping({"root_dir": str(tmp_path / "root"), "ext_pillar": [entry]})
    assert update_pillars(config) == []
    assert "b.sls" in str(rendered(entry)["_errors"])


def test_sqlite(rendered: Render, tmp_path: Path) -> None:
    path = tmp_path / "pillar.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table p (minion, role, key, value)")
        rows = [
            ("web1", "web", "port", 80),
            ("web1", "web", "name", "x"),
            ("web1", "db", "port", 5),
            ("b", "c", "d", 1),
        ]
        connection.executemany("insert into p values (?, ?, ?, ?)", rows)
    connection.close()
    settings = {"sqlite3": {"database": str(path)}}
    query = "select role, key, value from p where minion = ? order by rowid"
    assert rendered({"sqlite3": {"roles": query}}, **settings) == {
        "roles": {"web": {"port": 80, "name": "x"}, "db": {"port": 5}}
    }
    flat = "select key, value from p where minion = ? order by rowid"
    assert rendered({"sqlite3": [{"query": flat, "as_list": True}]}, **settings) == {"port": [80, 5], "name": "x"}
    deep = {"query": "select role, key, value from p where minion = ? order by rowid", "depth": 1}
    assert rendered({"sqlite3": {"r": deep}}, **settings)["r"]["db"] == {"key": "port", "value": 5}
    assert "sqlite3" in str(rendered({"sqlite3": ["delete from p"]}, **settings)["_errors"])


def test_postgres_says_what_is_missing(rendered: Render) -> None:
    found = rendered({"postgres": {"a": "select 1"}})
    assert "'postgres'" in found["_errors"][0]
    assert json.dumps(found)
