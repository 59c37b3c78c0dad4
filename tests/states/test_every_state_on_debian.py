"""What holds for every built-in state, for those that change the machine: on a Debian that is thrown away afterwards.

Accounts are made by the real useradd, packages come by the real apt from a repository of the test's own, and the
service is a real init script. The machine's files lie below overlays in a namespace (`debian_machine.py`).
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

TOOLS = ("unshare", "mount", "apt-get", "dpkg-deb", "useradd", "update-rc.d", "start-stop-daemon")
HELPER = Path(__file__).with_name("debian_machine.py")
# How many cases of each kind (apt is slow), and how many times as many.
EXAMPLES = {"pkg": 4, "service": 4, "timezone": 4}
MORE = int(os.environ.get("CTL_MORE_EXAMPLES", "1"))
# What the states change; compared before and after a dry run.
EVERYTHING = (
    "cat /etc/passwd /etc/group /etc/shadow /etc/gshadow /etc/timezone /etc/adjtime; ls -l /etc/localtime /home; "
    "ls -l /etc/rc?.d; dpkg -l 'ctl-*'; apt-mark showhold; service ctl-probe status; echo $?"
)


def _load_table() -> Any:
    spec = importlib.util.spec_from_file_location("every_state", Path(__file__).with_name("every_state.py"))
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


table = _load_table()


class Debian:
    """The machine, reached through the program that runs on it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, do: str, *args: Any, **kwargs: Any) -> Any:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"do": do, "args": args, "kwargs": kwargs}) + "\n")
        self.process.stdin.flush()
        answer = self.read()
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def read(self) -> dict[str, Any]:
        assert self.process.stdout
        return dict(json.loads(self.process.stdout.readline() or '{"error": "the machine has gone"}'))

    def shell(self, command: str) -> str:
        return str(self.ask("shell", command)["stdout"])


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"needs root and a Debian; missing here: {', '.join(missing) or 'root'}")
    isolated = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run(
        [*isolated, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
    ).returncode:
        pytest.skip("this container may not make namespaces and mount in them")
    folder = tmp_path_factory.mktemp("debian")
    # A shell as the first process of the namespace takes leave of those whose parents have ended.
    command = [*isolated, "sh", "-c", '"$@"; exit', "sh", sys.executable, str(HELPER), str(folder)]
    with (
        open(folder / "errors", "w") as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        machine = Debian(process)
        assert machine.read() == {"ready": True}, (folder / "errors").read_text()
        yield machine


@pytest.mark.root
@pytest.mark.timeout(600)  # apt takes its time where others use the machine, too
@pytest.mark.parametrize("name", sorted(table.DEBIAN))
def test_what_was_applied_on_a_machine_needs_no_second_run(name: str, debian: Debian) -> None:
    kind = name.partition(".")[0]
    earlier, earlier_cases = table.DEBIAN_BEFORE[kind]

    @settings(
        max_examples=EXAMPLES.get(kind, 15) * MORE,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=MORE == 1,
        database=None,
        phases=[Phase.generate],  # to shrink a failure takes long where apt runs
    )
    @given(before=st.none() | earlier_cases, case=table.DEBIAN[name])
    def settles(before: dict[str, Any] | None, case: dict[str, Any]) -> None:
        debian.ask("reset", kind)
        if before is not None:
            debian.ask("run", earlier, before)
        as_it_was = debian.shell(EVERYTHING)
        predicted = debian.ask("dry", name, case)
        assert debian.shell(EVERYTHING) == as_it_was, "a dry run changed something"
        plan = debian.ask("plan", name, case)
        if plan["result"] is False:
            assert predicted["result"] is not True
            return  # it refuses, and says why
        assert (predicted["result"], predicted["changes"]) == (plan["result"], plan["changes"])
        done = debian.ask("run", name, case)
        assert done["result"] is True, done
        assert bool(done["changes"]) is bool(plan["changes"]), (done, plan)
        again = debian.ask("plan", name, case)
        assert (again["result"], again["changes"], again["steps"]) == (True, {}, []), again

    settles()


@pytest.mark.root
def test_the_service_runs_and_stops(debian: Debian) -> None:
    debian.ask("reset", "service")
    assert debian.ask("run", "service.running", {"name": "ctl-probe", "enable": True})["changes"] == {"ctl-probe": True}
    first = debian.shell("cat /run/ctl-probe.pid")
    assert "S01ctl-probe" in debian.shell("ls /etc/rc2.d")
    assert debian.ask("run", "service.mod_watch", {"name": "ctl-probe", "sfun": "running"})["result"] is True
    second = debian.shell("cat /run/ctl-probe.pid")
    assert first != second != ""
    assert debian.ask("run", "service.mod_watch", {"name": "ctl-probe", "sfun": "running", "reload": True})["result"]
    assert debian.shell("cat /run/ctl-probe.pid") == second
    assert debian.ask("run", "service.dead", {"name": "ctl-probe", "enable": False})["result"] is True
    assert debian.shell("test -e /run/ctl-probe.pid || echo gone") == "gone\n"
    assert "S01ctl-probe" not in debian.shell("ls /etc/rc2.d")
