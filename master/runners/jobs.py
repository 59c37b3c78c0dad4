"""Look at jobs: which run, which ran, what they returned.

CLI example: `ctl-run jobs.active`
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ...common.context import current
from ...common.errors import JobError
from ...common.wire import unpack_payload
from ..port import master

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def active() -> dict[str, dict[str, Any]]:
    """List the jobs that are not over on every minion.

    CLI example: `ctl-run jobs.active`
    """
    found = {}
    for job in _stream("job.active"):
        entry = _format(job)
        entry["Returned"] = job["returned"]
        entry["Running"] = job["running"]
        entry["States"] = job["states"]
        found[job["jid"]] = entry
    return found


def list_jobs(
    search_function: str | None = None,
    search_target: str | None = None,
    count: int = 10000,
) -> dict[str, dict[str, Any]]:
    """List the jobs in the job cache, the newest `count` of them.

    search_function: only jobs of this function. search_target: only jobs that were expected of this minion.

    CLI example: `ctl-run jobs.list_jobs search_function=test.ping`
    """
    jobs = _stream("job.list", limit=count, fun=search_function or "", minion=search_target or "")
    return {job["jid"]: _format(job) for job in sorted(jobs, key=lambda job: str(job["jid"]))}


def list_job(jid: str) -> dict[str, Any]:
    """Show one job: what it was, whom it was for, what came back.

    CLI example: `ctl-run jobs.list_job 20260101120000000000`
    """
    job = master().call("job.get", jid=str(jid))
    result = {
        minion: {"return": _value(data), "retcode": data["retcode"], "success": data["success"]}
        for minion, data in _returns(jid).items()
    }
    return {"jid": job["jid"], **_format(job), "Minions": job["minions"], "States": job["states"], "Result": result}


def print_job(jid: str) -> dict[str, Any]:
    """Show one job, under its id.

    CLI example: `ctl-run jobs.print_job 20260101120000000000`
    """
    return {str(jid): list_job(jid)}


def last_run(function: str | None = None) -> dict[str, Any]:
    """Show the newest job, or the newest of one function.

    CLI example: `ctl-run jobs.last_run state.apply`
    """
    for job in _stream("job.list", limit=1, fun=function or "", minion=""):
        return print_job(job["jid"])
    raise JobError("there is no such job in the job cache")


def lookup_jid(jid: str) -> dict[str, Any]:
    """Return what minions returned to a job: `{minion: return}`.

    CLI example: `ctl-run jobs.lookup_jid 20260101120000000000`
    """
    return {minion: _value(data) for minion, data in _returns(jid).items()}


def exit_success(jid: str) -> dict[str, bool]:
    """Say for each expected minion whether the job succeeded there; one that did not return did not.

    CLI example: `ctl-run jobs.exit_success 20260101120000000000`
    """
    expected = master().call("job.get", jid=str(jid))["minions"]
    returns = _returns(jid)
    good = {minion: _succeeded(returns.get(minion)) for minion in expected}
    if not all(good.values()):
        current().scratch["retcode"] = 1
    return good


def _succeeded(data: Mapping[str, Any] | None) -> bool:
    return data is not None and data["state"] == "returned" and data["retcode"] == 0 and bool(data["success"])


def _stream(op: str, **arguments: Any) -> list[dict[str, Any]]:
    return [data for kind, data in master().request(op, **arguments) if kind != "result"]


def _returns(jid: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for kind, data in master().request("returns", jid=str(jid)):
        if kind == "return":
            found[data["id"]] = data
        elif kind == "part":
            found[data["id"]]["payload"] += data["data"]
    return found


def _value(data: Mapping[str, Any]) -> Any:
    payload = data["payload"]
    return unpack_payload(payload) if payload else data["reason"] or None


def _format(job: Mapping[str, Any]) -> dict[str, Any]:
    arguments = unpack_payload(job["arg"])
    keywords = unpack_payload(job["kwarg"])
    return {
        "Function": job["fun"],
        "Arguments": [*arguments, {"__kwarg__": True, **keywords}] if keywords else arguments,
        "Target": job["tgt"],
        "Target-type": job["tgt_type"],
        "User": job["user"],
        "StartTime": _start_time(job["jid"]),
        **({"Metadata": unpack_payload(job["metadata"])} if job.get("metadata") else {}),
    }


def _start_time(jid: str) -> str:
    """Write the time in a job's id as Salt does: `2026, Jan 01 12:00:00.000000`."""
    moment = datetime.strptime(jid[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return f"{moment.year}, {_MONTHS[moment.month - 1]} {moment:%d %H:%M:%S}.{jid[14:]}"
