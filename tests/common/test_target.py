"""Target expressions: the grammar, each kind's meaning, and errors that point at the word."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctl.common.data import MISSING
from ctl.common.errors import TargetError
from ctl.common.target import KINDS, DictMinion, Target, parse

GRAINS = {
    "os": "Debian",
    "osfullname": "Debian GNU/Linux",
    "roles": ["web", "DB", {"kind": "cache"}],
    "cores": 8,
    "ssd": True,
    "none": None,
    "empty": {},
    "url": "http://example.com:80",
    "nested": {"a": {"b": "deep"}, "list": ["x", "y"]},
    "odd:key": "v",
    "ipv4": ["127.0.0.1", "10.1.2.3"],
    "ipv6": ["::1", "2001:db8::5", "fe80::1%eth0"],
}
WEB1 = DictMinion("web1.example.com", GRAINS, {"role": {"name": "front"}, "tier": "prod"})
GROUPS: dict[str, str | list[str]] = {
    "web": "L@web1.example.com,web2",
    "fronts": "N@web or front*",
    "hosts": ["web1.example.com", "other"],
    "words": "web1.example.com other",
    "terms": ["G@os:Debian", "and", "N@web"],
    "spaced": ["G@osfullname:Debian GNU*"],
    "loop1": "N@loop2 or a",
    "loop2": "N@loop1",
    "bad": "a and",
    "empty": "",
}

MATCHES = [
    ("glob", "*", True),
    ("glob", "web?.*", True),
    ("glob", "web", False),
    ("glob", "WEB1*", False),
    ("glob", "web[12].example.com", True),
    ("glob", "web[!1].example.com", False),
    ("glob", ["nope", "web1*"], True),
    ("pcre", "web", True),
    ("pcre", "eb1", False),
    ("pcre", r"web\d\.example\.com$", True),
    ("pcre", "(?i)WEB", True),
    ("list", "a, web1.example.com", True),
    ("list", "a web1.example.com", True),
    ("list", ["a", "b"], False),
    ("grain", "os:Debian", True),
    ("grain", "os:debian", True),
    ("grain", "os:deb*", True),
    ("grain", "os:deb", False),
    ("grain", "missing:*", False),
    ("grain", "empty:*", False),
    ("grain", "none:None", True),
    ("grain", "cores:8", True),
    ("grain", "ssd:true", True),
    ("grain", "roles:db", True),
    ("grain", "roles:w*", True),
    ("grain", "roles:kind:cache", True),
    ("grain", "roles:kind", True),
    ("grain", "roles:0", False),
    ("grain", "nested:a:b:deep", True),
    ("grain", "nested:a:b:*", True),
    ("grain", "nested:a", True),
    ("grain", "nested:LI*", True),
    ("grain", "nested:a:[bc]", True),
    ("grain", "nested:*", True),
    ("grain", "nested:*:b:deep", True),
    ("grain", "*:a:b:deep", True),
    ("grain", "*:b:deep", False),
    ("grain", "nested:list:y", True),
    ("grain", "url:http://example.com:80", True),
    ("grain", "url:http*", True),
    ("grain", "odd:key:v", True),
    ("grain_pcre", "os:deb(ian)?$", True),
    ("grain_pcre", "os:bian", False),
    ("grain_pcre", r"cores:\D", False),
    ("grain_pcre", r"url:http(?:s|)://.*:\d+", True),
    ("pillar", "role:name:front", True),
    ("pillar", "role:name:back", False),
    ("pillar_pcre", "tier:(prod|stage)", True),
    ("ipcidr", "10.0.0.0/8", True),
    ("ipcidr", "10.1.2.3", True),
    ("ipcidr", "10.1.2.3/16", True),
    ("ipcidr", "10.1.2.4", False),
    ("ipcidr", "2001:db8::/32", True),
    ("ipcidr", "2001:0db8::0005", True),
    ("ipcidr", "fe80::/10", True),
    ("nodegroup", "web", True),
    ("nodegroup", "fronts", True),
    ("nodegroup", "hosts", True),
    ("nodegroup", "words", True),
    ("nodegroup", "terms", True),
    ("nodegroup", "spaced", True),
    ("compound", "web* and G@os:Debian", True),
    ("compound", "web* and not G@os:Debian", False),
    ("compound", "not G@os:Ubuntu", True),
    ("compound", "web* not G@os:Ubuntu", True),
    ("compound", "nope or web* and nope", False),
    ("compound", "( nope or web* ) and nope", False),
    ("compound", "web* or nope and nope", True),
    ("compound", "(nope or web*) and (G@os:Debian)", True),
    ("compound", "not(nope) and not(not(web*))", True),
    ("compound", "not not web*", True),
    ("compound", "E@(web|db)1 and (E@(web|db)1)", True),
    ("compound", "(E@web[)1]+)", True),
    ("compound", "N@web and N@terms and not N@nobody", True),
    ("compound", "G|@os|Debian", True),
    ("compound", "G|@url|http://example.com:80", True),
    ("compound", "P;@nested;a;b;d..p", True),
    ("compound", "G@@os@Debian", True),
    ("pcre", "@", False),
    ("compound", "I@tier:prod and J@tier:^p and S@10.0.0.0/8", True),
    ("compound", r"G@osfullname:Debian\ GNU*", True),
    ("compound", ["G@osfullname:Debian GNU*", "and", "(", "web*", ")"], True),
    ("compound", "L@a,web1.example.com", True),
    ("compound", "\tweb*\n and  *", True),
]


@pytest.mark.parametrize(("kind", "expression", "wanted"), MATCHES)
def test_a_target_selects(kind: str, expression: str | list[str], wanted: bool) -> None:
    groups = GROUPS | {"nobody": "nobody"}
    target = parse(expression, kind, nodegroups=groups)
    assert target.matches(WEB1) is wanted
    again = parse(target.expand())
    assert again.matches(WEB1) is wanted, target.expand()
    assert again.expand() == target.expand()
    assert again.needs == target.needs


ERRORS = [
    ("compound", "", "the target is empty", 0),
    ("compound", "  ", "the target is empty", 0),
    ("glob", "", "the target is empty", 0),
    ("list", " , ", "the list of ids is empty", 0),
    ("compound", "and web", "'and' needs something before it", 0),
    ("compound", "web or", "nothing follows 'or'", 4),
    ("compound", "web and or b", "'or' needs something before it", 8),
    ("compound", "a and (or b)", "'or' needs something before it", 7),
    ("compound", "a and not", "nothing follows 'not'", 6),
    ("compound", "( a or b", "never closed", 0),
    ("compound", "a or (", "never closed", 5),
    ("compound", "a or b )", "closes nothing", 7),
    ("compound", "a or b)", "closes nothing", 6),
    ("compound", "( ) or a", "nothing before it", 2),
    ("compound", "a b", "side by side", 2),
    ("compound", "( a b )", "side by side", 4),
    ("compound", "a AND b", "lower case: 'and'", 2),
    ("compound", "a or Q@x", "unknown letter Q@", 5),
    ("compound", "R@%range", "unknown letter R@", 0),
    ("compound", "g@os:Debian", "did you mean G@?", 0),
    ("compound", "L:@a", "L@ takes no delimiter", 0),
    ("compound", "a or G@os", "names no value", 7),
    ("grain", "os", "names no value", 0),
    ("compound", "a or E@x(y", "missing ), unterminated subpattern", 8),
    ("pcre", "a**", "multiple repeat", 2),
    ("compound", "G@os:x or P@os:(", "missing )", 12),
    ("ipcidr", "10.0.0.0/33", "neither an address nor a network", 0),
    ("compound", "S@hello", "neither an address nor a network", 2),
    ("compound", "a or N@wep", "did you mean web?", 7),
    ("nodegroup", "zzz", "known: bad, empty", 0),
    ("nodegroup", "loop1", "in a circle: loop1 -> loop2 -> loop1", 2),
    ("nodegroup", "bad", "nodegroup bad: nothing follows 'and'", 2),
    ("nodegroup", "empty", "nodegroup empty: the target is empty", 0),
    ("compound", "E@", "the pattern is empty", 2),
    ("compound", "( " * 60 + "a" + " )" * 60, "parentheses within each other", 100),
    ("pcre", "a" * 5000, "at most 4096", 0),
    ("grain", ":".join("a" * 40), "at most 32", 0),
]


@pytest.mark.parametrize(("kind", "expression", "message", "position"), ERRORS)
def test_a_mistake_is_an_error_that_points_at_it(kind: str, expression: str, message: str, position: int) -> None:
    with pytest.raises(TargetError) as caught:
        parse(expression, kind, nodegroups=GROUPS)
    assert message in str(caught.value)
    assert caught.value.position == position


def test_the_error_draws_where() -> None:
    with pytest.raises(TargetError) as caught:
        parse("web* and Q@x")
    assert str(caught.value).splitlines()[1:] == ["  web* and Q@x", "           ^"]


def test_a_long_expression_is_shown_in_part() -> None:
    with pytest.raises(TargetError) as caught:
        parse(" or ".join(["web*"] * 1000) + " or Q@x or web*")
    lines = str(caught.value).splitlines()
    assert len(lines[1]) < 300
    assert lines[1][lines[2].index("^") :].startswith("Q@x")


def test_unknown_kinds_name_the_nearest() -> None:
    with pytest.raises(TargetError, match="did you mean grain_pcre"):
        parse("x", "grainpcre")


@pytest.mark.parametrize(
    ("expression", "needs"),
    [
        ("web* or E@x or L@a", {"id"}),
        ("G@a:b or P@a:b", {"grains"}),
        ("x and I@a:b and S@::1", {"id", "pillar", "addresses"}),
        ("N@terms", {"id", "grains"}),
    ],
)
def test_a_target_says_what_it_reads(expression: str, needs: set[str]) -> None:
    assert parse(expression, nodegroups=GROUPS).needs == needs


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("N@fronts and x", "( L@web1.example.com,web2 or front* ) and x"),
        ("not N@fronts", "not ( L@web1.example.com,web2 or front* )"),
        ("N@terms", "G@os:Debian and L@web1.example.com,web2"),
        ("(a or b) or c", "( a or b ) or c"),
        ("a  not b", "a and not b"),
        ("N@spaced", r"G@osfullname:Debian\ GNU*"),
    ],
)
def test_expanding_writes_nodegroups_out(expression: str, text: str) -> None:
    assert parse(expression, nodegroups=GROUPS).expand() == text


def test_the_delimiter_is_for_words_and_not_for_nodegroups() -> None:
    target = parse("G@os|Debian and N@terms", delimiter="|", nodegroups=GROUPS)
    assert target.matches(WEB1)
    assert target.expand() == "G@os|Debian and ( G:@os:Debian and L@web1.example.com,web2 )"
    assert parse(target.expand(), delimiter="|").matches(WEB1)
    assert parse("nested::a::b::deep", "grain", delimiter="::").matches(WEB1)


@pytest.mark.parametrize("text", ["and", "not", "G@os:Debian", "(x", "x)", "a b"])
def test_a_glob_that_looks_like_more_is_written_so_that_it_stays_a_glob(text: str) -> None:
    target = parse(text, "glob")
    assert target.matches(DictMinion(text))
    assert parse(target.expand()).matches(DictMinion(text))
    assert not parse(target.expand()).matches(WEB1)


def test_an_at_sign_in_an_id_is_no_letter() -> None:
    assert parse("user@host").matches(DictMinion("user@host"))
    assert parse("x@host").matches(DictMinion("x@host"))


def test_selecting_from_ids() -> None:
    assert parse("web* and not L@web2").select(["web1", "web2", "db"]) == ["web1"]
    with pytest.raises(TargetError, match="needs grains"):
        parse("G@os:x").select(["a"])


def test_a_list_of_very_many_ids() -> None:
    ids = [f"minion{number}.example.com" for number in range(100_000)]
    target = parse(ids, "list")
    assert target.matches(DictMinion(ids[-1]))
    assert parse(target.expand()).matches(DictMinion(ids[0]))
    assert not parse("not L@" + ",".join(ids)).matches(DictMinion(ids[500]))


def test_too_many_terms_are_refused() -> None:
    with pytest.raises(TargetError, match="too long"):
        parse(" or ".join(f"minion{number}" for number in range(20_000)))
    groups = {"g0": "a* or b*"} | {f"g{n}": f"N@g{n - 1} or N@g{n - 1}" for n in range(1, 20)}
    with pytest.raises(TargetError, match="too long"):
        parse("N@g19", nodegroups=groups)


def test_ten_thousand_minions_are_quick_to_ask() -> None:
    minions = [
        DictMinion(f"web{n}", {"os": "Debian", "roles": ["web"], "ipv4": ["127.0.0.1", f"10.0.{n // 256}.{n % 256}"]})
        for n in range(10_000)
    ]
    target = parse("web* and G@os:debian and G@roles:w* and S@10.0.0.0/8 and not E@web[0-9]+5$")
    start = time.perf_counter()
    assert sum(map(target.matches, minions)) == 9001
    assert time.perf_counter() - start < 2


def test_a_view_without_the_whole_mapping_just_does_not_match_wildcards() -> None:
    class Narrow(DictMinion):
        def grain(self, key: str, delimiter: str) -> object:
            return super().grain(key, delimiter) if key else MISSING

    assert not parse("G@*:a:b:deep").matches(Narrow("x", GRAINS))
    assert parse("G@nested:a:b:deep").matches(Narrow("x", GRAINS))


WORDS = st.sampled_from(["a", "b", "c", "L@a,b", "E@[ab]", "G@k:v", "S@10.0.0.0/8"])
EXPRESSIONS: st.SearchStrategy[str] = st.recursive(
    WORDS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join),
        inner.map(lambda text: f"not ( {text} )"),
        inner.map(lambda text: f"({text})"),
    ),
    max_leaves=12,
)


@settings(deadline=None)  # a busy machine is no failure
@given(EXPRESSIONS, st.sampled_from("abcd"), st.booleans(), st.booleans())
def test_a_compound_means_what_python_makes_of_it(text: str, id_: str, grain: bool, address: bool) -> None:
    minion = DictMinion(id_, {"k": "v" if grain else "w", "ipv4": ["10.1.1.1"] if address else []})
    plain = text.replace("L@a,b", str(id_ in "ab")).replace("E@[ab]", str(id_ in "ab"))
    plain = plain.replace("G@k:v", str(grain)).replace("S@10.0.0.0/8", str(address))
    words = plain.replace("(", " ( ").replace(")", " ) ").split()
    plain = " ".join(str(word == id_) if word in ("a", "b", "c") else word for word in words)
    wanted = eval(plain)
    target = parse(text)
    assert target.matches(minion) is wanted
    assert parse(target.expand()).matches(minion) is wanted


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(alphabet="aZ G@:*?[]()\\ \tandortNEPSLIJ|{}+,.0/", max_size=40), st.sampled_from(KINDS))
def test_any_text_parses_or_is_a_target_error(text: str, kind: str) -> None:
    try:
        target = parse(text, kind, nodegroups=GROUPS)
    except TargetError as error:
        drawn = str(error)
        target, position = None, error.position
    if target is None:
        assert drawn
        assert 0 <= position <= max(len(text), 200)
        return
    assert isinstance(target, Target)
    assert target.matches(WEB1) in (True, False)
    again = parse(target.expand())
    assert again.needs == target.needs
    if "\\" not in text:
        assert again.matches(WEB1) is target.matches(WEB1)
