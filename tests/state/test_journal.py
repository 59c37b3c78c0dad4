"""What is left of a run that is killed, and of the last run."""

from __future__ import annotations

from typing import Any

import pytest

from ctl.common.state import journal
from ctl.common.state.journal import INTERRUPTED_TAG, Journal


def test_a_finished_run_is_the_last_one(minion: Any) -> None:
    minion.apply("a: probe.changed\nb: probe.failed")
    record = journal.read(minion.data)
    assert record is not None
    assert [(tag, ret["result"]) for tag, ret in record.results.items()] == [
        ("probe_|-a_|-a_|-changed", True),
        ("probe_|-b_|-b_|-failed", False),
    ]
    assert record.total == 2
    assert [path.name for path in (minion.data / "minion" / "runs").iterdir()] == ["last.jsonl"]


def test_a_killed_run_tells_what_it_had_done(minion: Any) -> None:
    minion.context.jid = "20260101000000000001"
    runs = minion.data / "minion" / "runs"
    half: dict[str, Any] = {}

    def look(name: str) -> dict[str, Any]:
        with (runs / f"{minion.context.jid}.jsonl").open("a") as file:
            file.write('["torn')
        half.update(journal.interrupted(minion.data, minion.context.jid, "the process was killed") or {})
        return {"name": name, "result": True, "changes": {}, "comment": ""}

    minion.states(
        demo__look=look, probe__changed=lambda name: {"name": name, "result": True, "changes": {"x": 1}, "comment": ""}
    )
    minion.apply("a: probe.changed\nb: demo.look\nc: probe.changed")
    assert list(half) == ["probe_|-a_|-a_|-changed", INTERRUPTED_TAG]
    assert half["probe_|-a_|-a_|-changed"]["changes"] == {"x": 1}
    assert half[INTERRUPTED_TAG]["result"] is False
    assert (
        half[INTERRUPTED_TAG]["comment"]
        == "The run was interrupted: the process was killed. 1 of 3 states had finished."
    )


def test_no_run_was_under_way(minion: Any) -> None:
    assert journal.interrupted(minion.data, "20260101000000000001", "killed") is None
    assert journal.read(minion.data) is None


def test_what_is_very_long_is_cut(minion: Any) -> None:
    kept = Journal(minion.data, "1", 1)
    kept.add("t", {"changes": {"diff": "x" * 100_000}, "comment": "y" * 100_000, "result": True})
    kept.close()
    record = journal.read(minion.data)
    assert record is not None
    assert record.results["t"]["changes"] == {"diff": "…"}
    assert len(record.results["t"]["comment"]) == 2000


def test_a_directory_that_cannot_be_written_is_no_reason_to_fail(minion: Any) -> None:
    minion.data.write_text("in the way")
    assert minion.apply("a: probe.changed")["a"]["result"] is True


def test_a_dry_run_keeps_no_journal(minion: Any) -> None:
    minion.apply("a: probe.changed", test=True)
    assert not minion.data.exists()


def test_a_run_within_a_run_is_part_of_it(minion: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    minion.write(inner="x: probe.changed")

    def nested(name: str) -> dict[str, Any]:
        found = minion.context.call("state.sls", "inner")
        return {"name": name, "result": True, "changes": {}, "comment": str(len(found))}

    minion.context.states = {
        "demo.nested": nested,
        **{f"probe.{n}": minion.context.states[f"probe.{n}"] for n in ("nop", "changed")},
    }
    minion.apply("a: demo.nested\nb: probe.nop")
    record = journal.read(minion.data)
    assert record is not None
    assert list(record.results) == ["demo_|-a_|-a_|-nested", "probe_|-b_|-b_|-nop"]


def test_what_refers_to_itself_is_shortened(minion: Any) -> None:
    changes: dict[str, Any] = {}
    changes["me"] = changes
    kept = Journal(minion.data, "1", 1)
    kept.add("t", {"changes": changes, "comment": "", "result": True})
    kept.close()
    record = journal.read(minion.data)
    assert record is not None
    assert record.results["t"]["changes"] == {"me": "…"}
