"""Mistakes are found before the first change, all together, each with its place."""

from __future__ import annotations

from typing import Any

import pytest

from ctl.common.loader import load_plugins
from ctl.common.state.plan import Plan, same


def managed(
    name: str, source: str = "", makedirs: bool = False, mode: int = 0, context: dict[str, Any] | None = None
) -> Plan:
    return same("managed")


def loose(name: str, needed: str, **kwargs: Any) -> Plan:
    return same("loose")


@pytest.fixture(autouse=True)
def functions(minion: Any) -> None:
    minion.states(file__managed=managed, file__loose=loose)


MISTAKES = """\
/etc/a:
  file.managed:
    - source: salt://a
    - maekdirs: True
{% for name in ['b', 'c'] %}
/etc/{{ name }}:
  file.managed:
    - context:
        x: 1
    - mode: lots
{% endfor %}
nothing:
  file.loose:
    - extra: 1
"""


def test_every_mistake_is_reported_with_its_line_in_the_template(minion: Any) -> None:
    minion.write(main=MISTAKES)
    found = minion.call("state.sls", "main")
    assert found[0].split("\n")[1:] == [
        "       3 |     - source: salt://a",
        "-->    4 |     - maekdirs: True",
        "       5 | {% for name in ['b', 'c'] %}",
    ]
    assert [problem.split("\n")[0] for problem in found] == [
        "main.sls:4: file.managed: unknown argument 'maekdirs' (did you mean 'makedirs'?), "
        "in state '/etc/a' of SLS 'main'",
        "main.sls:10: file.managed: 'mode' must be a whole number, not 'lots', in state '/etc/b' of SLS 'main'",
        "main.sls:10: file.managed: 'mode' must be a whole number, not 'lots', in state '/etc/c' of SLS 'main'",
        "main.sls:13: file.loose: missing 'needed', in state 'nothing' of SLS 'main'",
    ]
    assert minion.retcode == 1
    assert minion.daemon.told == []


def test_check_reports_without_running(minion: Any) -> None:
    minion.write(main=MISTAKES, good="a: {file.managed: [{source: 'salt://x'}]}")
    assert len(minion.call("state.check", "main")) == 4
    assert minion.call("state.check", "good") == []
    assert minion.retcode == 0


def test_an_unknown_function_fails_its_own_state_and_what_requires_it(minion: Any) -> None:
    results = minion.apply(
        "a: file.managde\nb: {file.managed: [{require: [{file: a}]}]}\nc: file.managed\nd: nosuch.thing\n"
    )
    assert {id_: ret["result"] for id_, ret in results.items()} == {"a": False, "b": False, "c": True, "d": False}
    assert "State 'nosuch.thing' was not found in SLS 'main'" in results["d"]["comment"]


def test_an_obsolete_argument_only_warns(minion: Any) -> None:
    results = minion.apply("a: {file.managed: [{owner: root}, {show_diff: false}]}")
    assert results["a"]["result"] is True
    assert results["a"]["warnings"] == [
        "'owner' is an obsolete argument of file.managed and is ignored; use 'user'",
        "'show_diff' is an obsolete argument of file.managed and is ignored; use 'show_changes'",
    ]


def test_unknown_arguments_warn_where_the_configuration_says_so(minion: Any) -> None:
    minion.context.config["unknown_arguments"] = "warn"
    results = minion.apply("a: {file.managed: [{maekdirs: 1}]}")
    assert results["a"]["warnings"] == ["file.managed: unknown argument 'maekdirs' (did you mean 'makedirs'?)"]


def test_a_slot_may_stand_for_any_type(minion: Any) -> None:
    minion.context.functions = {**minion.context.functions, "x.f": lambda: "7"}
    assert minion.apply("a: {file.managed: [{mode: '__slot__:salt:x.f()'}]}")["a"]["result"] is True


def test_many_mistakes_in_many_files_come_together(minion: Any) -> None:
    minion.write(
        main="include: [one, two, three]\na: {file.managed: [{soruce: x}]}",
        one="b: {file.managed: [{require: [{file: nope}, {file: x}]}]}\nx:\n  file.managed:\n",
        two="c: {{ undefined_name }}",
        three="d:\n  file.managed: [\ne: 1\n",
    )
    found = minion.call("state.sls", "main")
    text = "\n".join(found)
    assert "two.sls:1: Jinja variable 'undefined_name' is undefined" in text
    assert "included from base:main.sls" in text
    assert "three.sls:3:" in text
    assert "Referenced state does not exist for requisite [require: (file: nope)]" in text
    assert "(one.sls:1)" in text
    assert "main.sls:2: file.managed: unknown argument 'soruce' (did you mean 'source'?)" in text
    assert "ID 'x' in SLS 'one' contains a short declaration (file.managed)" in text
    assert "[require: (file: x)]" not in text  # it is there, only misshapen


def test_a_cycle_is_named_with_its_places(minion: Any) -> None:
    minion.write(
        main="a: {file.managed: [{require: [{file: b}]}]}\n"
        "b: {file.managed: [{require_in: [{file: a}]}, {watch: [{file: a}]}]}"
    )
    (problem,) = minion.call("state.sls", "main")
    assert problem.startswith("Recursive requisites were found: file: a [main.sls:1] --")
    assert "file: b [main.sls:2]" in problem


def test_a_wrong_reference_names_the_nearest(minion: Any) -> None:
    minion.write(
        main="nginx: file.managed\na: {file.managed: [{require: [{file: ngnix}]}]}\n"
        "b: {file.managed: [{require: [{pkg: nginx}]}]}"
    )
    found = minion.call("state.sls", "main")
    assert "(did you mean 'nginx'?)" in found[0]
    assert "(did you mean 'file: nginx'?)" in found[1]


def test_an_extend_that_leads_nowhere_names_its_line(minion: Any) -> None:
    minion.write(
        main="a: file.managed\nextend:\n  gone:\n    file:\n      - source: x\n"
        "b:\n  file.managed:\n    - require_in: [{file: lost}]\n"
    )
    found = minion.call("state.sls", "main")
    assert found[0].startswith("Cannot extend ID 'gone' in 'base:main'.")
    assert "(main.sls:3)\n       2 | extend:\n-->    3 |   gone:" in found[0]
    assert found[1].startswith("Cannot extend ID 'lost'")
    assert "(main.sls:8)" in found[1]


def test_problems_of_another_environment_show_its_lines(minion: Any, tmp_path: Any) -> None:
    from ctl.common.files import Roots

    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "main.sls").write_text("\n\nx: {file.managed: [{soruce: y}]}\n")
    minion.context.files = Roots({"base": [minion.root], "dev": [tmp_path / "dev"]})
    (problem,) = minion.call("state.sls", "main", saltenv="dev")
    assert problem.endswith("\n-->    3 | x: {file.managed: [{soruce: y}]}")


def test_sls_text_has_no_lines_to_show(minion: Any) -> None:
    (problem,) = minion.call("state.template_str", "x: {file.managed: [{soruce: y}]}")
    assert problem.startswith("template:1: file.managed: unknown argument 'soruce'")


def test_unknown_functions_are_named_beside_what_stops_the_run(minion: Any) -> None:
    minion.write(main="/etc/a:\n  file.manged: []\n/etc/b:\n  file.managed:\n    - maekdirs: True\n")
    found = [problem.split("\n")[0] for problem in minion.call("state.sls", "main")]
    assert found[0].startswith("main.sls:5: file.managed: unknown argument 'maekdirs'")
    assert found[1].startswith("main.sls:2: 'file.manged' is not available")
    assert "in state '/etc/a' of SLS 'main'" in found[1]
    minion.write(main="/etc/a:\n  file.manged: []\n/etc/b:\n  file.managed: []\n")
    assert [state["result"] for state in minion.call("state.sls", "main").values()] == [False, True]


SWALLOWED = """\
a:
  test.nop:
    - colours: [red]
    - sizes: [{small: 1}]
b:
  test.nop:
    - requires:
      - test: a
    - unles: 'true'
c:
  module.run:
    - test.ping: []
    - onchange:
      - a
d:
  module.run:
    - name: test.arg
    - watchin: [{test: b}]
e:
  cmd.run:
    - name: 'true'
    - requires: [{test: a}]
    - onlyif:
      - fun: file.file_exists
        pth: /etc
      - fun: no.such
"""


def test_misspelt_requisites_are_found_where_any_argument_is_taken(minion: Any) -> None:
    load_plugins(minion.context)
    minion.write(main=SWALLOWED)
    found = [problem.split("\n")[0] for problem in minion.call("state.check", "main")]
    assert found == [
        "main.sls:7: test.nop: unknown argument 'requires' (did you mean 'require'?), in state 'b' of SLS 'main'",
        "main.sls:9: test.nop: unknown argument 'unles' (did you mean 'unless'?), in state 'b' of SLS 'main'",
        "main.sls:13: module.run: unknown argument 'onchange' (did you mean 'onchanges'?), in state 'c' of SLS 'main'",
        "main.sls:18: module.run: unknown argument 'watchin' (did you mean 'watch_in'?), in state 'd' of SLS 'main'",
        "main.sls:22: cmd.run: unknown argument 'requires' (did you mean 'require'?), in state 'e' of SLS 'main'",
        "main.sls:23: cmd.run: 'onlyif': file.file_exists: unknown argument 'pth' (did you mean 'path'?), "
        "in state 'e' of SLS 'main'",
        "main.sls:23: cmd.run: 'onlyif': file.file_exists: missing 'path', in state 'e' of SLS 'main'",
    ]


def test_a_users_state_may_take_what_only_looks_like_a_misspelt_condition(minion: Any) -> None:
    minion.write(main="a: {file.loose: [{needed: 1}, {orders: 3}, {requires: [x]}]}")
    assert minion.call("state.check", "main") == []
    minion.write(main="a: {file.loose: [{needed: 1}]}\nb: {file.loose: [{needed: 1}, {requires: [{file: a}]}]}")
    assert "did you mean 'require'" in minion.call("state.check", "main")[0]


def test_a_condition_without_a_function_is_a_warning(minion: Any) -> None:
    found = minion.apply("a: {file.managed: [{onlyif: [{func: x}]}]}")["a"]
    assert found["warnings"] == ["onlyif has no effect: it names no function (fun): {'func': 'x'}"]
