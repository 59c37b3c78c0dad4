"""What a minion's configuration refuses its master."""

from __future__ import annotations

import pytest

from ctl.common import permissions


@pytest.mark.parametrize(
    ("allowed", "name", "good"),
    [
        ([], "cmd.run", True),
        (["test.*", "state.apply"], "test.ping", True),
        (["test.*", "state.apply"], "state.apply", True),
        (["test.*", "state.apply"], "state.single", False),
        (["test.ping"], "test.pinger", False),
        (["*"], "cmd.run", True),
        (["cmd.run"], "CMD.run", False),
        (["test"], "test.ping", False),
    ],
)
def test_names_are_matched_whole(allowed: list[str], name: str, good: bool) -> None:
    config = {"allowed_functions": allowed}
    assert (permissions.of_states(config)(name) == "") is good
    assert (permissions.of_functions(config, for_master=True)(name) == "") is good
    assert permissions.of_functions(config, for_master=False)(name) == ""


def test_disabled_modules_are_refused_to_everybody() -> None:
    config = {"disable_modules": ["cmd"], "allowed_functions": ["cmd.*"]}
    for for_master in (True, False):
        refusal = permissions.of_functions(config, for_master=for_master)
        assert "disable_modules" in refusal("cmd.run")
    assert permissions.of_functions(config, for_master=False)("test.ping") == ""
