"""Broken networks between two hosts (F19, F20): jobs are accounted for, none begins twice, and all is back soon.

Heartbeats and keepalives are a tenth of what they are in service; so are the times that things may take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctl.tests.network.hosts import MINION, Hosts, missing, pause

WHY_NOT = missing()
NO_NETEM = missing(netem=True)
pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT), pytest.mark.timeout(180)]
SEEN_SECONDS = 15.0
BACK_SECONDS = 40.0


@pytest.fixture
def hosts(tmp_path: Path, wait_until: Callable[..., None]) -> Iterator[Hosts]:
    with Hosts(tmp_path) as made:
        wait_until(made.connected, 40, "the minion to connect")
        yield made


def _runs_once(hosts: Hosts, jids: list[str], wait_until: Callable[..., None]) -> None:
    for jid in jids:
        wait_until(lambda jid=jid: hosts.state(jid) == "returned", BACK_SECONDS, f"job {jid} to return")
    starts = hosts.starts()
    assert sorted(starts) == sorted(set(starts)), "a job began twice"
    assert len(starts) == len(jids)


@pytest.mark.parametrize("lost", [("master", MINION), ("master",), (MINION,)], ids=["both ways", "down", "up"])
def test_f19_a_partition(lost: tuple[str, ...], hosts: Hosts, wait_until: Callable[..., None]) -> None:
    running = hosts.ask(seconds=2.0)
    wait_until(hosts.starts, 20, "the job to begin")
    hosts.lose(*lost)
    meanwhile = hosts.ask()
    wait_until(lambda: not hosts.connected(), SEEN_SECONDS, "the master to see that the minion is gone")
    hosts.mend()
    wait_until(hosts.connected, BACK_SECONDS, "the minion to be connected again")
    _runs_once(hosts, [running, meanwhile, hosts.ask()], wait_until)


def test_f19_a_flapping_network(hosts: Hosts, wait_until: Callable[..., None]) -> None:
    jids = []
    for _ in range(3):
        hosts.lose("master", MINION)
        jids.append(hosts.ask())
        pause(0.5)
        hosts.mend()
        jids.append(hosts.ask())
        pause(0.5)
    _runs_once(hosts, jids, wait_until)


def test_f20_a_host_whose_address_changes_goes_on_with_its_session(
    hosts: Hosts, wait_until: Callable[..., None]
) -> None:
    first = hosts.ask(seconds=1.0)
    wait_until(hosts.starts, 20, "the job to begin")
    hosts.move("10.213.0.77")  # it may be back before the master has given up the old address
    wait_until(hosts.connected, BACK_SECONDS, "the minion to be connected from its new address")
    _runs_once(hosts, [first, hosts.ask()], wait_until)
    assert hosts.sessions() == 1


@pytest.mark.skipif(bool(NO_NETEM), reason=NO_NETEM)
@pytest.mark.parametrize(
    "how",
    [
        ("loss", "30%"),
        ("delay", "500ms", "200ms"),
        ("delay", "50ms", "reorder", "25%", "duplicate", "10%"),
    ],
    ids=["loss", "delay", "reordered and doubled"],
)
def test_f19_a_bad_network(how: tuple[str, ...], hosts: Hosts, wait_until: Callable[..., None]) -> None:
    hosts.impair(*how)
    _runs_once(hosts, [hosts.ask() for _ in range(5)], wait_until)
