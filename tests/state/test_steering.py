"""What steers a run besides requisites: pauses, failures beside others, conditions that ask functions, slots, masks."""

from __future__ import annotations

import os
import pwd
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ctl.common.errors import CommandExecutionError
from ctl.common.state.pauses import Pauses

DEADLINE_S = 20.0


def _eventually(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def job(minion: Any) -> Any:
    """A minion with a state run under way, whose jid is 7."""
    minion.context.jid = "7"
    minion.daemon.jobs = [{"jid": "7", "fun": "state.apply"}, {"jid": "8", "fun": "test.ping"}]
    return minion


def test_a_run_pauses_before_a_state_until_it_is_resumed(job: Any, tmp_path: Any) -> None:
    assert job.call("state.pause", "7", "b") is True
    found: dict[str, Any] = {}
    tree = f"a: {{cmd.run: [{{name: touch {tmp_path}/a}}]}}\nb: {{cmd.run: [{{name: touch {tmp_path}/b}}]}}\n"

    def run() -> None:
        found.update(job.apply(tree))

    thread = threading.Thread(target=run)
    thread.start()
    _eventually((tmp_path / "a").exists)
    time.sleep(0.3)  # what must not come has time to come
    assert not (tmp_path / "b").exists()
    assert Pauses(job.data, "7").resume("b") is True
    thread.join(DEADLINE_S)
    assert found["b"]["result"] is True
    assert Pauses(job.data, "7").resume() is False


def test_a_pause_may_end_by_itself(job: Any) -> None:
    job.call("state.pause", 7, duration=0.05)
    assert job.apply("a: test.nop\nb: test.nop\n")["b"]["result"] is True
    assert not list((job.data / "minion" / "pauses").iterdir())


def test_a_run_is_ended_before_a_state(job: Any) -> None:
    job.call("state.soft_kill", "7", "b")
    found = job.apply("a: test.nop\nb: test.nop\nc: test.nop\n")
    assert (found["a"]["result"], found["b"]["result"], "c" in found) == (True, False, False)
    assert "state.soft_kill" in found["b"]["comment"]
    assert job.retcode == 2
    assert job.apply("a: test.nop\nb: test.nop\n")["b"]["result"] is True, "what one run was told counts for it alone"


@pytest.mark.parametrize("jid", ["9", "8", "../7"])
def test_only_a_run_under_way_can_be_told(job: Any, jid: str) -> None:
    with pytest.raises(CommandExecutionError, match="no state run"):
        job.call("state.pause", jid)


def test_the_failure_of_a_parallel_state_ends_the_run(minion: Any) -> None:
    found = minion.apply(
        "bad: {cmd.run: [{name: 'false'}, {parallel: true}, {failhard: true}]}\n"
        "wait: {cmd.run: [{name: sleep 1}]}\nlast: test.nop\n"
    )
    assert found["bad"]["result"] is False
    assert "last" not in found


def test_a_parallel_command_leaves_no_exit_code_where_a_condition_looks(minion: Any) -> None:
    slow = "".join(f"f{n}: {{cmd.run: [{{name: 'sleep 0.0{n}; false'}}, {{parallel: true}}]}}\n" for n in range(9))
    checks = "".join(
        f"c{n}: {{test.nop: [{{onlyif: [{{fun: cmd.run, cmd: 'sleep 0.01; echo x', python_shell: true}}]}}]}}\n"
        for n in range(9)
    )
    found = minion.apply(slow + checks)
    assert {found[f"c{n}"]["comment"] for n in range(9)} == {"Success!"}


@pytest.mark.parametrize("condition", ["onlyif: [{fun: file.read, path: /no/such}]", "unless: [{fun: no.such}]"])
def test_a_condition_that_cannot_be_asked_fails_its_state_alone(minion: Any, condition: str) -> None:
    tree = f"a: {{test.nop: [{{{condition}}}]}}\nb: test.nop\n"
    found = minion.apply(tree)
    assert (found["a"]["result"], found["b"]["result"]) == (False, True)
    assert minion.apply(tree, test=True)["a"]["result"] is None, "an earlier state may change that"


def test_a_slot_that_cannot_be_filled_fails_its_state_alone(minion: Any) -> None:
    tree = "a: {test.nop: [{x: '__slot__:salt:file.read(/no/such)'}]}\nb: test.nop\n"
    found = minion.apply(tree)
    assert (found["a"]["result"], found["b"]["result"]) == (False, True)
    assert "/no/such" in found["a"]["comment"]
    assert minion.apply(tree, test=True)["a"]["result"] is None


def test_check_cmd_asks_functions_and_not_in_a_dry_run(minion: Any) -> None:
    tree = (
        "good: {test.nop: [{check_cmd: [{fun: file.file_exists, path: /etc/passwd}, 'true']}]}\n"
        "bad: {test.nop: [{check_cmd: [{fun: file.file_exists, path: /no/such}]}]}\n"
    )
    found = minion.apply(tree)
    assert (found["good"]["result"], found["bad"]["result"]) == (True, False)
    assert minion.apply(tree, test=True)["bad"]["result"] is True


def test_a_module_may_do_its_own_check(minion: Any) -> None:
    from ctl.common.state.plan import same

    minion.states(own__run=lambda name: same("done"), own__mod_run_check_cmd=lambda cmd, path: True)
    found = minion.apply("a: {own.run: [{check_cmd: 'false'}]}")["a"]
    assert found["result"] is True, found


def test_masked_changes_keep_their_shape(minion: Any) -> None:
    found = minion.apply("a: {test.succeed_with_changes: [{no_log: true}]}")["a"]
    assert found["changes"] == {"testing": {"old": "**********", "new": "**********"}}


def test_a_watch_names_the_states_that_changed(minion: Any) -> None:
    found = minion.apply(
        "a: test.succeed_with_changes\nb: test.nop\nc: {test.nop: [{watch: [{test: a}, {test: b}]}]}\n"
        "d: {test.nop: [{listen: [{test: a}]}]}\n"
    )
    assert found["c"]["changes"] == {"Requisites with changes": ["test: a"]}
    assert found["listener_d"]["changes"] == {"Requisites with changes": []}


@pytest.mark.root
def test_runas_is_for_whatever_commands_a_state_runs(minion: Any) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    nobody = pwd.getpwnam("nobody").pw_name
    found = minion.apply(
        f"a: {{module.run: [{{cmd.run: [{{cmd: id -un}}]}}, {{runas: {nobody}}}]}}\n"
        "b: {module.run: [{cmd.run: [{cmd: id -un}]}]}\n"
        f"c: {{test.nop: [{{runas: {nobody}}}, {{unless: 'test $(id -un) = {nobody}'}}]}}\n"
        f"d: {{test.nop: [{{runas: {nobody}}}, {{cmd_opts_exclude: [runas]}}, "
        f"{{onlyif: 'test $(id -un) = {nobody}'}}]}}\n"
    )
    assert found["a"]["changes"] == {"cmd.run": "nobody"}
    assert found["b"]["changes"] != {"cmd.run": "nobody"}
    assert found["c"]["comment"] == "unless condition is true"
    assert found["d"]["comment"] == "onlyif condition is false"
