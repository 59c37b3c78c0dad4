"""Every kind of target selects the right minions of a real fleet, by their own grains and the master's pillar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ctl.common.errors import NoMinions, TargetError

RunFleet = Callable[..., None]
GROUPS = {"webs": "L@web1,web2", "deb-webs": "N@webs and G@flavour:debian"}


async def build(fleet: Any) -> None:
    (fleet.root / "pillar" / "top.sls").write_text("base:\n  'web*':\n    - web\n")
    (fleet.root / "pillar" / "web.sls").write_text("tier: front\n")
    await fleet.add("web1", grains={"flavour": "debian", "place": {"rack": 1}})
    await fleet.add("web2", grains={"flavour": "redhat", "place": {"rack": 2}})
    await fleet.add("db1", grains={"flavour": "debian", "place": {"rack": 2}})
    await fleet.connected()


CASES: list[tuple[Any, str, list[str]]] = [
    ("*", "glob", ["db1", "web1", "web2"]),
    ("web?", "glob", ["web1", "web2"]),
    (r"(web|db)1", "pcre", ["db1", "web1"]),
    ("web2,db1", "list", ["db1", "web2"]),
    (["web2"], "list", ["web2"]),
    ("flavour:debian", "grain", ["db1", "web1"]),
    ("place:rack:2", "grain", ["db1", "web2"]),
    ("flavour:(red|deb)", "grain_pcre", ["db1", "web1", "web2"]),
    ("tier:front", "pillar", ["web1", "web2"]),
    ("tier:f.*t", "pillar_pcre", ["web1", "web2"]),
    ("127.0.0.0/8", "ipcidr", ["db1", "web1", "web2"]),
    ("deb-webs", "nodegroup", ["web1"]),
    ("web* and not ( G@flavour:redhat or db1 )", "compound", ["web1"]),
    ("N@deb-webs or I@tier:nothing or db1", "compound", ["db1", "web1"]),
]


def test_every_kind_of_target_selects_and_is_confirmed_by_the_minion(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        await build(fleet)
        for tgt, kind, ids in CASES:
            found = await fleet.publish(tgt, "test.ping", tgt_type=kind)
            assert sorted(found.returns) == ids, (tgt, kind, found.absent, found.returns)
            assert set(found.returns.values()) == {True}, (tgt, kind, found.returns)

    run_fleet(scenario, minions=0, nodegroups=GROUPS)


def test_what_selects_nobody_or_is_no_target_makes_no_job(run_fleet: RunFleet) -> None:
    async def scenario(fleet: Any) -> None:
        for tgt, kind in (("flavour:suse", "grain"), ("nobody", "glob"), ("tier:back", "pillar")):
            with pytest.raises(NoMinions):
                await fleet.publish(tgt, "test.ping", tgt_type=kind)
        for tgt, kind in (("web* and", "compound"), ("X@y", "compound"), ("(", "pcre"), ("nogroup", "nodegroup")):
            with pytest.raises(TargetError):
                await fleet.publish(tgt, "test.ping", tgt_type=kind)

    run_fleet(scenario, minions=1)
