"""Pillar: which files a minion gets, how they are put together, and what a mistake leaves behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ctl.common.files import Roots
from ctl.common.pillar import Pillar

GRAINS = {"id": "web1", "os": "Debian", "role": "web"}


class PillarTree:
    """Pillar roots under a temporary directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "base").mkdir()
        (root / "dev").mkdir()
        self.config: dict[str, Any] = {}

    def write(self, name: str, text: str, env: str = "base") -> None:
        path = self.root / env / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def top(self, *names: str) -> None:
        self.write("top.sls", "base:\n  '*':\n" + "".join(f"    - {name}\n" for name in names))

    def pillar(self, **options: Any) -> dict[str, Any]:
        files = Roots({"base": [self.root / "base"], "dev": [self.root / "dev"]})
        return Pillar(files, self.config, GRAINS, "web1").compile(**options)


@pytest.fixture
def tree(tmp_path: Path) -> PillarTree:
    return PillarTree(tmp_path)


def test_without_files_pillar_is_empty(tree: PillarTree) -> None:
    assert tree.pillar() == {}


def test_only_what_matches_arrives(tree: PillarTree) -> None:
    tree.write(
        "top.sls",
        """
base:
  '*':
    - common
  'G@role:web and web*':
    - web
  'role:db':
    - match: grain
    - db
""",
    )
    tree.write("common.sls", "os: {{ grains.os }}")
    tree.write("web/init.sls", "port: 80\nid: {{ grains['id'] }}")
    tree.write("db.sls", "secret: x")
    assert tree.pillar() == {"os": "Debian", "port": 80, "id": "web1"}


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({}, {"a": {"x": 1, "y": 2, "z": 3}, "l": [2, 3]}),
        ({"pillar_merge_lists": True}, {"a": {"x": 1, "y": 2, "z": 3}, "l": [1, 2, 3]}),
        ({"pillar_source_merging_strategy": "recurse"}, {"a": {"x": 1, "y": 2, "z": 3}, "l": [2, 3]}),
        ({"pillar_source_merging_strategy": "aggregate"}, {"a": {"x": 1, "y": 2, "z": 3}, "l": [1, 2, 3]}),
        ({"pillar_source_merging_strategy": "overwrite"}, {"a": {"y": 2, "z": 3}, "l": [2, 3]}),
        ({"pillar_source_merging_strategy": "none"}, {"a": {"x": 1, "y": 2, "z": 3}, "l": [2, 3]}),
        (
            {"pillar_source_merging_strategy": "list"},
            {"a": [{"x": 1, "y": 1}, {"y": 2, "z": 3}], "l": [[1, 2], [2, 3]]},
        ),
    ],
)
def test_files_are_merged_by_strategy(tree: PillarTree, config: dict[str, Any], wanted: dict[str, Any]) -> None:
    tree.config = config
    tree.top("one", "two")
    tree.write("one.sls", "a: {x: 1, y: 1}\nl: [1, 2]")
    tree.write("two.sls", "a: {y: 2, z: 3}\nl: [2, 3]")
    assert tree.pillar() == wanted


def test_includes_come_under_the_file_that_names_them(tree: PillarTree) -> None:
    tree.top("app")
    tree.write("app/init.sls", "include:\n  - .ports\n  - shared.*\nport: 1\n")
    tree.write("app/ports.sls", "port: 2\nother: 3\n")
    tree.write("shared/a.sls", "a: 1\ninclude:\n  - app\n")
    tree.write("shared/b.sls", "b: 2\n")
    assert tree.pillar() == {"port": 1, "other": 3, "a": 1, "b": 2}
    tree.config = {"pillar_includes_override_sls": True}
    assert tree.pillar()["port"] == 2


def test_an_include_can_have_a_key_and_defaults(tree: PillarTree) -> None:
    tree.top("app", "plain")
    tree.write(
        "app.sls", "include:\n  - part:\n      defaults:\n        size: 5\n      key: a:b\n  - part:\n      key: c\n"
    )
    tree.write("part.sls", "size: {{ size | default(1) }}\n")
    tree.write("plain.sls", "include:\n  - part\n")
    assert tree.pillar() == {"a": {"b": {"size": 5}}, "c": {"size": 1}, "size": 1}


def test_an_override_comes_over_everything(tree: PillarTree) -> None:
    tree.top("one")
    tree.write("one.sls", "a: {x: 1, y: 1}")
    assert tree.pillar(override={"a": {"x": 5}, "b": 1}) == {"a": {"x": 5, "y": 1}, "b": 1}


def test_a_missing_file_is_an_error_unless_it_may_be_missing(tree: PillarTree) -> None:
    tree.write("top.sls", "base:\n  '*':\n    - one\n    - oen\n  'web*':\n    - ignore_missing: True\n    - nothing\n")
    tree.write("one.sls", "a: 1")
    pillar = tree.pillar()
    assert pillar["a"] == 1
    assert len(pillar["_errors"]) == 1
    assert "'oen'" in pillar["_errors"][0]
    assert "did you mean 'one'?" in pillar["_errors"][0]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a: [1", "bad.sls:"),
        ("{{ nothing }}", "bad.sls:1"),
        ("- a\n- b", "list"),
        ("include: one", "include must be a list"),
        ("include:\n  - [1]", "no SLS name"),
        ("include:\n  - nowhere", "included from 'bad'"),
    ],
)
def test_mistakes_are_sentences_and_the_rest_arrives(tree: PillarTree, text: str, hint: str) -> None:
    tree.top("good", "bad")
    tree.write("good.sls", "a: 1")
    tree.write("bad.sls", text)
    pillar = tree.pillar()
    assert pillar["a"] == 1
    assert len(pillar["_errors"]) == 1
    assert hint in pillar["_errors"][0]


def test_a_minion_is_not_shown_the_source_of_a_mistake(tree: PillarTree) -> None:
    tree.top("bad")
    tree.write("bad.sls", "password: hunter2\n{{ nothing }}\n")
    files = Roots({"base": [tree.root / "base"]})
    pillar = Pillar(files, {}, GRAINS, "web1")
    assert "hunter2" not in str(pillar.compile())
    assert pillar.problems


def test_a_broken_top_file_is_an_error(tree: PillarTree) -> None:
    tree.write("top.sls", "base:\n  '*': one\n")
    assert len(tree.pillar()["_errors"]) == 1


def test_environments(tree: PillarTree) -> None:
    tree.top("one")
    tree.write("one.sls", "base: 1\nboth: base")
    tree.write("top.sls", "dev:\n  '*':\n    - one\n", env="dev")
    tree.write("one.sls", "dev: 1\nboth: dev", env="dev")
    assert tree.pillar() == {"base": 1, "dev": 1, "both": "dev"}
    assert tree.pillar(pillarenv="dev") == {"dev": 1, "both": "dev"}
    assert tree.pillar(pillarenv="base") == {"base": 1, "both": "base"}
    assert tree.pillar(pillarenv="nowhere") == {}
    assert tree.pillar(saltenv="dev") == {"base": 1, "dev": 1, "both": "dev"}
    tree.config = {"pillarenv_from_saltenv": True}
    assert tree.pillar(saltenv="dev") == {"dev": 1, "both": "dev"}
    tree.config = {"pillar_source_merging_strategy": "none"}
    assert tree.pillar(saltenv="dev") == {"dev": 1, "both": "dev"}


def test_nodegroups_and_pipes(tree: PillarTree) -> None:
    tree.write("top.sls", "base:\n  'N@webs':\n    - one\n")
    tree.write("one.sls", "#!py\ndef run():\n    return {'sls': __sls__, 'os': __grains__['os']}\n")
    files = Roots({"base": [tree.root / "base"]})
    made = Pillar(files, {}, GRAINS, "web1", nodegroups={"webs": "web*"}).compile()
    assert made["os"] == "Debian"


def test_explain_names_the_file_and_line_of_a_value(tree: PillarTree) -> None:
    tree.top("one", "two")
    tree.write("one.sls", "a:\n  b: 1\n  c: {d: x}\n")
    tree.write("two/init.sls", "include: [.part, {two.deep: {key: far:off}}]\n\na:\n  b: 2\n")
    tree.write("two/part.sls", "{% set n = 3 %}\n\nown: {{ n }}\n")
    tree.write("two/deep.sls", "x:\n  y: {z: 1}\n")

    def explain(key: str) -> Any:
        return tree.pillar(override={"_explain": key})["_explain"]

    assert explain("own") == {"value": 3, "from": "two/part.sls:3"}
    assert explain("a:b") == {
        "value": 2,
        "from": "two/init.sls:4",
        "merged": [{"from": "one.sls:2", "value": 1}, {"from": "two/init.sls:4", "value": 2}],
    }
    assert explain("a:c:d")["from"] == "one.sls:3"
    assert explain("far:off:x:y:z")["from"] == "two/deep.sls:2"
    assert explain("no:such")["from"].startswith("nowhere")


def test_a_top_file_that_matches_by_grains_is_pointed_out(tree: PillarTree, caplog: pytest.LogCaptureFixture) -> None:
    tree.write("a.sls", "x: 1\n")
    with caplog.at_level("INFO"):
        tree.top("a")
        assert tree.pillar() == {"x": 1}
        assert "reports itself" not in caplog.text
        tree.write("top.sls", "base:\n  'G@role:web':\n    - a\n")
        assert tree.pillar() == {"x": 1}
        assert "(role), which every minion reports itself" in caplog.text
