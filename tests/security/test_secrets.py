"""A secret goes where it was meant to, and is in no log, event, command line, error or cache beside that."""

from __future__ import annotations

import base64
import contextlib
import http.server
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ctl.common.errors import CommandExecutionError, ConfigError
from ctl.master.git import Repository
from ctl.master.git_password import take_password

CANARY = "c4nary-31337-x"
STATES = """
from ctl.common.secret import Secret

def tell(name, password: Secret[str], table: Secret[dict] = None, fail=False):
    if fail:
        raise ValueError(f"cannot log in with {password} and {table}")
    return {"name": name, "result": False, "changes": {"old": {password: [password]}}, "comment": f"it is {password}"}
"""
MODULE = """
import logging
from ctl.common.secret import Secret

def login(user, password: Secret[str], **more):
    logging.getLogger("ctl.user").error("logging in with %s", password)
    raise RuntimeError(f"{user} with {password} was refused")
"""


def below(directory: Path, *, without: tuple[str, ...] = ()) -> list[str]:
    """Return the files that hold the canary."""
    found = []
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.is_symlink() and CANARY.encode() in path.read_bytes():
            name = path.relative_to(directory).as_posix()
            if not name.startswith(without):
                found.append(name)
    return found


class Listener(threading.Thread):
    """Reads the command lines and environments of our descendants, over and over."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.done = threading.Event()
        self.seen: set[str] = set()

    def run(self) -> None:
        while not self.done.is_set():
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    line = "\0".join(process.cmdline())
                    if CANARY in line:
                        self.seen.add(line)
            time.sleep(0.001)


def test_s12_s41_p11_a_secret_is_where_it_was_meant_to_be_and_nowhere_else(make_fleet: Any, tmp_path: Path) -> None:
    """Arguments, environment, standard input, pillar, errors and states, with every log at its most talkative level."""
    pillar = {"top.sls": "base:\n  '*': [x]\n", "x.sls": f"db:\n  password: {CANARY}\n  port: 1\n"}
    srv = {
        "_states/secretive.py": STATES,
        "_modules/secretive.py": MODULE,
        "a.sls": f"told:\n  secretive.tell:\n    - password: {CANARY}\nfails:\n  secretive.tell:\n"
        f"    - password: {CANARY}\n    - table: {{{CANARY}: 1}}\n    - fail: true\n"
        f"{tmp_path}/conf:\n  file.managed:\n    - contents_pillar: db:password\n",
    }
    (tmp_path / "conf").write_text("old\n")
    logs = {"log_level_logfile": "trace", "log_file": "/var/log/ctl/log"}
    fleet = make_fleet(["m1"], srv=srv, pillar=pillar, master=logs, settings=lambda name: logs)
    fleet.start()
    listener = Listener()
    assert fleet.run("ctl", "m1", "saltutil.sync_all").returncode == 0
    fleet.run("ctl", "m1", "cmd.run", "wc -c", f"stdin={CANARY}", f"env={{DB_PASSWORD: {CANARY}}}")
    listener.start()
    try:
        done = fleet.run("ctl", "m1", "secretive.login", "web", password_file := f"password={CANARY}")
        assert "was refused" in done.stdout
        assert CANARY not in done.stdout + done.stderr
        done = fleet.run("ctl", "m1", "secretive.login", "web", password_file, "wrong_argument=1", "api_key=" + CANARY)
        assert CANARY not in done.stdout + done.stderr
        done = fleet.run("ctl", "m1", "state.apply", "a")
        assert "it is **" in done.stdout
        assert "-old" in done.stdout
        assert CANARY in (tmp_path / "conf").read_text()
        assert CANARY not in done.stdout + done.stderr
        assert CANARY not in fleet.run("ctl", "m1", "shadow.set_password", "no-such-user", CANARY).stdout
        assert CANARY not in fleet.run("ctl-run", "jobs.list_jobs").stdout
    finally:
        listener.done.set()
        listener.join()
    fleet.stop()
    own = {line for line in listener.seen if "ctl-master" not in line and "ctl.m" not in line}
    assert {line.split("\0")[1].rpartition("/")[2] for line in own} <= {"ctl"}, "only what was typed is a command line"
    # the trees themselves, and what pillar is for: the master's and the minion's databases and cached SLS files
    assert below(fleet.directory, without=("srv/", "pillar/", *HOLDERS)) == []
    for log in ("master/var/log/ctl/log", "m1/var/log/ctl/log", "master/log", "m1/log"):
        assert (fleet.directory / log).read_text()


# what holds pillar and returns on purpose, readable by its owner only (test_modes)
HOLDERS = ("m1/var/cache/ctl/minion/files/", "master/var/lib/ctl/master/", "m1/var/lib/ctl/minion/")


@pytest.fixture
def web() -> Iterator[tuple[int, list[tuple[str, list[str]]]]]:
    """A server that wants a password; it notes what it was sent, and the command lines of that moment."""
    seen: list[tuple[str, list[str]]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            lines = []
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    lines.append(" ".join(process.cmdline()))
            given = self.headers.get("Authorization", "")
            seen.append((given, lines))
            self.send_response(404 if len(given) > 20 else 401)  # git tries the name alone first
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1], seen
    server.shutdown()
    thread.join()
    server.server_close()


def test_s12_the_password_of_a_git_url_reaches_the_server_and_no_command_line(tmp_path: Path, web: Any) -> None:
    if shutil.which("git") is None or not (Path(git_exec_path()) / "git-remote-http").exists():
        pytest.skip("git with its http transport is not installed here")
    port, seen = web
    repository = Repository(f"http://me:{CANARY}%20y@127.0.0.1:{port}/x.git", tmp_path, ["http"])
    with pytest.raises(CommandExecutionError) as caught:
        repository.fetch()
    assert CANARY not in str(caught.value)
    wanted = "Basic " + base64.b64encode(f"me:{CANARY} y".encode()).decode()
    assert wanted in [given for given, _ in seen]
    lines = [line for _, found in seen for line in found]
    assert any("git" in line for line in lines)
    assert not [line for line in lines if CANARY in line]
    assert below(tmp_path) == []


def git_exec_path() -> str:
    return subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()


def test_s12_what_has_no_password_is_left_as_it_is() -> None:
    for url in ("https://host/x", "https://me@host/x", "ssh://me:x@host/y", "git@host:x", "file:///a:b@c"):
        assert take_password(url) == (url, {})
    with pytest.raises(ConfigError):
        take_password("https://me:a%0ab@host/x")


def test_p06_private_keys_are_in_their_files_and_nowhere_else(make_fleet: Any) -> None:
    fleet = make_fleet(["m1"])
    fleet.start()
    keys = {
        name: (fleet.directory / name / "etc/ctl/pki" / file).read_bytes().splitlines()[1]
        for name, file in (("master", "master.pem"), ("m1", "minion.pem"))
    }
    for words in (["grains.items"], ["config.get", "pki_dir"], ["test.ping"], ["cmd.run", "env"], ["sys.doc", "key"]):
        done = fleet.run("ctl", "m1", *words)
        assert not [name for name, key in keys.items() if key in done.stdout.encode()]
    tree = [p for pid in (fleet.master.pid, fleet.minions["m1"].pid) for p in family(pid)]
    said = b"".join(
        Path(f"/proc/{process.pid}/{what}").read_bytes() for process in tree for what in ("cmdline", "environ")
    )
    fleet.stop()
    for name, key in keys.items():
        assert key not in said, name
        holders = [path for path in fleet.directory.rglob("*") if path.is_file() and key in path.read_bytes()]
        assert [path.suffix for path in holders] == [".pem"]


def family(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)] if os.path.exists(f"/proc/{pid}") else []
