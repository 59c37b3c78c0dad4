"""Arguments: words of a command line, coercion by annotation, mistakes with the nearest name."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctl.common import arguments
from ctl.common.arguments import Mode
from ctl.common.errors import ArgumentError


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1", 1),
        ("-3", -3),
        ("0644", 644),
        ("1.5", 1.5),
        ("yes", True),
        ("False", False),
        ("null", None),
        ("None", "None"),
        ("", ""),
        ("[1, a]", [1, "a"]),
        ("{a: 1}", {"a": 1}),
        ("'1'", "1"),
        ("a: b", "a: b"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("# x", "# x"),
        ("{% x %}", "{% x %}"),
        ("1" * 40, "1" * 40),
    ],
)
def test_words_are_read_as_yaml_users_expect(word: str, value: Any) -> None:
    assert arguments.parse_value(word) == value


def test_keywords_are_told_apart() -> None:
    assert arguments.parse_cli(["a=1", "b==2", "ls -l", "c=x=y", "d=5"], literal=["d"]) == (
        ["b==2", "ls -l"],
        {"a": 1, "c": "x=y", "d": "5"},
    )


@pytest.mark.parametrize(
    ("words", "args", "kwargs"),
    [
        (["[ -f /etc/passwd ]"], ["[ -f /etc/passwd ]"], {}),
        (["{ echo hi; }", "cwd=/tmp"], ["{ echo hi; }"], {"cwd": "/tmp"}),
        (["yes", "timeout=5"], ["yes"], {"timeout": 5}),
        (["007"], ["007"], {}),
        (["FOO=1 env"], ["FOO=1 env"], {}),
        (["runas=me", "FOO=1 env"], ["FOO=1 env"], {"runas": "me"}),
        (["cmd=[ -f x ]", "stdin=a b"], [], {"cmd": "[ -f x ]", "stdin": "a b"}),
        (['["ls", "-l"]'], [["ls", "-l"]], {}),
        (["env={A: b}", "ls"], ["ls"], {"env": {"A": "b"}}),
    ],
)
def test_a_command_stays_the_text_that_it_is(words: list[str], args: list[Any], kwargs: dict[str, Any]) -> None:
    assert arguments.parse_cli(words, fun="cmd.run") == (args, kwargs)


def test_texts_that_name_a_parameter_are_keywords() -> None:
    taken = arguments.take_keywords(example, ["count=3", "other=1", "user=[a]", 7], {"mode": "0644"})
    assert taken == (["other=1", 7], {"count": 3, "user": ["a"], "mode": "0644"})
    assert arguments.take_keywords(open_ended, ["other=yes", "1=2"], {}) == (["1=2"], {"other": True})
    assert arguments.take_keywords(anything, ["other=yes"], {}) == (["other=yes"], {})
    assert arguments.take_keywords(example, ["count=3"], {"count": 4}) == (["count=3"], {"count": 4})


def test_a_mistake_shows_how_the_function_is_called() -> None:
    with pytest.raises(ArgumentError, match=r"x\.example: missing 'name' \(x\.example\(name, mode=None, "):
        arguments.bind(example, [], {}, "x.example")
    assert arguments.usage(anything, "anything") == "anything(*args, **kwargs)"
    assert len(arguments.usage(crowded, "crowded")) < 120
    assert arguments.usage(crowded, "crowded").endswith(", ...)")


def open_ended(first: Any = None, **kwargs: Any) -> None:
    """Takes any keyword."""


def anything(*args: Any, **kwargs: Any) -> None:
    """Takes anything."""


def crowded(first: int, second: str = "x" * 30, third: str = "y" * 30, fourth: str = "z" * 30) -> None:
    """Has more defaults than one line."""


@given(st.text())
def test_any_word_is_read(word: str) -> None:
    arguments.parse_cli([word])


def example(
    name: str,
    mode: Mode | None = None,
    user: str | int | None = None,
    count: int = 1,
    pkgs: list[str] | None = None,
    env: dict[str, str] | None = None,
    how: Literal["a", "b"] = "a",
    force: bool = False,
) -> None:
    """Take one of each."""


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [
        ({"mode": 644}, {"mode": "0644"}),
        ({"mode": "0644"}, {"mode": "0644"}),
        ({"mode": "1777"}, {"mode": "1777"}),
        ({"mode": "keep"}, {"mode": "keep"}),
        ({"user": 0}, {"user": 0}),
        ({"count": "7"}, {"count": 7}),
        ({"pkgs": "vim"}, {"pkgs": ["vim"]}),
        ({"pkgs": [1, "a"]}, {"pkgs": ["1", "a"]}),
        ({"env": [{"A": 1}, {"B": "x"}]}, {"env": {"A": "1", "B": "x"}}),
        ({"force": "yes"}, {"force": True}),
        ({"count": None}, {"count": 1}),
    ],
)
def test_values_are_coerced(given_: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert arguments.bind(example, ["n"], given_) == (["n"], wanted)


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"cuont": 1}, "did you mean 'count'"),
        ({"count": "x"}, "'count' must be a whole number"),
        ({"how": "c"}, "one of 'a', 'b'"),
        ({"mode": "9"}, "octal"),
        ({"name": "n"}, "given twice"),
        ({"env": "x"}, "a mapping"),
    ],
)
def test_mistakes_are_named(given_: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        arguments.bind(example, ["n"], given_)


def test_every_problem_is_listed() -> None:
    found = arguments.problems(example, {"cuont": 1, "force": "maybe", "__pub_jid": "1"})
    assert len(found) == 4
    assert "missing 'name'" in found


def test_arguments_of_the_machinery_are_left_out() -> None:
    assert arguments.bind(example, ["n"], {"__pub_jid": 1}) == (["n"], {})


BOMB = "[&a0 [x, x], " + ", ".join(f"&a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)) + "]"


@pytest.mark.parametrize(
    "word",
    [
        pytest.param("[" * 100_000, id="deeper than the stack of libyaml"),
        pytest.param("[2024-99-99]", id="no date"),
        pytest.param("{[1]: 2}", id="no key"),
        pytest.param("[a\udcff]", id="not UTF-8"),
        pytest.param(BOMB, id="aliases without bound"),
    ],
)
def test_a_word_that_only_looks_like_yaml_stays_as_it_is(word: str) -> None:
    assert arguments.parse_value(word) == word


def test_a_word_may_have_aliases_and_their_signs() -> None:
    assert arguments.parse_value("{a: &x [1], b: *x}") == {"a": [1], "b": [1]}
    assert arguments.parse_value('{"url": "http://x/?a=1&b=*"}') == {"url": "http://x/?a=1&b=*"}
