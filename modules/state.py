"""Describe machines in SLS files, and bring them there.

`state.apply` does what the top file says, or the SLS that are named; `state.show_*` shows what it would do, and
`test=True` what it would change.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.context import Context, current
from ..common.errors import ArgumentError, CompileError
from ..common.state.high import High
from ..common.state.requisites import Program
from ..common.state.run import Matches, StateRun, has_failed, nothing

__func_alias__ = {"apply_": "apply"}

EX_COMPILE = 1
EX_STATE = 2
EX_PILLAR = 5

Names = str | list[Any]


class _Refused(Exception):
    """A run that does not begin; `answer` is what the caller gets instead."""

    def __init__(self, answer: Any, retcode: int) -> None:
        super().__init__(answer)
        self.answer = answer
        self.retcode = retcode


def apply_(
    mods: Names | None = None,
    test: bool | None = None,
    queue: bool | int | None = None,
    concurrent: bool = False,
    exclude: Names | None = None,
    saltenv: str | None = None,
    pillarenv: str | None = None,
    pillar: dict[str, Any] | None = None,
    sync_mods: Names | None = None,
    force: bool = False,
    **kwargs: Any,
) -> Any:
    """Apply the SLS in `mods` (names separated by commas, or a list), or without it the highstate.

    test
        Show what would change, and change nothing.
    pillar
        Values that go before the minion's pillar, for this run.
    saltenv, pillarenv
        The environment to take SLS and pillar from.
    exclude
        SLS to leave out, or a list with `{id: ...}` and `{sls: ...}`.
    queue
        Wait for another run on this minion to end. `concurrent` runs beside it.

    CLI: ctl '*' state.apply nginx test=True
    """
    options: dict[str, Any] = {
        "test": test,
        "queue": queue,
        "concurrent": concurrent,
        "exclude": exclude,
        "saltenv": saltenv,
        "pillarenv": pillarenv,
        "pillar": pillar,
        "force": force,
    }
    if mods:
        return sls(mods, sync_mods=sync_mods, **options, **kwargs)
    return highstate(**options, **kwargs)


def highstate(
    test: bool | None = None,
    queue: bool | int | None = None,
    concurrent: bool = False,
    exclude: Names | None = None,
    saltenv: str | None = None,
    pillarenv: str | None = None,
    pillar: dict[str, Any] | None = None,
    whitelist: Names | None = None,
    force: bool = False,
    **kwargs: Any,
) -> Any:
    """Apply every SLS that the top file gives to this minion.

    CLI: ctl '*' state.highstate
    """
    with _answering() as answer, _turn(queue, concurrent):
        run = _prepare(test, saltenv, pillarenv, pillar, force)
        answer.end(*_run_highstate(run, exclude, whitelist))
    return answer.value


def top(
    topfn: str,
    test: bool | None = None,
    queue: bool | int | None = None,
    concurrent: bool = False,
    exclude: Names | None = None,
    saltenv: str | None = None,
    pillarenv: str | None = None,
    pillar: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Apply the highstate of another top file.

    CLI: ctl '*' state.top reverse_top.sls
    """
    with _answering() as answer, _turn(queue, concurrent):
        run = _prepare(test, saltenv, pillarenv, pillar, False, top_file=topfn)
        answer.end(*_run_highstate(run, exclude, None))
    return answer.value


def sls(
    mods: Names,
    test: bool | None = None,
    exclude: Names | None = None,
    queue: bool | int | None = None,
    concurrent: bool = False,
    saltenv: str | None = None,
    pillarenv: str | None = None,
    pillar: dict[str, Any] | None = None,
    sync_mods: Names | None = None,
    force: bool = False,
    **kwargs: Any,
) -> Any:
    """Apply the SLS in `mods`: names or globs separated by commas, or a list.

    CLI: ctl '*' state.sls core,edit.vim saltenv=dev
    """
    with _answering() as answer, _turn(queue, concurrent):
        run = _prepare(test, saltenv, pillarenv, pillar, force)
        if sync_mods:
            _sync(_words(sync_mods), [run.saltenv or "base"])
        answer.end(*_run_matches(run, _matches(run, mods), _excluded(exclude)))
    return answer.value


def sls_id(
    id_: str,
    mods: Names,
    test: bool | None = None,
    queue: bool | int | None = None,
    concurrent: bool = False,
    saltenv: str | None = None,
    pillarenv: str | None = None,
    pillar: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Apply one ID of the SLS in `mods`, with what it requires.

    CLI: ctl '*' state.sls_id my_state my_module
    """
    with _answering() as answer, _turn(queue, concurrent):
        run = _prepare(test, saltenv, pillarenv, pillar, False)
        compiled = run.compile(run.high(_matches(run, mods)))
        _refuse_problems(compiled.problems)
        program = run.select(compiled.program, id_)
        if not program.nodes:
            raise _Refused(
                [f"No matches for ID '{id_}' found in SLS '{mods}' within saltenv '{run.saltenv or 'base'}'"], 1
            )
        answer.end(*_finish(run.execute(program)))
    return answer.value


def single(
    fun: str,
    name: str,
    test: bool | None = None,
    queue: bool | int | None = None,
    concurrent: bool = False,
    saltenv: str | None = None,
    pillarenv: str | None = None,
    pillar: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Apply one state function, with its arguments.

    CLI: ctl '*' state.single pkg.installed name=vim
    """
    module, dot, function = fun.partition(".")
    if not dot:
        raise ArgumentError(f"{fun!r} is no state function", hint="write it as module.function")
    arguments = {key: value for key, value in kwargs.items() if not key.startswith("__pub")}
    data = {**arguments, "state": module, "fun": function, "name": name, "__id__": name}
    with _answering() as answer, _turn(queue, concurrent):
        run = _prepare(test, saltenv, pillarenv, pillar, False)
        answer.end(*_run_lows(run, [data]))
    return answer.value


def low(data: dict[str, Any], queue: bool | int | None = None, concurrent: bool = False, **kwargs: Any) -> Any:
    """Apply one low chunk, and return its return alone.

    CLI: ctl '*' state.low '{"state": "pkg", "fun": "installed", "name": "vi"}'
    """
    missing = [key for key in ("state", "fun", "name") if key not in data]
    if missing:
        current().scratch["retcode"] = EX_COMPILE
        return [f'Missing "{key}" data' for key in missing]
    data = {"__id__": data["name"], **data}
    with _answering() as answer, _turn(queue, concurrent):
        results, retcode = _run_lows(StateRun(_with_test(None)), [data])
        answer.end(next(iter(results.values())), retcode)
    return answer.value


def high(
    data: dict[str, Any],
    test: bool | None = None,
    queue: bool | int | None = None,
    concurrent: bool = False,
    **kwargs: Any,
) -> Any:
    """Apply high data.

    CLI: ctl '*' state.high '{"vim": {"pkg": ["installed"]}}'
    """
    return template_str(data, test=test, queue=queue, concurrent=concurrent)


def template(
    tem: str, test: bool | None = None, queue: bool | int | None = None, concurrent: bool = False, **kwargs: Any
) -> Any:
    """Apply an SLS file of this machine, by its path.

    CLI: ctl '*' state.template '/path/to/state.sls'
    """
    with open(tem, encoding="utf-8") as file:
        return template_str(file.read(), test=test, queue=queue, concurrent=concurrent)


def template_str(
    tem: str | dict[str, Any],
    test: bool | None = None,
    queue: bool | int | None = None,
    concurrent: bool = False,
    **kwargs: Any,
) -> Any:
    """Apply SLS text.

    CLI: ctl '*' state.template_str '{vim: pkg.installed}'
    """
    from ..common import render_yaml

    with _answering() as answer, _turn(queue, concurrent):
        run = StateRun(_with_test(test))
        high = run.text(tem if isinstance(tem, str) else render_yaml.dump(tem))
        answer.end(*_run_compiled(run, high))
    return answer.value


def show_top(saltenv: str | None = None, pillar: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    """Show which SLS the top file gives to this minion, by environment.

    CLI: ctl '*' state.show_top
    """
    with _answering() as answer:
        answer.end(_show(saltenv, None, pillar).matches())
    return answer.value


def show_highstate(
    saltenv: str | None = None, pillarenv: str | None = None, pillar: dict[str, Any] | None = None, **kwargs: Any
) -> Any:
    """Show the high data of the highstate.

    CLI: ctl '*' state.show_highstate
    """
    with _answering() as answer:
        run = _show(saltenv, pillarenv, pillar)
        answer.end(_high_data(run, run.matches()))
    return answer.value


def show_lowstate(
    saltenv: str | None = None, pillarenv: str | None = None, pillar: dict[str, Any] | None = None, **kwargs: Any
) -> Any:
    """Show the low chunks of the highstate in the order they run.

    CLI: ctl '*' state.show_lowstate
    """
    with _answering() as answer:
        run = _show(saltenv, pillarenv, pillar)
        answer.end(run.lows(run.high(run.matches())))
    return answer.value


def show_states(saltenv: str | None = None, sort: bool = True, **kwargs: Any) -> Any:
    """List the SLS of the highstate that have states.

    CLI: ctl '*' state.show_states
    """
    found = show_lowstate(saltenv=saltenv)
    if not all(isinstance(low, dict) for low in found):
        return found
    names = list(dict.fromkeys(low["__sls__"] for low in found))
    return sorted(names) if sort else names


def show_sls(
    mods: Names,
    saltenv: str | None = None,
    pillarenv: str | None = None,
    pillar: dict[str, Any] | None = None,
    exclude: Names | None = None,
    **kwargs: Any,
) -> Any:
    """Show the high data of the SLS in `mods`.

    CLI: ctl '*' state.show_sls core,edit.vim
    """
    with _answering() as answer:
        run = _show(saltenv, pillarenv, pillar)
        answer.end(_high_data(run, _matches(run, mods), _excluded(exclude)))
    return answer.value


def show_low_sls(
    mods: Names,
    saltenv: str | None = None,
    pillarenv: str | None = None,
    pillar: dict[str, Any] | None = None,
    exclude: Names | None = None,
    **kwargs: Any,
) -> Any:
    """Show the low chunks of the SLS in `mods` in the order they run.

    CLI: ctl '*' state.show_low_sls core,edit.vim
    """
    with _answering() as answer:
        run = _show(saltenv, pillarenv, pillar)
        answer.end(run.lows(run.high(_matches(run, mods), _excluded(exclude))))
    return answer.value


def check(
    mods: Names | None = None,
    saltenv: str | None = None,
    pillarenv: str | None = None,
    pillar: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Check the highstate, or the SLS in `mods`, without looking at the machine: all problems, each with its place.

    CLI: ctl-call --local state.check
    """
    with _answering() as answer:
        run = _show(saltenv, pillarenv, pillar)
        _refuse_problems(run.compile(run.high(_matches(run, mods) if mods else run.matches())).problems)
        answer.end([])
    return answer.value


def sls_exists(mods: Names, saltenv: str | None = None, **kwargs: Any) -> bool:
    """Tell whether every SLS in `mods` exists and renders.

    CLI: ctl '*' state.sls_exists core,edit.vim
    """
    return isinstance(show_sls(mods, saltenv=saltenv), dict)


def id_exists(ids: Names, mods: Names, saltenv: str | None = None, **kwargs: Any) -> bool:
    """Tell whether every ID in `ids` is in the SLS in `mods`.

    CLI: ctl '*' state.id_exists create_db,create_user mysql
    """
    found = show_low_sls(mods, saltenv=saltenv)
    return set(_words(ids)) <= {low["__id__"] for low in found if isinstance(low, dict)}


def running(concurrent: bool = False) -> list[str]:
    """List the state runs of this minion that are under way, a sentence each.

    CLI: ctl '*' state.running
    """
    if concurrent:
        return []
    context = current()
    jobs = [job for job in context.daemon.running() if job.get("jid") != context.jid]
    return [_describe(job) for job in jobs if str(job.get("fun", "")) in _RUNS]


_RUNS = frozenset(f"state.{name}" for name in ("apply", "highstate", "sls", "sls_id", "single", "low", "high", "top"))


# -- steps of the above ------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Answer:
    """What the caller gets, and the job's retcode."""

    value: Any = None
    retcode: int = 0

    def end(self, value: Any, retcode: int = 0) -> None:
        self.value, self.retcode = value, retcode


@contextlib.contextmanager
def _answering() -> Iterator[_Answer]:
    """Let a run end early with an answer: the list that a compile error returns, or why it was refused.

    The retcode is the run's own, whatever commands within it left behind.
    """
    answer = _Answer()
    try:
        yield answer
    except _Refused as refused:
        answer.end(refused.answer, refused.retcode)
    except CompileError as error:
        answer.end(error.problems, EX_COMPILE)
    current().scratch["retcode"] = answer.retcode


@contextlib.contextmanager
def _turn(queue: bool | int | None, concurrent: bool) -> Iterator[None]:
    """Have this minion's turn for a state run; a run within a run shares it."""
    context = current()
    if context.scratch.get("state_turn"):
        yield
        return
    if queue is None:
        queue = context.config.get("state_queue", True)
    holder = context.daemon.state_lock(queue, concurrent)
    if holder is not None:
        raise _Refused([_describe(holder)], EX_COMPILE)
    context.scratch["state_turn"] = True
    try:
        yield
    finally:
        context.scratch.pop("state_turn", None)


def _describe(job: dict[str, Any]) -> str:
    return (
        f'The function "{job.get("fun")}" is running as PID {job.get("pid")} and was started at '
        f"{job.get('started')} with jid {job.get('jid')}"
    )


def _with_test(test: bool | None) -> Context:
    context = current()
    if test is not None:
        context.test = test
    elif context.config.get("test"):
        context.test = True
    return context


def _prepare(
    test: bool | None,
    saltenv: str | None,
    pillarenv: str | None,
    pillar: dict[str, Any] | None,
    force: bool,
    top_file: str = "",
) -> StateRun:
    """Render the pillar anew and make a run of it; pillar that does not render refuses the run."""
    context = _with_test(test)
    fresh = context.daemon.pillar(saltenv=saltenv, pillarenv=pillarenv, override=pillar, fresh=True)
    context.pillar.clear()
    context.pillar.update(fresh)
    if fresh.get("_errors") and not force:
        raise _Refused(["Pillar failed to render with the following messages:", *fresh["_errors"]], EX_PILLAR)
    return StateRun(context, saltenv=saltenv, top_file=top_file)


def _show(saltenv: str | None, pillarenv: str | None, pillar: dict[str, Any] | None) -> StateRun:
    return _prepare(None, saltenv, pillarenv, pillar, False)


def _words(names: Names) -> list[Any]:
    return [name.strip() for name in names.split(",") if name.strip()] if isinstance(names, str) else list(names)


def _excluded(exclude: Names | None) -> list[Any]:
    return _words(exclude) if exclude else []


def _matches(run: StateRun, mods: Names) -> Matches:
    return {run.saltenv or "base": [str(name) for name in _words(mods)]}


def _sync(kinds: Sequence[str], environments: Sequence[str]) -> None:
    """Fetch users' plugins, and have this job see them."""
    context = current()
    for kind in kinds:
        name = f"saltutil.sync_{kind}"
        if name in context.functions:
            context.call(name, saltenv=list(environments))
    for loader in (context.functions, context.states):
        forget = getattr(loader, "forget", None)
        if forget is not None:
            forget()


def _run_highstate(run: StateRun, exclude: Names | None, whitelist: Names | None) -> tuple[Any, int]:
    matches = run.matches()
    if not matches:
        return nothing("No Top file or master_tops data matches found. Please see master log for details."), EX_STATE
    if whitelist:
        wanted = set(_words(whitelist))
        matches = {env: [name for name in names if name in wanted] for env, names in matches.items()}
    if run.config.get("autoload_dynamic_modules", True):
        _sync(["all"], list(matches))
    return _run_matches(run, matches, _excluded(exclude))


def _run_matches(run: StateRun, matches: Matches, exclude: list[Any]) -> tuple[Any, int]:
    high = run.high(matches, exclude)
    if not high.problems and not [key for key in high.data if not str(key).startswith("__")]:
        return nothing("No states found for this minion"), EX_STATE
    return _run_compiled(run, high)


def _run_compiled(run: StateRun, high: High) -> tuple[Any, int]:
    compiled = run.compile(high)
    _refuse_problems(compiled.problems)
    return _finish(run.execute(compiled.program), compiled.program)


def _run_lows(run: StateRun, lows: list[dict[str, Any]]) -> tuple[dict[str, Any], int]:
    compiled = run.compile_lows(lows)
    _refuse_problems(compiled.problems)
    return _finish(run.execute(compiled.program))


def _finish(results: dict[str, Any], program: Program | None = None) -> tuple[dict[str, Any], int]:
    return results, EX_STATE if has_failed(results, program) else 0


def _refuse_problems(problems: list[str]) -> None:
    if problems:
        raise _Refused(problems, EX_COMPILE)


def _high_data(run: StateRun, matches: Matches, exclude: Sequence[Any] = ()) -> dict[str, Any]:
    high = run.high(matches, exclude)
    problems = run.check(high)
    if problems:
        raise _Refused(problems, EX_COMPILE)
    return high.data
