"""What one accepted minion may ask, and what is said about what is refused."""

from __future__ import annotations

import logging

import pytest

from ctl.common.payload import has_at_most
from ctl.common.wire import pack_payload
from ctl.master.quotas import BUSY_AT_ONCE, DEAR, MIB, Quota, Quotas
from ctl.master.refusals import LINES_AT_ONCE, Refusals


def test_requests_have_a_burst_and_then_a_rate_for_each_minion() -> None:
    quotas = Quotas(Quota(rate=10.0, burst=20.0))
    over = [quotas.over("a", "keepalive", 10, 0.0) for _ in range(25)]
    assert over[:20] == [""] * 20
    assert all("10 requests" in why for why in over[20:])
    assert quotas.over("b", "keepalive", 10, 0.0) == ""
    assert quotas.over("a", "keepalive", 10, 0.1) == ""


def test_bytes_count_too_and_one_large_return_fits() -> None:
    quotas = Quotas(Quota(mib=64.0))
    sent = 0
    while not quotas.over("a", "return_chunk", MIB, 0.0):
        sent += 1
    assert 64 < sent <= 129
    assert "64 MiB" in quotas.over("a", "return_chunk", MIB, 0.0)
    assert quotas.over("a", "return_chunk", MIB, 1.0) == ""


@pytest.mark.parametrize("method", DEAR)
def test_what_is_dear_has_a_limit_of_its_own(method: str) -> None:
    quotas = Quotas(Quota(rate=1e6, burst=1e6))
    rate, burst = DEAR[method]
    asked = 0
    while not quotas.over("a", method, 1, 0.0):
        asked += 1
    assert asked == burst
    assert quotas.over("a", "keepalive", 1, 0.0) == ""
    assert quotas.over("a", method, 1, 1.5 / rate) == ""


def test_who_does_not_heed_busy_is_told_apart_from_who_backs_off() -> None:
    quotas = Quotas(Quota())
    assert not any(quotas.ignores("patient", float(now)) for now in range(5000))
    refused = [quotas.ignores("rude", 0.0) for _ in range(int(BUSY_AT_ONCE) + 1)]
    assert refused == [False] * int(BUSY_AT_ONCE) + [True]


def test_what_is_kept_of_calls_is_bounded_over_an_hour() -> None:
    quotas = Quotas(Quota(call_mib=4.0))
    kept = 0
    while quotas.keeps_call("a", MIB, 0.0):
        kept += 1
    assert kept == 4
    assert not quotas.keeps_call("a", MIB, 0.0)
    assert quotas.keeps_call("a", MIB, 1800.0)


def test_what_is_large_once_it_is_unpacked_is_known_before() -> None:
    maps = b"\xdd" + (60_000).to_bytes(4, "big") + b"\x80" * 60_000
    assert not has_at_most(maps, 50_000)
    assert has_at_most(pack_payload({"a": [1, 2, {"b": None}]}), 10)
    assert not has_at_most(pack_payload({"a": list(range(100))}), 50)
    assert has_at_most(b"\xc1", 0)  # what does not decode is refused where it is decoded


def test_a_source_gets_one_line_a_minute_with_the_number(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals(logging.getLogger("ctl.test"), "a frame from %s is dropped")
    for number in range(1000):
        refusals.note("192.0.2.1", "it is wrong", number / 100)
    refusals.note("192.0.2.1", "it is wrong", 61.0)
    assert [record.getMessage() for record in caplog.records] == [
        "a frame from 192.0.2.1 is dropped: it is wrong",
        "a frame from 192.0.2.1 is dropped: it is wrong (and 999 times before, in silence)",
    ]
    assert refusals.count == 1001


def test_many_sources_fill_no_log(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals(logging.getLogger("ctl.test"), "a frame from %s is dropped")
    for number in range(10_000):
        refusals.note(f"2001:db8:{number:x}::/64", "it is wrong", 1.0)
    assert len(caplog.records) == LINES_AT_ONCE
