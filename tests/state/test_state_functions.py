"""The functions of the execution module `state`."""

from __future__ import annotations

from typing import Any

import pytest

from ctl.common.errors import ArgumentError

TREE = {
    "one": "a: probe.changed\nb: {probe.nop: [{require: [{probe: a}]}]}\n",
    "two": "c: {probe.nop: [{watch: [{probe: a}]}]}\ninclude: [one]\n",
}


@pytest.fixture(autouse=True)
def tree(minion: Any) -> None:
    minion.write(**TREE)
    minion.file("top.sls", "base:\n  'web*': [two]\n")


def test_apply_without_names_is_the_highstate(minion: Any) -> None:
    found = minion.call("state.apply")
    assert list(found) == [
        "probe_|-a_|-a_|-changed",
        "probe_|-b_|-b_|-nop",
        "probe_|-c_|-c_|-nop",
    ]
    assert found["probe_|-c_|-c_|-nop"]["changes"] == {"watched": "nop"}


def test_apply_takes_names_and_a_dry_run(minion: Any) -> None:
    found = minion.call("state.apply", "one", test=True)
    assert found["probe_|-a_|-a_|-changed"]["result"] is None


@pytest.mark.parametrize("function", ["state.apply", "state.sls", "state.highstate"])
def test_a_misspelt_keyword_changes_nothing(minion: Any, function: str) -> None:
    names = [] if function == "state.highstate" else ["one"]
    with pytest.raises(ArgumentError, match=r"unknown argument 'tset' \(did you mean 'test'\?\)"):
        minion.call(function, *names, tset=True)
    assert len(minion.call(function, *names, test=True, pillar_enc="gpg", other=1)) >= 2


@pytest.mark.parametrize("names", ["one,two", ["one", "two"], "tw*", "one, two"])
def test_names_may_be_words_a_list_or_globs(minion: Any, names: Any) -> None:
    assert len(minion.call("state.sls", names)) == 3


def test_an_sls_that_is_not_there(minion: Any) -> None:
    assert minion.call("state.sls", "oen") == ["No matching sls found for 'oen' in env 'base' (did you mean 'one'?)"]
    assert minion.retcode == 1


def test_a_glob_that_matches_nothing(minion: Any) -> None:
    assert minion.call("state.sls", "three*")[0].startswith("No matching sls found for 'three*' in env 'base'")
    assert minion.retcode == 1


def test_exclude_leaves_out(minion: Any) -> None:
    assert list(minion.call("state.sls", "one", exclude=[{"id": "b"}])) == ["probe_|-a_|-a_|-changed"]


def test_a_run_of_nothing_fails(minion: Any) -> None:
    minion.write(empty="")
    found = minion.call("state.sls", "empty")
    assert found["no_|-states_|-states_|-None"]["comment"] == "No states found for this minion"
    assert minion.retcode == 2
    minion.file("top.sls", "base:\n  'db*': [two]\n")
    found = minion.call("state.highstate")
    assert "No Top file" in found["no_|-states_|-states_|-None"]["comment"]
    assert minion.retcode == 2


def test_single(minion: Any) -> None:
    found = minion.call("state.single", "probe.changed", "x", test=True)
    assert found["probe_|-x_|-x_|-changed"]["result"] is None
    assert minion.call("state.single", "probe.nosuch", "x")["probe_|-x_|-x_|-nosuch"]["result"] is False
    assert minion.retcode == 2
    with pytest.raises(ArgumentError):
        minion.call("state.single", "probe", "x")


def test_low_returns_one_return(minion: Any) -> None:
    assert minion.call("state.low", {"state": "probe", "fun": "nop", "name": "x"})["result"] is True
    assert minion.call("state.low", {"state": "probe"}) == ['Missing "fun" data', 'Missing "name" data']


def test_high_and_template_str(minion: Any) -> None:
    assert list(minion.call("state.high", {"v": {"probe": ["nop"]}})) == ["probe_|-v_|-v_|-nop"]
    assert list(minion.call("state.template_str", "{{ grains.os }}: probe.nop")) == ["probe_|-Debian_|-Debian_|-nop"]


def test_sls_id_runs_an_id_and_what_it_requires(minion: Any) -> None:
    assert list(minion.call("state.sls_id", "b", "two")) == ["probe_|-a_|-a_|-changed", "probe_|-b_|-b_|-nop"]
    assert minion.call("state.sls_id", "zz", "two")[0].startswith("No matches for ID 'zz'")


def test_show_functions(minion: Any) -> None:
    assert minion.call("state.show_top") == {"base": ["two"]}
    assert set(minion.call("state.show_highstate")) == {"a", "b", "c"}
    assert [low["__id__"] for low in minion.call("state.show_lowstate")] == ["a", "b", "c"]
    assert minion.call("state.show_low_sls", "one")[0]["__source__"] == "one.sls:1"
    assert minion.call("state.show_states") == ["one", "two"]
    assert minion.call("state.sls_exists", "one")
    assert not minion.call("state.sls_exists", "none")
    assert minion.call("state.id_exists", "a,b", "one")
    assert not minion.call("state.id_exists", "a,z", "one")


def test_pillar_is_fresh_and_can_be_overridden(minion: Any) -> None:
    minion.daemon.pillar_data = {"word": "old"}
    minion.write(p="{{ pillar.word }}: probe.nop")
    assert list(minion.call("state.sls", "p", pillar={"word": "new"}, pillarenv="dev")) == ["probe_|-new_|-new_|-nop"]
    assert minion.daemon.asked == [{"saltenv": None, "pillarenv": "dev", "override": {"word": "new"}, "fresh": True}]


def test_pillar_that_does_not_render_blocks_the_run(minion: Any) -> None:
    minion.daemon.pillar_data = {"_errors": ["x.sls:1: broken"]}
    assert minion.call("state.apply") == ["Pillar failed to render with the following messages:", "x.sls:1: broken"]
    assert minion.retcode == 5
    assert isinstance(minion.call("state.apply", force=True), dict)


def test_a_second_run_is_refused_by_name(minion: Any) -> None:
    minion.daemon.holder = {"fun": "state.apply", "pid": 7, "started": "12:00", "jid": "2026"}
    assert minion.call("state.apply") == [
        'The function "state.apply" is running as PID 7 and was started at 12:00 with jid 2026'
    ]
    assert minion.retcode == 1
    minion.daemon.jobs = [minion.daemon.holder, {"fun": "test.ping", "jid": "1"}]
    assert len(minion.call("state.running")) == 1


def test_plugins_are_synced_before_a_highstate(minion: Any) -> None:
    synced: list[Any] = []
    minion.context.config["autoload_dynamic_modules"] = True
    functions = dict.fromkeys(["saltutil.sync_all"], lambda saltenv: synced.append(saltenv))
    minion.context.functions = {
        **{f"state.{n}": minion.context.functions[f"state.{n}"] for n in ("apply", "sls")},
        **functions,
    }
    minion.call("state.apply")
    assert synced == [["base"]]
    minion.call("state.sls", "one")
    assert len(synced) == 1


def test_the_retcode_is_the_runs_own(minion: Any) -> None:
    minion.write(noisy="{% set x = salt['cmd.run']('exit 3') %}\na: probe.nop\n")
    minion.call("state.sls", "noisy")
    assert minion.retcode == 0
