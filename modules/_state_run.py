"""The steps that the functions of the execution module `state` have in common: the turn, the pillar, the answer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..common.context import Context, current
from ..common.errors import ArgumentError, CompileError, nearest
from ..common.pillar_secrets import decrypted
from ..common.state.high import High
from ..common.state.requisites import Program
from ..common.state.run import Matches, StateRun, has_failed, nothing
from ..common.state.runtime import DISABLED_GRAIN
from ._rendering import job_renderer

EX_COMPILE = 1
EX_STATE = 2
EX_PILLAR = 5

Names = str | list[Any]

KEYWORDS = (
    "test", "queue", "concurrent", "exclude", "saltenv", "pillarenv", "pillar", "pillar_enc", "force", "mods",
    "whitelist",
)  # fmt: skip
# What trees and scripts written for Salt may pass, and nothing here needs.
FOREIGN_KEYWORDS = frozenset({"localconfig", "mock", "state_events", "orchestration_jid"})


class Refused(Exception):
    """A run that does not begin; `answer` is what the caller gets instead."""

    def __init__(self, answer: Any, retcode: int) -> None:
        super().__init__(answer)
        self.answer = answer
        self.retcode = retcode


@dataclass(slots=True)
class Answer:
    """What the caller gets, and the job's retcode."""

    value: Any = None
    retcode: int = 0

    def end(self, value: Any, retcode: int = 0) -> None:
        """Settle what is returned."""
        self.value, self.retcode = value, retcode


@contextlib.contextmanager
def answering() -> Iterator[Answer]:
    """Let a run end early with an answer: the list that a compile error returns, or why it was refused.

    The retcode is the run's own, whatever commands within it left behind.
    """
    answer = Answer()
    context = current()
    test = context.test
    try:
        yield answer
    except Refused as refused:
        answer.end(refused.answer, refused.retcode)
    except CompileError as error:
        answer.end(error.problems, EX_COMPILE)
    finally:
        context.test = test
    context.scratch["retcode"] = answer.retcode


@contextlib.contextmanager
def turn(queue: bool | int | None, concurrent: bool) -> Iterator[None]:
    """Have this minion's turn for a state run; a run within a run shares it."""
    context = current()
    if context.scratch.get("state_turn"):
        yield
        return
    if queue is None:
        queue = context.config.get("state_queue", True)
    holder = context.daemon.state_lock(queue, concurrent)
    if holder is not None:
        raise Refused([describe(holder)], EX_COMPILE)
    context.scratch["state_turn"] = True
    try:
        yield
    finally:
        context.scratch.pop("state_turn", None)


def describe(job: dict[str, Any]) -> str:
    """Say which run is under way."""
    started = job.get("started")
    if isinstance(started, float):
        started = datetime.fromtimestamp(started).astimezone().strftime("%Y, %b %d %H:%M:%S.%f")
    return (
        f'The function "{job.get("fun")}" is running as PID {job.get("pid")} and was started at '
        f"{started} with jid {job.get('jid')}"
    )


def with_test(test: bool | None) -> Context:
    """Return the context, set to make a dry run as the caller, or the configuration, says."""
    context = current()
    if test is not None:
        context.test = test
    elif context.config.get("test"):
        context.test = True
    return context


def prepare(
    test: bool | None,
    saltenv: str | None,
    pillarenv: str | None,
    pillar: dict[str, Any] | None,
    force: bool,
    top_file: str = "",
    pillar_enc: str | None = None,
) -> StateRun:
    """Render the pillar anew and make a run of it; pillar that does not render refuses the run.

    With `pillar_enc` that renderer decrypts the caller's `pillar` first, with this minion's keys.
    """
    context = with_test(test)
    if pillar and pillar_enc:
        pillar = decrypted(pillar, pillar_enc, context.config, job_renderer())
    fresh = context.daemon.pillar(saltenv=saltenv, pillarenv=pillarenv, override=pillar, fresh=True)
    context.pillar.clear()
    context.pillar.update(fresh)
    if fresh.get("_errors") and not force:
        raise Refused(["Pillar failed to render with the following messages:", *fresh["_errors"]], EX_PILLAR)
    return StateRun(context, saltenv=saltenv, top_file=top_file)


def refuse_misspelt(keywords: Iterable[str]) -> None:
    """Refuse a keyword that is nearly one of a run's: `tset=True` would change what its author only wanted to see."""
    for key in keywords:
        close = None if key in (*KEYWORDS, *FOREIGN_KEYWORDS) or key.startswith("__") else nearest(key, KEYWORDS, 0.75)
        if close:
            raise ArgumentError(f"unknown argument {key!r}", hint=f"did you mean {close!r}?")


def refuse_disabled(names: Sequence[Any]) -> None:
    """Refuse a run of what `state.disable` named."""
    disabled = current().grains.get(DISABLED_GRAIN) or []
    sentences = []
    for name in map(str, names):
        for pattern in map(str, disabled):
            if pattern == name:
                sentences.append(
                    f'The state file "{name}" is currently disabled, to re-enable, run state.enable {name}.'
                )
            elif pattern.endswith(".*") and name.startswith(pattern[:-1]):
                sentences.append(
                    f'The state file "{name}" is currently disabled by "{pattern}", '
                    f"to re-enable, run state.enable {pattern}."
                )
    if sentences:
        raise Refused(sentences, EX_COMPILE)


def showing(saltenv: str | None, pillarenv: str | None, pillar: dict[str, Any] | None) -> StateRun:
    """Prepare a run that only shows something."""
    return prepare(None, saltenv, pillarenv, pillar, False)


def words(names: Names) -> list[Any]:
    """Return the names that a caller gave, as words with commas between or as a list."""
    return [name.strip() for name in names.split(",") if name.strip()] if isinstance(names, str) else list(names)


def excluded(exclude: Names | None) -> list[Any]:
    """Return what a caller wants left out."""
    return words(exclude) if exclude else []


def matches_of(run: StateRun, mods: Names) -> Matches:
    """Return the SLS that a caller named, by environment."""
    return {run.saltenv or "base": [str(name) for name in words(mods)]}


def sync(kinds: Sequence[str], environments: Sequence[str]) -> None:
    """Fetch users' plugins, and have this job see them."""
    context = current()
    for kind in kinds:
        name = f"saltutil.sync_{kind}"
        if name in context.functions:
            context.call(name, saltenv=list(environments))
    for loader in (context.functions, context.states, context.renderers):
        forget = getattr(loader, "forget", None)
        if forget is not None:
            forget()


def run_highstate(run: StateRun, exclude: Names | None, whitelist: Names | None) -> tuple[Any, int]:
    """Run what the top file gives to this minion."""
    matches = run.matches()
    if not matches:
        return nothing("No Top file or master_tops data matches found. Please see master log for details."), EX_STATE
    if whitelist:
        wanted = set(words(whitelist))
        matches = {env: [name for name in names if name in wanted] for env, names in matches.items()}
    if run.config.get("autoload_dynamic_modules", True):
        sync(["all"], list(matches))
    return run_matches(run, matches, excluded(exclude))


def run_matches(run: StateRun, matches: Matches, exclude: list[Any]) -> tuple[Any, int]:
    """Run SLS, by environment."""
    high = run.high(matches, exclude)
    if not high.problems and not [key for key in high.data if not str(key).startswith("__")]:
        return nothing("No states found for this minion"), EX_STATE
    return run_compiled(run, high)


def run_compiled(run: StateRun, high: High) -> tuple[Any, int]:
    """Compile high data and run it."""
    compiled = run.compile(high)
    refuse_problems(compiled.problems)
    return finish(run.execute(compiled.program), compiled.program)


def run_lows(run: StateRun, lows: list[dict[str, Any]]) -> tuple[dict[str, Any], int]:
    """Run low chunks."""
    compiled = run.compile_lows(lows)
    refuse_problems(compiled.problems)
    return finish(run.execute(compiled.program))


def finish(results: dict[str, Any], program: Program | None = None) -> tuple[dict[str, Any], int]:
    """Return a run's results with its return code."""
    return results, EX_STATE if has_failed(results, program) else 0


def refuse_problems(problems: list[str]) -> None:
    """Refuse a run that has problems."""
    if problems:
        raise Refused(problems, EX_COMPILE)


def high_data(run: StateRun, matches: Matches, exclude: Sequence[Any] = ()) -> dict[str, Any]:
    """Return high data for showing."""
    high = run.high(matches, exclude)
    problems = run.check(high)
    if problems:
        raise Refused(problems, EX_COMPILE)
    return high.data
