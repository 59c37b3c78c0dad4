"""Target expressions asked by a job about its own minion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from ctl.common.context import Context, DaemonPort, FileSource, use
from ctl.common.errors import CommandExecutionError, TargetError
from ctl.modules import match

GRAINS = {"os": "Debian", "roles": ["web", "db"], "ipv4": ["10.1.2.3"], "ipv6": []}
STORE: dict[str, Any] = {"spam": "eggs", "map": {"k": 1}, "list": ["a", "b"]}


@pytest.fixture(autouse=True)
def job() -> Iterator[Context]:
    config = {"nodegroups": {"web": "web* and G@os:Debian"}}
    context = Context("web1", config, GRAINS, {"role": "front"}, cast(FileSource, None), cast(DaemonPort, None))
    context.functions = {"data.getval": STORE.get}
    with use(context):
        yield context


@pytest.mark.parametrize(
    ("function", "target", "wanted"),
    [
        (match.compound, "web* and G@os:Debian", True),
        (match.compound, "not web*", False),
        (match.compound, "N@web", True),
        (match.compound, ["web*", "and", "I@role:front"], True),
        (match.glob, "web?", True),
        (match.glob, "db*", False),
        (match.pcre, "web[0-9]", True),
        (match.list_, "a,web1", True),
        (match.list_, ["a", "b"], False),
        (match.grain, "os:deb*", True),
        (match.grain_pcre, "roles:^d", True),
        (match.pillar, "role:front", True),
        (match.pillar_pcre, "role:(back|front)", True),
        (match.ipcidr, "10.0.0.0/8", True),
        (match.nodegroup, "web", True),
        (match.data, "spam:eg*", True),
        (match.data, "map:k", True),
        (match.data, "list:b", True),
        (match.data, "nope:x", False),
        (match.data, "spam", False),
    ],
)
def test_a_target_matches(function: Callable[[Any], bool], target: Any, wanted: bool) -> None:
    assert function(target) is wanted


def test_another_id_may_be_asked_about() -> None:
    assert match.compound("db* and G@os:Debian", minion_id="db1")
    assert match.glob("db*", minion_id="db1")
    assert match.grain("os|Debian", delimiter="|")


def test_a_mistake_is_an_error() -> None:
    with pytest.raises(TargetError):
        match.compound("web* and")
    with pytest.raises(CommandExecutionError, match="a text or a list"):
        match.compound(cast(Any, 7))


def test_filter_by_takes_the_first_that_matches() -> None:
    table = {"db*": "database", "G@os:Debian": ["deb"], "web*": "app", "default": "none"}
    assert match.filter_by(table) == ["deb"]
    assert match.filter_by(table, tgt_type="glob") == "app"
    assert match.filter_by({"x": 1}) is None
    assert match.filter_by({"x": 1, "other": 2}, default="other") == 2
    assert match.filter_by({"web*": {"a": 1, "l": [1]}}, merge={"l": [2]}, merge_lists=True) == {"a": 1, "l": [1, 2]}
    assert match.filter_by(table, minion_id="db1") == "database"


def test_search_by_lists_every_key_that_matches() -> None:
    table = {"app": ["web*", "G@os:Debian"], "db": ["db*"], "deb": "G@os:Debian"}
    assert match.search_by(table) == ["app", "deb"]
    assert match.search_by({"db": ["db*"]}) is None


def test_ifelse() -> None:
    assert match.ifelse("db*", 1, "web*", 2, 3) == 2
    assert match.ifelse("db*", 1, 3) == 3
    assert match.ifelse("db*", 1) is None
    assert match.ifelse("web*", {"a": 1}, merge={"b": 2}) == {"a": 1, "b": 2}


def test_explain_tells_which_terms_match() -> None:
    found = match.explain("N@web or ( db* and not I@role:front )")
    assert found["matches"] is True
    assert found["terms"] == {"web*": True, "G@os:Debian": True, "db*": False, "I@role:front": True}
    assert match.explain(["a", "web1"], "list")["terms"] == {"L@a,web1": True}
    assert match.explain("os:Ubuntu", "grain") == {
        "matches": False,
        "expression": "G@os:Ubuntu",
        "terms": {"G@os:Ubuntu": False},
    }
    with pytest.raises(TargetError):
        match.explain("G@os:Debian and")
