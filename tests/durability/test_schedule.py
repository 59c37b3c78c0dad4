"""A schedule comes from its seed alone, and stays within its time."""

from __future__ import annotations

from ctl.tests.durability.schedule import KINDS, make

MINIONS = ("m0", "m1")


def test_a_seed_gives_the_same_schedule_each_time() -> None:
    assert make(7, 10.0, MINIONS) == make(7, 10.0, MINIONS)
    assert len({make(seed, 10.0, MINIONS).faults for seed in range(50)}) == 50


def test_every_kind_of_fault_is_drawn_and_all_are_over_in_time() -> None:
    faults = [fault for seed in range(300) for fault in make(seed, 10.0, MINIONS).faults]
    assert {fault.kind for fault in faults} == set(KINDS)
    assert all(0 <= fault.at <= fault.at + fault.seconds <= 10.0 for fault in faults)
    assert {fault.target for fault in faults} == {"m0", "m1", "master", "client"}


def test_kinds_can_be_chosen() -> None:
    assert {fault.kind for fault in make(1, 60.0, MINIONS, ["cut", "hold"]).faults} == {"cut", "hold"}
