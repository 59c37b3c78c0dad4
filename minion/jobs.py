"""The life of a job on this minion: ledger, acknowledgement, process, return.

A job that is taken ends in exactly one return: what its functions returned, that it failed (killed, timed out), was
refused, or was interrupted by the minion's end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..common import crash
from ..common.config import MinionConfig
from ..common.errors import CtlError, StorageError, WireError
from ..common.secret import MASK
from ..common.state import journal
from ..common.wire import pack_payload, unpack_payload
from .helper_process import Generations
from .job import Job, name_of
from .ledger import Ledger
from .outbox import FAILED, INTERRUPTED, REFUSED, RETURNED, Outbox, Return, failure
from .process import Ended, Process, Result
from .spare import Spare
from .tasks import Tasks

log = logging.getLogger(__name__)

ACK_AFTER_S = 0.02
MAX_ACKS = 450  # a message has 1,000 elements, and a job that has begun is two
KILL_AFTER_S = 2.0
REASON_CHARS = 4000


class Minion(Protocol):
    """What a job's life needs of its minion."""

    def now_ms(self) -> int:
        """Return the master's time."""
        ...

    def tell(self, method: str, args: dict[str, Any]) -> bool:
        """Send what has no reply."""
        ...

    def message(self, jid: str, user: str, payload: bytes) -> dict[str, Any]:
        """Return what a job's process is given."""
        ...

    def on_ask(self, process: Process, jid: str, op: str, args: list[Any]) -> None:
        """Answer what a job's process asks."""
        ...

    async def live_data(self, needs: frozenset[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the grains and, where they are needed, the pillar."""
        ...

    async def job_ended(self, jid: str) -> None:
        """Hear that a job has ended."""
        ...


@dataclass(slots=True, eq=False)
class Running:
    """A job between its ledger row and its return."""

    job: Job
    fun: str
    arguments: Any
    process: Process | None = None
    began: bool = False
    stop_reason: str = ""
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def describe(self) -> dict[str, Any]:
        """Return what `saltutil.running` shows."""
        process = self.process
        return {
            "jid": self.job.jid,
            "fun": self.fun,
            "arg": self.arguments,
            "user": self.job.user,
            "pid": process.pid if process is not None else 0,
            "started": process.started if process is not None else 0.0,
            "queued": not self.began,
        }


class Acknowledgements:
    """Tells the master which jobs were taken and which have begun, some at a time.

    A return that goes first makes it superfluous.
    """

    def __init__(self, tell: Callable[[str, dict[str, Any]], bool]) -> None:
        self._tell = tell
        self._jids: dict[str, bool] = {}  # and whether it has begun
        self._timer: asyncio.TimerHandle | None = None

    def add(self, jid: str, *, began: bool = False) -> None:
        """Acknowledge a job soon."""
        self._jids[jid] = began
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(ACK_AFTER_S, self._flush)

    def drop(self, jid: str) -> None:
        """The return is on its way."""
        self._jids.pop(jid, None)

    def close(self) -> None:
        """Say what is left to say."""
        if self._timer is not None:
            self._timer.cancel()
            self._flush()

    def _flush(self) -> None:
        self._timer = None
        jids, self._jids = list(self._jids.items()), {}
        for start in range(0, len(jids), MAX_ACKS):
            some = jids[start : start + MAX_ACKS]
            self._tell("ack", {"jids": [jid for jid, _ in some], "running": [jid for jid, began in some if began]})


class Jobs:
    """The jobs of one minion."""

    def __init__(
        self, config: MinionConfig, minion: Minion, helpers: Generations, ledger: Ledger, outbox: Outbox
    ) -> None:
        self._config = config
        self._minion = minion
        self._spare = Spare(helpers, config.return_max_bytes)
        self._ledger = ledger
        self._outbox = outbox
        self._running: dict[str, Running] = {}
        self._acks = Acknowledgements(minion.tell)
        self._room = asyncio.Semaphore(config.process_count_max if config.process_count_max > 0 else 1_000_000)
        self._tasks = Tasks()
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()

    # -- what others ask

    def jids(self) -> list[str]:
        """List the jobs that run or wait for room."""
        return list(self._running)

    def running(self) -> list[dict[str, Any]]:
        """Describe the jobs that run or wait for room."""
        return [running.describe() for running in self._running.values()]

    def kill(self, jid: str, number: int) -> bool:
        """Send a signal to a job; one that has not begun yet is called off."""
        running = self._running.get(jid)
        if running is None:
            return False
        name = signal.Signals(number).name if number in list(signal.Signals) else str(number)
        running.stop_reason = f"the job was sent {name}"
        if running.began and running.process is not None:
            return running.process.signal(number)
        running.stopped.set()
        return True

    # -- a job's life

    def take(self, job: Job) -> None:
        """Take a job that the master expects of this minion, unless it was taken before or is too late."""
        if self._closing or job.jid in self._ledger:
            return
        if job.expires_ms <= self._minion.now_ms():
            log.info("job %s came after its delivery window: it does not run", job.jid)
            return
        try:
            payload = unpack_payload(job.payload)
            fun = name_of(payload)
        except (WireError, AttributeError, TypeError) as error:
            log.error("job %s cannot be read: %s", job.jid, error)
            payload, fun = {}, ""
        entered = self._ledger.begin(job, fun)
        if entered is None:
            return
        running = Running(job, fun, MASK if job.secret else payload.get("arg"))
        self._running[job.jid] = running
        self._idle.clear()
        self._tasks.start(self._live(running, entered), f"job {job.jid}")

    async def _live(self, running: Running, entered: asyncio.Future[None]) -> None:
        job = running.job
        try:
            answer = await self._reach_return(running, entered)
        except Exception as error:  # the boundary around one job: whatever went wrong with it, the master hears of it
            log.exception("job %s broke its handler", job.jid)
            answer = self._failure(running, FAILED, f"the minion failed on this job: {type(error).__name__}: {error}")
        finally:
            self._running.pop(job.jid, None)
            if not self._running:
                self._idle.set()
            if running.process is not None and not running.process.ended.done():
                running.process.signal(signal.SIGKILL)
                running.process.abandon()
        self._acks.drop(job.jid)
        crash.at("minion.return.before_outbox")
        self._outbox.put(answer)
        await self._minion.job_ended(job.jid)

    async def _reach_return(self, running: Running, entered: asyncio.Future[None]) -> Return:
        job = running.job
        try:
            await entered
            crash.at("minion.job.entered")
            if not running.fun:
                return self._failure(running, REFUSED, "the job cannot be read")
            if not await self._still_matches(job):
                return self._failure(running, REFUSED, "this minion no longer matches the target")
        except StorageError as error:
            return self._failure(
                running, REFUSED, f"the job was not started, since the ledger cannot be written: {error}"
            )
        except CtlError as error:
            return self._failure(running, REFUSED, f"it cannot be told whether this minion matches the target: {error}")
        self._acks.add(job.jid)
        async with self._room:
            if running.stopped.is_set():
                return self._failure(running, FAILED, f"{running.stop_reason} before it began")
            return await self._run(running)

    async def _still_matches(self, job: Job) -> bool:
        """Ask the target about this minion as it is now, where it reads more than the id."""
        needs = job.live_terms()
        if not needs:
            return True
        from ..common.matchers import DictMinion

        grains, pillar = await self._minion.live_data(needs)
        return job.target().matches(DictMinion(self._config.id, grains, pillar))

    async def _run(self, running: Running) -> Return:
        job = running.job
        limit = min(filter(None, (job.timeout, self._config.job_timeout)), default=None)
        running.process = process = self._spare.take()
        message = self._minion.message(job.jid, job.user, job.payload) | {"secret": job.secret}
        self._begin(process, message, running)
        running.began = True
        self._acks.add(job.jid, began=True)
        crash.at("minion.job.begun")
        process.helper.learn(running.fun)
        try:
            async with asyncio.timeout(limit):
                ended = await asyncio.shield(process.ended)
        except TimeoutError:
            await self._end(process)
            reason = f"the job took longer than its timeout of {limit:g} s and was ended"
            return self._interrupted_run(running, reason) or self._failure(running, FAILED, reason)
        return self._as_return(running, ended)

    async def _end(self, process: Process) -> None:
        """Ask a process to end, and make it."""
        process.signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILL_AFTER_S):
                await asyncio.shield(process.ended)
        process.signal(signal.SIGKILL)

    def _begin(self, process: Process, message: dict[str, Any], running: Running | None) -> None:
        """Give a process its job, and have the next process forked meanwhile."""
        jid = message["jid"]

        def on_ask(process: Process, op: str, args: list[Any]) -> None:
            self._minion.on_ask(process, jid, op, args)

        def on_tell(process: Process, op: str, args: list[Any]) -> None:
            if op == "log":
                _log_for(jid, *args)
            elif op == "progress" and running is not None and running.job.progress:
                self._minion.tell("progress", {"jid": jid, "kind": str(args[0])[:256], "data": args[1]})

        process.begin(message, on_ask, on_tell)
        self._spare.prepare()

    def _as_return(self, running: Running, ended: Ended) -> Return:
        if ended.result is None:
            reason = f"{running.stop_reason} and ended" if running.stop_reason else ended.reason
            return self._interrupted_run(running, reason) or self._failure(running, FAILED, reason)
        result = ended.result
        return Return(
            running.job.jid,
            running.fun,
            running.job.master,
            result.payload,
            len(result.payload),
            result.retcode,
            result.success,
            result.out,
            result.truncated,
            RETURNED,
        )

    def _failure(self, running: Running, state: str, reason: str) -> Return:
        log.info("job %s (%s): %s", running.job.jid, running.fun, reason)
        return failure(running.job.jid, running.fun, running.job.master, state, reason[:REASON_CHARS])

    def _interrupted_run(self, running: Running, reason: str) -> Return | None:
        """Return a state run that was killed as interrupted, with what it had done; None where it was no such run."""
        job = running.job
        answer = interrupted_run(self._config, job.jid, running.fun, job.master, reason)
        if answer is not None:
            log.info("job %s (%s): %s", job.jid, running.fun, answer.reason)
        return answer

    # -- the minion's own processes

    async def run_internal(self, kind: str) -> Result:
        """Run something of the daemon's own in a child (collecting grains); raises CtlError where it fails."""
        process = self._spare.take()
        self._begin(process, self._minion.message("", "", b"") | {"kind": kind}, None)
        try:
            ended = await asyncio.shield(process.ended)
        except asyncio.CancelledError:
            process.signal(signal.SIGKILL)
            raise
        if ended.result is None:
            raise CtlError(f"{kind}: {ended.reason}")
        return ended.result

    # -- the end

    async def close(self, grace: float) -> None:
        """Take no more jobs; let the running ones finish within `grace` seconds, and report the others interrupted."""
        self._closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._idle.wait()
        interrupted = list(self._running.values())
        await self._tasks.close()
        self._spare.close()
        reason = "the minion was stopped while the job ran"
        for running in interrupted:
            self._outbox.put(self._interrupted_run(running, reason) or self._failure(running, INTERRUPTED, reason))
        self._acks.close()

    def report_unfinished(self) -> None:
        """Return as interrupted what an earlier run of the daemon started and never returned."""
        for left in self._ledger.unfinished():
            if left.jid not in self._outbox:
                reason = "the minion ended while the job ran"
                answer = interrupted_run(self._config, left.jid, left.fun, left.master, reason)
                unknown = f"{reason}; what it did is not known"
                self._outbox.put(answer or failure(left.jid, left.fun, left.master, INTERRUPTED, unknown))


def interrupted_run(config: MinionConfig, jid: str, fun: str, master: bytes, reason: str) -> Return | None:
    """Make the return of a state run that was cut short, out of its journal; None where the job was no state run."""
    if not any(name.startswith("state.") for name in fun.split(",")):
        return None
    found = journal.interrupted(config.data_dir, jid, reason)
    if found is None:
        return None
    payload = pack_payload(found)
    comment = found[journal.INTERRUPTED_TAG]["comment"]
    return Return(jid, fun, master, payload, len(payload), 1, False, "highstate", False, INTERRUPTED, comment)


def _log_for(jid: str, level: int, name: str, text: str) -> None:
    """Write a log record of a job's process as one of ours."""
    logger = logging.getLogger(name)
    if logger.isEnabledFor(level):
        logger.log(level, "%s%s", f"[job {jid}] " if jid else "", text)
