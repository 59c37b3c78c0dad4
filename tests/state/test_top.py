"""Top files: who gets what, of which environments, by which merging strategy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ctl.common.errors import CompileError
from ctl.common.files import Roots
from ctl.common.matchers import DictMinion
from ctl.common.render import Renderer
from ctl.common.state.top import Top

MINION = DictMinion("web1", {"os": "Debian", "roles": ["web"], "ipv4": ["10.0.0.5"]}, {"tier": "gold"})


class Tops:
    """Trees of several environments; `match` reads their top files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, env: str, text: str, path: str = "top.sls") -> None:
        target = self.root / env / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def match(self, saltenv: str | None = None, **config: Any) -> dict[str, list[str]]:
        envs = sorted(path.name for path in self.root.iterdir())
        files = Roots({env: [self.root / env] for env in envs})
        renderer = Renderer(files, config=config, grains={}, pillar={}, functions={})
        self.top = Top(files, renderer, config, saltenv=saltenv)
        return self.top.matches(MINION)


@pytest.fixture
def tops(tmp_path: Path) -> Tops:
    return Tops(tmp_path)


@pytest.mark.parametrize(
    ("target", "items"),
    [
        ("'*'", "[a]"),
        ("web*", "[a]"),
        ("'G@os:Debian and not db*'", "[a]"),
        ("'web[0-9]'", "[{match: pcre}, a]"),
        ("'os:Debian'", "[{match: grain}, a]"),
        ("'os:D.*'", "[{match: grain_pcre}, a]"),
        ("'tier:gold'", "[{match: pillar}, a]"),
        ("'tier:g.*'", "[{match: pillar_pcre}, a]"),
        ("'db1,web1'", "[{match: list}, a]"),
        ("'10.0.0.0/8'", "[{match: ipcidr}, a]"),
        ("'front'", "[{match: nodegroup}, a]"),
        ("'*'", "[{subfilter: {'G@os:Debian': [a]}}]"),
    ],
)
def test_every_kind_of_match(tops: Tops, target: str, items: str) -> None:
    tops.write("base", f"base:\n  {target}: {items}\n  'other*': [b]\n")
    assert tops.match(nodegroups={"front": "web*"}) == {"base": ["a"]}


def test_an_sls_of_another_environment(tops: Tops) -> None:
    tops.write("base", "base:\n  '*':\n    - a\n    - dev: d\n    - nosuch: e\n")
    tops.write("dev", "", "x.sls")
    assert tops.match() == {"base": ["a"], "dev": ["d"]}


BASE = "base:\n  '*': [a]\n"
BOTH = "base:\n  '*': [a]\ndev:\n  '*': [from_base]\n"
DEV = "dev:\n  '*': [from_dev]\nbase:\n  '*': [intruder]\n"


@pytest.mark.parametrize(
    ("base", "dev", "strategy", "expected"),
    [
        (BASE, DEV, "merge", {"base": ["a"], "dev": ["from_dev"]}),
        (BOTH, DEV, "merge", {"base": ["a"], "dev": ["from_base"]}),
        (BOTH, DEV, "same", {"base": ["a"], "dev": ["from_dev"]}),
        (BOTH, "", "same", {"base": ["a"], "dev": ["from_base"]}),
        (BOTH, DEV, "merge_all", {"base": ["a", "intruder"], "dev": ["from_base", "from_dev"]}),
    ],
)
def test_merging_strategies(tops: Tops, base: str, dev: str, strategy: str, expected: dict[str, list[str]]) -> None:
    tops.write("base", base)
    tops.write("dev", dev)
    assert tops.match(top_file_merging_strategy=strategy) == expected


def test_saltenv_restricts_to_one_environment(tops: Tops) -> None:
    tops.write("base", BOTH)
    tops.write("dev", DEV)
    assert tops.match(saltenv="dev") == {"dev": ["from_dev"]}


def test_env_order_decides(tops: Tops) -> None:
    tops.write("base", BASE)
    tops.write("dev", DEV)
    assert list(tops.match(env_order=["dev", "base"], top_file_merging_strategy="same")) == ["dev", "base"]


def test_includes_are_read(tops: Tops) -> None:
    tops.write("base", "include: [more.*]\n" + BASE)
    tops.write("base", "base:\n  'web*': [b]\n", "more/top.sls")
    assert tops.match() == {"base": ["a", "b"]}


def test_ignore_missing_is_kept_for_pillar(tops: Tops) -> None:
    tops.write("base", "base:\n  '*': [{ignore_missing: true}, a]\n")
    assert tops.match() == {"base": ["a"]}
    assert tops.top.ignore_missing == {"base": {"a"}}


def test_no_top_file_matches_nothing(tops: Tops) -> None:
    tops.write("base", "", "x.sls")
    assert tops.match() == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("base: [a]\n", "not formatted as a dict"),
        ("base:\n  '*': a\n", "not formed as a list"),
        ("base:\n", "No targets found"),
        ("- a\n", "not formed as a dict"),
        ("base:\n  '*': [{match: }]\n", "Improperly formatted"),
        ("base:\n  '*': [5]\n", "is no SLS name"),
        ("base:\n  'G@': [a]\n", "top file:"),
        ("base: {{ x }}\n", "top.sls:1: Jinja variable 'x' is undefined"),
    ],
)
def test_mistakes_are_reported(tops: Tops, text: str, problem: str) -> None:
    tops.write("base", text)
    with pytest.raises(CompileError, match=problem):
        tops.match()


@pytest.mark.parametrize(
    ("target", "kind", "matches"),
    [
        ("tier:gold", "pillar_exact", True),
        ("tier:g*", "pillar_exact", False),
        ("tier:g*", "pillar", True),
        ("I@tier:gold and web*", "compound_pillar_exact", True),
        ("I@tier:g* and web*", "compound_pillar_exact", False),
        ("I@tier:g* and web*", "compound", True),
    ],
)
def test_an_exact_match_of_pillar_knows_no_wildcards(tops: Tops, target: str, kind: str, matches: bool) -> None:
    tops.write("base", f"base:\n  '{target}': [{{match: {kind}}}, a]\n")
    assert tops.match() == ({"base": ["a"]} if matches else {})
