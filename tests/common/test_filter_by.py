"""Choosing from a table, as formulas' maps do."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ctl.common.errors import CommandExecutionError
from ctl.common.filter_by import filter_by

TABLE: dict[Any, Any] = {
    "default": {"pkg": "unknown"},
    "base": {"port": 80, "opts": {"a": 1, "b": [1]}},
    "Deb*": {"pkg": "apache2", "opts": {"a": 2}},
    "RedHat": {"pkg": "httpd"},
    7: "seven",
}


@pytest.mark.parametrize(
    ("value", "options", "wanted"),
    [
        ("Debian", {}, {"pkg": "apache2", "opts": {"a": 2}}),
        ("debian", {}, {"pkg": "unknown"}),
        (["x", "RedHat"], {}, {"pkg": "httpd"}),
        ([], {"default": "nope"}, None),
        (7, {}, "seven"),
        ("RedHat", {"base": "base"}, {"port": 80, "opts": {"a": 1, "b": [1]}, "pkg": "httpd"}),
        ("Debian", {"base": "base"}, {"port": 80, "opts": {"a": 2, "b": [1]}, "pkg": "apache2"}),
        ("x", {"base": "base", "default": None}, {"port": 80, "opts": {"a": 1, "b": [1]}}),
        ("RedHat", {"over": {"pkg": "mine", "x": {"y": 1}}}, {"pkg": "mine", "x": {"y": 1}}),
        ("x", {"default": "none", "over": {"a": 1}}, {"a": 1}),
    ],
)
def test_it_chooses(value: Any, options: dict[str, Any], wanted: Any) -> None:
    table = copy.deepcopy(TABLE)
    assert filter_by(table, value, **options) == wanted
    assert table == TABLE


def test_the_choice_is_a_copy() -> None:
    chosen = filter_by(TABLE, "Debian")
    chosen["opts"]["a"] = 99
    assert TABLE["Deb*"]["opts"]["a"] == 2


@pytest.mark.parametrize("options", [{"over": {"a": 1}}, {"base": "base"}])
def test_only_mappings_merge(options: dict[str, Any]) -> None:
    with pytest.raises(CommandExecutionError, match="mapping"):
        filter_by(TABLE, 7, **options)
