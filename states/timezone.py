"""The machine's time zone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..common.context import current
from ..common.errors import CommandExecutionError
from ..common.state.plan import Changes, Plan, Step, change, same
from ._planning import planning


@planning
def system(name: str, utc: bool | None = True) -> Plan:
    """Make sure that the machine is in a time zone.

    utc
        Whether the hardware clock is in UTC; null leaves it as it is.

    SLS example:

        Europe/Vienna:
          timezone.system: []
    """
    steps = []
    changes: dict[str, Any] = {}
    if not current().call("timezone.zone_compare", name):
        changes["timezone"] = name
        steps.append(Step(f"set the time zone to {name}", _setter("timezone.set_zone", name, {"timezone": name})))
    wanted = "UTC" if utc else "localtime"
    if utc is not None and "timezone.get_hwclock" in current().functions and _hardware_clock() not in (wanted, ""):
        changes["utc"] = utc
        steps.append(
            Step(f"keep the hardware clock in {wanted}", _setter("timezone.set_hwclock", wanted, {"utc": utc}))
        )
    if not steps:
        return same(f"Timezone {name} already set")
    return change(f"Timezone {name} is set to be applied", changes, *steps, done=f"Set timezone {name}")


def _hardware_clock() -> str:
    try:
        return str(current().call("timezone.get_hwclock"))
    except CommandExecutionError:
        return ""  # a machine without such a clock


def _setter(function: str, value: str, changes: Changes) -> Callable[[], Changes]:
    def run() -> Changes:
        if current().call(function, value) is False:
            raise CommandExecutionError(f"{function} did not succeed")
        return changes

    return run
