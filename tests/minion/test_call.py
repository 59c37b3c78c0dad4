"""`ctl-call` as people run it, without a master; and `call()` as programs use it, with one."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.common import wire
from ctl.common.config import MinionConfig
from ctl.common.errors import MasterUnavailable
from ctl.minion.call import call

from .conftest import FakeMaster

PROGRAM = Path(sys.executable).parent / "ctl-call"
Make = Callable[..., MinionConfig]


@pytest.fixture
def run(tmp_path: Path, probe_dir: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ctl-call with a configuration below the test's directory."""
    config = tmp_path / "etc"
    config.mkdir()
    (config / "minion").write_text(
        f"id: caller\nroot_dir: {tmp_path}/root\nfile_roots:\n  base: [{tmp_path}/srv]\n"
        f"pillar_roots:\n  base: [{tmp_path}/pillar]\n"
    )

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, "-c", config, "-m", probe_dir, *words], capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_a_local_call_prints_under_local(run: Any) -> None:
    done = run("--local", "probe.ping", "--out", "json")
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, {"local": True}, "")


def test_words_become_arguments(run: Any) -> None:
    done = run("--local", "--out=json", "probe.echo", "1", "two", "key=[3, 4]", "text='5'")
    assert json.loads(done.stdout)["local"] == {"args": [1, "two"], "kwargs": {"key": [3, 4], "text": "5"}}


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["probe.fail"], 1, "ValueError: no such thing"),
        (["probe.code", "7"], 1, "done"),
        (["--retcode-passthrough", "probe.code", "7"], 7, "done"),
        (["probe.pong"], 255, "is not available"),
    ],
)
def test_exit_codes(run: Any, words: list[str], code: int, part: str) -> None:
    done = run("--local", *words)
    assert done.returncode == code
    assert part in done.stdout


def test_mistakes_are_one_line(run: Any, tmp_path: Path) -> None:
    done = run("--local")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("ctl-call: there is no function to run")
    (tmp_path / "etc" / "minion").write_text("id: caller\nmastre: here\n")
    done = run("--local", "probe.ping")
    assert done.returncode == 2
    assert "minion:2" in done.stderr
    assert done.stderr.count("\n") == 1


def test_pillar_and_files_come_from_this_machine(run: Any, tmp_path: Path) -> None:
    for name, text in {
        "pillar/top.sls": "base:\n  '*':\n    - data\n",
        "pillar/data.sls": "role: {{ grains['id'] }}\n",
        "srv/hello.txt": "hello\n",
        "srv/_modules/mine.py": "def hello():\n    return 'from the tree'\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert json.loads(run("--local", "--out=json", "pillar.get", "role").stdout) == {"local": "caller"}
    assert json.loads(run("--local", "--out=json", "cp.get_file_str", "salt://hello.txt").stdout) == {
        "local": "hello\n"
    }
    synced = json.loads(run("--local", "--out=json", "saltutil.sync_all").stdout)["local"]
    assert (synced["modules"], synced["states"]) == (["modules.mine"], [])
    assert json.loads(run("--local", "--out=json", "mine.hello").stdout) == {"local": "from the tree"}
    assert json.loads(run("--local", "--out=json", "saltutil.sync_modules").stdout) == {"local": []}
    (tmp_path / "srv/_modules/mine.py").unlink()
    run("--local", "saltutil.sync_modules")
    assert run("--local", "mine.hello").returncode == 255
    other = tmp_path / "other"
    other.mkdir()
    (other / "hello.txt").write_text("other\n")
    done = run("--local", "--out=json", "--file-root", str(other), "cp.get_file_str", "salt://hello.txt")
    assert json.loads(done.stdout) == {"local": "other\n"}


def test_the_return_goes_to_a_returner(run: Any, tmp_path: Path) -> None:
    returners = tmp_path / "root/var/cache/ctl/minion/extmods/returners"
    returners.mkdir(parents=True)
    (returners / "file_ret.py").write_text(
        "import json\n\n\ndef returner(ret):\n    json.dump(ret, open(__opts__['file_ret.path'], 'w'))\n"
    )
    with (tmp_path / "etc" / "minion").open("a") as file:
        file.write(f"file_ret.path: {tmp_path}/returned\n")
    done = run("--local", "--out=json", "--return", "absent,file_ret", "probe.echo", "1", "key=2")
    assert (done.returncode, json.loads(done.stdout)["local"]["args"]) == (0, [1])
    assert "the returner absent was not called" in done.stderr
    found = json.loads((tmp_path / "returned").read_text())
    assert len(found.pop("jid")) == 20
    assert found == {
        "id": "caller",
        "fun": "probe.echo",
        "fun_args": [1, {"key": 2}],
        "return": {"args": [1], "kwargs": {"key": 2}},
        "retcode": 0,
        "success": True,
    }


def test_grains_and_manuals(run: Any) -> None:
    assert json.loads(run("--local", "-g", "--out=json").stdout)["local"]["id"] == "caller"
    assert json.loads(run("--local", "--id", "other", "-g", "--out=json").stdout)["local"]["id"] == "other"
    assert "sys.doc" in run("--local", "-d", "sys.doc").stdout


def test_the_return_can_go_to_a_file(run: Any, tmp_path: Path) -> None:
    done = run("--local", "probe.ping", "--out=json", "--out-file", str(tmp_path / "out"))
    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads((tmp_path / "out").read_text()) == {"local": True}


def test_a_call_through_the_master(make_config: Make) -> None:
    async def main() -> None:
        async with FakeMaster() as master:
            config = make_config(master=[master.address])
            master.answers["call_return"] = {"jid": "20260101000000000001"}
            found = await asyncio.to_thread(call, config, "probe.pillar")
            assert found == {"return": {"role": "web"}, "retcode": 0, "success": True, "out": ""}
            assert master.claim.kind == "call"
            grains = wire.unpack_payload(master.calls("pillar")[0]["grains"])
            assert grains["id"] == "m1"
            stored = master.calls("call_return")[0]
            assert (stored["fun"], wire.unpack_payload(stored["payload"])) == ("probe.pillar", {"role": "web"})
            found = await asyncio.to_thread(call, config, "probe.pid", whole_process=False)
            assert found["return"] == os.getpid()

    asyncio.run(main())


def test_a_call_without_a_master_says_so(make_config: Make) -> None:
    config = make_config(master=["127.0.0.1:1"])
    with pytest.raises(MasterUnavailable, match=r"no session with the master 127\.0\.0\.1:1 within 0\.3 s"):
        call(config, "probe.ping", timeout=0.3)
    assert call(config, "probe.ping", local=True)["return"] is True
