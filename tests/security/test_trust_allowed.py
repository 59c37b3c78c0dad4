"""A10: what a minion does not allow its master, by whatever way the master names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

RunFleet = Callable[..., None]
ALLOWED = ["test.ping", "test.echo", "test.try", "state.single", "state.apply", "state.sls", "module.run", "cmd.call",
           "test.succeed_without_changes", "saltutil.sync_*"]  # fmt: skip
REFUSAL = "allowed_functions in this minion's configuration does not name it"


def test_only_what_is_allowed_runs_also_inside_of_what_calls_others(run_fleet: RunFleet, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    states = tmp_path / "states"

    async def scenario(fleet: Any) -> None:
        (states / "single.sls").write_text(f"bad:\n  cmd.run:\n    - name: touch {mark}\n")
        (states / "template.sls").write_text(
            f"{{% set x = salt['cmd.run']('touch {mark}') %}}\nok:\n  test.succeed_without_changes: []\n"
        )
        (states / "condition.sls").write_text(
            "ok:\n  test.succeed_without_changes:\n    - onlyif:\n      - fun: cmd.retcode\n"
            f"        cmd: touch {mark}\n"
        )
        await fleet.add("m1", allowed_functions=ALLOWED)
        await fleet.connected()

        async def run(fun: str, *args: Any, **kwarg: Any) -> str:
            found = await fleet.publish("m1", fun, *args, kwarg=kwarg)
            assert not found.envelopes["m1"]["success"] or fun == "test.try", found.returns
            return str(found.returns["m1"])

        assert (await fleet.publish("m1", "test.ping")).returns == {"m1": True}
        assert REFUSAL in await run("cmd.run", f"touch {mark}")
        assert REFUSAL in await run("state.single", "cmd.run", name=f"touch {mark}")
        called = [{"name": f"touch {mark}"}]
        assert REFUSAL in await run("state.single", "module.run", **{"cmd.run": called, "name": "x"})
        assert REFUSAL in await run("state.single", "cmd.call", name="x", func="cmd.run", args=[f"touch {mark}"])
        assert REFUSAL in await run("state.apply", "single")
        assert REFUSAL in await run("state.apply", "template")
        await fleet.publish("m1", "state.apply", "condition")
        tried = await run("test.try", module="cmd.run", cmd=f"touch {mark}", return_try_exception=True)
        assert REFUSAL in tried
        good = await fleet.publish("m1", "state.single", "test.succeed_without_changes", kwarg={"name": "x"})
        assert good.envelopes["m1"]["success"], good.returns
        assert not mark.exists()

    run_fleet(scenario, minions=0)


def test_a_disabled_module_is_not_there_inside_of_others_either(run_fleet: RunFleet, tmp_path: Path) -> None:
    async def scenario(fleet: Any) -> None:
        await fleet.add("m1", disable_modules=["random"])
        await fleet.connected()
        why = "disable_modules in this minion's configuration names it"
        assert why in (await fleet.publish("m1", "random.hash", "x")).returns["m1"]
        found = await fleet.publish(
            "m1", "state.single", "module.run", kwarg={"name": "x", "random.hash": [{"value": "x"}]}
        )
        assert why in str(found.returns["m1"])

    run_fleet(scenario, minions=0)
