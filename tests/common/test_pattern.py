"""Globs and regular expressions with limits: what they match, what is refused, and that none runs for ever."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctl.common import pattern
from ctl.common.automaton import Automaton, Unsupported


@pytest.mark.parametrize(
    ("text", "subject", "wanted"),
    [
        ("web*", "web1", True),
        ("web*", "dweb1", False),
        ("**", "", True),
        ("w?b", "web", True),
        ("[!a]", "a", False),
        ("plain", "plain", True),
        ("a.c", "abc", False),
    ],
)
def test_globs(text: str, subject: str, wanted: bool) -> None:
    assert pattern.glob(text)(subject) is wanted


def test_globs_may_ignore_case() -> None:
    assert pattern.glob("DEB*", ignore_case=True)("debian")
    assert pattern.glob("deb*", ignore_case=True)("DEBIAN")
    assert not pattern.glob("deb*")("DEBIAN")


ENDLESS = [
    r"(a+)+$",
    r"(a|a)*$",
    r"(a|aa)+$",
    r"(\w+\s?)*$",
    r"(a*ba*)*$",
    r"(a{0,30}){0,30}$",
    r".*.*.*.*.*.*=",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(.*a){12}b",
]


@pytest.mark.parametrize("text", ENDLESS)
def test_no_pattern_runs_for_ever(text: str) -> None:
    start = time.perf_counter()
    assert not pattern.regex(text)("a" * 2000 + "!")
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("text", [r"(?!x)(a+)+$", r"(a+)+\1$", r"((a+)+)\b", r"(a{1000}){1000}b", "(" * 3000])
def test_what_cannot_be_bounded_is_refused(text: str) -> None:
    with pytest.raises(pattern.PatternError):
        pattern.regex(text)


@pytest.mark.parametrize("text", [r"^(?!web).*", r"(\w)\1", r"\bweb\b", r"(?i)web|db", r"web(?=1)"])
def test_look_around_and_references_are_fine_where_bounded(text: str) -> None:
    for subject in ("web1", "db2", "ww"):
        assert pattern.regex(text)(subject) is (re.match(text, subject) is not None)


def test_notes_on_style_are_no_error() -> None:
    assert pattern.regex("[[]a")("[a")


PIECES = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", r"\d", "\n", "(?i:A)", "^", "$", r"\A", r"\Z", ""]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map("".join),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{1,3}", "{2}", "*?", "{2,}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
    ),
    max_leaves=6,
)


@settings(deadline=None)  # a busy machine is no failure
@given(PIECES, st.text(alphabet="abA1\n", max_size=8))
def test_the_automaton_agrees_with_the_engine(text: str, subject: str) -> None:
    tree = pattern._parser.parse(text)
    try:
        automaton = Automaton(tree)
    except Unsupported:
        return
    assert automaton.match(subject) is (re.match(text, subject) is not None)
