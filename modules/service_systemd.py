"""Services where systemd is running, through systemctl."""

from __future__ import annotations

import os
import re
import time
from typing import Any

from ..common import process
from ..common.errors import CommandExecutionError
from ._service import check_name, find_processes, status_of

__virtualname__ = "service"
__func_alias__ = {"reload_": "reload", "unmask_": "unmask"}

_SUFFIXES = (
    *(".service", ".socket", ".device", ".mount", ".automount", ".swap", ".target", ".path", ".timer"),
    *(".slice", ".scope"),
)
_LISTED = (".service", ".socket", ".timer", ".path", ".target", ".mount")
_STRUCT = re.compile(r"\{ (.*) \}")
_ACTIVATING_POLL_S = 0.1


def __virtual__() -> bool | tuple[bool, str]:
    if not os.path.isdir("/run/systemd/system"):
        return False, "systemd is not running here"
    return True if process.find_tool("systemctl") else (False, "systemctl is not installed")


def _unit(name: str) -> str:
    """Return the unit's whole name: `nginx` is `nginx.service`."""
    check_name(name)
    return name if name.endswith(_SUFFIXES) else f"{name}.service"


def _service_name(unit: str) -> str:
    return unit.removesuffix(".service")


def _systemctl(*words: str, ok: tuple[int, ...] | None = (0,)) -> process.Completed:
    return process.tool(["systemctl", "--no-pager", "--no-ask-password", *words], ok=ok)


def _act(action: str, name: str, *options: str) -> bool:
    """Have systemctl do something to a unit; its refusal is an error with its own words and where to look on."""
    unit = _unit(name)
    done = _systemctl(action, *options, "--", unit, ok=None)
    if done.retcode != 0:
        raise CommandExecutionError(
            f"systemctl {action} {unit} failed with exit code {done.retcode}: {process.complaint(done)}",
            hint=f"journalctl -u {unit} may say more",
        )
    return True


def _prepare(name: str, unmask: bool, unmask_runtime: bool) -> None:
    """Read units again where their files changed, and unmask as asked."""
    found = _parse_show(_systemctl("show", "--property=NeedDaemonReload", "--", _unit(name), ok=None).text)
    if found.get("NeedDaemonReload") == "yes":
        systemctl_reload()
    if unmask:
        unmask_(name)
    if unmask_runtime:
        unmask_(name, runtime=True)


def _blocking(no_block: bool) -> tuple[str, ...]:
    return ("--no-block",) if no_block else ()


def start(name: str, no_block: bool = False, unmask: bool = False, unmask_runtime: bool = False) -> bool:
    """Start a service. With `no_block`, do not wait; with `unmask`, unmask it first.

    CLI example: `ctl '*' service.start nginx`
    """
    _prepare(name, unmask, unmask_runtime)
    return _act("start", name, *_blocking(no_block))


def stop(name: str, no_block: bool = False) -> bool:
    """Stop a service.

    CLI example: `ctl '*' service.stop nginx`
    """
    return _act("stop", name, *_blocking(no_block))


def restart(name: str, no_block: bool = False, unmask: bool = False, unmask_runtime: bool = False) -> bool:
    """Stop a service and start it again.

    CLI example: `ctl '*' service.restart nginx`
    """
    _prepare(name, unmask, unmask_runtime)
    return _act("restart", name, *_blocking(no_block))


def reload_(name: str, no_block: bool = False, unmask: bool = False, unmask_runtime: bool = False) -> bool:
    """Have a service read its configuration again.

    CLI example: `ctl '*' service.reload nginx`
    """
    _prepare(name, unmask, unmask_runtime)
    return _act("reload", name, *_blocking(no_block))


def force_reload(name: str, no_block: bool = True, unmask: bool = False, unmask_runtime: bool = False) -> bool:
    """Have a service read its configuration again, or restart it where it cannot.

    CLI example: `ctl '*' service.force_reload nginx`
    """
    _prepare(name, unmask, unmask_runtime)
    return _act("force-reload", name, *_blocking(no_block))


def status(name: str, sig: str | None = None, wait: float = 3) -> bool | dict[str, bool]:
    """Say whether a service runs; for a glob, a dict of those that match.

    One that is just starting is waited for, up to `wait` seconds. With `sig`, look for a process in whose command line
    this regular expression is found instead.

    CLI example: `ctl '*' service.status nginx`
    """
    if sig:
        return bool(find_processes(sig))
    return status_of(name, get_all, lambda one: _is_active(one, wait))


def _is_active(name: str, wait: float) -> bool:
    deadline = time.monotonic() + wait
    while True:
        done = _systemctl("is-active", "--", _unit(name), ok=None)
        if done.text.strip() != "activating" or time.monotonic() >= deadline:
            return done.retcode == 0
        time.sleep(_ACTIVATING_POLL_S)


def enable(name: str, no_block: bool = False, unmask: bool = False, unmask_runtime: bool = False) -> bool:
    """Have a service start with the machine.

    CLI example: `ctl '*' service.enable nginx`
    """
    _prepare(name, unmask, unmask_runtime)
    return _act("enable", name, *_blocking(no_block))


def disable(name: str, no_block: bool = False) -> bool:
    """Have a service not start with the machine.

    CLI example: `ctl '*' service.disable nginx`
    """
    return _act("disable", name, *_blocking(no_block))


def enabled(name: str) -> bool:
    """Say whether a service starts with the machine.

    CLI example: `ctl '*' service.enabled nginx`
    """
    return _systemctl("is-enabled", "--", _unit(name), ok=None).retcode == 0


def disabled(name: str) -> bool:
    """Say whether a service does not start with the machine.

    CLI example: `ctl '*' service.disabled nginx`
    """
    return not enabled(name)


def mask(name: str, runtime: bool = False) -> bool:
    """Make a service impossible to start; until the next boot only, with `runtime`.

    CLI example: `ctl '*' service.mask nginx`
    """
    return _act("mask", name, *(("--runtime",) if runtime else ()))


def unmask_(name: str, runtime: bool = False) -> bool:
    """Make a masked service possible to start again.

    CLI example: `ctl '*' service.unmask nginx`
    """
    return _act("unmask", name, *(("--runtime",) if runtime else ()))


def masked(name: str, runtime: bool = False) -> bool:
    """Say whether a service is masked; until the next boot, with `runtime`.

    CLI example: `ctl '*' service.masked nginx`
    """
    state = _systemctl("is-enabled", "--", _unit(name), ok=None).text.strip()
    return state == ("masked-runtime" if runtime else "masked")


def _unit_files() -> dict[str, str]:
    return _parse_unit_files(_systemctl("list-unit-files", "--full", "--no-legend").text)


def _parse_unit_files(text: str) -> dict[str, str]:
    """Read `systemctl list-unit-files`: each unit's state; services without their suffix."""
    found = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 2 and fields[0].endswith(_LISTED):
            found[_service_name(fields[0])] = fields[1]
    return found


def _parse_units(text: str) -> dict[str, str]:
    """Read `systemctl list-units`: each unit's active state; services without their suffix."""
    found = {}
    for line in text.splitlines():
        fields = line.lstrip("\u25cf*x \t").split()
        if len(fields) >= 4 and fields[0].endswith(_LISTED):
            found[_service_name(fields[0])] = fields[2]
    return found


def _parse_show(text: str) -> dict[str, Any]:
    """Read `systemctl show`: a value in braces becomes a dict."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            struct = _STRUCT.fullmatch(value)
            parts = (part.partition("=") for part in struct[1].split(" ; ")) if struct else ()
            found[key] = {name.strip(): rest for name, _, rest in parts} if struct else value
    return found


def get_all() -> list[str]:
    """List the services of the machine, and its units of some other kinds with their suffix.

    CLI example: `ctl '*' service.get_all`
    """
    units = _parse_units(_systemctl("list-units", "--all", "--full", "--no-legend", "--plain").text)
    return sorted({*_unit_files(), *(name for name in units if "." not in name)})


def get_running() -> list[str]:
    """List the services that run.

    CLI example: `ctl '*' service.get_running`
    """
    words = ("list-units", "--full", "--no-legend", "--plain", "--type=service", "--state=running")
    return sorted(_parse_units(_systemctl(*words).text))


def get_failed() -> list[str]:
    """List the services that failed.

    CLI example: `ctl '*' service.get_failed`
    """
    words = ("list-units", "--full", "--no-legend", "--plain", "--state=failed")
    return sorted(_parse_units(_systemctl(*words).text))


def get_enabled() -> list[str]:
    """List the services that start with the machine.

    CLI example: `ctl '*' service.get_enabled`
    """
    return sorted(name for name, state in _unit_files().items() if state in ("enabled", "enabled-runtime"))


def get_disabled() -> list[str]:
    """List the services that do not start with the machine and could.

    CLI example: `ctl '*' service.get_disabled`
    """
    return sorted(name for name, state in _unit_files().items() if state == "disabled")


def get_static() -> list[str]:
    """List the services that only others start.

    CLI example: `ctl '*' service.get_static`
    """
    return sorted(name for name, state in _unit_files().items() if state == "static")


def available(name: str) -> bool:
    """Say whether there is such a service.

    CLI example: `ctl '*' service.available nginx`
    """
    done = _systemctl("show", "--property=LoadState", "--", _unit(name), ok=None)
    return _parse_show(done.text).get("LoadState") in ("loaded", "masked", "error", "bad-setting")


def missing(name: str) -> bool:
    """Say whether there is no such service.

    CLI example: `ctl '*' service.missing nginx`
    """
    return not available(name)


def show(name: str) -> dict[str, Any]:
    """Return the properties of a service.

    CLI example: `ctl '*' service.show nginx`
    """
    return _parse_show(_systemctl("show", "--", _unit(name)).text)


def execs() -> dict[str, str]:
    """Return the program of each service.

    CLI example: `ctl '*' service.execs`
    """
    names = [name for name in _unit_files() if "." not in name and not name.endswith("@")]
    if not names:
        return {}
    text = _systemctl("show", "--property=Id,ExecStart", "--", *map(_unit, names), ok=None).text
    found = {}
    for block in text.split("\n\n"):
        properties = _parse_show(block)
        start_of = properties.get("ExecStart")
        if isinstance(start_of, dict) and "path" in start_of:
            found[_service_name(properties["Id"])] = start_of["path"]
    return found


def systemctl_reload() -> bool:
    """Have systemd read the files of its units again.

    CLI example: `ctl '*' service.systemctl_reload`
    """
    _systemctl("daemon-reload")
    return True
