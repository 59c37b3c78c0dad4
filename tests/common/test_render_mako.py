"""The renderer mako: names, templates that take others from the tree, and errors that say where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ctl.common.errors import RenderError
from ctl.common.files import Roots
from ctl.common.render import Renderer

pytest.importorskip("mako")


def _render(root: Path, text: str, path: str = "web/init.sls") -> Any:
    (root / "web").mkdir(exist_ok=True)
    (root / path).write_text(text)
    functions = {"test.double": lambda number: number * 2}
    renderer = Renderer(
        Roots({"base": [root]}), config={"id": "web1"}, grains={"os": "Debian"}, pillar={}, functions=functions
    )
    return renderer.sls(path, "base", sls="web").data


def test_names_and_statements(tmp_path: Path) -> None:
    line = "a${n}: ${salt['test.double'](n)} ${grains['os']} ${opts['id']} ${sls}"
    text = f"#!mako|yaml\n% for n in (1, 2):\n{line}\n% endfor\n"
    assert _render(tmp_path, text) == {"a1": "2 Debian web1 web", "a2": "4 Debian web1 web"}


@pytest.mark.parametrize("place", ["salt://lib/part.mako", "/lib/part.mako", "../lib/part.mako", "ctl://lib/part.mako"])
def test_other_templates_come_from_the_tree(tmp_path: Path, place: str) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "part.mako").write_text(
        '<%def name="line(n)">b: ${n}</%def>\na: 1\n<%include file="more.mako"/>'
    )
    (tmp_path / "lib" / "more.mako").write_text("c: ${grains['os']}\n")
    text = f'#!mako|yaml\n<%namespace name="part" file="{place}"/>\n${{part.line(5)}}\n<%include file="{place}"/>\n'
    assert _render(tmp_path, text) == {"a": 1, "b": 5, "c": "Debian"}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("#!mako|yaml\na: 1\n% if x\n", 3, "not a partial control statement"),
        ("#!mako|yaml\na: ${1 / 0}\n", 2, "ZeroDivisionError"),
        ("#!mako|yaml\na: ${nope}\n", None, "'nope' is not defined"),
        ('#!mako|yaml\n\n<%include file="none.mako"/>\n', 3, "'web/none.mako' was not found"),
        ('#!mako|yaml\n\n<%include file="../../../etc/passwd"/>\n', 3, "'etc/passwd' was not found"),
        ('#!mako|yaml\n\n<%include file="file:///etc/passwd"/>\n', 3, "no place in the tree"),
        ('#!mako|yaml\n\n<%include file="broken.mako"/>\n', 2, "KeyError"),
    ],
)
def test_mistakes_name_file_and_line(tmp_path: Path, text: str, line: int | None, message: str) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "broken.mako").write_text("a: 1\n${grains['nope']}\n")
    with pytest.raises(RenderError, match=message) as caught:
        _render(tmp_path, text)
    assert caught.value.line == line
    assert caught.value.path == ("web/broken.mako" if "broken" in text else "web/init.sls")
