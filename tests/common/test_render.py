"""The render pipe: engines, the names that templates see, source lines, and errors that say where."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ctl.common.errors import RenderError
from ctl.common.files import Roots
from ctl.common.render import Rendered, Renderer


class Tree:
    """A file tree and a renderer over it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config: dict[str, Any] = {"id": "web1"}
        self.functions = {
            "test.double": lambda value: value * 2,
            "cmd.run": lambda command: "no shell",
            "cmd.shell": lambda command: f"shell {command}",
        }

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def renderer(self, **options: Any) -> Renderer:
        return Renderer(
            Roots({"base": [self.root]}),
            config=self.config,
            grains={"os": "Debian", "nested": {"a": 1}},
            pillar={"secret": "s3"},
            functions=self.functions,
            **options,
        )

    def render(self, text: str, path: str = "web/init.sls", sls: str = "web", **options: Any) -> Rendered:
        self.write(path, text)
        return self.renderer(**options).sls(path, "base", sls=sls)

    def fails(self, text: str, path: str = "web/init.sls") -> RenderError:
        with pytest.raises(RenderError) as caught:
            self.render(text, path)
        return caught.value


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


# -- engines -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: {{ 1 + 1 }}", {"a": 2}),
        ("#!yaml\na: '{{ 1 }}'", {"a": "{{ 1 }}"}),
        ('#!jinja|json\n{"a": {{ 1 }}}', {"a": 1}),
        ("#!json\n[1]", [1]),
        ("#!toml\n[a]\nb = 1", {"a": {"b": 1}}),
        ("#!jinja\nhello {{ grains.os }}", "#!jinja\nhello Debian"),
        ("#!text\n{{ x }}", "#!text\n{{ x }}"),
        ("#!/bin/sh\n# a: 1", None),
        (
            "#!py\ndef run():\n    return {sls: [__grains__['os'], __salt__['test.double'](2), saltenv]}",
            {"web": ["Debian", 4, "base"]},
        ),
        ("", None),
        ("\n# nothing\n", None),
    ],
)
def test_the_first_line_chooses_the_engines(tree: Tree, text: str, expected: Any) -> None:
    assert tree.render(text).data == expected


def test_users_may_add_engines(tree: Tree) -> None:
    def upper(data: Any, saltenv: str = "", sls: str = "", **more: Any) -> Any:
        text = data.read().split("\n", 1)[1].upper()
        return io.StringIO(f"{sls}: {text.strip()} {saltenv} {more['argline']} {Path(more['tmplpath']).name}\n")

    assert tree.render("#!upper a b | yaml\nx\n", engines={"upper": upper}).data == {"web": "X base a b init.sls"}


def test_a_users_engine_may_call_others_and_go_before_ours(tree: Tree) -> None:
    def json(data: Any, saltenv: str = "", sls: str = "", **more: Any) -> Any:
        jinja, yaml = more["renderers"]["jinja"], more["renderers"]["yaml"]
        return {"found": yaml(jinja(data, saltenv, sls), saltenv, sls), "knows": "nope" in more["renderers"]}

    found = tree.render("#!json\n{{ sls }}: {{ 1 + 1 }}\n", engines={"json": json}).data
    assert found == {"found": {"web": 2}, "knows": False}


def test_a_users_engine_that_raises_is_named(tree: Tree) -> None:
    def broken(data: Any, *_: Any, **more: Any) -> Any:
        raise KeyError("lost")

    with pytest.raises(RenderError, match=r"web/init\.sls: the renderer 'broken': KeyError: 'lost'"):
        tree.render("#!broken\n", engines={"broken": broken})


def test_a_renderer_of_salts_that_is_not_there_says_what_to_do(tree: Tree) -> None:
    error = tree.fails("#!pyobjects\n")
    assert "Salt's renderer 'pyobjects' is not there" in str(error)
    assert "_renderers" in str(error)


@pytest.mark.parametrize("setting", [{"renderer_blacklist": ["py"]}, {"renderer_whitelist": ["jinja", "yaml"]}])
def test_the_configuration_may_refuse_renderers(tree: Tree, setting: dict[str, Any]) -> None:
    tree.config |= setting
    assert "not allowed" in str(tree.fails("#!py\ndef run(): return {}\n"))
    assert tree.render("a: {{ 1 }}").data == {"a": 1}


def test_the_old_spelling_of_a_pipe(tree: Tree) -> None:
    assert tree.render("#!yaml_jinja\na: {{ 1 + 1 }}").data == {"a": 2}


def test_the_configuration_sets_the_default_pipe(tree: Tree) -> None:
    tree.config["renderer"] = "yaml"
    assert tree.render("a: '{{ 1 }}'").data == {"a": "{{ 1 }}"}


# -- names -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("sls", "web.conf"),
        ("slspath", "web"),
        ("slsdotpath", "web"),
        ("slscolonpath", "web"),
        ("tpldir", "web"),
        ("tplfile", "web/conf.sls"),
        ("tpldot", "web"),
        ("saltenv", "base"),
        ("opts['id']", "web1"),
        ("pillar.secret", "s3"),
        ("grains['nested']['a']", "1"),
        ("salt['test.double'](3)", "6"),
        ("salt.test.double(3)", "6"),
        ("'test.double' in salt", "True"),
        ("salt['test.nope'] is defined", "False"),
        ("salt.cmd.run('ls')", "shell ls"),
        ("salt['cmd.run']('ls')", "shell ls"),
        ("show_full_context()['slspath']", "web"),
        ("{'a': 'x', 'b': [1, none]}", "{'a': 'x', 'b': [1, None]}"),
        ("{'a': 'x\\ny'}", "{'a': \"x\\ny\"}"),
        ("[1] is list", "True"),
        ("'abc' is match('a.')", "True"),
    ],
)
def test_names_that_templates_see(tree: Tree, expression: str, expected: str) -> None:
    assert tree.render(f"#!jinja|text\n{{{{ {expression} }}}}", "web/conf.sls", "web.conf").data == (
        f"#!jinja|text\n{expected}"
    )


def test_an_sls_at_the_top_of_the_tree_has_no_folder(tree: Tree) -> None:
    text = "#!jinja|text\n{{ tpldir }},{{ slspath }},{{ tplfile }}"
    assert tree.render(text, "top.sls", "top").data == "#!jinja|text\n.,,top.sls"


def test_salts_tags(tree: Tree) -> None:
    tree.write("web/d.yaml", "v: {{ grains.os }}")
    tree.write("web/d.json", '{"v": 1}')
    text = """
{% import_yaml "web/d.yaml" as y %}{% import_json "./d.json" as j %}{% import_text "web/d.json" as t with context %}
{% load_yaml as inner %}
k: {{ sls }}
{% endload %}
{% load_json as n %}[1]{% endload %}
{% profile as 'x' %}{% do y.update(z=1) %}{% endprofile %}
{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{% endfor %}
data: {{ [y, j, t, inner, n]|json }}
"""
    expected = [{"v": "Debian", "z": 1}, {"v": 1}, '{"v": 1}', {"k": "web"}, [1]]
    assert tree.render(text).data == {"data": expected}


def test_imports_relative_to_the_importing_file(tree: Tree) -> None:
    tree.write(
        "web/lib/map.jinja", "{% from './inner.jinja' import y %}{% from '../up.jinja' import u %}{% set x = y ~ u %}"
    )
    tree.write("web/lib/inner.jinja", "{% set y = tplfile %}")
    tree.write("web/up.jinja", "{% set u = '+up' %}")
    assert tree.render("a: {% from './lib/map.jinja' import x %}{{ x }}").data == {"a": "web/lib/inner.jinja+up"}


def test_the_map_idiom_of_formulas(tree: Tree) -> None:
    tree.write("nginx/defaults.yaml", "nginx:\n  pkg: nginx\n  conf: {port: 80}\n")
    tree.write(
        "nginx/map.jinja",
        """{%- set tplroot = tpldir.split('/')[0] %}
{%- import_yaml tplroot ~ "/defaults.yaml" as defaults %}
{%- set nginx = defaults.nginx %}
{%- do nginx.conf.update({'port': 8080, 'from': sls}) %}
""",
    )
    text = """{%- set tplroot = tpldir.split('/')[0] %}
{%- from tplroot ~ "/map.jinja" import nginx with context %}
{{ nginx.pkg }}: {{ nginx.conf }}
"""
    found = tree.render(text, "nginx/sub/init.sls", "nginx.sub").data
    assert found == {"nginx": {"port": 8080, "from": "nginx.sub"}}


def test_macros_imported_without_context_see_the_importers_names(tree: Tree) -> None:
    tree.write("m.jinja", "{% macro f(x) %}{{ x }}-{{ sls }}-{{ grains.os }}-{{ tpldir }}{% endmacro %}")
    assert tree.render("a: {% import 'm.jinja' as m %}{{ m.f(1) }}").data == {"a": "1-web-Debian-."}


def test_a_file_may_set_jinja_options_of_its_own(tree: Tree) -> None:
    text = '#jinja2: {"trim_blocks": true}\n{% if true %}\na: |-\n  {% if true %}\n  x\n  {% endif %}\n{% endif %}\n'
    assert tree.render(text).lines == {"a": 3}


# -- file templates ----------------------------------------------------------------------------------------------


def test_templates_of_files(tree: Tree) -> None:
    text = "{{ port }} {{ grains.os }} {{ tplfile }}\n"
    found = tree.renderer().template(
        text, path="web/x.conf", saltenv="base", context={"port": 80, "grains": {"os": "own"}}
    )
    assert found == "80 own web/x.conf\n"


def test_file_templates_by_other_engines(tree: Tree) -> None:
    renderer = tree.renderer()
    given: dict[str, Any] = {"path": "x", "saltenv": "base", "context": {"n": 2}}
    assert renderer.template("def run():\n    return str(n)", engine="py", **given) == "2"
    with pytest.raises(RenderError, match="no template engine 'nope'"):
        renderer.template("", engine="nope", **given)


# -- lines and errors --------------------------------------------------------------------------------------------


def test_keys_have_their_lines_in_the_template(tree: Tree) -> None:
    found = tree.render(
        "{% set x = 1 %}\n"
        "{% for n in [1, 2] %}\n"
        "id{{ n }}:\n"
        "  test.nop:\n"
        "    - flag: {{ n }}\n"
        "{% endfor %}\n"
        "\n"
        "{#- gone\n"
        "#}\n"
        "last:\n"
        "  test.nop: []\n"
    )
    assert found.lines == {"id1": 3, "id2": 3, "last": 10}
    assert found.marks["id2", "test.nop", "flag"] == 5


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: {{ nope }}", 2, "Jinja variable 'nope' is undefined"),
        ("a: {{ graims.os }}", 1, "did you mean 'grains'?"),
        ("a: {{ grains.nope.x }}", 1, "has no attribute 'nope'"),
        ("a: 1\n{% if %}", 2, "Jinja syntax error"),
        ("\n{% include 'nope.sls' %}", 2, "the template 'nope.sls' was not found"),
        ("\n\n{{ raise('no such role') }}", 3, "no such role"),
        ("\n{{ salt['test.duoble'](1) }}", 2, "did you mean 'test.double'?"),
        ("{{ ''.__class__ }}", 1, "unsafe"),
        ("a: 1\na: 2", 2, "found conflicting ID 'a'"),
        ("{% for i in [1, 2, 3] %}\nx{{ i }}: 1\n{% endfor %}\nx2: 1", 4, "found conflicting ID 'x2'"),
        ("a:\n\tb: 1", 2, "tabs"),
        ("a: !!python/object:os.system x", 1, "not allowed"),
        ("#!nope|yaml\n", 1, "there is no renderer 'nope'"),
        ("#!py\ndef run():\n    return 1 / 0", 3, "ZeroDivisionError"),
        ("#!py\nx = = 1", 2, "SyntaxError"),
        ("#!py\n", None, "must have a function run()"),
        ('#!json\n{"a": }\n', 2, "not JSON"),
        ("#!toml\na = \n", 2, "not TOML"),
        ("#!yaml|jinja\na: 1", 1, "wants text"),
    ],
)
def test_errors_name_file_and_line(tree: Tree, text: str, line: int | None, message: str) -> None:
    error = tree.fails(text)
    assert error.path == "web/init.sls"
    assert error.line == line
    assert message in str(error)
    if line and text.split("\n")[line - 1 :] and line > 1:
        assert f"{line:4} | " in error.excerpt or "rendered text" in error.excerpt


def test_an_error_in_an_import_names_that_file_and_who_imports_it(tree: Tree) -> None:
    tree.write("m.jinja", "{% macro f() %}\n{{ nope }}\n{% endmacro %}")
    error = tree.fails("\n{% import 'm.jinja' as m %}\na: {{ m.f() }}")
    assert (error.path, error.line, error.stack) == ("m.jinja", 2, ("web/init.sls:3",))
    assert "included from web/init.sls:3" in str(error)


def test_an_error_in_imported_data_names_its_file(tree: Tree) -> None:
    tree.write("d.yaml", "a: 1\nb: [")
    error = tree.fails("\n{% import_yaml 'd.yaml' as d %}")
    assert error.path == "d.yaml"
    assert error.stack == ("web/init.sls:2",)


def test_the_error_of_a_function_keeps_its_cause(tree: Tree) -> None:
    def fail() -> None:
        raise OSError("disk is gone")

    tree.functions["x.fail"] = fail  # type: ignore[assignment]
    error = tree.fails("\na: {{ salt['x.fail']() }}")
    assert "OSError: disk is gone" in str(error)
    assert isinstance(error.__cause__, OSError)


def test_a_file_that_is_no_text(tree: Tree) -> None:
    (tree.root / "bin.sls").write_bytes(b"\xff\xfe")
    with pytest.raises(RenderError, match="not UTF-8"):
        tree.renderer().sls("bin.sls", "base", sls="bin")


def test_templates_are_compiled_once(tree: Tree) -> None:
    tree.write("m.jinja", "{% set x = 1 %}")
    tree.write("a.sls", "{% import 'm.jinja' as m %}\na: {{ m.x }}")
    renderer = tree.renderer()
    for _ in range(3):
        renderer.sls("a.sls", "base", sls="a")
    assert len(renderer.jinja._compiled) == 1


def test_gpg_decrypts_values(tree: Tree, tmp_path: Path) -> None:
    home = tmp_path / "keys"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet"]
    try:
        subprocess.run([*gpg, "--version"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("gpg is not installed")
    try:
        generate = ["--passphrase", "", "--quick-generate-key", "test@example.org", "default", "default", "never"]
        subprocess.run([*gpg, *generate], check=True, capture_output=True)
        encrypt = ["--trust-model", "always", "--armor", "--recipient", "test@example.org", "--encrypt"]
        done = subprocess.run([*gpg, *encrypt], input=b"hunter2", check=True, capture_output=True)
        body = "\n".join("    " + line for line in done.stdout.decode().splitlines())
        tree.config["gpg_keydir"] = str(home)
        assert tree.render(f"#!yaml|gpg\na: 1\nb:\n  - |\n{body}\n").data == {"a": 1, "b": ["hunter2"]}
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
