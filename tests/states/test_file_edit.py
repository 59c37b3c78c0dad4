"""Edits of text: append, prepend, replace, comment, uncomment, blockreplace, line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def text(machine: Any) -> Path:
    path: Path = machine.root / "text"
    path.write_text("one\ntwo\nthree\n")
    return path


def test_append_adds_what_is_missing(machine: Any, text: Path) -> None:
    outcome = machine.settle("file.append", name=str(text), text=["two", "four", "five\nsix"])
    assert text.read_text() == "one\ntwo\nthree\nfour\nfive\nsix\n"
    assert "+four" in outcome.changes["diff"]
    assert "3 lines" in outcome.comment


def test_append_minds_line_ends_and_white_space(machine: Any, text: Path) -> None:
    text.write_bytes(b"a  b\r\nlast")
    machine.settle("file.append", name=str(text), text="a b")
    assert text.read_bytes() == b"a  b\r\nlast"
    machine.settle("file.append", name=str(text), text="new", ignore_whitespace=False)
    assert text.read_bytes() == b"a  b\r\nlast\r\nnew\r\n"


def test_append_makes_a_file_and_renders_a_source(machine: Any) -> None:
    path = machine.root / "d" / "new"
    url = machine.source("t", "os={{ grains.os }}\n")
    given = {"name": str(path), "source": url, "template": "jinja"}
    assert machine.plan("file.append", **given).result is False
    machine.settle("file.append", makedirs=True, **given)
    assert path.read_text() == "os=Debian\n"


def test_prepend(machine: Any, text: Path) -> None:
    machine.settle("file.prepend", name=str(text), text=["zero", "two"])
    assert text.read_text() == "zero\none\ntwo\nthree\n"
    machine.settle("file.prepend", name=str(text), text="two", header=True)
    assert text.read_text() == "two\nzero\none\ntwo\nthree\n"


def test_bytes_that_are_no_text_survive(machine: Any, text: Path) -> None:
    text.write_bytes(b"\xff\xfe\none\n")
    machine.settle("file.append", name=str(text), text="two")
    assert text.read_bytes() == b"\xff\xfe\none\ntwo\n"


def test_replace_replaces_and_keeps_a_copy(machine: Any, text: Path) -> None:
    outcome = machine.settle("file.replace", name=str(text), pattern="^t(wo|hree)$", repl=r"T\1")
    assert text.read_text() == "one\nTwo\nThree\n"
    assert Path(f"{text}.bak").read_text() == "one\ntwo\nthree\n"
    assert "-two" in outcome.changes["diff"]


def test_replace_options(machine: Any, text: Path) -> None:
    name = str(text)
    machine.run("file.replace", name=name, pattern="E", repl="_", count=1, flags=["IGNORECASE"], backup=False)
    assert text.read_text() == "on_\ntwo\nthree\n"
    machine.settle("file.replace", name=name, pattern="^x=.*", repl="x=1", append_if_not_found=True)
    assert text.read_text() == "on_\ntwo\nthree\nx=1\n"
    machine.settle("file.replace", name=name, pattern="^y=.*", repl="y=1", prepend_if_not_found=True, backup=False)
    assert text.read_text().startswith("y=1\n")
    machine.settle("file.replace", name=name, pattern="^y=1", repl=r"y=\1", backslash_literal=True, backup=False)
    assert text.read_text().startswith("y=\\1\n")


def test_replace_without_the_file(machine: Any) -> None:
    given = {"name": str(machine.root / "no"), "pattern": "a", "repl": "b"}
    assert machine.plan("file.replace", **given).result is False
    assert machine.dry("file.replace", **given).certain is False
    assert machine.plan("file.replace", ignore_if_missing=True, **given).result is True


@pytest.mark.parametrize(("key", "value"), [("pattern", "("), ("flags", ["LOUD"])])
def test_a_wrong_expression_is_refused(machine: Any, text: Path, key: str, value: Any) -> None:
    given = {"name": str(text), "pattern": "a", "repl": "b", key: value}
    assert machine.plan("file.replace", **given).result is False


def test_comment_and_uncomment(machine: Any, text: Path) -> None:
    name = str(text)
    machine.settle("file.comment", name=name, regex="^two")
    assert text.read_text() == "one\n#two\nthree\n"
    machine.settle("file.uncomment", name=name, regex="^two")
    assert text.read_text() == "one\ntwo\nthree\n"
    text.write_text("  # two x\n")
    machine.settle("file.uncomment", name=name, regex="two")
    assert text.read_text() == "  two x\n"
    for function in ("file.comment", "file.uncomment"):
        assert machine.plan(function, name=name, regex="^four").result is False
        assert machine.dry(function, name=name, regex="^four").certain is False
    assert machine.plan("file.comment", name=name, regex="^four", ignore_missing=True).result is True


def test_blockreplace(machine: Any, text: Path) -> None:
    given = {"name": str(text), "marker_start": "# begin", "marker_end": "# end", "backup": False}
    assert machine.plan("file.blockreplace", content="x", **given).result is False
    assert machine.dry("file.blockreplace", content="x", **given).certain is False
    machine.settle("file.blockreplace", content="x\ny", append_if_not_found=True, **given)
    assert text.read_text() == "one\ntwo\nthree\n# begin\nx\ny\n# end\n"
    machine.settle("file.blockreplace", content="z", **given)
    assert text.read_text() == "one\ntwo\nthree\n# begin\nz\n# end\n"
    url = machine.source("block", "{{ grains.os }}\n")
    machine.settle("file.blockreplace", source=url, **given)
    assert text.read_text() == "one\ntwo\nthree\n# begin\nDebian\n# end\n"
    text.write_text("# begin\n")
    assert machine.plan("file.blockreplace", content="z", **given).result is False


@pytest.mark.parametrize(
    ("edit", "wanted"),
    [
        ({"mode": "replace", "match": "^tw", "content": "2"}, "one\n2\nthree\n"),
        ({"mode": "delete", "match": "two"}, "one\nthree\n"),
        ({"mode": "delete", "content": "two"}, "one\nthree\n"),
        ({"mode": "insert", "content": "zero", "location": "start"}, "zero\none\ntwo\nthree\n"),
        ({"mode": "insert", "content": "four", "location": "end"}, "one\ntwo\nthree\nfour\n"),
        ({"mode": "insert", "content": "x", "after": "one"}, "one\nx\ntwo\nthree\n"),
        ({"mode": "insert", "content": "x", "before": "three"}, "one\ntwo\nx\nthree\n"),
        ({"mode": "ensure", "content": "x", "after": "one"}, "one\nx\ntwo\nthree\n"),
        ({"mode": "ensure", "content": "x", "before": "one"}, "x\none\ntwo\nthree\n"),
        ({"mode": "ensure", "content": "x", "after": "one", "before": "three"}, "one\nx\nthree\n"),
        ({"mode": "ensure", "content": "two", "after": "one"}, "one\ntwo\nthree\n"),
        ({"mode": "ensure", "content": "two", "after": "four", "quiet": True}, "one\ntwo\nthree\n"),
    ],
)
def test_line(machine: Any, text: Path, edit: dict[str, Any], wanted: str) -> None:
    machine.settle("file.line", name=str(text), **edit)
    assert text.read_text() == wanted


def test_line_keeps_the_indentation(machine: Any, text: Path) -> None:
    text.write_text("a:\n  b: 1\n")
    machine.settle("file.line", name=str(text), mode="replace", match="b:", content="b: 2")
    assert text.read_text() == "a:\n  b: 2\n"


@pytest.mark.parametrize("edit", [{}, {"mode": "swap"}, {"mode": "insert", "content": "x"}, {"mode": "delete"}])
def test_line_says_what_it_lacks(machine: Any, text: Path, edit: dict[str, Any]) -> None:
    outcome = machine.run("file.line", name=str(text), **edit)
    assert outcome.result is False
    assert "mode" in outcome.comment


def test_a_new_file_shows_what_was_appended_unless_that_is_hidden(machine: Any) -> None:
    path = machine.root / "new"
    assert machine.settle("file.append", name=str(path), text="one").changes["diff"].endswith("+one\n")
    assert "two" not in str(machine.settle("file.append", name=str(path), text="two", show_changes=False).changes)
