"""Names that a minion makes up: none of them becomes a path on the master's disk, and none leads out of a directory."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctl.common.wire import pack_payload

MARK = "m4rker"
LEADING_OUT = [
    f"../{MARK}",
    f"a/../../{MARK}",
    f"/{MARK}",
    f"..\\{MARK}",
    f"..%2f{MARK}",
    f"x\0{MARK}",
    f"../{MARK}\n",
    f"./../{MARK}",
    MARK * 900,
]
ENVIRONMENTS = [f"../../{MARK}", f"/{MARK}", f"{MARK}\0", "", ".", "..", f"base/../{MARK}", MARK, "BASE", "base\n"]


class Touched:
    """The paths that this process (where the master runs, too) opens, lists or changes."""

    def __init__(self) -> None:
        self.on = False
        self.paths: list[str] = []
        sys.addaudithook(self._hook)  # there is no way to take one away

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event.split(".")[0] in ("open", "os", "shutil", "sqlite3", "tempfile", "pathlib", "glob"):
            for argument in arguments[:2]:
                if isinstance(argument, str | bytes | os.PathLike):
                    self.paths.append(os.fsdecode(argument))


_touched = Touched()


@pytest.fixture
def touched() -> Iterator[Touched]:
    _touched.paths.clear()
    _touched.on = True
    yield _touched
    _touched.on = False


def test_s03_s32_a_name_that_leads_out_is_not_even_looked_at(
    run_hostile: Any, tmp_path: Path, touched: Touched
) -> None:
    """What is asked for outside of the roots is not opened, listed or looked for, whatever answers come."""
    (tmp_path / MARK).write_text("secret")

    async def scenario(fleet: Any, bad: Any) -> None:
        touched.paths.clear()
        for saltenv in ENVIRONMENTS:
            for answer in (
                await bad.ask("file_find", saltenv=saltenv, paths=["x"]),
                await bad.ask("file_list", saltenv=saltenv),
                await bad.ask("file_chunk", saltenv=saltenv, path="x", digest=bytes(32), offset=0, length=1),
                await bad.ask("file_fetch", saltenv=saltenv, files=[["x", bytes(32)]]),
            ):
                assert answer in ("file", "arguments"), (saltenv, answer)
        for name in LEADING_OUT:
            assert await bad.ask("file_find", saltenv="base", paths=[name]) in ("file", "arguments", {"files": [None]})
            assert await bad.ask("file_chunk", saltenv="base", path=name, digest=bytes(32), offset=0, length=9) in (
                "file",
                "arguments",
                "changed",
            )
            assert await bad.ask("pillar", saltenv=name[:200], pillarenv=name[:200], fresh=True)
        outside = [path for path in touched.paths if path.endswith(MARK) and "/states/" not in path]
        assert outside == []
        assert not any(".." in Path(path).parts for path in touched.paths)

    run_hostile(scenario)


def test_s26_pushed_files_stay_in_their_minions_area(run_hostile: Any, tmp_path: Path) -> None:
    async def scenario(fleet: Any, bad: Any) -> None:
        for name in [*LEADING_OUT[:-1], "", ".", "..", f"m1/../../../{MARK}", f"a/../{MARK}"]:
            answer = await bad.ask("file_push", name=name, offset=0, size=4, data=b"evil")
            assert isinstance(answer, str) or name.startswith("/") or "%" in name, (name, answer)
        for offset, size in ((2**62, 2**62), (10, 4), (0, 2**40)):
            assert isinstance(await bad.ask("file_push", name="hole", offset=offset, size=size, data=b"x"), str)
        assert await bad.ask("file_push", name="own/file", offset=0, size=4, data=b"good") == {"received": 4}

    run_hostile(scenario, file_recv=True)
    evil = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"evil"]
    good = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"good"]
    (own,) = good
    area = own.parents[1]
    assert "hostile" in area.parts
    assert own == area / "own" / "file"
    assert {path.parent for path in evil} <= {area}, (
        "an absolute name, and one that only looks coded, are names in the area"
    )
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 2**30]


def test_s30_nothing_that_a_minion_says_names_a_file(run_hostile: Any, tmp_path: Path, touched: Touched) -> None:
    """Keys of grains, functions, outputters, states, tags, versions and events: rows of a database at most."""
    name = f"../../{MARK}"
    tree = {name: {name: [name]}, f"/{MARK}": 1, f"{MARK}\0": 2}

    async def scenario(fleet: Any, bad: Any) -> None:
        await bad.ask("register", grains=pack_payload(tree), versions={name: name})
        await bad.ask("event", tag=name, data=pack_payload(tree))
        await bad.ask("call_return", fun=name, arg=pack_payload(tree), out=name, payload=pack_payload(tree))
        payload = pack_payload({"fun": "test.ping", "arg": [], "kwarg": {}})
        jid = (await fleet.call("publish", tgt="*", fun="test.ping", payload=payload))["jid"]
        progress = {"jid": jid, "kind": name, "data": pack_payload(tree)}
        bad.dealer.send(bad.session.request("progress", progress, one_way=True)[0])
        big = pack_payload({name: "x" * 600_000})
        for start in range(0, len(big), 500_000):
            part = big[start : start + 500_000]
            await bad.ask("return_chunk", jid=jid, offset=start, size=len(big), data=part)
        answer = await bad.ask("return", jid=jid, state="returned", fun=name, out=name, size=len(big), payload=b"")
        assert answer == {"stored": True}
        assert (await fleet.call("job.get", jid=jid))["states"] == {"hostile": "returned"}
        assert not [path for path in touched.paths if MARK in path]

    run_hostile(scenario)
    assert not [path for path in tmp_path.rglob("*") if MARK in path.name]
