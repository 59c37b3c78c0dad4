"""Salt's dialect of YAML: what is read as what, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ctl.common import render_yaml
from ctl.common.errors import RenderError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0644", 644),
        ("00", 0),
        ("0", 0),
        ("-5", -5),
        ("0x1f", 31),
        ("0b11", 3),
        ("0o17", "0o17"),
        ("1_000", 1000),
        ("12:30", 750),
        ("1.50", 1.5),
        ("1e3", "1e3"),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("2001-01-01", "2001-01-01"),
        ("2001-01-01 10:00:00", "2001-01-01 10:00:00"),
        ("!!binary aGk", b"hi"),
        ("!!str 5", "5"),
        ("!!set {a, b}", {"a", "b"}),
        ("[1, two]", [1, "two"]),
        ("{a: {b: c}}", {"a": {"b": "c"}}),
        ("", None),
    ],
)
def test_values(text: str, expected: Any) -> None:
    assert render_yaml.load(text) == expected


def test_aliases_are_copies() -> None:
    found = render_yaml.load("a: &x [1]\nb: *x\nc: &m {k: 1, l: 2}\nd: {<<: *m, k: 9}\ne: {<<: [*m, {z: 3}]}")
    assert found["b"] == found["a"]
    assert found["b"] is not found["a"]
    assert found["d"] == {"k": 9, "l": 2}
    assert found["e"] == {"k": 1, "l": 2, "z": 3}


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3", 3, "found conflicting ID 'a'"),
        ("x:\n  a: 1\n  a: 1", 3, "found conflicting ID 'a'"),
        ("a: !!python/object/apply:os.system [id]", 1, "is not allowed"),
        ("a: !custom x", 1, "is not allowed"),
        ("a: &a [*a]", 1, "part of"),
        ("a: *nowhere", 1, "undefined alias"),
        ("a: [\n", 2, ""),
        ("a: {{ x }}", 1, "must be quoted"),
        ("a: b: c", 1, "mapping values are not allowed"),
        (BOMB, None, "expand to more than"),
        ("[" * 100_000, 1, "levels deep"),
        ("- " * 100_000, 1, "levels deep"),
        ("\n".join(" " * n + "a:" for n in range(1000)), None, "levels deep"),
        ("a: !!binary aGkaa", 1, ""),
    ],
)
def test_what_is_refused(text: str, line: int | None, message: str) -> None:
    with pytest.raises(RenderError) as caught:
        render_yaml.load(text, path="x.sls")
    assert message in str(caught.value)
    assert caught.value.path == "x.sls"
    assert line is None or caught.value.line == line


def test_many_brackets_side_by_side_are_fine() -> None:
    assert len(render_yaml.load("[" + "[1], " * 5000 + "]")) == 5000


def test_marks_hold_the_lines_of_three_levels() -> None:
    marks: dict[tuple[str, ...], int] = {}
    render_yaml.load("a:\n  b.c:\n    - d: 1\n    - e:\n        f: 1\n", marks=marks)
    assert marks == {("a",): 1, ("a", "b.c"): 2, ("a", "b.c", "d"): 3, ("a", "b.c", "e"): 4}


def test_dump_reads_back() -> None:
    from collections import OrderedDict
    from pathlib import PurePosixPath

    data = {"b": (1, 2), "a": OrderedDict(z=1), "p": PurePosixPath("/x"), "n": None, "s": "yes"}
    assert render_yaml.load(render_yaml.dump(data)) == {"b": [1, 2], "a": {"z": 1}, "p": "/x", "n": None, "s": "yes"}
    assert list(render_yaml.load(render_yaml.dump(data))) == list(data)


def test_a_stream_of_documents() -> None:
    assert render_yaml.load_all("a: 1\n---\n- 2\n") == [{"a": 1}, [2]]
