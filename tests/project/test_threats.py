"""The list of threats: every number has a test that exists, or says why it has none."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "tests" / "security" / "README.md"
NUMBERS = [f"{kind}{n:02}" for kind, most in (("S", 42), ("P", 16), ("B", 22)) for n in range(1, most + 1)]
_ROW = re.compile(r"^\| ([SPB]\d\d) \| (\S.+?) \| (held|partly|waits)(.*?) \| (.+) \|$", re.MULTILINE)
_TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


@functools.cache
def rows() -> dict[str, tuple[str, str, list[tuple[str, str]]]]:
    found = _ROW.findall(PAGE.read_text())
    return {number: (state, why + tests, _TEST.findall(tests)) for number, _, state, why, tests in found}


@functools.cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_number_has_one_row() -> None:
    assert list(rows()) == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_a_row_has_tests_that_exist_or_says_why_not(number: str) -> None:
    state, said, tests = rows()[number]
    if state == "waits":
        assert not tests
        assert len(re.sub(r"[^a-z]", "", said)) > 10, "it does not say why"
        return
    assert tests, f"{number} is {state} and names no test"
    for file, name in tests:
        assert name in functions_of(file), f"{file} has no {name}"
