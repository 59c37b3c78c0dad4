"""`service`: on this machine by its init scripts, with systemd by a stand-in for systemctl and captured text."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ctl.common.errors import CommandExecutionError
from ctl.modules import _service, service_systemd, service_sysv

Call = Callable[..., Any]

UNIT_FILES = """\
proc-sys-fs-binfmt_misc.automount          static          -
cron.service                               enabled         enabled
getty@.service                             enabled         enabled
nginx.service                              disabled        enabled
systemd-remount-fs.service                 enabled-runtime enabled
dbus.socket                                static          -
apt-daily.timer                            enabled         enabled
bare
"""
UNITS = """\
cron.service        loaded active running Regular background program processing daemon
● nginx.service     loaded failed failed  A high performance web server
ssh.socket          loaded active listening OpenBSD Secure Shell server socket
"""
SHOW = """\
Type=forking
ExecStart={ path=/usr/sbin/nginx ; argv[]=/usr/sbin/nginx -g daemon on; master_process on; ; ignore_errors=no }
LoadState=loaded
NeedDaemonReload=no
Environment=A=1 B=2
"""
STATUS_ALL = " [ + ]  dbus\n [ - ]  hwclock.sh\n [ ? ]  odd\n [ + ]  nginx\n"
SCRIPT = """\
#!/bin/sh
case "$1" in
  start) touch {state} ;;
  stop) rm -f {state} ;;
  restart) touch {state} ;;
  status) test -e {state} || exit 3 ;;
  reload) echo "no reload today" >&2; exit 7 ;;
  *) echo "Usage: $0 start|stop" >&2; exit 3 ;;
esac
"""


def test_systemds_lists_are_read() -> None:
    assert service_systemd._parse_unit_files(UNIT_FILES) == {
        "cron": "enabled",
        "getty@": "enabled",
        "nginx": "disabled",
        "systemd-remount-fs": "enabled-runtime",
        "dbus.socket": "static",
        "apt-daily.timer": "enabled",
    }
    assert service_systemd._parse_units(UNITS) == {"cron": "active", "nginx": "failed", "ssh.socket": "active"}


def test_systemds_properties_are_read() -> None:
    found = service_systemd._parse_show(SHOW)
    assert found["ExecStart"]["path"] == "/usr/sbin/nginx"
    assert found["Environment"] == "A=1 B=2"
    assert found["LoadState"] == "loaded"


def test_systemctl_gets_names_as_data(fake_tool: Callable[..., Path]) -> None:
    record = fake_tool("systemctl", "active\n")
    assert service_systemd.stop("nginx") is True
    assert service_systemd.status("ssh.socket") is True
    assert service_systemd.enabled("a@b") is True
    assert service_systemd.mask("nginx", runtime=True) is True
    calls = [line.split("\0")[2:-1] for line in record.read_text().splitlines()]
    assert calls == [
        ["stop", "--", "nginx.service"],
        ["is-active", "--", "ssh.socket"],
        ["is-enabled", "--", "a@b.service"],
        ["mask", "--runtime", "--", "nginx.service"],
    ]


def test_changed_units_are_read_again_before_a_start(fake_tool: Callable[..., Path]) -> None:
    record = fake_tool("systemctl", "NeedDaemonReload=yes\n")
    service_systemd.start("nginx", no_block=True, unmask=True)
    calls = [line.split("\0")[2:-1] for line in record.read_text().splitlines()]
    assert calls[1:] == [
        ["daemon-reload"],
        ["unmask", "--", "nginx.service"],
        ["start", "--no-block", "--", "nginx.service"],
    ]


def test_systemctls_refusal_is_explained(fake_tool: Callable[..., Path]) -> None:
    fake_tool("systemctl", "Job for nginx.service failed.", retcode=1)
    with pytest.raises(CommandExecutionError, match=r"exit code 1: Job for .*journalctl -u nginx\.service"):
        service_systemd.stop("nginx")
    assert service_systemd.status("nginx") is False
    assert service_systemd.disabled("nginx") is True


def test_systemd_services_are_listed_by_state(fake_tool: Callable[..., Path]) -> None:
    fake_tool("systemctl", UNIT_FILES)
    assert service_systemd.get_enabled() == ["apt-daily.timer", "cron", "getty@", "systemd-remount-fs"]
    assert service_systemd.get_disabled() == ["nginx"]
    assert service_systemd.get_static() == ["dbus.socket"]


@pytest.mark.parametrize("name", ["-x", "a;b", "$(id)", "a b", "", "../x", "a\nb", "x/y"])
def test_what_is_no_name_is_refused_everywhere(name: str) -> None:
    with pytest.raises(CommandExecutionError, match="no name of a service"):
        _service.check_name(name)
    for function in (service_systemd.start, service_systemd.available, service_sysv.start, service_sysv.available):
        with pytest.raises(CommandExecutionError):
            function(name)


def test_processes_are_found_by_their_command_line() -> None:
    assert os.getpid() in _service.find_processes("pytest")
    assert _service.find_processes("no process is called this[!]") == []


def test_the_list_of_all_states_is_read() -> None:
    assert service_sysv._parse_status_all(STATUS_ALL) == ["dbus", "nginx"]


@pytest.fixture
def sysv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Init scripts and run levels in a folder, and a `service` that runs them."""
    init = tmp_path / "init.d"
    init.mkdir()
    for name, state in (("web", tmp_path / "web.state"), ("db", tmp_path / "db.state")):
        (init / name).write_text(SCRIPT.format(state=state))
        (init / name).chmod(0o755)
    (init / "README").write_text("no service")
    (init / "web.dpkg-old").write_text("#!/bin/sh\n")
    folder = tmp_path / "rc2.d"
    folder.mkdir()
    (folder / "S01web").symlink_to(init / "web")
    (folder / "K01db").symlink_to(init / "db")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "service").write_text(f'#!/bin/sh\nname=$1; shift; exec {init}/"$name" "$@"\n')
    (tools / "service").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setattr(service_sysv, "_INIT", str(init))
    monkeypatch.setattr(service_sysv, "_RC", str(tmp_path))
    return init


def test_an_init_script_starts_stops_and_tells_its_status(sysv: Path) -> None:
    assert service_sysv.status("web") is False
    assert service_sysv.start("web") is True
    assert service_sysv.status("web") is True
    assert service_sysv.status("*") == {"db": False, "web": True}
    assert service_sysv.restart("web") is True
    assert service_sysv.stop("web") is True
    assert service_sysv.status("web") is False
    assert service_sysv.status("no-such") is False
    assert service_sysv.status("web", sig="pytest") is True
    with pytest.raises(CommandExecutionError, match="web did not reload: exit code 7: no reload today"):
        service_sysv.reload_("web")
    with pytest.raises(CommandExecutionError, match=r"no service webb .*did you mean web\?"):
        service_sysv.start("webb")


def test_a_script_without_status_is_asked_by_its_processes(sysv: Path) -> None:
    (sysv / "web").write_text('#!/bin/sh\necho "Usage: $0 {start|stop}"; exit 3\n')
    assert service_sysv.status("web") is False
    own_name = psutil.Process().name()
    (sysv / "web").rename(sysv / own_name)
    assert service_sysv.status(own_name) is True


def test_init_scripts_are_listed_by_state(sysv: Path) -> None:
    assert service_sysv.get_all() == ["db", "web"]
    assert service_sysv.get_enabled() == ["web"]
    assert service_sysv.get_disabled() == ["db"]
    assert service_sysv.enabled("web")
    assert service_sysv.disabled("db")
    assert not service_sysv.disabled("no-such")
    assert service_sysv.missing("no-such")


def test_run_levels_are_changed_through_update_rc(sysv: Path, fake_tool: Callable[..., Path]) -> None:
    record = fake_tool("update-rc.d")
    service_sysv.enable("web")
    service_sysv.disable("web")
    calls = [line.split("\0")[:-1] for line in record.read_text().splitlines()]
    assert calls == [["web", "defaults"], ["web", "enable"], ["web", "disable"]]


@pytest.mark.skipif(os.path.isdir("/run/systemd/system"), reason="systemd is running here")
def test_this_machines_services_answer(call: Call) -> None:
    if service_sysv.__virtual__() is not True:
        pytest.skip("no init scripts here")
    services = call("service.get_all")
    assert "README" not in services
    assert set(call("service.get_enabled")) <= set(services)
    assert call("service.systemctl_reload") is True


def test_exactly_one_family_loads() -> None:
    verdicts = [service_systemd.__virtual__(), service_sysv.__virtual__()]
    assert sum(verdict is True for verdict in verdicts) <= 1
