"""Run a program of chunks: each is planned at its turn, by what its requisites came to, and applied.

Owns the order of events within a run (requisites, aggregation, conditions, the function, mod_watch, check_cmd, retry,
listeners) and the shape of the returns. What the requisites mean is in `status.py`, what a plan means in `applying.py`.
Parallel states run in threads of this process, `state_max_parallel` at a time (16).
"""

from __future__ import annotations

import contextlib
import fnmatch
import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime
from typing import Any

from .. import arguments
from ..context import Context
from ..secret import redact
from . import applying, conditions, preflight, returned, slots, status
from .aggregate import Aggregation
from .journal import Journal
from .low import LOWSTATE, REQUISITE_IN_KEYS, REQUISITE_KEYS, RUNNING, Chunk, tag_of
from .pauses import Pauses
from .pending import Pending
from .requisites import Node, Program
from .retry import Retry, attempt_comment
from .surroundings import surroundings

log = logging.getLogger(__name__)

Return = dict[str, Any]
MAX_PARALLEL = 16
DISABLED_GRAIN = "state_runs_disabled"
# A change by these may be what a plugin's __virtual__ was waiting for.
_INSTALLERS = ("pkg", "pip", "ports")
_CODE = (".py", ".pyc", ".so")
_IN_RUN = "state_journal"


class Runtime:
    """One run of a program. `results` maps each chunk's tag to its return, in the order they ran."""

    def __init__(self, context: Context, program: Program, *, failhard: bool = False) -> None:
        self.context = context
        self.program = program
        self.failhard = failhard
        self.results: dict[str, Return] = {}
        # What the requisites of each chunk came to (`status.decide`).
        self.decisions: dict[str, str] = {}
        # What chunks that a prereq had planned ahead would do.
        self._ahead: dict[str, Return] = {}
        self._numbers = itertools.count()
        self._initialised: set[str] = set()
        self._futures: dict[str, Future[Return]] = {}
        self._deferred: list[Node] = []
        self._chunks = {node.tag: node.chunk for node in program.nodes if not node.check}
        self._executor: ThreadPoolExecutor | None = None
        option = context.config.get("state_aggregate")
        self._aggregation = Aggregation(program, option, self._aggregator, self._is_ready)
        self._disabled = [str(pattern) for pattern in context.grains.get(DISABLED_GRAIN) or ()]
        self._pending = Pending(context.config.get("data_dir"))
        # What an earlier run left to be triggered.
        self._due = {trigger.tag: trigger.describe() for trigger in self._pending}
        self._pauses = Pauses(context.config.get("data_dir"), context.jid)
        self._watchers = _watchers(program)
        self._journal = Journal(None, "", 0)
        # Of aggregated states that leave their changes to the first one: whose they are, and the other way.
        self._leader: dict[str, str] = {}
        self._led: dict[str, list[str]] = {}

    def run(self) -> dict[str, Return]:
        """Run every chunk, then the listeners; return the results."""
        self.context.scratch[LOWSTATE] = [chunk.low for chunk in self._chunks.values()]
        self.context.scratch[RUNNING] = self.results
        with self._keep_journal():
            try:
                self._run_nodes()
                self._listen()
            finally:
                if self._executor is not None:
                    self._executor.shutdown()
        return self.results

    @contextlib.contextmanager
    def _keep_journal(self) -> Iterator[None]:
        """Write down what is done; a run within a run is part of the outer one's work, and a dry run does nothing."""
        context = self.context
        if context.test or context.scratch.get(_IN_RUN):
            yield
            return
        self._journal = Journal(context.config.get("data_dir"), context.jid, len(self._chunks))
        context.scratch[_IN_RUN] = True
        try:
            yield
        finally:
            del context.scratch[_IN_RUN]
            self._pauses.clear()
        self._journal.close()

    def outcome(self, kind: str, before: Node) -> Return | None:
        """Return what a requisite's state came to, as the state that requires it sees it."""
        return (self._ahead if kind == "prereq" else self.results).get(before.chunk.tag)

    def due(self, chunk: Chunk) -> str:
        """Say why a chunk is to be triggered by what an earlier run left, if it is."""
        return self._due.get(chunk.tag) or self._due.get(_listener_tag(chunk), "")

    def _run_nodes(self) -> None:
        """Run the nodes in order, until one's failure ends the run."""
        ended = any(self._take(node) or self._run_deferred() for node in self.program.nodes)
        self._settle_all()
        while self._deferred and not ended:
            ended = self._run_deferred()
            self._settle_all()

    def _run_deferred(self) -> bool:
        waiting, self._deferred = self._deferred, []
        for position, node in enumerate(waiting):
            if self._take(node):
                self._deferred += waiting[position + 1 :]
                return True
        return False

    def _take(self, node: Node) -> bool:
        """Give a node its turn; True where its failure, or that of one that ran beside others, ends the run."""
        if self._ended_beside():
            return True
        if node.tag in self.results:
            return False
        if node.chunk.low.get("parallel") and not node.check and self._is_waiting(node):
            self._deferred.append(node)
            return False
        if not node.check and self._pauses.hold(node.chunk.id):
            self._leave_out(node.chunk, False, _KILLED)
            return True
        self._initialise(node.chunk)
        if node.check:
            self._check(node)
        else:
            self._turn(node)
        return self._ends_run(node.chunk)

    def _ends_run(self, chunk: Chunk) -> bool:
        ret = self.results.get(chunk.tag)
        if ret is None or self.context.test or chunk.tag in self._futures:
            return False
        return ret["result"] is False and bool(chunk.low.get("failhard", self.failhard))

    # -- one node ----------------------------------------------------------------------------------------------

    def _turn(self, node: Node) -> None:
        chunk = node.chunk
        disabled = self._disabled_by(chunk)
        if disabled:
            self._leave_out(chunk, False, _DISABLED.format(chunk.function, disabled))
            return
        decision = self._decide(node)
        if decision == "met" and chunk.tag in self._due and self._has_watch(chunk):
            decision = "due"
        self.decisions[chunk.tag] = decision
        if decision in status.LEFT_OUT:
            self._leave_out(chunk, True, status.LEFT_OUT[decision])
        elif decision == "fail":
            self._leave_out(chunk, False, self._failed_requisites(node))
        elif chunk.low.get("parallel"):
            self._start(chunk, decision, node)
        else:
            self._store(chunk, self._run_chunk(self._aggregated(node), decision, node))

    def _run_chunk(self, chunk: Chunk, decision: str, node: Node | None) -> Return:
        ret = self._call(chunk)
        if decision == "skip_watch":
            ret["comment"] += " mod_watch was not run because requisites were skipped by another state"
        elif decision not in ("change", "due") or ret["changes"] or ret.get("skip_watch"):
            return ret
        elif self._has_watch(chunk):
            ret = self._call(Chunk(self._watching(chunk.low, node), chunk.place))
            if decision == "due":
                ret["comment"] += f" ({self._due[chunk.tag]})"
        return ret

    def _disabled_by(self, chunk: Chunk) -> str:
        return next((pattern for pattern in self._disabled if fnmatch.fnmatch(chunk.function, pattern)), "")

    # -- aggregation

    def _aggregator(self, state: str) -> Callable[..., Any] | None:
        return self._function(f"{state}.mod_aggregate")

    def _is_ready(self, node: Node) -> bool:
        """Tell whether a state could run now, without waiting for anything."""
        if node.tag in self.results or node.check:
            return False
        for kind, before in node.before:
            tag = before.chunk.tag
            if tag not in (self._ahead if kind == "prereq" else self.results) or tag in self._futures:
                return False
        return self._decide(node) in ("met", "change")

    def _aggregated(self, node: Node) -> Chunk:
        """Let a state's module put the work of states that go with it into its low data."""
        chunk = node.chunk
        mates = self._aggregation.mates(node)
        if not mates:
            return chunk
        low = {**chunk.low, "__agg__": True}
        done = self._hook(low, "mod_aggregate", low, [low, *(mate.chunk.low for mate in mates)], self.results)
        for mate in mates:
            if mate.chunk.low.get("__agg__"):
                self._leader[mate.tag] = chunk.tag
                self._led.setdefault(chunk.tag, []).append(mate.tag)
        return Chunk(dict(done), chunk.place, chunk.warnings) if isinstance(done, Mapping) else chunk

    def _watching(self, low: Mapping[str, Any], node: Node | None) -> dict[str, Any]:
        required: dict[str, list[dict[str, Any]]] = {}
        for kind, before in node.before if node else ():
            required.setdefault(kind, []).append(before.chunk.low)
        return {**low, "sfun": low["fun"], "fun": "mod_watch", "__reqs__": required}

    def _has_watch(self, chunk: Chunk) -> bool:
        return f"{chunk.state}.mod_watch" in self.context.states

    def _check(self, node: Node) -> None:
        """Plan a chunk ahead of its turn, for the state whose `prereq` it is."""
        chunk = node.chunk
        decision = self._decide(node)
        if decision in status.LEFT_OUT:
            self._ahead[chunk.tag] = self._leave_out(chunk, True, status.LEFT_OUT[decision])
            return
        if decision == "fail":
            self._ahead[chunk.tag] = self._leave_out(chunk, False, self._failed_requisites(node))
            return
        self._settle_all()
        kept, self.context.test = self.context.test, True
        try:
            ret = self._attempt(chunk)
        finally:
            self.context.test = kept
        if decision == "change" and ret["result"] and not ret["changes"]:
            ret |= {"result": None, "changes": {"watch": "watch"}}
        self._ahead[chunk.tag] = ret

    def _decide(self, node: Node) -> str:
        found: dict[str, list[Return]] = {}
        for kind, before in node.before:
            tag = before.chunk.tag
            ret = self._ahead.get(tag) if kind == "prereq" else self._result(tag)
            if ret is not None:
                found.setdefault(kind, []).append(ret)
            if tag in self._leader and status.base(kind) in ("watch", "onchanges"):
                found.setdefault(kind, []).append(self.results[self._leader[tag]])
        return status.decide(found)

    def _failed_requisites(self, node: Node) -> str:
        failed: dict[str, None] = {}
        for kind, before in node.before:
            ret = self.outcome(kind, before)
            if ret is not None and ret["result"] is False:
                failed[f"{before.chunk.sls}.{before.chunk.id}"] = None
        return f"One or more requisite failed: {', '.join(failed)}"

    def _leave_out(self, chunk: Chunk, result: bool, comment: str) -> Return:
        ret = returned.left_out(chunk.low, result, comment, datetime.now().astimezone())
        self._store(chunk, self._complete(chunk, ret))
        return ret

    # -- calling a function ------------------------------------------------------------------------------------

    def _call(self, chunk: Chunk) -> Return:
        """Call a chunk's function, again as its `retry` says, and complete the return."""
        retry = Retry.read(chunk.low.get("retry"))
        ret = self._timed(chunk)
        if retry is None:
            return ret
        if self.context.test:
            ret["comment"] = f"{ret['comment']}  {retry.describe()}"
            return ret
        comments: list[str] = []
        first, duration = ret["start_time"], ret["duration"]
        for number in range(1, retry.attempts):
            if ret["result"] is retry.until:
                break
            comments.append(attempt_comment(number, ret["result"], ret["comment"]))
            pause = retry.pause()
            time.sleep(pause)
            ret = self._timed(chunk)
            duration += pause * 1000 + ret["duration"]
        ret["comment"] = "\n".join([*comments, ret["comment"]])
        ret |= {"start_time": first, "duration": round(duration, 3)}
        return ret

    def _timed(self, chunk: Chunk) -> Return:
        begun = datetime.now().astimezone()
        start = time.perf_counter()
        ret = self._attempt(chunk)
        if chunk.warnings:
            ret["warnings"] = [*ret.get("warnings", ()), *chunk.warnings]
        ret["start_time"] = begun.time().isoformat()
        ret["duration"] = round((time.perf_counter() - start) * 1000, 3)
        return self._complete(chunk, ret)

    def _complete(self, chunk: Chunk, ret: Return) -> Return:
        ret["__run_num__"] = next(self._numbers)
        ret["__sls__"] = chunk.low.get("__sls__")
        ret["__id__"] = chunk.low["__id__"]
        if chunk.place is not None:
            ret["__source__"] = str(chunk.place)
        ret |= {key: redact(ret[key]) for key in ("name", "comment", "changes")}
        if chunk.low.get("no_log"):
            ret |= {"name": returned.MASK, "comment": returned.MASK, "changes": returned.masked(ret["changes"])}
        return ret

    def _attempt(self, chunk: Chunk) -> Return:
        """Evaluate the conditions and call the function once."""
        low = chunk.low
        function = self._function(chunk.function)
        if function is None:
            return self._unknown(chunk)
        with surroundings(self.context, low, function, self.results) as context:
            skipped = self._skipped(context, chunk)
            if skipped is not None:
                return skipped
            if conditions.is_globally_refused(context, chunk.function):
                return {"name": low["name"], "result": None, "changes": {}, "comment": _REFUSED}
            try:
                kwargs = {key: slots.fill(value, context.functions) for key, value in _kwargs(low, function).items()}
            except Exception as error:  # the boundary around the functions that slots ask
                return returned.broken(low, error, test=context.test)
            ret = applying.attempt(context, function, kwargs)
            if self._is_checked(chunk, kwargs) and not context.test:
                ret["result"], ret["comment"] = conditions.check_command(context, low)
        return ret

    def _is_checked(self, chunk: Chunk, kwargs: Mapping[str, Any]) -> bool:
        """Tell whether `check_cmd` decides about a chunk; some functions and modules take it for themselves."""
        if "check_cmd" not in chunk.low or "check_cmd" in kwargs:
            return False
        return f"{chunk.state}.mod_run_check_cmd" not in self.context.states

    def _skipped(self, context: Context, chunk: Chunk) -> Return | None:
        low = chunk.low
        if not any(key in low for key in conditions.CONDITIONS) or f"{chunk.state}.mod_run_check" in context.states:
            return None
        try:
            verdict = conditions.judge(context, low)
        except Exception as error:  # the boundary around the functions that conditions ask
            return returned.broken(low, error, test=context.test)
        if not verdict.skip:
            return None
        return {"name": low["name"], "result": True, "changes": {}, "comment": verdict.comment, "skip_watch": True}

    def _function(self, name: str) -> Callable[..., Any] | None:
        states = self.context.states
        return states[name] if name in states else None  # noqa: SIM401 (a loader imports what `get` would ask for)

    def _unknown(self, chunk: Chunk) -> Return:
        why = preflight.why_missing(self.context.states, chunk.function)
        comment = f"State '{chunk.function}' was not found in SLS '{chunk.sls}'\nReason: {why}\n"
        return {"name": chunk.low["name"], "result": False, "changes": {}, "comment": comment}

    def _initialise(self, chunk: Chunk) -> None:
        """Call a module's `mod_init` once, before its first state."""
        state = chunk.state
        if state in self._initialised or chunk.function not in self.context.states:
            return
        if self._hook(chunk.low, "mod_init", dict(chunk.low)) in (None, True):
            self._initialised.add(state)

    def _hook(self, low: Mapping[str, Any], name: str, *args: Any) -> Any:
        """Call a state module's hook; None where it has none, or fails."""
        function = self._function(f"{low['state']}.{name}")
        if function is None:
            return None
        try:
            with surroundings(self.context, low, function, self.results):
                return function(*args) or False
        except Exception:  # the boundary around plugin code
            log.exception("%s of the state module %s failed", name, low["state"])
            return None

    # -- storing, reporting ------------------------------------------------------------------------------------

    def _store(self, chunk: Chunk, ret: Return) -> None:
        parts = ret.pop("sub_state_run", None) or ()
        self.results[chunk.tag] = ret
        self._keep_triggers(chunk.tag, ret)
        self._report(chunk.tag, ret)
        for part in parts:
            self._store_part(chunk, part)
        self._refresh(chunk, ret)
        fire = chunk.low.get("fire_event")
        if fire:
            name = ret["name"] if fire is True else fire
            self.context.daemon.event(f"state_result/{self.context.jid}/{name}", {"ret": ret})

    def _store_part(self, chunk: Chunk, part: Mapping[str, Any]) -> None:
        """Add a return that a state made for something within it."""
        ret: Return = {
            "changes": part.get("changes", {}),
            "result": part.get("result"),
            "comment": part.get("comment", ""),
            "duration": part.get("duration", 0.0),
            "start_time": part.get("start_time") or datetime.now().astimezone().time().isoformat(),
            "__state_ran__": True,
            "name": chunk.low["name"],
        }
        tag = tag_of(part["low"])
        self.results[tag] = self._complete(chunk, ret)
        self._report(tag, ret)

    def _keep_triggers(self, tag: str, ret: Return) -> None:
        """Note who is to be triggered by this change; a state that had its turn and did not fail is due no more."""
        if self.context.test:
            return
        if ret["changes"] and not ret.get("skip_req"):
            for changed in (tag, *self._led.get(tag, ())):
                for watcher in self._watchers.get(changed, ()):
                    self._pending.note(watcher, changed, self.context.jid)
        if ret["result"] is not False:
            self._pending.settle(tag)

    def _report(self, tag: str, ret: Return) -> None:
        self._journal.add(tag, ret)
        self.context.daemon.progress({"tag": tag, "ret": ret, "len": len(self._chunks)})

    def _refresh(self, chunk: Chunk, ret: Return) -> None:
        """Renew what a state that changed something asks to have renewed."""
        if self.context.test:
            return
        if chunk.low.get("reload_grains"):
            self.context.daemon.refresh("grains")
        if chunk.low.get("reload_pillar"):
            fresh = self.context.daemon.pillar(fresh=True)
            self.context.pillar.clear()
            self.context.pillar.update(fresh)
        if _may_bring_plugins(chunk.low, bool(ret["changes"])):
            for loader in (self.context.functions, self.context.states):
                forget = getattr(loader, "forget", None)
                if forget is not None:
                    forget()

    # -- parallel ----------------------------------------------------------------------------------------------

    def _is_waiting(self, node: Node) -> bool:
        tags = [before.chunk.tag for _kind, before in node.before]
        return any(
            tag not in self.results or (tag in self._futures and not self._futures[tag].done())
            for tag in tags
            if tag in self._futures or any(waiting.tag == tag for waiting in self._deferred)
        )

    def _start(self, chunk: Chunk, decision: str, node: Node) -> None:
        if self._executor is None:
            limit = int(self.context.config.get("state_max_parallel") or MAX_PARALLEL)
            self._executor = ThreadPoolExecutor(limit, thread_name_prefix="state")
        task = copy_context()
        self._futures[chunk.tag] = self._executor.submit(task.run, self._run_chunk, chunk, decision, node)
        self.results[chunk.tag] = {"name": chunk.name, "result": None, "changes": {}, "comment": "Started in parallel"}

    def _result(self, tag: str) -> Return | None:
        """Return a chunk's result, waiting for one that still runs."""
        future = self._futures.pop(tag, None)
        if future is not None:
            ret = future.result()
            ret["__parallel__"] = True
            self._store(self._chunks[tag], ret)
        return self.results.get(tag)

    def _ended_beside(self) -> bool:
        """Tell whether a parallel state that is over by now ends the run."""
        over = [tag for tag, future in self._futures.items() if future.done()]
        for tag in over:
            self._result(tag)
        return any(self._ends_run(self._chunks[tag]) for tag in over)

    def _settle_all(self) -> None:
        for tag in list(self._futures):
            self._result(tag)

    # -- listeners ---------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Call mod_watch, once, for each chunk that listens to one that changed."""
        done: set[str] = set()
        for chunk, heard in self.program.listeners:
            if any(self._was_changed(other) for other in heard):
                self._trigger(chunk, done)
        for chunk, _heard in self.program.listeners:
            why = self._due.get(_listener_tag(chunk))
            if why is not None:
                self._trigger(chunk, done, f" ({why})")

    def _trigger(self, chunk: Chunk, done: set[str], remark: str = "") -> None:
        steering = REQUISITE_KEYS | REQUISITE_IN_KEYS
        low = {key: value for key, value in chunk.low.items() if key not in steering}
        low |= {"sfun": low["fun"], "fun": "mod_watch", "__id__": f"listener_{low['__id__']}"}
        listener = Chunk(low, chunk.place)
        if listener.tag not in done and self._has_watch(chunk):
            done.add(listener.tag)
            ret = self._call(listener)
            ret["comment"] += remark
            self._store(listener, ret)

    def _was_changed(self, chunk: Chunk) -> bool:
        returns = [self.results.get(tag) for tag in (chunk.tag, self._leader.get(chunk.tag, ""))]
        return any(ret["changes"] or (self.context.test and ret["result"] is None) for ret in returns if ret)


_KILLED = "The run was ended before this state by state.soft_kill"
_REFUSED = "Failed to meet global state conditions. State not called."
_DISABLED = 'The state function "{0}" is currently disabled by "{1}", to re-enable, run state.enable {1}.'


def _listener_tag(chunk: Chunk) -> str:
    return tag_of({**chunk.low, "__id__": f"listener_{chunk.id}", "fun": "mod_watch"})


def _watchers(program: Program) -> dict[str, list[str]]:
    """Map each chunk that is watched or listened to, by its tag, to the tags of what it triggers."""
    found: dict[str, list[str]] = {}
    for node in program.nodes:
        if not node.check:
            for kind, before in node.before:
                if status.base(kind) == "watch":
                    found.setdefault(before.tag, []).append(node.tag)
    for chunk, heard in program.listeners:
        for other in heard:
            found.setdefault(other.tag, []).append(_listener_tag(chunk))
    return found


def _may_bring_plugins(low: Mapping[str, Any], changed: bool) -> bool:
    """Tell whether plugins are to be looked for anew after a state: it says so, or may have brought what they need."""
    if low.get("reload_grains") or low.get("reload_pillar") or low.get("force_reload_modules"):
        return True
    if not changed:
        return False
    if low["state"] == "file":
        return low["fun"] == "recurse" or (low["fun"] == "managed" and str(low["name"]).endswith(_CODE))
    return bool(low.get("reload_modules")) or low["state"] in _INSTALLERS


def _kwargs(low: Mapping[str, Any], function: Callable[..., Any]) -> dict[str, Any]:
    """Return what a function is called with: what it names, and all the rest where it takes any."""
    values = preflight.given(low, function)
    if preflight.takes_any(function):
        return values
    parameters = arguments.signature(function).parameters
    return {key: value for key, value in values.items() if key in parameters}
