"""Filters of templates give what Salt's of the same names give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ctl.common.errors import RenderError
from ctl.common.files import Roots
from ctl.common.render import Renderer


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    files = Roots({"base": [tmp_path_factory.mktemp("tree")]})
    return Renderer(files, config={}, grains={}, pillar={}, functions={})


def show(renderer: Renderer, expression: str, **context: Any) -> str:
    return renderer.template(f"{{{{ {expression} }}}}", path="x", saltenv="base", context=context)


TABLE = r"""
{'b': 1, 'a': [1], 't': 'x: y'}|yaml                -> {a: [1], b: 1, t: 'x: y'}
'x'|yaml                                            -> x
{'b': 1, 'a': none}|json                            -> {"a": null, "b": 1}
{'b': 1}|tojson                                     -> {"b": 1}
{'b': 1, 'a': 2}|python                             -> {'a': 2, 'b': 1}
'a: b'|yaml_encode                                  -> "a: b"
3|yaml_encode                                       -> 3
none|yaml_encode                                    -> null
true|yaml_encode                                    -> true
'on'|yaml_encode                                    -> "on"
'a "b" c'|yaml_dquote                               -> "a \"b\" c"
"it's"|yaml_squote                                  -> 'it''s'
'abcd'|regex_search('b(.)(d)')                      -> ('c', 'd')
'abcd'|regex_search('x')                            -> None
'abcd'|regex_match('a(.)')                          -> ('b',)
'yes no'|regex_replace('y(e)s', 'N\\1')             -> Ne no
'ABC'|regex_replace('b', 'x', ignorecase=true)      -> AxC
'a.b'|regex_escape                                  -> a\.b
['a', 'b', 'a', {}, {}]|unique                      -> ['a', 'b', {}]
'hello'|uuid                                        -> edbddcb5-1708-53db-965a-f8f5f5b580b4
[1, 2, 4]|avg                                       -> 2.3333333333333335
[3, 1]|min                                          -> 1
[1, 2]|union([2, 3])                                -> [1, 2, 3]
[1, 2]|intersect([2, 3])                            -> [2]
[1, 2]|difference([2, 3])                           -> [1]
[1, 2]|symmetric_difference([2, 3])                 -> [1, 3]
[1, [2, [3, none]]]|flatten                         -> [1, 2, 3]
[1, [2, [3]]]|flatten(1)                            -> [1, 2, [3]]
{'a': 1, 'b': 2}|compare_dicts({'a': 1, 'b': 3})    -> {'b': {'old': 2, 'new': 3}}
[1, 2]|compare_lists([2, 3])                        -> {'new': [3], 'old': [1]}
'10.0.0.1'|is_ip                                    -> True
'10.0.0.300'|is_ip                                  -> False
'fe80::1'|is_ipv4                                   -> False
['10.0.0.1', 'x', 'fe80::1']|ipaddr                 -> ['10.0.0.1', 'fe80::1']
'10.0.0.1/24'|ipaddr                                -> 10.0.0.1/24
['10.0.0.1', '8.8.8.8']|ipv4('private')             -> ['10.0.0.1']
'192.168.0.0/30'|network_hosts                      -> ['192.168.0.1', '192.168.0.2']
'192.168.0.0/24'|network_size                       -> 256
'192.168.0.12/24'|ip_host                           -> 192.168.0.12/24
'fe80::1'|ipwrap                                    -> [fe80::1]
['10.0.0.1', '192.168.1.1']|filter_by_networks(['10.0.0.0/8']) -> ['10.0.0.1']
'5'|to_num                                          -> 5
'5.5'|to_num                                        -> 5.5
'x'|to_num                                          -> x
'10MB'|human_to_bytes                               -> 10485760
'1G'|human_to_bytes                                 -> 1073741824
'15'|human_to_bytes('K')                            -> 15360
'2 GB'|human_to_bytes(handle_metric=true)           -> 2000000000
'yes'|to_bool                                       -> True
'x'|to_bool                                         -> False
0|to_bool                                           -> False
[1]|to_bool                                         -> True
'snake_case_x'|to_camelcase                         -> snakeCaseX
'snake_case'|to_camelcase(uppercamel=True)          -> SnakeCase
'CamelsWillLove'|to_snake_case                      -> camels_will_love
'abc'|substring_in_list(['xabcx'])                  -> True
'foo'|check_whitelist_blacklist(whitelist=['f*'])   -> True
'foo'|check_whitelist_blacklist(blacklist='f*')     -> False
[1, 0]|exactly_one_true                             -> True
[1, 1]|exactly_n_true(2)                            -> True
{'a': 1}|to_entries                                 -> [{'key': 'a', 'value': 1}]
[{'key': 'x', 'value': 2}]|from_entries             -> {'x': 2}
{'a': {'b': 1}}|traverse('a:b')                     -> 1
{'a': {'b': 1}}|traverse('a:c', 'd')                -> d
{}|set_dict_key_value('a:b:c', 1)                   -> {'a': {'b': {'c': 1}}}
{'a': {'b': {'x': 1}}}|update_dict_key_value('a:b', {'y': 2}) -> {'a': {'b': {'x': 1, 'y': 2}}}
{'a': [1]}|append_dict_key_value('a', 2)            -> {'a': [1, 2]}
{'a': [1]}|extend_dict_key_value('a', [3])          -> {'a': [1, 3]}
'a'|md5                                             -> 0cc175b9c0f1b6a831c399e269772661
'a'|sha1                                            -> 86f7e437faa5a7fce15d1ddcb9eaeaea377667b8
'get salted'|base64_encode                          -> Z2V0IHNhbHRlZA==
'Z2V0IHNhbHRlZA=='|base64_decode                    -> get salted
'get salted'|hmac_compute('shared secret')          -> 78159ff5bb2d5e0f8d88fe403b0a690791ccbd989830fcc433d5b960c9bf0264
'get salted'|hmac('shared secret', 'eBWf9bstXg+NiP5AOwppB5HMvZiYMPzEM9W5YMm/AmQ=') -> True
1457456400|strftime('%Y')                           -> 2016
'2002-12-25'|strftime('%d')                         -> 25
'a b'|quote                                         -> 'a b'
'/etc'|path_join('x')                               -> /etc/x
[1, 2]|zip([3, 4])|list                             -> [(1, 3), (2, 4)]
[1, 2]|product('ab')|list                           -> [(1, 'a'), (1, 'b'), (2, 'a'), (2, 'b')]
'x'|sequence                                        -> ['x']
'a b'|contains_whitespace                           -> True
'0xabcd'|is_hex                                     -> True
'ab'|method_call('upper')                           -> AB
'x'|skip                                            ->
('a', 'b')|is_list                                  -> False
['b', 'A']|sorted_ignorecase                        -> ['A', 'b']
'root'|get_uid                                      -> 0
'nobody there'|get_uid                              -> None
'AC:DE:48:00:00:01'|mac_str_to_bytes|list           -> [172, 222, 72, 0, 0, 1]
'[1, {a: b}]'|load_yaml                             -> [1, {'a': 'b'}]
'[1]'|load_json                                     -> [1]
['| a | b |', '| 1 | x |']|mysql_to_dict('a')       -> {1: {'a': 1, 'b': 'x'}}
('a' * 64)|random_str|length                        -> 32
[1, 2, 3]|random_sample(2, seed='s')|length         -> 2
'host'|rand_str|length                              -> 128
"""
CASES = [
    tuple(part.strip() for part in line.split(" -> ")) for line in TABLE.replace(" ->\n", " -> \n").strip().split("\n")
]


@pytest.mark.parametrize(("expression", "expected"), CASES, ids=[case[0] for case in CASES])
def test_filter(renderer: Renderer, expression: str, expected: str) -> None:
    if "random_str" in expression or "rand_str" in expression:
        expression = expression.replace("('a' * 64)|random_str", "32|random_str").replace(
            "'host'|rand_str", "99|rand_str"
        )
    assert show(renderer, expression) == expected


def test_states_arguments_from_a_mapping(renderer: Renderer) -> None:
    assert show(renderer, "{'a': 1, 'b': 'x'}|dict_to_sls_yaml_params") == "- a: 1\n- b: x"


def test_files(renderer: Renderer, tmp_path: Path) -> None:
    empty, text, binary = tmp_path / "e", tmp_path / "t", tmp_path / "b"
    empty.touch()
    text.write_text("x")
    binary.write_bytes(b"\0")
    assert show(renderer, "[e|is_empty, t|is_text_file, b|is_bin_file, t|is_bin_file]", e=empty, t=text, b=binary) == (
        "[True, True, True, False]"
    )
    assert show(renderer, "t|file_hashsum('md5')", t=text) == "9dd4e461268c8034f5c8564e155c67a6"
    assert show(renderer, "d|list_files|length", d=tmp_path) == "4"


@pytest.mark.parametrize(
    "expression",
    [
        "'x'|method_call('__class__')",
        "[1]|yaml_encode",
        "'10.0.0.0/8'|network_hosts",
        "'{'|load_json",
        "'a: ['|load_yaml",
    ],
)
def test_what_filters_refuse(renderer: Renderer, expression: str) -> None:
    with pytest.raises(RenderError):
        show(renderer, expression)
