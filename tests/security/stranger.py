"""A process of another user of this machine: it asks the master's socket for things, and runs our programs."""

from __future__ import annotations

import ast
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Imports come before root is given up: a checkout need not be readable to everyone.
ASK = """
import ast, os, sys
from pathlib import Path
from ctl.common import ipc
from ctl.common.errors import CtlError
from ctl.common.wire import pack_payload
path, uid, gid, groups, requests = ast.literal_eval(sys.stdin.read())
os.setgroups(groups)
os.setresgid(gid, gid, gid)
os.setresuid(uid, uid, uid)
answers = []
for request in requests:
    request = dict(request)
    if "call" in request:
        request["payload"] = pack_payload(request.pop("call"))
    try:
        with ipc.connect(Path(path), timeout=20) as client:
            answers.append(("ok", list(client.request(request.pop("op"), **request))))
    except CtlError as error:
        answers.append((error.code, str(error)))
    except TimeoutError:
        answers.append(("timeout", ""))
print(repr(answers))
"""

RUN = """
import importlib, os, sys, ast
uid, gid, groups, home, program, argv = ast.literal_eval(sys.argv[1])
import json, getpass, argparse, datetime
import ctl.client.local
for name in ("publish", "runner", "copying", "key_actions", "ctl_parser", "login", "program", "watch", "printer",
             "progress", "ctl", "run", "cp", "key"):
    importlib.import_module("ctl.client.cli." + name)
for name in ("nested", "highstate", "plain", "documents", "palette", "table", "keys"):
    importlib.import_module("ctl.client.output." + name)
import contextlib, io, locale, ctl.common.arguments, ctl.common.atomic, yaml
main = importlib.import_module("ctl.client.cli." + program).main
for words in (["--help"], ["--nosuch"], ["-c", "/nonexistent", "x", "y"]):  # what it imports on the way
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        with contextlib.suppress(SystemExit):
            main(words)
os.setgroups(groups)
os.setresgid(gid, gid, gid)
os.setresuid(uid, uid, uid)
os.environ.update(HOME=home, USER="")
sys.exit(main(argv))
"""


class Stranger:
    """A user of this machine who is not root."""

    def __init__(self, uid: int, gid: int, groups: Sequence[int] = (), name: str = "") -> None:
        self.uid = uid
        self.gid = gid
        self.groups = list(groups)
        self.name = name or str(uid)
        self.home = Path("/nonexistent")

    def ask(self, path: Path, *requests: dict[str, Any]) -> list[tuple[str, Any]]:
        """Make requests; return for each `("ok", frames)` or the error's code and its sentence."""
        given = repr((str(path), self.uid, self.gid, self.groups, list(requests)))
        done = subprocess.run(
            [sys.executable, "-c", ASK], input=given, capture_output=True, text=True, timeout=100, cwd="/", check=False
        )
        assert done.returncode == 0, done.stderr
        found: list[tuple[str, Any]] = ast.literal_eval(done.stdout)
        return found

    def run(self, program: str, *argv: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Run one of our programs (`ctl`, `run`, `cp`, `key`) as this user."""
        given = repr((self.uid, self.gid, self.groups, str(self.home), program, list(argv)))
        return subprocess.run(
            [sys.executable, "-c", RUN, given],
            input=typed,
            capture_output=True,
            text=True,
            timeout=100,
            cwd="/",
            check=False,
        )


def job(tgt: Any, fun: Any = "test.ping", *arg: Any, **more: Any) -> dict[str, Any]:
    """Return a request to publish; `kwarg` are the function's keywords."""
    call = {"fun": fun, "arg": list(arg), "kwarg": more.pop("kwarg", {})}
    return {"op": "publish", "tgt": tgt, "fun": fun, "call": call, **more}


REFUSALS = {"authorization", "target", "job"}


def tricks() -> dict[str, dict[str, Any]]:
    """Everything that S18 names, and then some; all of it must be refused to who has `web*` and `test.*`."""
    nested = {"fun": "test.ping", "arg": [], "kwarg": {}}
    return {
        "another minion": job("db1"),
        "every minion": job("*"),
        "one of two minions": job("web1,db1", tgt_type="list"),
        "a list with an extra id": job(["web1", "db1"], tgt_type="list"),
        "a list with an id that nobody has": job(["web1", "db9"], tgt_type="list"),
        "an id that nobody has": job("db9"),
        "an empty target": job(""),
        "no target": job(None),
        "an empty list": job([], tgt_type="list"),
        "a compound": job("web* or *", tgt_type="compound"),
        "a compound of all": job("not nobody", tgt_type="compound"),
        "a regular expression": job("web.*|.*", tgt_type="pcre"),
        "a regular expression with a newline": job("web1\n|db1", tgt_type="pcre"),
        "an unknown group": job("nosuch", tgt_type="nodegroup"),
        "a group": job("all", tgt_type="nodegroup"),
        "a list as glob": job(["web*", "*"]),
        "bytes as target": job(b"web1"),
        "pillar": job("secret:*", tgt_type="pcre"),
        "pillar of one": job("I@secret:x* and web1", tgt_type="compound"),
        "an unknown kind": job("web1", tgt_type="everything"),
        "another function": job("web1", "cmd.run", "id"),
        "two functions": job("web1", ["test.ping", "cmd.run"], [], ["id"]),
        "two functions in one word": job("web1", "test.ping,cmd.run"),
        "a function as bytes": job("web1", b"cmd.run"),
        "a function as list": job("web1", ["cmd.run"], ["id"]),
        "no function": job("web1", ""),
        "an empty list of functions": job("web1", []),
        "a function with a newline": job("web1", "test.ping\n"),
        "an alias": job("web1", "test.try_", "cmd.run", kwarg={"cmd": "id"}),
        "a wrapper": job("web1", "test.try", "cmd.run", kwarg={"cmd": "id"}),
        "a wrapper by name": job("web1", "test.try", kwarg={"module": "cmd.run", "cmd": "id"}),
        "a wrapper by text": job("web1", "test.try", "module=cmd.run", "cmd=id"),
        "a wrapper in a list": job("web1", ["test.ping", "test.try"], [], ["cmd.run"]),
        "a wrapper with marked keywords": job("web1", "test.try", {"__kwarg__": True, "module": "cmd.run"}),
        "a state": job("web1", "state.single", "cmd.run", "id"),
        "another name in the payload": {**job("web1"), "call": {**nested, "fun": "cmd.run"}},
        "more in the payload": {**job("web1"), "call": {**nested, "fun": ["test.ping", "cmd.run"]}},
        "a payload that is none": {**job("web1"), "call": [nested]},
        "names in the request": job("db1", user="root", uid=0, principal="root"),
        "a runner": {"op": "run", "fun": "manage.up", "call": {"arg": [], "kwarg": {}}},
        "a runner that publishes": {
            "op": "run",
            "fun": "salt.execute",
            "call": {"arg": ["db1", "cmd.run"], "kwarg": {}},
        },
        "keys": {"op": "key.list"},
        "a key": {"op": "key.delete", "match": "web1"},
        "which minions others have": {"op": "targets", "tgt": "*"},
        "grains": {"op": "cache.grains", "tgt": "web1"},
        "pillar data": {"op": "cache.pillar", "tgt": "web1"},
        "who is there": {"op": "minion.status"},
        "a file for minions": {"op": "stage", "size": 1, "data": b"x"},
        "the tree": {"op": "files.update"},
        "tokens": {"op": "token.list"},
        "an end to tokens": {"op": "token.revoke", "account": "file:deploy"},
        "the audit log": {"op": "audit.head"},
    }


@contextlib.contextmanager
def open_directory() -> Iterator[Path]:
    """Make a directory that every user can pass through."""
    directory = Path(tempfile.mkdtemp(prefix="ctl-access-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@contextlib.contextmanager
def account(password: str = "", *options: str) -> Iterator[Stranger]:
    """Make a user of this machine, who is gone again at the end; needs root and useradd."""
    name = f"ctltest{os.getpid()}"
    home = Path(tempfile.mkdtemp(prefix="ctl-home-"))
    subprocess.run(["useradd", "-M", "-d", str(home), "-s", "/bin/sh", *options, name], check=True, capture_output=True)
    try:
        if password:
            subprocess.run(["chpasswd"], input=f"{name}:{password}\n", text=True, check=True, capture_output=True)
        ids = subprocess.run(["id", "-u", name], capture_output=True, text=True, check=True).stdout.strip()
        group = subprocess.run(["id", "-g", name], capture_output=True, text=True, check=True).stdout.strip()
        made = Stranger(int(ids), int(group), [int(group)], name)
        made.home = home
        os.chown(home, made.uid, made.gid)
        yield made
    finally:
        subprocess.run(["userdel", name], check=False, capture_output=True)
        shutil.rmtree(home)
