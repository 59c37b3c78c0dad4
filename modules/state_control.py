"""Say which states may run and when: runs under way and their pauses, disabled states, requests, pending triggers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..common.atomic import atomic_write
from ..common.context import current
from ..common.errors import CommandExecutionError
from ..common.state.pauses import EVERY, Pauses
from ..common.state.pending import Pending
from ..common.state.runtime import DISABLED_GRAIN
from ._state_run import Names, describe, words

__virtualname__ = "state"

_STARTERS = ("apply", "highstate", "sls", "sls_id", "single", "low", "high", "top", "template", "template_str", "test")
RUNS = frozenset(f"state.{name}" for name in (*_STARTERS, "run_request"))
REQUESTS = "minion/state_requests.json"


def running(concurrent: bool = False) -> list[str]:
    """List the state runs of this minion that are under way, a sentence each.

    CLI: ctl '*' state.running
    """
    if concurrent:
        return []
    context = current()
    jobs = [job for job in context.daemon.running() if job.get("jid") != context.jid]
    return [describe(job) for job in jobs if str(job.get("fun", "")) in RUNS]


# -- disabling -----------------------------------------------------------------------------------------------------


def disable(states: Names) -> dict[str, Any]:
    """Keep states from running on this minion: `highstate`, an SLS by its name, or functions (`pkg.*`).

    They are kept in the grain `state_runs_disabled`.

    CLI: ctl '*' state.disable highstate
    """
    known = _disabled()
    return _set_disabled(words(states), [name for name in words(states) if name not in known], [], "disabled")


def enable(states: Names) -> dict[str, Any]:
    """Let states run again that `state.disable` named.

    CLI: ctl '*' state.enable highstate
    """
    known = _disabled()
    return _set_disabled(words(states), [], [name for name in words(states) if name in known], "enabled")


def list_disabled() -> list[str]:
    """List what is disabled.

    CLI: ctl '*' state.list_disabled
    """
    return _disabled()


def _disabled() -> list[str]:
    found = current().grains.get(DISABLED_GRAIN)
    return [str(name) for name in found] if isinstance(found, list) else []


def _set_disabled(names: list[Any], added: list[Any], removed: list[Any], word: str) -> dict[str, Any]:
    changed = {*added, *removed}
    told = [f"Info: {name} state {word if name in changed else f'already {word}'}." for name in names]
    if changed:
        current().call(
            "grains.setval", DISABLED_GRAIN, [name for name in [*_disabled(), *added] if name not in removed]
        )
    return {"res": True, "msg": "\n".join(told)}


# -- requests ------------------------------------------------------------------------------------------------------


def request(mods: Names | None = None, name: str = "default", **kwargs: Any) -> Any:
    """Ask whoever looks after this minion to run states: shows the dry run, and keeps it for `state.run_request`.

    The arguments are those of `state.apply`; `name` keeps several requests apart.

    CLI: ctl '*' state.request nginx
    """
    kwargs = {key: value for key, value in kwargs.items() if not key.startswith("__") and key != "test"}
    shown = current().call("state.apply", mods, **{**kwargs, "test": True})
    _write_requests({**_requests(), name: {"test_run": shown, "mods": mods, "kwargs": kwargs}})
    return shown


def check_request(name: str | None = None) -> dict[str, Any]:
    """Return what is requested: the SLS, the arguments and the dry run, by the requests' names or of one.

    CLI: ctl '*' state.check_request
    """
    found = _requests()
    return dict(found.get(name, {})) if name else found


def clear_request(name: str | None = None) -> bool:
    """Forget a request without running it, or all of them; False where there is none of that name.

    CLI: ctl '*' state.clear_request
    """
    found = _requests()
    if name and name not in found:
        return not found
    _write_requests({key: value for key, value in found.items() if name and key != name})
    return True


def run_request(name: str = "default", **kwargs: Any) -> Any:
    """Run what is requested, and forget the request; arguments go before those of the request.

    CLI: ctl '*' state.run_request
    """
    found = _requests().get(name)
    if found is None:
        return {}
    given = {key: value for key, value in kwargs.items() if not key.startswith("__")}
    returned = current().call("state.apply", found["mods"], **{**found["kwargs"], **given})
    clear_request(name)
    return returned


def _request_file() -> Path:
    directory = current().config.get("data_dir")
    if not directory:
        raise CommandExecutionError("this minion has no data_dir to keep requests in")
    return Path(directory, REQUESTS)


def _requests() -> dict[str, Any]:
    try:
        return dict(json.loads(_request_file().read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


def _write_requests(requests: dict[str, Any]) -> None:
    path = _request_file()
    if not requests:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    atomic_write(path, json.dumps(requests, default=str).encode(), mode=0o600)


# -- a run under way -----------------------------------------------------------------------------------------------


def pause(jid: str, state_id: str = EVERY, duration: float | None = None) -> bool:
    """Have a state run under way pause before the state of an ID, or before its next one.

    duration
        For how many seconds; default: until `state.resume`.

    CLI: ctl '*' state.pause 20260101120000000000 vim 20
    """
    _pauses(jid).pause(state_id, duration)
    return True


def resume(jid: str, state_id: str = EVERY) -> bool:
    """Let a state run go on that `state.pause` holds; says whether it was to pause there.

    CLI: ctl '*' state.resume 20260101120000000000
    """
    return _pauses(jid).resume(state_id)


def soft_kill(jid: str, state_id: str = EVERY) -> bool:
    """Have a state run under way end before the state of an ID, or before its next one; what runs is not broken off.

    CLI: ctl '*' state.soft_kill 20260101120000000000
    """
    _pauses(jid).kill(state_id)
    return True


def _pauses(jid: str) -> Pauses:
    context = current()
    runs = [str(job.get("jid")) for job in context.daemon.running() if str(job.get("fun", "")) in RUNS]
    if str(jid) not in runs:
        raise CommandExecutionError(
            f"no state run {jid} is under way here", hint=f"there is {', '.join(runs) or 'none'}"
        )
    return Pauses(context.config.get("data_dir"), str(jid))


# -- pending triggers ----------------------------------------------------------------------------------------------


def pending() -> dict[str, Any]:
    """List the triggers that are due: states to be triggered by a `watch` or `listen` that a failure prevented.

    They fire at the next run that has these states, also where nothing changes by then.

    CLI: ctl '*' state.pending
    """
    return {
        trigger.tag: {"because": trigger.because, "since": trigger.since, "jid": trigger.jid} for trigger in _pending()
    }


def clear_pending(tag: str | None = None) -> list[str]:
    """Forget a trigger that is due, by its key in `state.pending` or by its ID, or all of them; returns which.

    CLI: ctl '*' state.clear_pending
    """
    kept = _pending()
    found = [trigger.tag for trigger in kept if tag is None or tag == trigger.tag or tag in trigger.tag.split("_|-")]
    for one in found:
        kept.settle(one)
    return found


def _pending() -> Pending:
    return Pending(current().config.get("data_dir"))
