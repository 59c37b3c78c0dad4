"""Users' plugins, grains, pillar and files over a real fleet: synced, refreshed, fetched."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ctl.minion.call import call

RunFleet = Callable[..., None]

MODULE = """
import salt


def hello():
    return "hello world"


def show_grains():
    return __grains__["pythonversion"]
"""


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_module_is_synced_used_changed_and_removed(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        path = fleet.root / "states" / "_modules" / "pbrian.py"
        _write(path, MODULE)
        synced = (await fleet.publish("*", "saltutil.sync_all")).returns
        assert {name: kinds["modules"] for name, kinds in synced.items()} == {
            "m1": ["modules.pbrian"],
            "m2": ["modules.pbrian"],
        }
        assert (await fleet.publish("*", "pbrian.hello")).returns == {"m1": "hello world", "m2": "hello world"}
        assert (await fleet.publish("m1", "pbrian.show_grains")).returns["m1"][:2] == [3, 11]
        assert (await fleet.publish("m1", "saltutil.sync_all")).returns["m1"]["modules"] == []
        _write(path, MODULE.replace("hello world", "changed"))
        await fleet.publish("m1", "saltutil.sync_all")
        assert (await fleet.publish("m1", "pbrian.hello")).returns["m1"] == "changed"
        path.unlink()
        await fleet.publish("m1", "saltutil.sync_all")
        assert "is not available" in (await fleet.publish("m1", "pbrian.hello")).returns["m1"]

    run_fleet(scenario, minions=2)


def test_grains_are_synced_collected_and_known_to_the_master(run_fleet: RunFleet, eventually: Any) -> None:
    async def scenario(fleet: Any) -> None:
        _write(fleet.root / "states" / "_grains" / "role.py", "def role():\n    return {'role': 'web'}\n")
        assert (await fleet.publish("m1", "saltutil.sync_grains")).returns["m1"] == ["grains.role"]
        assert (await fleet.publish("m1", "grains.get", "role")).returns["m1"] == "web"
        found = await fleet.publish("role:web", "test.ping", tgt_type="grain")
        assert found.returns == {"m1": True}

    run_fleet(scenario, minions=2)


def test_pillar_is_kept_until_it_is_refreshed(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        _write(fleet.root / "pillar" / "top.sls", "base:\n  '*':\n    - data\n")
        _write(fleet.root / "pillar" / "data.sls", "role: {{ grains['id'] }}\n")
        await fleet.publish("*", "saltutil.refresh_pillar")
        assert (await fleet.publish("*", "pillar.get", "role")).returns == {"m1": "m1", "m2": "m2"}
        _write(fleet.root / "pillar" / "data.sls", "role: changed\n")
        assert (await fleet.publish("m1", "pillar.get", "role")).returns["m1"] == "m1"
        assert (await fleet.publish("m1", "pillar.items")).returns["m1"]["role"] == "changed"
        await fleet.publish("m1", "saltutil.refresh_pillar")
        assert (await fleet.publish("m1", "pillar.get", "role")).returns["m1"] == "changed"

    run_fleet(scenario, minions=2)


def test_files_are_fetched_once_verified_and_kept_by_digest(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        content = os.urandom(5_000_000)
        source = fleet.root / "states" / "large.bin"
        source.write_bytes(content)
        target = fleet.root / "target"
        jobs = [fleet.publish("m1", "cp.get_file", "salt://large.bin", f"{target}{n}") for n in range(4)]
        for number, found in enumerate(await asyncio.gather(*jobs)):
            assert found.returns["m1"] == f"{target}{number}"
            assert (fleet.root / f"target{number}").read_bytes() == content
        cache = Path(fleet.minions["m1"].config.cachedir) / "minion" / "files"
        digest = hashlib.sha256(content).hexdigest()
        assert [path.name for path in cache.glob("??/*")] == [digest]
        missing = (await fleet.publish("m1", "cp.get_file_str", "salt://nothing")).returns["m1"]
        assert not missing or "nothing" in missing
        await fleet.publish("m1", "saltutil.clear_cache")
        assert not list(cache.glob("??/*"))

    run_fleet(scenario)


def test_an_event_arrives_under_the_minions_name(run_fleet: RunFleet, eventually: Any) -> None:
    async def scenario(fleet: Any) -> None:
        assert (await fleet.publish("m1", "event.send", "app/deployed", {"version": 1})).returns["m1"] is True

    run_fleet(scenario)


def test_ctl_call_gets_pillar_and_files_from_the_master_and_stores_its_return(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        _write(fleet.root / "pillar" / "top.sls", "base:\n  '*':\n    - data\n")
        _write(fleet.root / "pillar" / "data.sls", "role: {{ grains['id'] }}\n")
        _write(fleet.root / "states" / "hello.txt", "hello\n")
        config = fleet.minion_config("m1")
        found = await asyncio.to_thread(call, config, "pillar.get", ["role"])
        assert (found["return"], found["retcode"]) == ("m1", 0)
        found = await asyncio.to_thread(call, config, "cp.get_file_str", ["salt://hello.txt"])
        assert found["return"] == "hello\n"
        jobs = await fleet.run("jobs.list_jobs")
        assert "cp.get_file_str" in str(jobs)
        assert (await fleet.publish("m1", "test.ping")).returns == {"m1": True}

    run_fleet(scenario)


def test_a_state_run_holds_off_another(run_fleet: RunFleet, eventually: Any) -> None:
    async def scenario(fleet: Any) -> None:
        gate = fleet.root / "gate"
        command = f"until [ -e {gate} ]; do sleep 0.05; done"
        _write(fleet.root / "states" / "slow.sls", f"slow:\n  cmd.run:\n    - name: '{command}'\n    - timeout: 60\n")
        first = asyncio.ensure_future(fleet.publish("m1", "state.apply", "slow"))
        await eventually(lambda: fleet.minions["m1"].lock._holder)
        second = await fleet.publish("m1", "state.apply", "slow", kwarg={"queue": False})
        assert second.envelopes["m1"]["retcode"] != 0
        gate.touch()
        queued = await fleet.publish("m1", "state.apply", "slow")
        assert queued.envelopes["m1"]["retcode"] == 0
        assert (await first).envelopes["m1"]["retcode"] == 0

    run_fleet(scenario)
