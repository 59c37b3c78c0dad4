"""What the settings publisher_acl and external_auth grant, in our shapes and in Salt's."""

from __future__ import annotations

from typing import Any

import pytest

from ctl.common import target
from ctl.common.calls import Call
from ctl.common.errors import ConfigError
from ctl.master.grants import NOTHING, Acl, Grants


def acl(publisher: Any = None, external: Any = None, **blacklist: Any) -> Acl:
    return Acl(publisher or {}, external or {}, blacklist, {"group1": "L@web1,web2"})


def grants(entries: Any) -> Grants:
    return acl({"u": entries}).of_user("u", ())


def may(found: Grants, fun: str, minion: str = "web1", *args: Any, **kwargs: Any) -> bool:
    who = target.DictMinion(minion, grains={"os": "Debian"})
    call = Call(fun, args, kwargs)
    return any(grant.allows(call) and any(one.matches(who) for one in grant.targets) for grant in found.publish)


@pytest.mark.parametrize(
    ("entries", "allowed", "refused"),
    [
        (["test.*"], [("test.ping", "db1")], [("cmd.run", "db1"), ("testx.ping", "db1"), ("test", "db1")]),
        ("test.ping", [("test.ping", "x")], [("test.pingx", "x"), ("xtest.ping", "x")]),
        ([{"web*": ["test.*", "grains.items"]}], [("grains.items", "web1")], [("test.ping", "db1"), ("pkg.x", "web1")]),
        ([{"web*": "test.*"}], [("test.ping", "web1")], [("test.ping", "db1")]),
        ([{"G@os:Debian and db*": ["test.*"]}], [("test.ping", "db1")], [("test.ping", "web1")]),
        ([{"N@group1": ["test.*"]}], [("test.ping", "web2")], [("test.ping", "web3")]),
        ([{"targets": ["web*", "db1"], "functions": ["test.*"]}], [("test.ping", "db1")], [("test.ping", "db2")]),
        ([{"targets": "web*", "functions": "test.ping"}], [("test.ping", "web9")], [("test.ping", "db2")]),
        ([".*"], [("cmd.run", "x")], []),
        ([r"test\.(ping|echo)"], [("test.echo", "x")], [("test.echox", "x"), ("test.fib", "x"), ("xtest.echo", "x")]),
        (["^test.ping$"], [("test.ping", "x")], [("test.ping\n", "x")]),
        ([], [], [("test.ping", "x")]),
    ],
)
def test_functions_and_targets(entries: Any, allowed: Any, refused: Any) -> None:
    found = grants(entries)
    assert [case for case in allowed if not may(found, *case)] == []
    assert [case for case in refused if may(found, *case)] == []


ECHO = [{"targets": ["*"], "functions": ["test.echo"], "args": {0: "a|b", "word": "[0-9]+"}}]
SALT_ECHO = [{"*": [{"test.echo": {"args": ["a|b"], "kwargs": {"word": "[0-9]+"}}}]}]


@pytest.mark.parametrize("entries", [ECHO, SALT_ECHO])
@pytest.mark.parametrize(
    ("args", "kwargs", "good"),
    [
        (("a",), {}, True),
        ((), {}, True),
        (("a",), {"word": 12}, True),
        (("a", "word=12"), {}, True),
        (("ab",), {}, False),
        (("a\n",), {}, False),
        (("a", "b"), {}, False),
        (("a",), {"other": "1"}, False),
        (("a", "other=1"), {}, False),
        (("a", "word=x"), {}, False),
        ((["a"],), {}, False),
        ((b"a",), {}, False),
        (("a" * 5000,), {}, False),
    ],
)
def test_s18_arguments_that_are_not_granted_are_refused(entries: Any, args: Any, kwargs: Any, good: bool) -> None:
    assert may(grants(entries), "test.echo", "x", *args, **kwargs) is good


def test_s18_a_long_argument_is_not_matched_by_its_beginning() -> None:
    found = grants([{"targets": "*", "functions": "cmd.run", "args": {0: "[a-z ]*"}}])
    assert may(found, "cmd.run", "x", "uptime")
    assert not may(found, "cmd.run", "x", "a" * 4096 + "; rm -rf /")


def test_only_everything_includes_what_cannot_be_read() -> None:
    assert [may(grants([text]), "*") for text in ("*", ".*", "*.*", "test.*", "[a-z]*", "(.*)")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_special_rights() -> None:
    found = grants(["@jobs", {"@runner": ["manage.*"]}, {"@wheel": "key.accept"}, {"@events": ["salt/minion/*"]}])
    assert found.jobs
    assert [one.text for one in found.runners] == ["jobs.*", "manage.*"]
    assert [one.text for one in found.wheel] == ["key.accept"]
    assert found.events[0]("salt/minion/x/start")
    assert found.publish == ()
    assert grants(["@runner"]).runners[0].allow(Call("any.thing"))
    assert not grants([{"@runner": []}])


def test_users_groups_and_patterns() -> None:
    rights = acl(
        {"deploy": ["a.b"], "%ops": ["c.d"], "ops%": ["e.f"], "adm|root2": ["g.h"], "x*": ["i.j"]},
        {"pam": {"deploy": ["k.l"], "staff%": ["m.n"], "*": ["o.p"]}, "file": {"^filename": "/x", "bob": ["q.r"]}},
    )

    def functions(found: Grants) -> list[str]:
        return [one.text for grant in found.publish for one in grant.functions]

    assert functions(rights.of_user("deploy", ("ops",))) == ["a.b", "c.d", "e.f"]
    assert functions(rights.of_user("adm", ())) == ["g.h"]
    assert functions(rights.of_user("adminx", ())) == []
    assert functions(rights.of_user("xeno", ())) == ["i.j"]
    assert rights.of_user("nobody", ("deploy",)) == NOTHING
    assert functions(rights.of_account("pam", "deploy", ("staff",))) == ["k.l", "m.n", "o.p"]
    assert functions(rights.of_account("pam", "bob", ())) == ["o.p"]
    assert functions(rights.of_account("file", "bob", ("ops",))) == ["q.r"]
    assert rights.of_account("ldap", "bob", ()) == NOTHING
    assert rights.options["file"] == {"filename": "/x"}


def test_a_blacklist_wins() -> None:
    rights = acl({"*": [".*"]}, users=["mallory"], modules=["cmd.*"])
    assert rights.of_user("mallory", ()) == NOTHING
    assert rights.refused_functions[0]("cmd.run")


@pytest.mark.parametrize(
    "entries",
    [
        [3], [{"web*": [3]}], [{"web*": [{"test.ping": ["x"]}]}], ["("], ["@root"], [{"E@(": ["test.ping"]}],
        [{"targets": [], "functions": ["test.ping"]}], [{}], [{"*": [{"test.echo": {"args": ["("]}}]}],
        [{"*": [{"test.echo": {"argz": []}}]}], [{"targets": "*", "functions": "x.y", "kwargs": ["a"]}],
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_setting(entries: Any) -> None:
    with pytest.raises(ConfigError, match="publisher_acl"):
        grants(entries)


def test_patterns_of_the_configuration_cannot_run_for_ever() -> None:
    found = grants([r"(a+)+$"])
    assert not may(found, "a" * 3000 + "!", "x")
