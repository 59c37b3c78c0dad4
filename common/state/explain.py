"""Why a state runs or does not: what each of its requisites and conditions comes to, in sentences.

A dry run tells what would be; the journal of the last run tells what was.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..context import Context
from . import conditions, status
from .journal import Record
from .low import Chunk
from .requisites import Node, Program
from .runtime import Runtime

Return = Mapping[str, Any]


class Explainer:
    """Explains states of one compiled program."""

    def __init__(self, context: Context, program: Program, last: Record | None) -> None:
        self._context = context
        self._program = program
        self._last = last

    def explain(self, selected: Program, id_: str) -> dict[str, dict[str, Any]]:
        """Make a dry run of `selected`, and return what there is to say of each state of an ID, by its return's key."""
        runtime = Runtime(self._context, selected)
        runtime.run()
        nodes = [node for node in selected.nodes if node.chunk.id == id_ and not node.check]
        return {node.tag: self._one(node, runtime) for node in nodes}

    def _one(self, node: Node, runtime: Runtime) -> dict[str, Any]:
        chunk = node.chunk
        ret = runtime.results.get(node.tag)
        decision = runtime.decisions.get(node.tag, "")
        found: dict[str, Any] = {
            "function": chunk.function,
            "source": str(chunk.place) if chunk.place else chunk.sls,
            "order": chunk.low.get("order"),
            "verdict": _verdict(decision, ret),
            "requisites": [_requisite(kind, before, runtime) for kind, before in node.before],
            "conditions": self._conditions(chunk, decision),
            "listens_to": self._heard(chunk),
        }
        due = runtime.due(chunk)
        if due:
            found["pending"] = due
        if ret is not None:
            found["dry_run"] = {key: ret[key] for key in ("result", "comment", "changes")}
        found["last_run"] = self._last_run(node.tag)
        return {key: value for key, value in found.items() if value not in ([], None)}

    def _conditions(self, chunk: Chunk, decision: str) -> list[str]:
        if decision in ("", "fail") or decision in status.LEFT_OUT:
            return []
        return [f"{kind} {what}: {_WORDS[holds]}" for kind, what, holds in conditions.each(self._context, chunk.low)]

    def _heard(self, chunk: Chunk) -> list[str]:
        return [_name(other) for listening, heard in self._program.listeners if listening is chunk for other in heard]

    def _last_run(self, tag: str) -> dict[str, Any] | None:
        record = self._last
        if record is None:
            return None
        found: dict[str, Any] = {
            "at": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.started)),
            "jid": record.jid,
        }
        ret = record.results.get(tag)
        if ret is None:
            return {**found, "did": "it was not part of that run, or the run ended before its turn"}
        return {**found, "did": _did(ret), "result": ret["result"], "comment": ret["comment"]}


_WORDS = {True: "true", False: "false", None: "cannot be read"}


def _name(chunk: Chunk) -> str:
    name = f"{chunk.state}: {chunk.id}"
    if chunk.name != chunk.id:
        name += f" ({chunk.name})"
    return f"{name} [{chunk.place}]" if chunk.place else name


def _did(ret: Return) -> str:
    if ret.get("__state_ran__") is False:
        return "it was not run"
    if ret["result"] is False:
        return "it failed"
    if ret.get("skip_watch"):
        return "a condition kept it from running"
    return "it changed something" if ret["changes"] else "it ran and changed nothing"


def _requisite(kind: str, before: Node, runtime: Runtime) -> str:
    """Say what a requisite comes to."""
    ret = runtime.outcome(kind, before)
    if ret is None:
        what = "its turn does not come"
    elif ret["result"] is False:
        what = (
            "it would fail" if ret.get("__state_ran__", True) else "it would not be run, since what it requires fails"
        )
    elif ret.get("__state_ran__") is False:
        what = "it would not be run"
    elif status.has_changed(ret):
        what = "it would change something"
    else:
        what = "it is as wanted and would change nothing"
    return f"{kind} {_name(before.chunk)}: {what}"


def _verdict(decision: str, ret: Return | None) -> str:
    if ret is None:
        return "it would not run: the run would end before its turn"
    if decision in status.LEFT_OUT or decision in ("fail", ""):
        return f"it would not run: {ret['comment']}"
    if ret.get("skip_watch") and not ret["changes"] and ret["result"]:
        return f"it would not run: {ret['comment']}"
    if ret["result"] is False:
        return f"it would fail: {ret['comment']}"
    why = _TRIGGERED.get(decision, "")
    if ret["result"] is None or ret["changes"]:
        return f"it would run and change something{why}"
    return f"it would run and change nothing{why}"


_TRIGGERED = {
    "change": "; what it watches would change, so mod_watch is called unless it changes something itself",
    "due": "; a trigger of an earlier run is due, so mod_watch is called unless it changes something itself",
}
