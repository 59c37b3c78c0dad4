"""What minions push and clients stage: only where it may go, only as much as may be."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from ctl.common.config import MasterConfig
from ctl.common.errors import CtlError, FileServerError, RequestRefused
from ctl.master.transfers import STAGED_SECONDS, Pushed, Staged


def config(root: Path, **settings: Any) -> MasterConfig:
    return MasterConfig.from_mapping({"root_dir": str(root), "file_recv": True, **settings})


@pytest.fixture
def area(tmp_path: Path) -> Path:
    return tmp_path / "var/cache/ctl/master/minions"


def push(pushed: Pushed, minion: str, name: str, content: bytes, step: int = 4) -> None:
    async def work() -> None:
        offset = 0
        while True:
            data = content[offset : offset + step]
            reply = await pushed.add(minion, name, offset, len(content), data, 1.0)
            offset = reply["received"]
            if offset == len(content):
                return

    asyncio.run(work())


def files_below(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}


def test_pushing_is_off_by_default(tmp_path: Path) -> None:
    assert MasterConfig.from_mapping({}).file_recv is False
    with pytest.raises(RequestRefused, match="file_recv"):
        push(Pushed(config(tmp_path, file_recv=False)), "a", "/x", b"y")


def test_a_file_appears_whole_in_its_minions_area(tmp_path: Path, area: Path) -> None:
    pushed = Pushed(config(tmp_path))
    push(pushed, "a", "/var/log/x", b"content")
    push(pushed, "a", "/empty", b"")
    push(pushed, "b", "/var/log/x", b"other")
    push(pushed, "a", "/var/log/x", b"again!!")
    assert (area / "a/files/var/log/x").read_bytes() == b"again!!"
    assert (area / "b/files/var/log/x").read_bytes() == b"other"
    assert files_below(area) == {"a/files/var/log/x", "a/files/empty", "b/files/var/log/x"}


@pytest.mark.parametrize("name", ["../b/files/x", "/../x", "a/../../x", "", "/", "a\0b", "x" * 2000, "..\\x"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, area: Path, name: str) -> None:
    with pytest.raises(FileServerError):
        push(Pushed(config(tmp_path)), "a", name, b"x")
    assert not area.exists() or files_below(area) == set()


def test_a_link_in_the_area_is_not_followed_out_of_it(tmp_path: Path, area: Path) -> None:
    (area / "a/files").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (area / "a/files/link").symlink_to(tmp_path / "outside")
    with pytest.raises(CtlError):
        push(Pushed(config(tmp_path)), "a", "link/x", b"x")
    assert os.listdir(tmp_path / "outside") == []


def test_offsets_cannot_make_holes(tmp_path: Path, area: Path) -> None:
    pushed = Pushed(config(tmp_path))

    async def work() -> None:
        await pushed.add("a", "x", 0, 8, b"1234", 1.0)
        for offset in (5, 1 << 40):
            with pytest.raises(RequestRefused):
                await pushed.add("a", "x", offset, 8, b"5678", 1.0)
        with pytest.raises(RequestRefused):
            await pushed.add("a", "x", 4, 8, b"56789", 1.0)
        assert await pushed.add("a", "x", 0, 8, b"1234", 1.0) == {"received": 4}
        assert await pushed.add("a", "x", 4, 8, b"5678", 1.0) == {"received": 8}
        # the answer to the last chunk was lost: it comes again
        assert await pushed.add("a", "x", 4, 8, b"5678", 1.0) == {"received": 8}

    asyncio.run(work())
    assert (area / "a/files/x").read_bytes() == b"12345678"


def test_sizes_and_quota(tmp_path: Path) -> None:
    pushed = Pushed(config(tmp_path, file_recv_max_size=0.001, file_recv_quota=0.002))
    with pytest.raises(RequestRefused, match="at most"):
        push(pushed, "a", "x", b"x" * 1100, 2000)
    push(pushed, "a", "x", b"x" * 1000, 2000)
    push(pushed, "a", "x", b"y" * 1000, 2000)
    push(pushed, "a", "y", b"x" * 1000, 2000)
    with pytest.raises(RequestRefused, match="quota"):
        push(pushed, "a", "z", b"x" * 1000, 2000)
    push(pushed, "b", "z", b"x" * 1000, 2000)

    async def race() -> list[Any]:
        begin = [pushed.add("c", f"f{n}", 0, 1000, b"x", 1.0) for n in range(4)]
        return list(await asyncio.gather(*begin, return_exceptions=True))

    assert sum(isinstance(found, RequestRefused) for found in asyncio.run(race())) == 2


def test_what_is_not_finished_goes_away(tmp_path: Path, area: Path) -> None:
    pushed = Pushed(config(tmp_path))
    asyncio.run(pushed.add("a", "x", 0, 8, b"1234", 1.0))
    assert len(files_below(area)) == 1
    pushed.expire(10_000.0)
    assert files_below(area) == set()
    asyncio.run(pushed.add("a", "x", 0, 8, b"1234", 1.0))
    Pushed(config(tmp_path)).prepare()
    assert files_below(area) == set()


def test_staged_files_are_fetched_by_their_handle_only(tmp_path: Path) -> None:
    staged = Staged(config(tmp_path))
    staged.prepare()

    async def work() -> None:
        first = await staged.add(0, b"", 0, 6, b"abc", 1.0)
        handle = first["handle"]
        assert first["digest"] == b""
        with pytest.raises(RequestRefused):
            await staged.chunk(handle, 0, 3, 1.0)
        with pytest.raises(RequestRefused):
            await staged.add(1000, handle, 3, 6, b"def", 1.0)
        last = await staged.add(0, handle, 3, 6, b"def", 1.0)
        assert last["digest"] == hashlib.sha256(b"abcdef").digest()
        assert await staged.chunk(handle, 2, 3, 1.0) == b"cde"
        for wrong in (b"", bytes(16), handle[:-1]):
            with pytest.raises(RequestRefused):
                await staged.chunk(wrong, 0, 3, 1.0)
        staged.remove(1000, handle)
        assert await staged.chunk(handle, 0, 3, 2.0) == b"abc"
        staged.expire(2.0 + STAGED_SECONDS + 1)
        with pytest.raises(RequestRefused):
            await staged.chunk(handle, 0, 3, 1.0)

    asyncio.run(work())
    assert files_below(tmp_path / "var/cache/ctl/master/staged") == set()
