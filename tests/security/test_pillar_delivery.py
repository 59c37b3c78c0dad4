"""A minion gets its own pillar, the one of now and whole, or none: whoever carries it, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from ctl.common import wire
from ctl.common.config import MasterConfig
from ctl.common.errors import RequestRefused
from ctl.common.wire import pack_payload, unpack_payload
from ctl.master import messages
from ctl.master.grains_cache import GrainsCache
from ctl.master.pillars import Pillars

RunFleet = Callable[..., None]
QUICK = {"reconnect_min": 0.05, "reconnect_max": 0.2, "pin_backoff_min": 0.05, "pin_backoff_max": 0.2}


def _secrets(root: Path, **secrets: str) -> None:
    (root / "pillar" / "top.sls").write_text("base:\n" + "".join(f"  {name}: [{name}]\n" for name in secrets))
    for name, secret in secrets.items():
        (root / "pillar" / f"{name}.sls").write_text(f"secret: {secret}\n")


async def _secret(fleet: Any, minion: str) -> Any:
    done = await fleet.publish(minion, "pillar.items", timeout=5.0)
    found = done.returns.get(minion)
    return found.get("secret", found) if isinstance(found, dict) else done.absent.get(minion, found)


# -- S15


def test_s15_a_pillar_is_of_no_use_to_anybody_but_its_minion(
    run_fleet: RunFleet, attack: Any, lines: Any, eventually: Any
) -> None:
    """Replies to one minion are put in the place of the other's, on the one path that both take."""

    async def scenario(fleet: Any) -> None:
        _secrets(fleet.root, m1="of m1", m2="of m2")
        async with attack.on_path(fleet) as path:
            for name in ("m1", "m2"):
                await fleet.add(name, master=[attack.ADDRESS], **QUICK)
            await fleet.connected()
            assert [await _secret(fleet, "m1"), await _secret(fleet, "m2")] == ["of m1", "of m2"]
            known = set(path.frames(wire.REPLY, attack.DOWN))
            assert len(known) > 4
            wrong: list[bytes] = []

            def swap(direction: str, kind: int, frame: bytes) -> Iterable[bytes]:
                if (direction, kind) != (attack.DOWN, wire.REPLY):
                    return [frame]
                others = [old for old in known if old != frame]
                wrong.extend(others)
                known.add(frame)
                return [*others, frame]  # what went to anybody before, and then what is due

            path.hook = swap
            assert [await _secret(fleet, "m1"), await _secret(fleet, "m2")] == ["of m1", "of m2"]
            assert wrong
            _secrets(fleet.root, m1="new of m1", m2="new of m2")
            assert [await _secret(fleet, "m1"), await _secret(fleet, "m2")] == ["new of m1", "new of m2"]
            path.hook = lambda direction, kind, frame: [frame]
            await fleet.connected()
        assert [line for line in lines.alarms() if "reply" not in line] == []

    run_fleet(scenario, 0)


def test_s15_a_pillar_that_is_exchanged_is_dropped_and_asked_for_again(
    run_fleet: RunFleet, attack: Any, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        _secrets(fleet.root, m1="of m1", m2="of m2")
        async with attack.on_path(fleet) as path:
            for name in ("m1", "m2"):
                await fleet.add(name, master=[attack.ADDRESS], **QUICK)
            await fleet.connected()
            assert await _secret(fleet, "m2") == "of m2"
            stolen = path.frames(wire.REPLY, attack.DOWN)[-1]
            changed = 0

            def exchange(direction: str, kind: int, frame: bytes) -> Iterable[bytes]:
                nonlocal changed
                if (direction, kind) != (attack.DOWN, wire.REPLY) or changed:
                    return [frame]
                changed += 1
                return [stolen]  # the one that is due never comes

            path.hook = exchange
            found = await fleet.publish("m1", "pillar.items", timeout=60.0)
            assert changed
            assert "of m2" not in str(found.returns)
            path.hook = lambda direction, kind, frame: [frame]
            await fleet.connected()
            assert await _secret(fleet, "m1") == "of m1"

    run_fleet(scenario, 0)


# -- S24


BROKEN = [
    ("a: {{ nope }}\n", "web.sls:1"),
    ("a: [\n", "web.sls"),
    ("#!py\ndef run():\n    raise ValueError('no')\n", "web.sls:3"),
    ("include: [missing]\n", "'missing'"),
    ("- a list\n", "web.sls"),
]


def test_s24_a_pillar_that_is_broken_stops_the_run_and_is_named(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        (fleet.root / "pillar" / "top.sls").write_text("base: {'*': [good, web]}\n")
        (fleet.root / "pillar" / "good.sls").write_text("good: true\n")
        made = fleet.root / "made"
        (fleet.root / "states" / "start.sls").write_text(f"{made}: file.managed\n")
        for broken, names in BROKEN:
            (fleet.root / "pillar" / "web.sls").write_text(broken)
            done = await fleet.publish("m1", "state.apply", "start")
            assert done.envelopes["m1"]["retcode"] != 0
            assert done.returns["m1"][0].startswith("Pillar failed to render")
            assert names in done.returns["m1"][1]
            assert not made.exists()
        (fleet.root / "pillar" / "web.sls").write_text("fine: true\n")
        done = await fleet.publish("m1", "state.apply", "start")
        assert done.envelopes["m1"]["retcode"] == 0
        assert made.exists()

    run_fleet(scenario)


def test_s24_a_source_that_fails_stops_the_run(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        (fleet.root / "states" / "start.sls").write_text(f"{fleet.root / 'made'}: file.managed\n")
        done = await fleet.publish("m1", "state.apply", "start")
        assert done.envelopes["m1"]["retcode"] != 0
        assert "'cmd_json'" in done.returns["m1"][1]
        assert not (fleet.root / "made").exists()

    run_fleet(scenario, ext_pillar=[{"cmd_json": "false"}])


def test_s12_a_mistake_in_pillar_shows_no_secret_in_the_log(run_fleet: RunFleet, caplog: Any, capfd: Any) -> None:
    async def scenario(fleet: Any) -> None:
        (fleet.root / "pillar" / "top.sls").write_text("base: {'*': [web]}\n")
        (fleet.root / "pillar" / "web.sls").write_text("password: canary-1\nother: {{ 'canary-2' }}\nbroken: [\n")
        found = (await fleet.publish("m1", "pillar.items")).returns["m1"]
        assert "web.sls" in found["_errors"][0]

    run_fleet(scenario, log_level="debug")
    assert "web.sls" in caplog.text
    assert "canary" not in caplog.text
    assert "canary" not in "".join(capfd.readouterr())


# -- S36: a key is taken away while its minion's pillar is rendered


class SlowWorkers:
    """Stands for the workers: a request is answered when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[dict[str, Any], asyncio.Future[Any]]] = []

    async def request(self, message: dict[str, Any], *, timeout: float) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.asked.append((message, future))
        return await future

    def answer(self, number: int, data: Any) -> None:
        self.asked[number][1].set_result({"payload": pack_payload(data)})


def _with_pillars(tmp_path: Path, scenario: Any) -> None:
    async def main() -> None:
        grains = GrainsCache(tmp_path / "grains.db")
        workers = SlowWorkers()
        pillars = Pillars(MasterConfig.from_mapping({"root_dir": str(tmp_path)}), grains, workers)  # type: ignore[arg-type]
        try:
            await scenario(pillars, workers, grains)
        finally:
            await pillars.close()
            grains.close()

    asyncio.run(main())


def test_s36_what_was_being_rendered_for_a_key_that_is_gone_is_neither_kept_nor_given_out(tmp_path: Path) -> None:
    async def scenario(pillars: Pillars, workers: SlowWorkers, grains: GrainsCache) -> None:
        grains.put("web1", pack_payload({"owner": "first"}))
        first = asyncio.create_task(pillars.answer("web1", messages.Pillar()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(workers.asked) == 1
        grains.drop("web1")
        pillars.cache.drop("web1")  # what the key desk does when a key is deleted or rejected
        grains.put("web1", pack_payload({"owner": "second"}))
        second = asyncio.create_task(pillars.answer("web1", messages.Pillar()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert unpack_payload(workers.asked[1][0]["grains"])["owner"] == "second", "it shares what the first asked for"
        workers.answer(0, {"secret": "of the first"})
        with pytest.raises(RequestRefused, match="key has changed"):
            await first
        assert "web1" not in pillars.cache
        workers.answer(1, {"secret": "of the second"})
        assert unpack_payload((await second)["payload"]) == {"secret": "of the second"}
        assert pillars.cache.get("web1") == {"secret": "of the second"}

    _with_pillars(tmp_path, scenario)


def test_s36_a_pillar_that_waits_to_be_fetched_is_gone_with_the_key(tmp_path: Path) -> None:
    async def scenario(pillars: Pillars, workers: SlowWorkers, grains: GrainsCache) -> None:
        asked = asyncio.create_task(pillars.answer("web1", messages.Pillar()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        workers.answer(0, {"secret": "x" * (wire.MAX_CHUNK_BYTES + 1)})
        handle = (await asked)["handle"]
        part = messages.PillarChunk(handle=handle, offset=0, length=10)
        assert pillars.chunk("web1", part)["data"]
        with pytest.raises(RequestRefused):
            pillars.chunk("web2", part)
        pillars.cache.drop("web1")
        with pytest.raises(RequestRefused):
            pillars.chunk("web1", part)

    _with_pillars(tmp_path, scenario)


def test_s36_targets_do_not_render_the_pillar_of_a_minion_that_is_gone(tmp_path: Path) -> None:
    async def scenario(pillars: Pillars, workers: SlowWorkers, grains: GrainsCache) -> None:
        names = [f"web{number}" for number in range(20)]
        for name in names:
            grains.put(name, pack_payload({}))
        ensured = asyncio.create_task(pillars.ensure(names))
        while len(workers.asked) < 8:
            await asyncio.sleep(0)
        grains.drop("web19")
        pillars.cache.drop("web19")
        number = 0
        while not ensured.done():
            if number < len(workers.asked):
                workers.answer(number, {})
                number += 1
            await asyncio.sleep(0)
        assert "web19" not in [message["id"] for message, _future in workers.asked]
        assert len(pillars.cache) == 19

    _with_pillars(tmp_path, scenario)
