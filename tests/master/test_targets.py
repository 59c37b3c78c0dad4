"""Grains by column, and targets resolved to accepted minions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ctl.common.data import MISSING
from ctl.common.errors import TargetError, WireError
from ctl.common.wire import pack_payload
from ctl.master.grains_cache import MAX_COLUMNS, GrainsCache, PackedCache
from ctl.master.keys import KeyTable
from ctl.master.presence import Presence
from ctl.master.targets import Resolved, Resolver, Wanted, subset

FLEET: dict[str, dict[str, Any]] = {
    "db1": {"os": "Debian", "roles": ["db"], "ipv4": ["10.1.0.5"], "nested": {"a": {"b": 1}}},
    "web1": {"os": "Debian", "roles": ["web"], "ipv4": ["10.0.0.1", "127.0.0.1"], "ipv6": ["2001:db8::1"]},
    "web2": {"os": "RedHat", "roles": ["web", "db"], "ipv4": ["10.0.0.2"]},
}


class World(SimpleNamespace):
    def resolve(self, tgt: Any, kind: str = "glob", delimiter: str = ":") -> Resolved:
        resolved: Resolved = asyncio.run(self.resolver.resolve(Wanted(tgt, kind, delimiter)))
        return resolved

    def ids(self, tgt: Any, kind: str = "glob", delimiter: str = ":") -> list[str]:
        return list(self.resolve(tgt, kind, delimiter).ids)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    keys, grains, pillar = KeyTable(tmp_path / "keys.db"), GrainsCache(tmp_path / "cache.db"), PackedCache()
    for number, (minion, data) in enumerate(FLEET.items()):
        keys.preseed(minion, bytes([number]) * 32)
        grains.put(minion, pack_payload(data))
    asked: list[Sequence[str]] = []

    async def ensure(minions: Sequence[str]) -> None:
        asked.append(minions)
        for minion in minions:
            pillar.put(minion, pack_payload({"role": minion[:3]}))

    nodegroups = {"webs": "web* and G@os:Debian", "all": ["N@webs", "or", "db1"]}
    yield World(
        keys=keys,
        grains=grains,
        pillar=pillar,
        asked=asked,
        resolver=Resolver(keys, grains, pillar, nodegroups, ensure),
    )
    grains.close()
    keys.close()


@pytest.mark.parametrize(
    ("tgt", "kind", "ids"),
    [
        ("*", "glob", ["db1", "web1", "web2"]),
        ("web1", "glob", ["web1"]),
        ("WEB1", "glob", []),
        ("nobody", "glob", []),
        ("web[12]", "glob", ["web1", "web2"]),
        (r"web\d", "pcre", ["web1", "web2"]),
        ("web2,db1,x", "list", ["db1", "web2"]),
        (["web2", "db1"], "list", ["db1", "web2"]),
        ("os:Deb*", "grain", ["db1", "web1"]),
        ("roles:db", "grain", ["db1", "web2"]),
        ("nested:a:b:1", "grain", ["db1"]),
        ("os:(RedHat|Suse)", "grain_pcre", ["web2"]),
        ("role:web", "pillar", ["web1", "web2"]),
        ("10.0.0.0/24", "ipcidr", ["web1", "web2"]),
        ("2001:db8::/32", "ipcidr", ["web1"]),
        ("webs", "nodegroup", ["web1"]),
        ("all", "nodegroup", ["db1", "web1"]),
        ("web* and not G@os:RedHat", "compound", ["web1"]),
        ("N@all and I@role:web", "compound", ["web1"]),
        ("* and ( G@roles:db or web1 )", "compound", ["db1", "web1", "web2"]),
    ],
)
def test_each_kind_selects(world: World, tgt: Any, kind: str, ids: list[str]) -> None:
    assert world.ids(tgt, kind) == ids


def test_another_delimiter(world: World) -> None:
    assert world.ids("nested|a|b|1", "grain", "|") == ["db1"]
    with pytest.raises(TargetError):
        world.ids("a", "grain", "")


def test_only_accepted_minions_are_meant(world: World) -> None:
    world.keys.reject("web1", include=["accepted"])
    for tgt, kind in (("*", "glob"), ("web1", "glob"), ("web*", "glob"), ("os:Debian", "grain")):
        assert "web1" not in world.ids(tgt, kind)


@pytest.mark.parametrize(
    ("tgt", "kind", "published"),
    [
        ("*", "compound", ("*", "glob")),
        ("web*", "glob", ("web*", "glob")),
        (["a", "db1"], "list", ("a,db1", "list")),
        ("os:Debian", "grain", ("os:Debian", "grain")),
    ],
)
def test_what_is_published_says_the_same(world: World, tgt: Any, kind: str, published: tuple[str, str]) -> None:
    found = world.resolve(tgt, kind)
    assert (found.tgt, found.kind) == published


def test_nodegroups_are_written_out(world: World) -> None:
    for tgt, kind in (("all", "nodegroup"), ("N@all or x", "compound")):
        found = world.resolve(tgt, kind)
        assert found.kind == "compound"
        assert "N@" not in found.tgt
        assert world.ids(found.tgt, "compound") == world.ids(tgt, kind)


def test_pillar_that_is_not_known_is_rendered_first_and_once(world: World) -> None:
    world.ids("role:web", "pillar")
    world.ids("role:web", "pillar")
    assert world.asked == [["db1", "web1", "web2"], []]


def test_new_grains_are_seen_by_the_columns(world: World) -> None:
    assert world.ids("os:RedHat", "grain") == ["web2"]
    world.grains.put("web1", pack_payload({"os": "RedHat"}))
    assert world.ids("os:RedHat", "grain") == ["web1", "web2"]
    world.grains.drop("web2")
    assert world.ids("os:RedHat", "grain") == ["web1"]


def test_a_fleet_larger_than_a_slice(world: World) -> None:
    for number in range(450):
        world.keys.preseed(f"n{number:03d}", number.to_bytes(32, "big") + b"")
        world.grains.put(f"n{number:03d}", pack_payload({"odd": number % 2}))
    assert len(world.ids("odd:1", "grain")) == 225


def test_grains_are_kept_over_a_restart_and_columns_are_bounded(tmp_path: Path) -> None:
    cache = GrainsCache(tmp_path / "cache.db")
    assert cache.put("web1", pack_payload(FLEET["web1"]))
    assert not cache.put("web1", pack_payload(FLEET["web1"]))
    cache.put("gone", pack_payload({"x": 1}))
    cache.drop("gone")
    for number in range(200):
        assert cache.look_up("web1", f"key{number}", ":") is MISSING
    assert len(cache._columns) == MAX_COLUMNS
    cache.close()
    again = GrainsCache(tmp_path / "cache.db")
    assert again.get("web1") == again.look_up("web1", "", ":") == {**FLEET["web1"], "id": "web1"}
    assert "gone" not in again
    assert sorted(again.addresses("web1")) == ["10.0.0.1", "127.0.0.1", "2001:db8::1"]
    assert list(again.addresses("nobody")) == []
    again.close()


@pytest.mark.parametrize("payload", [b"", b"\xc1", pack_payload([1]), pack_payload("x"), b"\x80" + b"x"])
def test_what_is_no_mapping_is_refused(payload: bytes) -> None:
    cache = PackedCache()
    with pytest.raises(WireError):
        cache.put("web1", payload)
    assert "web1" not in cache


def test_a_subset_prefers_connected_minions() -> None:
    presence = Presence()
    presence._connected.update({"c": None, "d": None})  # type: ignore[dict-item]
    ids = tuple("abcdef")
    assert subset(ids, 0, presence) == ids
    assert subset(ids, 9, presence) == ids
    assert subset(ids, 2, presence) == ("c", "d")
    assert {"c", "d"} <= set(subset(ids, 3, presence))
