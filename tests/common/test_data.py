"""Nested data."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctl.common import data

TREE: dict[str, Any] = {"a": {"b": [{"c": 1}, {"d": 2}], "x:y": 5}, "n": {80: "http"}, "p:q": 7}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("a:b:0:c", 1),
        ("a:b:1:d", 2),
        ("a:b:d", 2),
        ("a:x:y", 5),
        ("n:80", "http"),
        ("p:q", 7),
        ("a:b:2", None),
        ("a:zz", None),
        ("a:b:0:c:e", None),
    ],
)
def test_lookup_follows_the_words(key: str, value: object) -> None:
    assert data.lookup(TREE, key) == value


def test_merge_goes_down_and_leaves_its_arguments_alone() -> None:
    base = {"a": {"x": 1, "l": [1]}, "k": 0}
    over = {"a": {"y": 2, "l": [1, 2]}}
    assert data.merge(base, over) == {"a": {"x": 1, "y": 2, "l": [1, 2]}, "k": 0}
    assert data.merge(base, over, merge_lists=True)["a"]["l"] == [1, 2]
    assert base == {"a": {"x": 1, "l": [1]}, "k": 0}


@given(st.lists(st.text("abc", min_size=1), min_size=1, max_size=4), st.integers())
def test_what_is_stored_is_found(words: list[str], value: int) -> None:
    tree: dict[str, Any] = {}
    data.store(tree, ":".join(words), value)
    assert data.lookup(tree, ":".join(words)) == value
