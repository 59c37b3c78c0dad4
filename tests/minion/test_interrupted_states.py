"""A state run that is killed is returned as interrupted, with what it had done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from ctl.common.config import MinionConfig
from ctl.common.state.journal import INTERRUPTED_TAG, Journal
from ctl.minion.daemon import Minion
from ctl.minion.helper_process import Helper
from ctl.minion.jobs import interrupted_run

from .conftest import FakeMaster, until

Make = Callable[..., MinionConfig]


def test_a_killed_state_run_tells_which_states_had_finished(make_config: Make, helper: Helper, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    tree = f"first: test.succeed_with_changes\nsecond: {{cmd.run: [{{name: 'touch {mark}; exec sleep 60'}}]}}\n"

    async def main() -> None:
        async with FakeMaster() as master:
            config = make_config(master=[master.address])
            async with Minion(config, helper) as minion:
                await asyncio.wait_for(minion.connected.wait(), 10)
                jid = master.job("state.template_str", tree)
                await until(mark.exists, 20, "the second state to run")
                master.job("saltutil.kill_job", jid)
                answer = await master.wait_return(jid)
                assert (answer["state"], answer["success"], answer["out"]) == ("interrupted", False, "highstate")
                assert "1 of 2 states had finished" in answer["reason"]
                found = master.value(jid)
                assert [ret["__id__"] for ret in found.values()] == ["first", "interrupted"]
                assert found[INTERRUPTED_TAG]["result"] is False
                await master.wait_return(master.job("state.template_str", "first: test.nop"))

    asyncio.run(main())


def test_a_daemon_that_comes_back_reads_what_its_run_had_done(make_config: Make) -> None:
    config = make_config()
    jid = "20260101000000000001"
    assert interrupted_run(config, jid, "state.apply", b"m", "the minion ended") is None
    kept = Journal(config.data_dir, jid, 3)
    kept.add("test_|-a_|-a_|-nop", {"name": "a", "result": True, "changes": {}, "comment": ""})
    kept.close = lambda: None  # type: ignore[method-assign]
    assert interrupted_run(config, jid, "test.ping", b"m", "the minion ended") is None
    answer = interrupted_run(config, jid, "state.apply", b"m", "the minion ended")
    assert answer is not None
    assert answer.reason == "The run was interrupted: the minion ended. 1 of 3 states had finished."
