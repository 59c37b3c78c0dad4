"""The minion itself: sync users' plugins, refresh what it holds, see and end its jobs."""

from __future__ import annotations

import fnmatch
import signal as signals
from typing import Any

from ..common.context import current
from ..common.errors import CommandExecutionError
from ..common.extmods import KINDS, synced_directory
from ._sync import sync_kind


def sync_all(saltenv: str | list[str] | None = None, refresh: bool = True) -> dict[str, list[str]]:
    """Copy users' plugins of every kind from the state tree to this minion; returns what was copied, by kind.

    What is no longer in the tree is removed. saltenv
        One environment, or several; by default the minion's own.
    refresh
        Use the new plugins at once.

    CLI Example:

        ctl '*' saltutil.sync_all
    """
    return _sync(KINDS, saltenv, refresh)


def sync_modules(saltenv: str | list[str] | None = None, refresh: bool = True) -> list[str]:
    """Copy execution modules from `_modules` of the state tree.

    CLI Example:

        ctl '*' saltutil.sync_modules
    """
    return _sync(("modules",), saltenv, refresh)["modules"]


def sync_states(saltenv: str | list[str] | None = None, refresh: bool = True) -> list[str]:
    """Copy state modules from `_states` of the state tree.

    CLI Example:

        ctl '*' saltutil.sync_states
    """
    return _sync(("states",), saltenv, refresh)["states"]


def sync_grains(saltenv: str | list[str] | None = None, refresh: bool = True) -> list[str]:
    """Copy grains from `_grains` of the state tree, and collect the grains anew where they changed.

    CLI Example:

        ctl '*' saltutil.sync_grains
    """
    return _sync(("grains",), saltenv, refresh)["grains"]


def sync_utils(saltenv: str | list[str] | None = None, refresh: bool = True) -> list[str]:
    """Copy modules that plugins share from `_utils` of the state tree.

    CLI Example:

        ctl '*' saltutil.sync_utils
    """
    return _sync(("utils",), saltenv, refresh)["utils"]


def sync_renderers(saltenv: str | list[str] | None = None, refresh: bool = True) -> list[str]:
    """Copy renderers from `_renderers` of the state tree.

    CLI Example:

        ctl '*' saltutil.sync_renderers
    """
    return _sync(("renderers",), saltenv, refresh)["renderers"]


def sync_returners(saltenv: str | list[str] | None = None, refresh: bool = True) -> list[str]:
    """Copy returners from `_returners` of the state tree.

    CLI Example:

        ctl '*' saltutil.sync_returners
    """
    return _sync(("returners",), saltenv, refresh)["returners"]


def sync_outputters(saltenv: str | list[str] | None = None, refresh: bool = True) -> list[str]:
    """Copy outputters from `_outputters` (or Salt's `_output`) of the state tree.

    CLI Example:

        ctl '*' saltutil.sync_outputters
    """
    return _sync(("outputters",), saltenv, refresh)["outputters"]


def sync_beacons(saltenv: str | list[str] | None = None, refresh: bool = True) -> list[str]:
    """Copy beacons from `_beacons` of the state tree.

    CLI Example:

        ctl '*' saltutil.sync_beacons
    """
    return _sync(("beacons",), saltenv, refresh)["beacons"]


def sync_engines(saltenv: str | list[str] | None = None, refresh: bool = True) -> list[str]:
    """Copy engines from `_engines` of the state tree.

    CLI Example:

        ctl '*' saltutil.sync_engines
    """
    return _sync(("engines",), saltenv, refresh)["engines"]


def _sync(kinds: tuple[str, ...], saltenv: str | list[str] | None, refresh: bool) -> dict[str, list[str]]:
    context = current()
    saltenvs = _environments(saltenv)
    copied: dict[str, list[str]] = {}
    changed: set[str] = set()
    for kind in kinds:
        directory = synced_directory(context.config, kind)
        copied[kind], differs = sync_kind(context.files, kind, directory, saltenvs)
        if differs:
            changed.add(kind)
    if refresh and changed:
        context.daemon.refresh("modules")
        if "grains" in changed:
            context.daemon.refresh("grains")
    return copied


def _environments(saltenv: str | list[str] | None) -> list[str]:
    if isinstance(saltenv, str):
        return [word.strip() for word in saltenv.split(",") if word.strip()]
    return list(saltenv) if saltenv else [current().saltenv]


def refresh_modules() -> bool:
    """Forget loaded plugins: the next job loads them anew.

    CLI Example:

        ctl '*' saltutil.refresh_modules
    """
    return current().daemon.refresh("modules")


def refresh_grains(refresh_pillar: bool = True) -> bool:
    """Collect this minion's grains anew and tell the master; then have the pillar rendered with them.

    CLI Example:

        ctl '*' saltutil.refresh_grains
    """
    daemon = current().daemon
    done = daemon.refresh("grains")
    return daemon.refresh("pillar") and done if refresh_pillar else done


def refresh_pillar() -> bool:
    """Have the master render this minion's pillar anew, and keep it.

    CLI Example:

        ctl '*' saltutil.refresh_pillar
    """
    return current().daemon.refresh("pillar")


def running() -> list[dict[str, Any]]:
    """List the jobs that run on this minion, without this one.

    CLI Example:

        ctl '*' saltutil.running
    """
    context = current()
    return [job for job in context.daemon.running() if job["jid"] != context.jid]


def find_job(jid: str) -> dict[str, Any]:
    """Return what is known of a running job, or nothing where it does not run.

    CLI Example:

        ctl '*' saltutil.find_job 20260101120000000000
    """
    return next((job for job in running() if job["jid"] == str(jid)), {})


def is_running(fun: str) -> list[dict[str, Any]]:
    """List the running jobs whose function matches a glob.

    CLI Example:

        ctl '*' saltutil.is_running 'state.*'
    """
    return [job for job in running() if fnmatch.fnmatchcase(str(job["fun"]), fun)]


def signal_job(jid: str, sig: int | str) -> str:
    """Send a signal, by number or name, to everything that a job runs.

    CLI Example:

        ctl '*' saltutil.signal_job 20260101120000000000 USR1
    """
    number = _signal_number(sig)
    job = find_job(jid)
    if not job or not current().daemon.kill(str(jid), number):
        return ""
    return f"Signal {number} sent to job {jid} at pid {job['pid']}"


def term_job(jid: str) -> str:
    """Ask a job to end (SIGTERM).

    CLI Example:

        ctl '*' saltutil.term_job 20260101120000000000
    """
    return signal_job(jid, signals.SIGTERM)


def kill_job(jid: str) -> str:
    """End a job at once (SIGKILL), with everything it started.

    CLI Example:

        ctl '*' saltutil.kill_job 20260101120000000000
    """
    return signal_job(jid, signals.SIGKILL)


def signal_all_jobs(sig: int | str) -> list[str]:
    """Send a signal to every other job of this minion.

    CLI Example:

        ctl '*' saltutil.signal_all_jobs TERM
    """
    return [answer for job in running() if (answer := signal_job(job["jid"], sig))]


def term_all_jobs() -> list[str]:
    """Ask every other job of this minion to end.

    CLI Example:

        ctl '*' saltutil.term_all_jobs
    """
    return signal_all_jobs(signals.SIGTERM)


def kill_all_jobs() -> list[str]:
    """End every other job of this minion at once.

    CLI Example:

        ctl '*' saltutil.kill_all_jobs
    """
    return signal_all_jobs(signals.SIGKILL)


def clear_cache() -> bool:
    """Remove the master's files from this minion's cache; they are fetched again as they are needed.

    CLI Example:

        ctl '*' saltutil.clear_cache
    """
    return current().daemon.refresh("files")


def _signal_number(sig: int | str) -> int:
    text = str(sig).upper().removeprefix("SIG")
    if text.isdecimal():
        number = int(text)
    else:
        number = next((item.value for item in signals.Signals if item.name == f"SIG{text}"), 0)
    if not 0 < number < signals.NSIG:
        raise CommandExecutionError(f"there is no signal {sig!r}")
    return number
