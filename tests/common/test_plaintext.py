"""Strings that a machine reports about itself are kept to one line."""

from __future__ import annotations

import pytest

from ctl.common.plaintext import has_control, one_line


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ("plain text", "plain text"),
        ("x\nroot_key: y", "x root_key: y"),
        ("a\r\n\t\x00b\n", "a b"),
        ("a\u2028b\x85c", "a b c"),
        ("\u202eabc", "abc"),
        ({"k\n": ["a\nb", ("c\n", 1)], "n": None}, {"k": ["a b", ("c", 1)], "n": None}),
        (7, 7),
        ("Zürich", "Zürich"),
    ],
)
def test_control_characters_become_a_space(value: object, clean: object) -> None:
    assert one_line(value) == clean
    assert has_control(value) is (value != clean)


def test_what_is_nested_without_end_ends() -> None:
    nested: list[object] = ["x\ny"]
    for _ in range(200):
        nested = [nested]
    assert "\n" not in repr(one_line(nested))
