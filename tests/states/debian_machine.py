"""A Debian to change: this machine's own files below overlays that nobody else sees, in namespaces of its own.

Run as a program by `test_every_state_on_debian.py` through unshare(1). It answers requests, a line of JSON each, until
its input ends; then every process that was started here ends, and what was changed is gone.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

OVERLAID = ("/etc", "/var", "/usr", "/home")
ACCOUNT_FILES = ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")
# (package, version, more fields); each has a program of its own and a configuration file.
PACKAGES = (
    ("ctl-probe", "1.0", ""),
    ("ctl-probe", "2.0", ""),
    ("ctl-probe-b", "1.0", ""),
    ("ctl-probe-mail", "1.0", "Provides: ctl-probe-transport\n"),
)
INIT_SCRIPT = """#!/bin/sh
### BEGIN INIT INFO
# Provides:          ctl-probe
# Required-Start:
# Required-Stop:
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: a program that waits
### END INIT INFO
pidfile=/run/ctl-probe.pid
program=/usr/bin/sleep
case "$1" in
start) start-stop-daemon --start --oknodo --background --make-pidfile --pidfile $pidfile --exec $program -- 600 ;;
stop) start-stop-daemon --stop --quiet --oknodo --retry 5 --remove-pidfile --pidfile $pidfile --exec $program ;;
restart | force-reload) $0 stop && $0 start ;;
reload) start-stop-daemon --stop --signal CONT --quiet --pidfile $pidfile --exec $program ;;
status) start-stop-daemon --status --pidfile $pidfile --exec $program ;;
*) echo "Usage: $0 {start|stop|restart|force-reload|reload|status}" >&2; exit 3 ;;
esac
"""


def overlay(folder: Path) -> None:
    """Put a layer that takes the changes over the machine's directories; /run starts empty."""
    layers = folder / "layers"
    layers.mkdir()
    _mount("-t", "tmpfs", "tmpfs", str(layers))
    for path in OVERLAID:
        upper, work = (layers / f"{path.strip('/')}.{kind}" for kind in ("upper", "work"))
        upper.mkdir()
        work.mkdir()
        _mount("-t", "overlay", "-o", f"lowerdir={path},upperdir={upper},workdir={work}", "overlay", path)
    _mount("-t", "tmpfs", "tmpfs", "/run")


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def _quietly(*words: str) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def build_packages(folder: Path) -> None:
    """Make a repository of small packages, and let apt know it and no other."""
    repository = folder / "repository"
    repository.mkdir()
    index = ""
    for name, version, more in PACKAGES:
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\n"
            f"{more}Description: something to install\n"
        )
        tree = folder / f"{name}-{version}"
        for path, text, mode in (
            ("DEBIAN/control", control, 0o644),
            ("DEBIAN/conffiles", f"/etc/{name}.conf\n", 0o644),
            (f"etc/{name}.conf", f"version = {version}\n", 0o644),
            (f"usr/bin/{name}", f"#!/bin/sh\necho {version}\n", 0o755),
        ):
            target = tree / path
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            target.write_text(text)
            target.chmod(mode)
        for part in (tree, *(one for one in tree.rglob("*") if one.is_dir())):
            part.chmod(0o755)
        package = repository / f"{name}_{version}_all.deb"
        _quietly("dpkg-deb", "--build", "-Znone", str(tree), str(package))
        content = package.read_bytes()
        index += f"{control}Filename: ./{package.name}\nSize: {len(content)}\n"
        index += f"SHA256: {hashlib.sha256(content).hexdigest()}\n\n"
    (repository / "Packages").write_text(index)
    apt = Path("/etc/apt")
    shutil.rmtree(apt / "sources.list.d", ignore_errors=True)
    (apt / "sources.list").write_text(f"deb [trusted=yes] file:{repository} ./\n")
    (apt / "apt.conf.d/99-ctl-tests").write_text('APT::Sandbox::User "root";\n')
    shutil.rmtree("/var/lib/apt/lists")
    _quietly("apt-get", "-q", "update")


class Accounts:
    """The files of the machine's accounts as they were at the start, to begin anew with."""

    def __init__(self) -> None:
        paths = [Path("/etc", name) for name in ACCOUNT_FILES]
        self.kept = {path: path.read_bytes() for path in paths if path.exists()}

    def restore(self) -> None:
        for path, content in self.kept.items():
            path.write_bytes(content)
        for home in Path("/home").glob("ctl-*"):
            shutil.rmtree(home)


class Server:
    """Does on the machine what it is asked for."""

    def __init__(self, machine: Any) -> None:
        self.machine = machine
        self.accounts = Accounts()

    def dry(self, function: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Plan as a dry run does, in a job of its own."""
        self.machine.context.scratch.clear()
        return _shown(self.machine.dry(function, **given))

    def plan(self, function: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Plan as a run does, in a job of its own."""
        self.machine.context.scratch.clear()
        return _shown(self.machine.plan(function, **given))

    def run(self, function: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Plan and apply, in a job of its own."""
        self.machine.context.scratch.clear()
        return asdict(self.machine.run(function, **given))

    def shell(self, command: str) -> dict[str, Any]:
        """Run a command of the test itself."""
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        return {"retcode": done.returncode, "stdout": done.stdout, "stderr": done.stderr}

    def reset(self, kind: str) -> None:
        """Make the accounts, the probe's packages or the probe's service as they were at the start."""
        if kind in ("user", "group"):
            self.accounts.restore()
        elif kind == "service":
            _quietly("/etc/init.d/ctl-probe", "stop")
            _quietly("update-rc.d", "-f", "ctl-probe", "remove")
        elif kind == "pkg":
            names = sorted({name for name, _version, _more in PACKAGES})
            _quietly("apt-mark", "unhold", *names)
            _quietly("dpkg", "--purge", *names)


def _shown(plan: Any) -> dict[str, Any]:
    return {
        "result": plan.result,
        "comment": plan.comment,
        "changes": dict(plan.changes),
        "steps": [step.describe for step in plan.steps],
        "certain": plan.certain,
    }


def main() -> None:
    folder = Path(sys.argv[1])
    overlay(folder)
    build_packages(folder)
    script = Path("/etc/init.d/ctl-probe")
    script.write_text(INIT_SCRIPT)
    script.chmod(0o755)
    spec = importlib.util.spec_from_file_location("machine_for_states", Path(__file__).with_name("conftest.py"))
    assert spec
    assert spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    with module.opened(folder) as machine:
        server = Server(machine)
        _answer({"ready": True})
        for line in sys.stdin:
            request = json.loads(line)
            try:
                value = getattr(server, request["do"])(*request["args"], **request["kwargs"])
                _answer({"value": value})
            except Exception as error:  # told to the test, which fails by it
                _answer({"error": f"{type(error).__name__}: {error}"})


def _answer(data: Mapping[str, Any]) -> None:
    print(json.dumps(data, default=str), flush=True)


if __name__ == "__main__":
    main()
