"""The audit log: what is done to it is seen, and where."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctl.common.calls import Call
from ctl.common.database import Database
from ctl.common.errors import StorageError
from ctl.master import audit
from ctl.master.access import MIGRATIONS
from ctl.master.audit import AuditLog, Head, verify


@pytest.fixture
def open_log(tmp_path: Path) -> Iterator[Callable[[], AuditLog]]:
    """Open the log, anew each time: the master restarts."""
    opened: list[Any] = []

    def close() -> None:
        for one in reversed(opened):
            one.close()
        opened.clear()

    def make() -> AuditLog:
        close()
        opened.append(Database.open(tmp_path / "access.db", MIGRATIONS))
        log = AuditLog(
            tmp_path / "audit.log", opened[0], now_ms=lambda: 1_700_000_000_000, now=lambda: 5.0, random=os.urandom
        )
        opened.append(log)
        return log

    yield make
    close()


def fill(log: AuditLog, count: int = 9) -> Head:
    for number in range(count):
        log.record(uid=0, user="root", op="publish", fun=["test.ping"], outcome=f"allowed {number}")
    return log.head()


def test_records_follow_each_other_across_restarts(open_log: Any) -> None:
    log = open_log()
    fill(log)
    log = open_log()
    head = fill(log)
    assert verify(log.path, head) == {"valid": True, "records": 18, "hash": head.hash}
    assert oct(log.path.stat().st_mode & 0o777) == "0o600"
    lines = log.path.read_text().splitlines()
    assert [json.loads(line)["n"] for line in lines] == list(range(1, 19))


def edit(path: Path, change: Callable[[list[bytes]], Any]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))


def forge(lines: list[bytes]) -> None:
    """Change a record and give it a hash that fits."""
    before = json.loads(lines[2])["hash"]
    record = {key: value for key, value in json.loads(lines[3]).items() if key != "hash"}
    lines[3], _ = audit.encode({**record, "user": "nobody"}, before)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: lines.__setitem__(3, lines[3].replace(b"root", b"toor")), 4),
        (forge, 5),
        (lambda lines: lines.pop(3), 4),
        (lambda lines: lines.pop(0), 1),
        (lambda lines: lines.insert(3, lines[3]), 5),
        (lambda lines: lines.__setitem__(slice(3, 5), [lines[4], lines[3]]), 4),
        (lambda lines: lines.__setitem__(3, lines[3][: len(lines[3]) // 2] + b"\n"), 4),
        (lambda lines: lines.__setitem__(3, b"\n"), 4),
        (lambda lines: lines.__setitem__(3, b"[]\n"), 4),
        (lambda lines: lines.__setitem__(8, lines[8][:-5]), 9),
        (lambda lines: lines.pop(), 9),
        (lambda lines: lines.__delitem__(slice(4, None)), 5),
        (lambda lines: lines.clear(), 1),
    ],
)
def test_the_first_broken_link_is_named(open_log: Any, change: Any, line: int) -> None:
    log = open_log()
    head = fill(log)
    edit(log.path, change)
    found = verify(log.path, head)
    assert not found["valid"]
    assert found["line"] == line, found


def test_another_log_that_is_whole_in_itself_is_not_taken_for_this_one(open_log: Any) -> None:
    log = open_log()
    head = fill(log, 3)
    before, lines = audit.START, []
    for number in range(1, 4):
        line, before = audit.encode({"n": number, "user": "forged"}, before)
        lines.append(line)
    log.path.write_bytes(b"".join(lines))
    assert verify(log.path)["valid"]
    assert not verify(log.path, head)["valid"]


def test_a_torn_end_is_cut_off_at_the_start_and_said_so(open_log: Any) -> None:
    log = open_log()
    fill(log)
    with log.path.open("ab") as file:
        file.write(b'{"n":10,"time":"2026')
    log = open_log()
    head = fill(log, 1)
    assert verify(log.path, head)["valid"]
    assert "torn record of 20 bytes" in json.loads(log.path.read_text().splitlines()[9])["outcome"]


def test_a_power_failure_that_leaves_nothing_but_zeros_at_the_end(open_log: Any) -> None:
    log = open_log()
    fill(log)
    with log.path.open("ab") as file:
        file.write(bytes(200_000))
    log = open_log()
    assert verify(log.path, fill(log, 1))["valid"]


def test_records_that_are_gone_at_the_start_are_never_forgotten(open_log: Any) -> None:
    log = open_log()
    fill(log)
    edit(log.path, lambda lines: lines.__delitem__(slice(5, None)))
    log = open_log()
    head = fill(log, 3)
    found = verify(log.path, head)
    assert (found["valid"], found["line"]) == (False, 6)


def test_a_log_that_goes_further_than_was_kept_is_whole(open_log: Any) -> None:
    log = open_log()
    head = fill(log, 3)
    log.record(op="x")
    assert verify(log.path, head)["valid"]


def test_what_cannot_be_recorded_is_an_error_and_breaks_nothing(open_log: Any, monkeypatch: Any) -> None:
    log = open_log()
    fill(log, 2)
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if descriptor == log._descriptor:
            return real(descriptor, data[:7])
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageError, match="audit"):
        log.record(op="x")
    monkeypatch.setattr(os, "write", real)
    log.record(op="y")
    assert verify(log.path, log.head())["records"] == 3


def test_arguments_are_a_digest_that_nobody_else_can_make(open_log: Any) -> None:
    log = open_log()
    call = Call("user.present", ("bob",), {"password": "hunter2"})
    digest = log.digest([call])
    assert digest == log.digest([call])
    assert digest != log.digest([Call("user.present", ("bob",), {"password": "hunter3"})])
    assert digest == open_log().digest([call])


def test_refusals_without_end_do_not_fill_the_disk(open_log: Any) -> None:
    log = open_log()
    now = [0.0]
    log._now = lambda: now[0]
    for _ in range(1000):
        log.refuse(7, op="publish", outcome="refused")
    log.refuse(8, op="publish", outcome="refused")
    assert len(log.path.read_text().splitlines()) == audit.MAX_REFUSALS + 1
    now[0] += 61
    log.count_refusals()
    assert "940 more refusals" in log.path.read_text().splitlines()[-1]


def test_what_people_send_stays_on_one_line(open_log: Any) -> None:
    log = open_log()
    log.record(op="publish", tgt='x"},"hash":"0"}\n{"n":2,\u2028\x1b[31m')
    assert log.path.read_bytes().count(b"\n") == 1
    assert verify(log.path, log.head())["valid"]
