"""What the outputters print: golden texts."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from ctl.client import output
from ctl.client.output import Style, choose, highstate, render
from ctl.client.output.palette import Palette, escape, escape_json
from ctl.common.errors import ConfigError

NESTED: list[tuple[Any, str]] = [
    ({"web1": True}, "web1:\n    True"),
    ({"web1": None}, "web1:\n    None"),
    ({"web1": "one\ntwo\n"}, "web1:\n    one\n    two"),
    ({"web1": {}}, "web1:\n    ----------"),
    ({"web1": []}, "web1:"),
    ({"web1": ""}, "web1:"),
    (
        {"web1": ["a", 1, ["b"], {"c": 2}]},
        "web1:\n    - a\n    - 1\n    |_\n      - b\n    |_\n      ----------\n      c:\n          2",
    ),
    ({"web1": ["a\nb"]}, "web1:\n    - a\n      b"),
    (
        {"web1": {"z": 1.5, 5: "five", "b": b"by"}},
        "web1:\n    ----------\n    5:\n        five\n    b:\n        by\n    z:\n        1.5",
    ),
    (["a", "b"], "- a\n- b"),
    ("text", "text"),
    (True, "True"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "text"), NESTED)
def test_nested(data: Any, text: str) -> None:
    assert render("nested", data, Style()) == text


def test_nested_in_colour_paints_keys_and_values() -> None:
    assert render("nested", {"web1": {"a": "x", "b": 1}}, Style(color=True)) == (
        "\x1b[0;36mweb1\x1b[0m:\n    \x1b[0;36m----------\x1b[0m\n    \x1b[0;36ma\x1b[0m:\n"
        "        \x1b[0;32mx\x1b[0m\n    \x1b[0;36mb\x1b[0m:\n        \x1b[0;1;33m1\x1b[0m"
    )


ESCAPES = [
    ("plain ünïcode → 漢字", "plain ünïcode → 漢字"),
    ("tab\there\nnew\r\nline", "tab\there\nnew\r\nline"),
    ("\x1b[2J\x07", "\\x1b[2J\\x07"),
    ("back\rover", "back\\x0dover"),
    ("\x9b31m \x7f", "\\x9b31m \\x7f"),
    ("a\u202eb\u2066c\u2028d", "a\\u202eb\\u2066c\\u2028d"),
    ("lone \udcff", "lone \\udcff"),
]


@pytest.mark.parametrize(("text", "shown"), ESCAPES)
def test_controls_are_made_visible(text: str, shown: str) -> None:
    assert escape(text) == shown


@pytest.mark.parametrize("name", ["nested", "highstate", "table", "txt", "newline_values_only", "json", "yaml", "raw"])
def test_no_outputter_lets_a_return_drive_the_terminal(name: str) -> None:
    evil = "\x1b]0;owned\x07 \x9b2J \u202e \r x"
    text = render(name, {"web1": evil}, Style(terminal=True)) + render(
        name, {"web1": {evil: [evil]}}, Style(terminal=True)
    )
    assert not set("\x1b\x07\x9b\u202e\r") & set(text)


def test_values_reach_a_file_or_pipe_as_they_are() -> None:
    assert render("newline_values_only", {"web1": "\x1b[31m"}, Style()) == "\x1b[31m"


STATES: dict[str, Any] = {
    "test_|-one_|-one_|-nop": {
        "name": "one", "changes": {}, "result": True, "comment": "Success!", "__run_num__": 0, "__id__": "one",
        "start_time": "13:40:51.870588", "duration": 0.209,
    },
    "file_|-two_|-/etc/two_|-managed": {
        "name": "/etc/two", "changes": {"diff": "New file"}, "result": True, "comment": "File\nupdated",
        "__run_num__": 1, "__id__": "two", "start_time": "13:40:52.1", "duration": 10.0,
    },
    "cmd_|-three_|-three_|-run": {
        "name": "three", "changes": {}, "result": False, "comment": ["bad", "worse"], "__run_num__": 2,
        "__id__": "three", "warnings": ["old argument"],
    },
    "pkg_|-four_|-vim_|-installed": {
        "name": "vim", "changes": {"vim": {"new": "9", "old": ""}}, "result": None, "comment": "would install",
        "__run_num__": 3, "__id__": "four", "start_time": "13:40:53.0", "duration": 1000.0,
    },
}  # fmt: skip
ONE = """----------
          ID: one
    Function: test.nop
      Result: True
     Comment: Success!
     Started: 13:40:51.870588
    Duration: 0.209 ms
     Changes:
"""
TWO = """----------
          ID: two
    Function: file.managed
        Name: /etc/two
      Result: True
     Comment: File
              updated
     Started: 13:40:52.1
    Duration: 10 ms
     Changes:
              ----------
              diff:
                  New file
"""
THREE = """----------
          ID: three
    Function: cmd.run
      Result: False
     Comment: bad
              worse
    Warnings: old argument
     Changes:
"""
FOUR = """----------
          ID: four
    Function: pkg.installed
        Name: vim
      Result: None
     Comment: would install
     Started: 13:40:53.0
    Duration: 1000 ms
     Changes:
              ----------
              vim:
                  ----------
                  new:
                      9
                  old:
"""
LINE_ONE = "  Name: one - Function: test.nop - Result: Clean - Started: 13:40:51.870588 - Duration: 0.209 ms\n"
LINE_TWO = "  Name: /etc/two - Function: file.managed - Result: Changed - Started: 13:40:52.1 - Duration: 10 ms\n"
LINE_THREE = "  Name: three - Function: cmd.run - Result: Failed\n"
LINE_FOUR = "  Name: vim - Function: pkg.installed - Result: Differs - Started: 13:40:53.0 - Duration: 1000 ms\n"
SUMMARY = """
Summary for web1
------------
Succeeded: 3 (unchanged=1, changed=2)
Failed:    1
Warnings:  1
------------
Total states run:     4
Total run time:    1.010 s"""

MODES = [
    (Style(), ONE + TWO + THREE + FOUR),
    (Style(state_output="terse"), LINE_ONE + LINE_TWO + LINE_THREE + LINE_FOUR),
    (Style(state_output="mixed"), LINE_ONE + LINE_TWO + THREE + LINE_FOUR),
    (Style(state_output="changes"), LINE_ONE + TWO + THREE + FOUR),
    (Style(state_output="changes", state_verbose=False), TWO + THREE + FOUR),
    (Style(state_output_diff=True), TWO + THREE + FOUR),
    (Style(state_output="filter", exclude=("pkg", "False"), terse=("True",)), LINE_ONE + LINE_TWO),
    (
        Style(state_output="mixed_id"),
        LINE_ONE + LINE_TWO.replace("/etc/two", "two") + THREE + LINE_FOUR.replace("vim", "four"),
    ),
    (Style(state_output="nonsense"), ONE + TWO + THREE + FOUR),
]  # fmt: skip


@pytest.mark.parametrize(("style", "text"), MODES, ids=[style.state_output for style, _ in MODES])
def test_highstate(style: Style, text: str) -> None:
    assert render("highstate", {"web1": STATES}, style) == f"web1:\n{text}{SUMMARY}"


def test_times_can_be_left_out() -> None:
    text = render("highstate", {"web1": STATES}, Style(state_output_profile=False))
    assert "Started" not in text
    assert "Duration" not in text


def test_states_are_printed_in_the_order_they_ran() -> None:
    shuffled = dict(reversed(STATES.items()))
    assert render("highstate", {"web1": shuffled}, Style()) == render("highstate", {"web1": STATES}, Style())


@pytest.mark.parametrize(("tag", "color"), [(0, "32"), (1, "36"), (2, "31"), (3, "1;33")])
def test_the_colour_of_a_state_tells_its_result(tag: int, color: str) -> None:
    key = list(STATES)[tag]
    text = render("highstate", {"web1": {key: STATES[key]}}, Style(color=True))
    assert text.startswith(f"\x1b[0;{color}mweb1:\x1b[0m\n\x1b[0;{color}m----------\x1b[0m\n")


def test_a_tree_that_does_not_compile_prints_each_problem() -> None:
    problems = ["web.sls:3: no such state 'pkg.instaled'\n  did you mean pkg.installed?", "no matching sls 'x'"]
    assert render("highstate", {"web1": problems}, Style()) == (
        "web1:\n    Data failed to compile:\n"
        "----------\n    web.sls:3: no such state 'pkg.instaled'\n      did you mean pkg.installed?\n"
        "----------\n    no matching sls 'x'"
    )


@pytest.mark.parametrize("run", [True, {}, {"a": 1}, "text", {"a": {"result": True}}])
def test_what_is_no_state_run_prints_nested(run: Any) -> None:
    assert render("highstate", {"web1": run}, Style()) == render("nested", {"web1": run}, Style())
    assert not highstate.is_state_run(run)


DATA = {"web1": {"a": [1, None, True], 5: "x\ny", "b": b"by", "ü": 1.5}}


def test_json_is_a_document_with_the_indent_that_was_asked_for() -> None:
    assert json.loads(render("json", DATA, Style())) == {
        "web1": {"a": [1, None, True], "5": "x\ny", "b": "by", "ü": 1.5}
    }
    assert render("json", {"web1": [1]}, Style(indent=None)) == '{"web1": [1]}'
    assert render("json", {"web1": [1]}, Style(indent=2)) == '{\n  "web1": [\n    1\n  ]\n}'
    assert render("json", {"web1": {(1, 2): b"\xff"}}, Style(indent=None)) == '{"web1": {"(1, 2)": "\\\\xff"}}'


def test_json_escapes_stay_json() -> None:
    text = render("json", {"a": "\x9b\u202e\udcff\x7f"}, Style(indent=None))
    assert text == '{"a": "\\u009b\\u202e\\udcff\\u007f"}'
    assert json.loads(text) == {"a": "\x9b\u202e\udcff\x7f"}
    assert escape_json("ü") == "ü"


def test_yaml_is_a_document() -> None:
    assert yaml.safe_load(render("yaml", DATA, Style())) == {
        "web1": {"a": [1, None, True], 5: "x\ny", "b": "by", "ü": 1.5}
    }
    assert render("yaml", {"web1": True}, Style()) == "web1: true"
    assert render("yaml", "x", Style()) == "x"


PLAIN = [
    ("raw", {"web1": {"a": 1}}, "{'web1': {'a': 1}}"),
    ("pprint", {"web1": {"b": 1, "a": 2}}, "{'web1': {'a': 2, 'b': 1}}"),
    ("txt", {"web1": "one\ntwo", "web2": [1]}, "web1: one\nweb1: two\nweb2: [1]"),
    ("txt", {"web1": ""}, "web1: "),
    ("txt", "one\ntwo", "one\ntwo"),
    ("newline_values_only", {"web1": ["a", {"k": "v"}], "web2": "x\n"}, "a\nv\nx"),
    ("quiet", {"web1": True}, ""),
    ("no_return", {"web1": True}, ""),
    ("no_return", {"web1": "Minion did not return. [No]"}, "web1:\n    Minion did not return. [No]"),
    ("key", {"minions": ["web1"], "minions_pre": []}, "Accepted Keys:\nweb1\nUnaccepted Keys:"),
    ("key", {"minions": {"a": "F"}}, "Accepted Keys:\na:  F"),
    ("key", {"minions_denied": {"w": ["A", "B"]}}, "Denied Keys:\nw:  A, B"),
    ("key", {"minions": {"web1": "a\nb\n"}}, "Accepted Keys:\nweb1:\na\nb"),
    (
        "table",
        {"web1": [{"name": "ab", "size": 12}, {"name": "longer"}]},
        "web1:\n    -----------------\n    | name   | size |\n    -----------------\n"
        "    | ab     | 12   |\n    | longer |      |\n    -----------------",
    ),
    (
        "table",
        {"web1": {"/": {"use": 5}}},
        "web1:\n    -----------\n    |   | use |\n    -----------\n    | / | 5   |\n    -----------",
    ),
    ("table", {"web1": True}, "web1:\n    True"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "text"), PLAIN)
def test_plain_outputters(name: str, data: Any, text: str) -> None:
    assert render(name, data, Style()) == text


def test_the_outputter_is_what_was_asked_for_else_what_the_return_says_else_by_function() -> None:
    assert choose("json", "highstate", "state.apply") == "json"
    assert choose("", "highstate", "x.y") == "highstate"
    assert choose("", "", "state.apply") == "highstate"
    assert choose("", "", "test.ping") == "nested"


def test_a_return_cannot_hide_itself() -> None:
    assert choose("", "quiet", "test.ping") == "nested"


def test_an_unknown_outputter_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean json"):
        output.check_name("jsn")


def test_colours_do_not_touch_empty_lines() -> None:
    assert Palette(True).paint("red", "a\n\nb") == "\x1b[0;31ma\x1b[0m\n\n\x1b[0;31mb\x1b[0m"
    assert Palette(False).paint("red", "a") == "a"
