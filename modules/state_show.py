"""Show what states would run, without running them."""

from __future__ import annotations

from typing import Any

from ..common.context import use
from ..common.errors import nearest
from ..common.state import journal
from ..common.state.explain import Explainer
from ._state_run import (
    EX_COMPILE,
    Names,
    Refused,
    answering,
    excluded,
    high_data,
    matches_of,
    refuse_problems,
    showing,
    with_test,
    words,
)

__virtualname__ = "state"


def show_top(saltenv: str | None = None, pillar: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    """Show which SLS the top file gives to this minion, by environment.

    CLI: ctl '*' state.show_top
    """
    with answering() as answer:
        answer.end(showing(saltenv, None, pillar).matches())
    return answer.value


def show_highstate(
    saltenv: str | None = None, pillarenv: str | None = None, pillar: dict[str, Any] | None = None, **kwargs: Any
) -> Any:
    """Show the high data of the highstate.

    CLI: ctl '*' state.show_highstate
    """
    with answering() as answer:
        run = showing(saltenv, pillarenv, pillar)
        answer.end(high_data(run, run.matches()))
    return answer.value


def show_lowstate(
    saltenv: str | None = None, pillarenv: str | None = None, pillar: dict[str, Any] | None = None, **kwargs: Any
) -> Any:
    """Show the low chunks of the highstate in the order they run.

    CLI: ctl '*' state.show_lowstate
    """
    with answering() as answer:
        run = showing(saltenv, pillarenv, pillar)
        answer.end(run.lows(run.high(run.matches())))
    return answer.value


def show_states(saltenv: str | None = None, sort: bool = False, **kwargs: Any) -> Any:
    """List the SLS of the highstate that have states, in the order in which they come up.

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
    with answering() as answer:
        run = showing(saltenv, pillarenv, pillar)
        answer.end(high_data(run, matches_of(run, mods), excluded(exclude)))
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
    with answering() as answer:
        run = showing(saltenv, pillarenv, pillar)
        answer.end(run.lows(run.high(matches_of(run, mods), excluded(exclude))))
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
    with answering() as answer:
        run = showing(saltenv, pillarenv, pillar)
        refuse_problems(run.compile(run.high(matches_of(run, mods) if mods else run.matches())).problems)
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
    return set(words(ids)) <= {low["__id__"] for low in found if isinstance(low, dict)}


def explain(
    id_: str,
    mods: Names | None = None,
    saltenv: str | None = None,
    pillarenv: str | None = None,
    pillar: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Say why a state of the highstate, or of the SLS in `mods`, would run or not, and what it did in the last run.

    A dry run of the state and of what it requires tells what each requisite and each condition comes to.

    CLI: ctl '*' state.explain nginx
    CLI: ctl '*' state.explain /etc/nginx/nginx.conf nginx
    """
    with answering() as answer:
        with_test(True)
        run = showing(saltenv, pillarenv, pillar)
        compiled = run.compile(run.high(matches_of(run, mods) if mods else run.matches()))
        refuse_problems(compiled.problems)
        chunks = compiled.program.chunks
        ids = {chunk.id for chunk in chunks if id_ in (chunk.id, chunk.name)}
        if not ids:
            near = nearest(id_, [chunk.id for chunk in chunks])
            hint = f" (did you mean '{near}'?)" if near else ""
            raise Refused([f"there is no state with the ID or name '{id_}'{hint}"], EX_COMPILE)
        last = journal.read(run.context.config.get("data_dir") or "")
        explainer = Explainer(run.context, compiled.program, last)
        with use(run.context):
            answer.end(
                {
                    tag: found
                    for one in sorted(ids)
                    for tag, found in explainer.explain(run.select(compiled.program, one), one).items()
                }
            )
    return answer.value
