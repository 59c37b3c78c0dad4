"""Compiled templates serve many minions: never another's values, never a text that is no longer there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ctl.common import render_code
from ctl.common.files import Roots
from ctl.common.render import Renderer


@pytest.fixture(autouse=True)
def codes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Start with nothing compiled."""
    fresh = render_code._Codes()
    monkeypatch.setattr(render_code, "_codes", fresh)
    return fresh


def _render(root: Path, text: str, id_: str = "web1", **config: Any) -> Any:
    (root / "a.sls").write_text(text)
    functions = {"who.am_i": lambda: id_}
    renderer = Renderer(Roots({"base": [root]}), config=config, grains={"id": id_}, pillar={}, functions=functions)
    return renderer.sls("a.sls", "base", sls="a").data


def test_each_minion_has_its_own_values(tmp_path: Path, codes: Any) -> None:
    (tmp_path / "lib.jinja").write_text(
        "{% set whose = grains.id %}{% macro who() %}{{ salt['who.am_i']() }}{% endmacro %}"
    )
    text = "{% from 'lib.jinja' import whose, who with context %}\n"
    text += "own: {{ grains.id }}\nlib: {{ whose }}\nmacro: {{ who() }}\n"
    for id_ in ("web1", "web2", "web1"):
        assert _render(tmp_path, text, id_) == dict.fromkeys(("own", "lib", "macro"), id_)
    assert len(codes._known) == 2, "they were compiled again"


def test_what_is_no_constant_is_not_made_one(tmp_path: Path) -> None:
    text = "a: {{ 24 | random_str }}\nb: {{ 'x' | random_hash }}\nc: {{ range(1000000 // 10) | random }}\n"
    text = text.replace("'x'", "1000000000")
    found = [_render(tmp_path, text) for _ in range(3)]
    assert len({one["a"] for one in found}) == 3
    assert len({one["b"] for one in found}) == 3


def test_a_text_that_changes_is_compiled_anew(tmp_path: Path) -> None:
    (tmp_path / "lib.jinja").write_text("{% set x = 1 %}")
    text = "{% from 'lib.jinja' import x %}\na: {{ x }}\n"
    assert _render(tmp_path, text) == {"a": 1}
    (tmp_path / "lib.jinja").write_text("{% set x = 2 %}")
    assert _render(tmp_path, text) == {"a": 2}
    assert _render(tmp_path, text.replace("a:", "b:")) == {"b": 2}


def test_options_of_the_environment_are_told_apart(tmp_path: Path) -> None:
    text = "#!jinja|text\n{% if true %}\nx\n{% endif %}\n"
    plain = _render(tmp_path, text)
    trimmed = _render(tmp_path, text, jinja_sls_env={"trim_blocks": True})
    assert trimmed.count("\n") < plain.count("\n")
    assert _render(tmp_path, text, jinja_sls_env={"line_statement_prefix": "%"}) == plain
    assert _render(tmp_path, text) == plain


def test_only_so_much_is_kept(tmp_path: Path, codes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_code, "MAX_KEPT_CHARS", 1000)
    for number in range(50):
        assert _render(tmp_path, f"a: {number} # {'x' * 90}\n") == {"a": number}
    assert codes._chars <= 1000
    assert codes._chars == sum(chars for chars, _code in codes._known.values())
    assert _render(tmp_path, f"a: 1 # {'x' * 2000}\n") == {"a": 1}


def test_threads_may_render_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.sls").write_text("".join(f"k{n}: {{{{ grains.id }}}}\n" for n in range(50)))

    def one(number: int) -> Any:
        id_ = f"web{number}"
        renderer = Renderer(Roots({"base": [tmp_path]}), config={}, grains={"id": id_}, pillar={}, functions={})
        return set(renderer.sls("a.sls", "base", sls="a").data.values()) == {id_}

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(one, range(64)))
