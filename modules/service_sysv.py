"""Services on Debian and its family where systemd is not running: `service`, `/etc/init.d` and `update-rc.d`."""

from __future__ import annotations

import os
import re
from pathlib import Path

import psutil

from ..common import process
from ..common.errors import CommandExecutionError, nearest
from ._service import check_name, find_processes, status_of

__virtualname__ = "service"
__func_alias__ = {"reload_": "reload"}

_INIT = "/etc/init.d"
_RC = "/etc"
_NO_SERVICES = {"README", "skeleton", "rc", "rcS", "rc.local", "functions", "halt", "killall", "single", "reboot"}
_STATUS_LINE = re.compile(r"\s*\[ ([-+?]) \]\s+(\S+)")
_START_LINK = re.compile(r"S\d\d(.+)")
_START_LEVELS = ("S", "2", "3", "4", "5")


def __virtual__() -> bool | tuple[bool, str]:
    if os.path.isdir("/run/systemd/system"):
        return False, "systemd is running here"
    if process.find_tool("service") and os.path.isdir(_INIT):
        return True
    return False, f"the program service and the directory {_INIT} are not both here"


def start(name: str) -> bool:
    """Start a service.

    CLI example: `ctl '*' service.start nginx`
    """
    return _act(name, "start")


def stop(name: str) -> bool:
    """Stop a service.

    CLI example: `ctl '*' service.stop nginx`
    """
    return _act(name, "stop")


def restart(name: str) -> bool:
    """Stop a service and start it again.

    CLI example: `ctl '*' service.restart nginx`
    """
    return _act(name, "restart")


def reload_(name: str) -> bool:
    """Have a service read its configuration again.

    CLI example: `ctl '*' service.reload nginx`
    """
    return _act(name, "reload")


def force_reload(name: str) -> bool:
    """Have a service read its configuration again, or restart it where it cannot.

    CLI example: `ctl '*' service.force_reload nginx`
    """
    return _act(name, "force-reload")


def _act(name: str, action: str) -> bool:
    done = process.tool(["service", _known(name), action], ok=None)
    if done.retcode != 0:
        raise CommandExecutionError(
            f"the service {name} did not {action}: exit code {done.retcode}: {process.complaint(done)}"
        )
    return True


def _known(name: str) -> str:
    if not available(name):
        close = nearest(name, get_all())
        raise CommandExecutionError(
            f"there is no service {name} in {_INIT}", hint=f"did you mean {close}?" if close else ""
        )
    return name


def status(name: str, sig: str | None = None) -> bool | dict[str, bool]:
    """Say whether a service runs; for a glob, a dict of those that match.

    With `sig`, look for a process in whose command line this regular expression is found, instead of asking the
    service's script.

    CLI example: `ctl '*' service.status nginx`
    """
    if sig:
        return bool(find_processes(sig))
    return status_of(name, get_all, _is_running)


def _is_running(name: str) -> bool:
    if not available(name):
        return False
    done = process.tool(["service", name, "status"], ok=None, timeout=60)
    if done.retcode != 0 and "usage:" in (done.text + done.error_text).lower():
        return _has_process(name)
    return done.retcode == 0


def _has_process(name: str) -> bool:
    """Look for a running process of a service whose script has no `status`: by its pid file, then by its name."""
    for folder in ("/run", f"/run/{name}"):
        try:
            pid = int(Path(folder, f"{name}.pid").read_text(encoding="ascii").split()[0])
        except (OSError, ValueError, IndexError):
            continue
        return psutil.pid_exists(pid)
    return any(one.info["name"] == name for one in psutil.process_iter(["name"]))


def enable(name: str) -> bool:
    """Have a service start with the machine.

    CLI example: `ctl '*' service.enable nginx`
    """
    _known(name)
    process.tool(["update-rc.d", name, "defaults"])
    process.tool(["update-rc.d", name, "enable"])
    return True


def disable(name: str) -> bool:
    """Have a service not start with the machine.

    CLI example: `ctl '*' service.disable nginx`
    """
    process.tool(["update-rc.d", _known(name), "disable"])
    return True


def enabled(name: str) -> bool:
    """Say whether a service starts with the machine.

    CLI example: `ctl '*' service.enabled nginx`
    """
    return name in _started_names()


def disabled(name: str) -> bool:
    """Say whether a service is there and does not start with the machine.

    CLI example: `ctl '*' service.disabled nginx`
    """
    return available(name) and not enabled(name)


def _started_names() -> set[str]:
    names = set()
    for level in _START_LEVELS:
        folder = f"{_RC}/rc{level}.d"
        for entry in os.listdir(folder) if os.path.isdir(folder) else ():
            found = _START_LINK.fullmatch(entry)
            if found:
                names.add(found[1])
    return names


def get_all() -> list[str]:
    """List the services of the machine.

    CLI example: `ctl '*' service.get_all`
    """
    return sorted(entry for entry in os.listdir(_INIT) if _is_service(entry))


def _is_service(entry: str) -> bool:
    path = os.path.join(_INIT, entry)
    skipped = entry in _NO_SERVICES or entry.startswith(".") or ".dpkg-" in entry
    return not skipped and os.path.isfile(path) and os.access(path, os.X_OK)


def get_running() -> list[str]:
    """List the services that run.

    CLI example: `ctl '*' service.get_running`
    """
    return _parse_status_all(process.tool(["service", "--status-all"], ok=None).text)


def _parse_status_all(text: str) -> list[str]:
    found = (_STATUS_LINE.match(line) for line in text.splitlines())
    return sorted(match[2] for match in found if match and match[1] == "+")


def get_enabled() -> list[str]:
    """List the services that start with the machine.

    CLI example: `ctl '*' service.get_enabled`
    """
    return sorted(_started_names() & set(get_all()))


def get_disabled() -> list[str]:
    """List the services that do not start with the machine.

    CLI example: `ctl '*' service.get_disabled`
    """
    return sorted(set(get_all()) - _started_names())


def available(name: str) -> bool:
    """Say whether there is such a service.

    CLI example: `ctl '*' service.available nginx`
    """
    return _is_service(check_name(name))


def missing(name: str) -> bool:
    """Say whether there is no such service.

    CLI example: `ctl '*' service.missing nginx`
    """
    return not available(name)


def systemctl_reload() -> bool:
    """Do nothing: there is no running systemd here whose units could be read again.

    CLI example: `ctl '*' service.systemctl_reload`
    """
    return True
