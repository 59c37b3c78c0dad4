"""Services: running or not, started at boot or not, and restarted when what they read has changed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from ..common.context import current
from ..common.errors import CommandExecutionError
from ..common.state.plan import Changes, Plan, Step, change, refuse, same
from ._planning import Missing, planning

# How long a script that has ended may be ahead of the program that it started or stopped.
SETTLE_S = 1.0
_POLL_S = 0.05


@planning
def running(
    name: str,
    enable: bool | None = None,
    sig: str | None = None,
    init_delay: float | None = None,
    unmask: bool = False,
    unmask_runtime: bool = False,
    reload: bool = False,
    full_restart: bool = False,
    restart: bool = False,
) -> Plan:
    """Make sure that a service runs.

    enable
        True: start it at boot, too; False: do not.
    init_delay
        How many seconds to wait before looking whether it runs.
    unmask, unmask_runtime
        Unmask it before.
    reload, full_restart
        What a `watch` does with it, instead of restarting it.
    sig
        Look for this text among the processes to tell whether it runs.

    SLS example:

        nginx:
          service.running:
            - enable: True
            - reload: True
            - watch:
              - file: /etc/nginx/nginx.conf
    """
    _check_available(name)
    steps = []
    if (unmask or unmask_runtime) and _call("service.masked", name, runtime=unmask_runtime):
        steps.append(_step(f"unmask {name}", name, "service.unmask", runtime=unmask_runtime))
    runs = _runs(name, sig)
    if not runs:
        steps.append(_step(f"start {name}", name, "service.start"))
    steps += _enable_steps(name, enable)
    if not steps:
        return same(f"The service {name} is already running")
    plan = change(
        f"Service {name} is set to {'be enabled' if enable and runs else 'be disabled' if runs else 'start'}",
        {name: True},
        *steps,
        done=_running_sentence(name, runs, enable),
    )
    return plan if runs else _verified(plan, name, True, sig, init_delay)


def _running_sentence(name: str, runs: bool, enable: bool | None) -> str:
    words = {None: "", True: "enabled", False: "disabled"}[enable]
    if runs:
        return f"Service {name} has been {words}, and is running"
    return f"Service {name} has been {words}, and was started" if words else f"Started service {name}"


@planning
def dead(name: str, enable: bool | None = None, sig: str | None = None, init_delay: float | None = None) -> Plan:
    """Make sure that a service does not run.

    enable
        False: do not start it at boot, either; True: do.

    SLS example:

        exim4:
          service.dead:
            - enable: False
    """
    if not _call("service.available", name):
        return same(f"The service {name} is not available")
    runs = _runs(name, sig)
    steps = [_step(f"stop {name}", name, "service.stop")] if runs else []
    steps += _enable_steps(name, enable)
    if not steps:
        return same(f"The service {name} is already dead")
    plan = change(
        f"Service {name} is set to be killed" if runs else f"Service {name} is set to be changed",
        {name: True},
        *steps,
        done=f"Service {name} was killed" if runs else f"Service {name} was changed, and is dead",
    )
    return _verified(plan, name, False, sig, init_delay) if runs else plan


@planning
def enabled(name: str) -> Plan:
    """Make sure that a service is started at boot; whether it runs now is left alone.

    SLS example:

        ssh:
          service.enabled: []
    """
    _check_available(name)
    steps = _enable_steps(name, True)
    if not steps:
        return same(f"Service {name} is already enabled")
    return change(f"Service {name} set to be enabled", {name: True}, *steps, done=f"Service {name} has been enabled")


@planning
def disabled(name: str) -> Plan:
    """Make sure that a service is not started at boot; whether it runs now is left alone.

    SLS example:

        cups:
          service.disabled: []
    """
    if not _call("service.available", name):
        return same(f"The service {name} is not available")
    steps = _enable_steps(name, False)
    if not steps:
        return same(f"Service {name} is already disabled")
    return change(f"Service {name} set to be disabled", {name: True}, *steps, done=f"Service {name} has been disabled")


@planning
def masked(name: str, runtime: bool = False) -> Plan:
    """Make sure that a service cannot be started.

    SLS example:

        cups:
          service.masked: []
    """
    if _call("service.masked", name, runtime=runtime):
        return same(f"Service {name} is already masked")
    step = _step(f"mask {name}", name, "service.mask", runtime=runtime)
    return change(f"Service {name} is set to be masked", {name: True}, step, done=f"Service {name} was masked")


@planning
def unmasked(name: str, runtime: bool = False) -> Plan:
    """Make sure that a service can be started.

    SLS example:

        cups:
          service.unmasked: []
    """
    if not _call("service.masked", name, runtime=runtime):
        return same(f"Service {name} is not masked")
    step = _step(f"unmask {name}", name, "service.unmask", runtime=runtime)
    return change(f"Service {name} is set to be unmasked", {name: True}, step, done=f"Service {name} was unmasked")


@planning
def mod_watch(
    name: str,
    sfun: str | None = None,
    sig: str | None = None,
    full_restart: bool = False,
    init_delay: float | None = None,
    force: bool = False,
    reload: bool = False,
    restart: bool = False,
) -> Plan:
    """Restart a service, since something that its state watches has changed; `reload` or `full_restart` as told.

    A service that shall be dead is stopped. One that does not run is started.
    """
    if sfun == "dead":
        if not _runs(name, sig):
            return same(f"Service {name} is already stopped")
        return change(
            f"Service {name} is set to be stopped",
            {name: True},
            _step(f"stop {name}", name, "service.stop"),
            done=f"Service {name} was stopped",
        )
    if sfun not in ("running", None):
        return refuse(f"Unable to trigger watch for service.{sfun}")
    if not current().test:
        _check_available(name)
    action = _watch_action(name, sig, reload, full_restart)
    options = {"force": True} if force and action in ("reload", "full_restart") else {}
    verb = {"reload": "reloaded", "start": "started"}.get(action, "restarted")
    plan = change(
        f"Service is set to be {verb}",
        {name: True},
        _step(f"{action} {name}", name, f"service.{action}", **options),
        done=f"Service {verb}",
    )
    return _verified(plan, name, True, sig, init_delay)


def _watch_action(name: str, sig: str | None, reload: bool, full_restart: bool) -> str:
    if not _call("service.available", name) or not _runs(name, sig):
        return "start"
    wanted = "reload" if reload else "full_restart" if full_restart else "restart"
    return wanted if f"service.{wanted}" in current().functions else "restart"


def _call(function: str, *args: Any, **kwargs: Any) -> Any:
    return current().call(function, *args, **{key: value for key, value in kwargs.items() if value})


def _check_available(name: str) -> None:
    if not _call("service.available", name):
        raise Missing(f"The named service {name} is not available")


def _runs(name: str, sig: str | None) -> bool:
    status = _call("service.status", name, sig) if sig else _call("service.status", name)
    if isinstance(status, dict):
        return bool(status) and all(status.values())
    return bool(status)


def _enable_steps(name: str, enable: bool | None) -> list[Step]:
    if enable is None or bool(_call("service.enabled", name)) is enable:
        return []
    word = "enable" if enable else "disable"
    return [_step(f"{word} {name}", name, f"service.{word}")]


def _step(describe: str, name: str, function: str, **kwargs: Any) -> Step:
    def run() -> Changes:
        if _call(function, name, **kwargs) is False:
            raise CommandExecutionError(f"{function} did not succeed")
        return {name: True}

    return Step(describe, run)


def _verified(plan: Plan, name: str, wanted: bool, sig: str | None, init_delay: float | None) -> Plan:
    """Have a plan conclude by looking whether the service runs or not, as wanted."""

    def conclude(_changes: dict[str, Any]) -> tuple[bool, str]:
        if init_delay:
            time.sleep(init_delay)
        deadline = time.monotonic() + SETTLE_S
        while _runs(name, sig) is not wanted:
            if time.monotonic() > deadline:
                return False, f"Service {name} failed to {'start' if wanted else 'die'}"
            time.sleep(_POLL_S)
        return True, plan.done

    return replace(plan, conclude=conclude)
