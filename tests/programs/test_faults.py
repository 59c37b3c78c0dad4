"""What breaks: a killed minion, a killed master, a cut network. Every job ends in a stated state, each return once."""

from __future__ import annotations

import importlib.util
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TARGETS = [
    (["web*"], ["web0", "web1", "web2", "web3", "web4"]),
    (["-E", "(web|db)[01]$"], ["db0", "db1", "web0", "web1"]),
    (["-L", "web1,db2"], ["db2", "web1"]),
    (["-G", "role:db"], ["db0", "db1", "db2", "db3", "db4"]),
    (["-P", "rack:(r0|r1)$"], ["db0", "db1", "web0", "web1"]),
    (["-I", "tier:front"], ["web0", "web1", "web2", "web3", "web4"]),
    (["-J", "tier:b.*"], ["db0", "db1", "db2", "db3", "db4"]),
    (["-N", "edge"], ["db4", "web0"]),
    (["-C", "G@role:web and not web3 or db0"], ["db0", "web0", "web1", "web2", "web4"]),
    (["-C", "( I@tier:front or N@edge ) and not E@web[1-4]"], ["db4", "web0"]),
    (["-G", "--delimiter", "|", "place|floor|3"], ["db3", "web3"]),
]
ALL = sorted([f"{kind}{n}" for kind in ("web", "db") for n in range(5)])


def _load_proxy() -> ModuleType:
    path = Path(__file__).with_name("proxy.py")
    spec = importlib.util.spec_from_file_location("fault_proxy", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _returns(fleet: Any, *words: str) -> tuple[dict[str, Any], int]:
    done = fleet.run("ctl", *words, "--out", "json", "--static")
    return (json.loads(done.stdout) if done.stdout.strip() else {}), done.returncode


def _settings(name: str) -> dict[str, Any]:
    kind, number = name[:-1], int(name[-1])
    return {"grains": {"role": kind, "rack": f"r{number}", "place": {"floor": number}}}


def test_ten_minions_every_target_and_one_killed(make_fleet: Callable[..., Any]) -> None:
    fleet = make_fleet(
        ALL,
        settings=_settings,
        pillar={"top.sls": "base:\n  'web*':\n    - front\n  'db*':\n    - back\n", "front.sls": "tier: front\n",
                "back.sls": "tier: back\n"},
        master={"nodegroups": {"edge": "web0 or L@db4"}},
    )  # fmt: skip
    fleet.start()
    assert _returns(fleet, "*", "test.ping") == (dict.fromkeys(ALL, True), 0)
    _returns(fleet, "*", "saltutil.refresh_pillar")
    for words, wanted in TARGETS:
        returned, code = _returns(fleet, *words, "test.ping")
        assert (sorted(returned), code) == (wanted, 0), words
    address, code = _returns(fleet, "-S", "127.0.0.0/8", "test.ping")
    assert code == (0 if address else 2)
    wrong = fleet.run("ctl", "-C", "web* annd db*", "test.ping")
    assert wrong.returncode == 2
    assert "^" in wrong.stderr
    preview = fleet.run("ctl", "--preview-target", "-G", "role:db", "--out", "json")
    assert set(json.loads(preview.stdout)) == {f"db{n}" for n in range(5)}

    fleet.minions["db2"].stop(signal.SIGKILL)
    started = time.monotonic()
    done = fleet.run("ctl", "*", "test.ping", "--out", "json", "--static")
    took = time.monotonic() - started
    returned = json.loads(done.stdout)
    assert done.returncode == 1
    assert returned.pop("db2") == "Minion did not return. [Not connected]"
    assert returned == {name: True for name in ALL if name != "db2"}
    assert took < 1.0, f"it took {took:.2f} s"


def test_a_minion_killed_in_mid_job_says_so_when_it_is_back(
    make_fleet: Callable[..., Any], wait_until: Callable[..., None], tmp_path: Path
) -> None:
    fleet = make_fleet(["m1"])
    fleet.start()
    mark = tmp_path / "mark"
    jid = _publish(fleet, "m1", "cmd.run", f"echo run >> {mark}; sleep 60")
    wait_until(mark.exists, 10, "the job to start")
    fleet.minions["m1"].stop(signal.SIGKILL)
    fleet.minions["m1"].start()
    wait_until(lambda: _state(fleet, jid, "m1") == "interrupted", 20, "the job to end as interrupted")
    assert mark.read_text() == "run\n"


def _publish(fleet: Any, *words: str) -> str:
    done = fleet.run("ctl", "--async", *words)
    assert done.returncode == 0, done.stderr
    jid = done.stdout.strip().split()[-1]
    assert len(jid) == 20
    return str(jid)


def _job(fleet: Any, jid: str) -> dict[str, Any]:
    done = fleet.run("ctl-run", "jobs.list_job", jid, "--out", "json")
    loaded: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    return loaded


def _state(fleet: Any, jid: str, name: str) -> str:
    return str(_job(fleet, jid).get("States", {}).get(name))


def test_a_master_killed_while_returns_arrive_loses_nothing(
    make_fleet: Callable[..., Any], wait_until: Callable[..., None], tmp_path: Path
) -> None:
    names = [f"m{n}" for n in range(4)]
    fleet = make_fleet(names)
    fleet.start()
    runs = tmp_path / "runs"
    jids: list[str] = []
    stop = threading.Event()

    def publish() -> None:
        while not stop.is_set():
            done = fleet.run("ctl", "--async", "*", "cmd.run", f"echo $((RANDOM)) >> {runs}/$$; sleep 0.2; echo done")
            if done.returncode == 0:
                jids.append(done.stdout.strip().split()[-1])

    runs.mkdir()
    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        for _ in range(3):
            count = len(jids)
            wait_until(lambda wanted=count + 5: len(jids) >= wanted, 20, "jobs to be published")
            fleet.master.stop(signal.SIGKILL)
            fleet.master.start()
            fleet.wait_for_master()
    finally:
        stop.set()
        publisher.join()
    fleet.wait_connected(names)
    ended = {"returned", "failed", "interrupted", "refused", "not delivered"}

    def all_ended() -> bool:
        return all(set(_job(fleet, jid).get("States", {}).values()) <= ended for jid in jids)

    wait_until(all_ended, 75, "every job to end")
    returned = 0
    for jid in jids:
        job = _job(fleet, jid)
        assert set(job["States"]) == set(names), job
        returned += sum(state == "returned" for state in job["States"].values())
        assert {name for name, state in job["States"].items() if state == "returned"} == set(job["Result"])
    # each run of the command left one file, and each file has one line: nothing ran twice
    files = list(runs.iterdir())
    assert len(files) >= returned > 0
    assert len(files) <= len(names) * len(jids)


@pytest.fixture
def network(make_fleet: Callable[..., Any]) -> Iterator[tuple[Any, Any]]:
    fleet = make_fleet(["m1", "m2"], settings=lambda name: {"master": "127.0.0.2"} if name == "m1" else {})
    with _load_proxy().Proxy([fleet.publish_port, fleet.request_port]) as proxy:
        fleet.start()
        yield fleet, proxy
        fleet.stop()


@pytest.mark.parametrize("how", ["cut", "hold"])
def test_a_job_published_while_the_network_is_gone_runs_once_when_it_is_back(
    network: tuple[Any, Any], wait_until: Callable[..., None], tmp_path: Path, how: str
) -> None:
    fleet, proxy = network
    mark = tmp_path / "mark"
    getattr(proxy, how)()
    jid = _publish(fleet, "*", "cmd.run", f"echo $CTL_NAME run >> {mark}; echo ok")
    wait_until(mark.exists, 10, "the connected minion to run it")
    gone_until = time.monotonic() + 10
    wait_until(lambda: time.monotonic() > gone_until, 15, "ten seconds to pass")
    assert len(mark.read_text().splitlines()) == 1
    proxy.mend()
    wait_until(lambda: _state(fleet, jid, "m1") == "returned", 40, "the job to run on the minion that is back")
    assert len(mark.read_text().splitlines()) == 2
    assert _returns(fleet, "*", "test.ping") == ({"m1": True, "m2": True}, 0)
    assert len(mark.read_text().splitlines()) == 2
