"""Describe machines in SLS files, and bring them there.

`state.apply` does what the top file says, or the SLS that are named; `state.show_*` shows what it would do, and
`test=True` what it would change.
"""

from __future__ import annotations

from typing import Any

from ..common.context import current
from ..common.errors import ArgumentError
from ..common.state.run import StateRun
from ._state_run import (
    EX_COMPILE,
    Names,
    Refused,
    answering,
    excluded,
    finish,
    matches_of,
    prepare,
    refuse_disabled,
    refuse_misspelt,
    refuse_problems,
    run_compiled,
    run_highstate,
    run_lows,
    run_matches,
    sync,
    turn,
    with_test,
    words,
)

__func_alias__ = {"apply_": "apply", "try_run": "test"}


def apply_(
    mods: Names | None = None,
    test: bool | None = None,
    queue: bool | int | None = None,
    concurrent: bool = False,
    exclude: Names | None = None,
    saltenv: str | None = None,
    pillarenv: str | None = None,
    pillar: dict[str, Any] | None = None,
    pillar_enc: str | None = None,
    sync_mods: Names | None = None,
    force: bool = False,
    **kwargs: Any,
) -> Any:
    """Apply the SLS in `mods` (names separated by commas, or a list), or without it the highstate.

    test
        Show what would change, and change nothing.
    pillar
        Values that go before the minion's pillar, for this run.
    pillar_enc
        The renderer that decrypts those values here: `gpg`.
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
        "pillar_enc": pillar_enc,
        "force": force,
    }
    if mods:
        return sls(mods, sync_mods=sync_mods, **options, **kwargs)
    return highstate(**options, **kwargs)


def try_run(mods: Names | None = None, **kwargs: Any) -> Any:
    """Do what `state.apply test=True` does: show what would change, and change nothing.

    CLI: ctl '*' state.test nginx
    """
    kwargs["test"] = True
    return apply_(mods, **kwargs)


def highstate(
    test: bool | None = None,
    queue: bool | int | None = None,
    concurrent: bool = False,
    exclude: Names | None = None,
    saltenv: str | None = None,
    pillarenv: str | None = None,
    pillar: dict[str, Any] | None = None,
    pillar_enc: str | None = None,
    whitelist: Names | None = None,
    force: bool = False,
    **kwargs: Any,
) -> Any:
    """Apply every SLS that the top file gives to this minion.

    CLI: ctl '*' state.highstate
    """
    refuse_misspelt(kwargs)
    with answering() as answer, turn(queue, concurrent):
        refuse_disabled(["highstate"])
        run = prepare(test, saltenv, pillarenv, pillar, force, pillar_enc=pillar_enc)
        answer.end(*run_highstate(run, exclude, whitelist))
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
    pillar_enc: str | None = None,
    **kwargs: Any,
) -> Any:
    """Apply the highstate of another top file.

    CLI: ctl '*' state.top reverse_top.sls
    """
    refuse_misspelt(kwargs)
    with answering() as answer, turn(queue, concurrent):
        refuse_disabled(["top"])
        run = prepare(test, saltenv, pillarenv, pillar, False, top_file=topfn, pillar_enc=pillar_enc)
        answer.end(*run_highstate(run, exclude, None))
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
    pillar_enc: str | None = None,
    sync_mods: Names | None = None,
    force: bool = False,
    **kwargs: Any,
) -> Any:
    """Apply the SLS in `mods`: names or globs separated by commas, or a list.

    CLI: ctl '*' state.sls core,edit.vim saltenv=dev
    """
    refuse_misspelt(kwargs)
    with answering() as answer, turn(queue, concurrent):
        refuse_disabled(words(mods))
        run = prepare(test, saltenv, pillarenv, pillar, force, pillar_enc=pillar_enc)
        if sync_mods:
            sync(words(sync_mods), [run.saltenv or "base"])
        answer.end(*run_matches(run, matches_of(run, mods), excluded(exclude)))
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
    pillar_enc: str | None = None,
    **kwargs: Any,
) -> Any:
    """Apply one ID of the SLS in `mods`, with what it requires.

    CLI: ctl '*' state.sls_id my_state my_module
    """
    refuse_misspelt(kwargs)
    with answering() as answer, turn(queue, concurrent):
        run = prepare(test, saltenv, pillarenv, pillar, False, pillar_enc=pillar_enc)
        compiled = run.compile(run.high(matches_of(run, mods)))
        refuse_problems(compiled.problems)
        program = run.select(compiled.program, id_)
        if not program.nodes:
            raise Refused(
                [f"No matches for ID '{id_}' found in SLS '{mods}' within saltenv '{run.saltenv or 'base'}'"], 1
            )
        answer.end(*finish(run.execute(program)))
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
    with answering() as answer, turn(queue, concurrent):
        run = prepare(test, saltenv, pillarenv, pillar, False)
        answer.end(*run_lows(run, [data]))
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
    with answering() as answer, turn(queue, concurrent):
        results, retcode = run_lows(StateRun(with_test(None)), [data])
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

    with answering() as answer, turn(queue, concurrent):
        run = StateRun(with_test(test))
        high = run.text(tem if isinstance(tem, str) else render_yaml.dump(tem))
        answer.end(*run_compiled(run, high))
    return answer.value
