"""The small parts: addresses, trust, the master's clock, whose turn it is, what leaves a process."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from ctl.common import crypto
from ctl.common.errors import ConfigError, PinError, WireError
from ctl.common.publication import expected_slots
from ctl.common.wire import pack
from ctl.minion.addresses import Address, parse_address
from ctl.minion.channel import Backoff
from ctl.minion.clock import MasterClock
from ctl.minion.execute import Call, Outcome, pack_outcome, parse_calls
from ctl.minion.files import _clean
from ctl.minion.job import read_job
from ctl.minion.state_lock import StateLock
from ctl.minion.trust import Trust


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("ctl", Address("ctl", 4606), "ctl:4606"),
        ("host.example:5000", Address("host.example", 5000), "host.example:5000"),
        ("192.0.2.1", Address("192.0.2.1", 4606), "192.0.2.1:4606"),
        ("::1", Address("::1", 4606), "[::1]:4606"),
        ("[2001:db8::1]:5000", Address("2001:db8::1", 5000), "[2001:db8::1]:5000"),
    ],
)
def test_addresses(text: str, address: Address, shown: str) -> None:
    assert parse_address(text, 4606) == address
    assert str(address) == shown


@pytest.mark.parametrize("text", ["", "host:", "host:port", "host:0", "host:99999", ":4606"])
def test_what_is_no_address(text: str) -> None:
    if text == "host:":
        assert parse_address(text, 4606) == Address("host", 4606)
        return
    with pytest.raises(ConfigError, match="master"):
        parse_address(text, 4606)


KEYS = [crypto.IdentityKey.generate().public for _ in range(2)]
PRINTS = [crypto.fingerprint(crypto.MASTER, key) for key in KEYS]


def test_the_first_key_is_pinned_on_disk_and_another_is_refused(tmp_path: Path) -> None:
    trust = Trust(tmp_path)
    assert trust.pin("a:1") is None
    trust.checker("a:1")(KEYS[0], ())
    assert json.loads((tmp_path / "trust.json").read_text()) == {"masters": {"a:1": PRINTS[0]}}
    assert (tmp_path / "trust.json").stat().st_mode & 0o777 == 0o600
    again = Trust(tmp_path)
    assert again.pin("a:1") == PRINTS[0]
    with pytest.raises(PinError, match="not the pinned"):
        again.checker("a:1")(KEYS[1], ())
    assert again.pin("b:1") is None  # each master has its own pin


def test_a_configured_fingerprint_wins_and_nothing_is_pinned(tmp_path: Path) -> None:
    trust = Trust(tmp_path, fingerprint=PRINTS[0].rstrip("="))
    trust.checker("a:1")(KEYS[0], ())
    with pytest.raises(PinError):
        trust.checker("a:1")(KEYS[1], ())
    assert not (tmp_path / "trust.json").exists()


def test_without_trust_on_first_use_nobody_is_trusted(tmp_path: Path) -> None:
    with pytest.raises(PinError, match="no key is trusted yet"):
        Trust(tmp_path, tofu=False).checker("a:1")(KEYS[0], ())


def test_a_token_that_is_not_there_makes_nobody_trusted(tmp_path: Path) -> None:
    with pytest.raises(PinError, match="no enrolment token in"):
        Trust(tmp_path, token_file=tmp_path / "token").checker("a:1")(KEYS[0], ())
    assert not (tmp_path / "trust.json").exists()


def test_a_new_key_takes_the_place_of_the_pinned_one_and_a_reset_is_noticed(tmp_path: Path) -> None:
    trust, other = Trust(tmp_path), Trust(tmp_path)
    trust.checker("a:1")(KEYS[0], ())
    assert other.pin("a:1") == PRINTS[0]
    trust.checker("a:1")(KEYS[1], (b"a certificate that the handshake has verified",))
    assert (trust.pin("a:1"), trust.successor(PRINTS[0])) == (PRINTS[1], PRINTS[1])
    assert other.pin("a:1") == PRINTS[1]
    other.reset(["a:1", "b:2"], PRINTS[0])
    assert (trust.pin("a:1"), trust.pin("b:2")) == (PRINTS[0], PRINTS[0])
    assert trust.successor(PRINTS[0]) == PRINTS[0], "nothing follows a key that is trusted again"
    other.reset([])
    assert trust.pin("a:1") is None


def test_a_configured_fingerprint_that_the_master_left_behind_is_not_replaced(tmp_path: Path) -> None:
    trust = Trust(tmp_path, fingerprint=PRINTS[0])
    trust.checker("a:1")(KEYS[1], (b"a certificate",))
    assert trust.pin("a:1") == PRINTS[0]
    assert trust.masters() == {}
    assert trust.successor(PRINTS[0]) == PRINTS[1]


@pytest.mark.parametrize("text", ["{", "[]", '{"masters": {"a:1": "short"}}', '{"masters": 3}'])
def test_a_damaged_trust_file_stops_the_start(tmp_path: Path, text: str) -> None:
    (tmp_path / "trust.json").write_text(text)
    with pytest.raises(ConfigError, match="damaged"):
        Trust(tmp_path)


def test_a_fingerprint_that_is_none_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fingerprint"):
        Trust(tmp_path, fingerprint="abc")


def test_the_masters_clock_is_corrected_but_not_by_slow_answers() -> None:
    clock = MasterClock()
    assert clock.now_ms() == 0
    clock.sync(1_000_000, 0.01)
    assert abs(clock.now_ms() - 1_000_005) < 100
    clock.sync(998_000, 9.0)  # within what a slow answer can be wrong by
    assert abs(clock.now_ms() - 1_000_005) < 200
    clock.sync(2_000_000, 9.0)
    assert clock.now_ms() > 1_900_000


def test_pauses_grow_to_their_limit() -> None:
    backoff = Backoff(1.0, 8.0)
    pauses = [backoff.next() for _ in range(6)]
    assert all(low <= pause <= high for pause, low, high in zip(pauses, (0.5, 1, 2, 4, 4, 4), (1, 2, 4, 8, 8, 8)))  # noqa: B905
    backoff.reset()
    assert backoff.next() <= 1.0


def test_one_state_run_at_a_time_in_the_order_of_asking(tmp_path: Path) -> None:
    async def main() -> None:
        lock, other = StateLock(tmp_path), StateLock(tmp_path)  # as two processes would have it
        assert await lock.take("1", {"jid": "1"}, False, False) is None
        assert await lock.take("1", {"jid": "1"}, False, False) is None  # a run inside a run
        assert await lock.take("2", {"jid": "2"}, False, False) == {"jid": "1"}
        assert await other.take("3", {"jid": "3"}, False, False) == {"jid": "1"}
        assert await other.take("3", {"jid": "3"}, False, True) is None  # concurrent
        queued = [asyncio.ensure_future(lock.take(str(n), {"jid": str(n)}, True, False)) for n in (4, 5)]
        await asyncio.sleep(0.05)
        assert await lock.take("6", {"jid": "6"}, 2, False) == {"jid": "1"}  # the queue has its most
        await lock.release("1")
        assert await queued[0] is None
        assert not queued[1].done()
        await lock.release("4")
        assert await queued[1] is None
        lock.close()
        assert await other.take("3", {"jid": "3"}, True, False) is None
        other.close()

    asyncio.run(main())


def test_calls_of_a_payload() -> None:
    assert parse_calls({"fun": "a.b", "arg": [1, {"__kwarg__": True, "x": 2}], "kwarg": {"y": 3}}) == [
        Call("a.b", [1], {"x": 2, "y": 3})
    ]
    assert parse_calls({"fun": ["a.b", "c.d"], "arg": [[1]], "kwarg": {}}) == [
        Call("a.b", [1], {}),
        Call("c.d", [], {}),
    ]


def test_a_return_over_the_limit_is_cut_marked_and_no_success() -> None:
    payload, outcome, cut = pack_outcome(Outcome({"key": "x" * 5000}), 2000)
    assert cut
    assert len(payload) <= 2000
    assert (outcome.success, outcome.retcode) == (False, 1)
    assert outcome.value.startswith("{'key': 'xxx")
    assert "return_max_bytes is 2000" in outcome.value
    assert pack_outcome(Outcome("short"), 2000)[2] is False


def _body(**changes: object) -> bytes:
    fields = {
        "v": 1,
        "jid": "2" * 20,
        "log_off": 1,
        "tgt": "*",
        "tgt_type": "glob",
        "delimiter": ":",
        "slots": expected_slots([0, 9]),
        "epoch": b"e" * 8,
        "expires_ms": 1,
        "timeout": 0,
        "user": "root",
        "metadata": None,
        "progress": False,
        "payload": b"",
    }
    return pack({key: value for key, value in (fields | changes).items() if value is not ...})


def test_a_job_is_read_and_checked() -> None:
    job = read_job(_body(tgt=["a", "b"], tgt_type="list"), b"m")
    assert (job.tgt, job.expects(9), job.expects(8)) == (("a", "b"), True, False)
    assert job.live_terms() == frozenset()
    assert read_job(_body(tgt="G@a:b or S@192.0.2.0/24", tgt_type="compound"), b"m").live_terms() == {
        "grains",
        "addresses",
    }


@pytest.mark.parametrize(
    "changes",
    [{"v": 2}, {"jid": "1"}, {"jid": "../" + "2" * 17}, {"payload": ...}, {"log_off": True}, {"timeout": "x"}],
)
def test_what_is_no_job(changes: dict[str, object]) -> None:
    with pytest.raises(WireError):
        read_job(_body(**changes), b"m")


def test_the_file_cache_loses_what_was_used_longest_ago(tmp_path: Path) -> None:
    import os
    import time

    for number in range(4):
        path = tmp_path / "ab" / f"file{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 100)
        used = time.time() - 10_000 + number if number < 3 else time.time()
        os.utime(path, (used, used))
    assert _clean(tmp_path, 1000) == 0
    assert _clean(tmp_path, 250) == 2
    assert sorted(path.name for path in (tmp_path / "ab").iterdir()) == ["file2", "file3"]
    assert _clean(tmp_path, 0, 0.0) == 2
