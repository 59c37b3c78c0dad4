"""A ping, the whole way: client, master, publication, minion, forked job, return, client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

RunFleet = Callable[..., None]


def test_every_minion_answers_a_ping(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        found = await fleet.publish("*", "test.ping")
        assert found.minions == [["m1", True], ["m2", True], ["m3", True]]
        assert found.returns == {"m1": True, "m2": True, "m3": True}
        assert found.result["missing"] == {}
        assert found.absent == {}

    run_fleet(scenario, minions=3)
