"""What a minion's functions meet on their machine and on the web: hostile names, certificates, URLs and YAML."""

from __future__ import annotations

import http.server
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctl.common import render_yaml
from ctl.common.context import Context, use
from ctl.common.errors import CommandExecutionError, FileServerError, RenderError
from ctl.common.loader import load_plugins
from ctl.modules import _cached

NAMES = [
    "a;touch pwned;",
    "$(touch pwned)",
    "`touch pwned`",
    "-x",
    "--help",
    "a\ntouch pwned\n",
    "'\";touch pwned #",
    "*",
]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Context]:
    """A minion on this machine."""
    config = {"id": "m", "cachedir": str(tmp_path / "cache"), "data_dir": str(tmp_path / "data")}
    made = Context("m", config, {"shell": "/bin/sh"}, {}, None, None)  # type: ignore[arg-type]
    load_plugins(made)
    with use(made):
        yield made


def test_s07_names_of_files_and_processes_run_nothing(
    machine: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user made files and processes with such names; every function that lists or changes them runs."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    for name in NAMES:
        (home / name).write_text(f"{name}\n")
    sleep = shutil.which("sleep") or "/bin/sleep"
    running = [subprocess.Popen([sleep, "60"], executable=sleep), *(_named(name) for name in NAMES if "\0" not in name)]
    try:
        call: Callable[..., Any] = machine.call
        found = call("file.find", str(home), type="f")
        assert {os.path.basename(path) for path in found} == set(NAMES)
        for name in NAMES:
            path = str(home / name)
            for fun, *args in (
                ("file.stats", path), ("file.read", path), ("file.get_hash", path), ("file.readdir", str(home)),
                ("file.find", str(home), ), ("file.directory_exists", path), ("file.grep", path, "touch"),
                ("file.contains", path, "touch"), ("ps.pgrep", name), ("ps.psaux", name), ("ps.lsof", name),
                ("cmd.which", name), ("hashutil.digest_file", path), ("disk.usage",), ("status.procs",),
                ("user.info", name), ("group.info", name), ("service.status", name), ("pkg.version", name),
            ):  # fmt: skip
                if fun in machine.functions:
                    try:
                        call(fun, *args)
                    except (CommandExecutionError, OSError, ValueError, TypeError):
                        continue
        assert not list(tmp_path.rglob("pwned"))
        assert not Path("/pwned").exists()
    finally:
        for process in running:
            process.kill()
            process.wait()


def _named(name: str) -> subprocess.Popen[bytes]:
    """Start a process whose command line is a name."""
    sleeper = "import sys, time; time.sleep(60)"
    return subprocess.Popen([name, "-c", sleeper, name], executable=sys.executable)


# -- certificates


@pytest.fixture
def untrusted(tmp_path: Path) -> Iterator[str]:
    """A web server with a certificate that nobody signed; the URL of a file there."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed here")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    words += ["-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(words, check=True, capture_output=True)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"evil")

        def log_message(self, *_: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://localhost:{server.server_address[1]}/x"
    server.shutdown()
    thread.join()
    server.server_close()


def test_s08_a_server_that_nobody_vouches_for_is_refused(machine: Context, untrusted: str, tmp_path: Path) -> None:
    where = tmp_path / "got"
    for call in (
        lambda: machine.call("cp.get_url", untrusted, str(where)),
        lambda: machine.call("cp.cache_file", untrusted),
        lambda: _cached.download(untrusted, where),
    ):
        with pytest.raises(CommandExecutionError, match="certificate"):
            call()
    assert not where.exists()
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    _cached.download(untrusted, where, verify_ssl=False)  # whoever calls may say so
    assert where.read_bytes() == b"evil"


# -- URLs as names


@pytest.mark.parametrize(
    "url",
    [
        "http://host/../../../../etc/cron.d/x",
        "http://host/%2e%2e/%2e%2e/%2e%2e/x",
        "http://host/a/..%2f..%2f..%2fx",
        "http://../../x",
        "http://a/b?../../../x",
        "http://user:s3cr3t@host/../x",
        "https://host//etc/passwd",
        "http://host/" + "a" * 5000,
        "http://host/a\0b",
        "http://host/.",
    ],
)
def test_s13_a_download_is_kept_inside_the_cache(machine: Context, url: str, tmp_path: Path) -> None:
    inside = os.path.realpath(_cached.url_directory())
    try:
        found = os.path.realpath(_cached.copy_of_url(url))
    except (FileServerError, CommandExecutionError, ValueError):
        return
    assert found.startswith(inside + "/")
    assert "s3cr3t" not in found


# -- YAML

TAGS = [
    "!!python/object/apply:os.system [touch pwned]",
    "!!python/object/new:os.system [touch pwned]",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/object:subprocess.Popen {args: [id]}",
    "a: !!python/tuple [1]",
    "!<tag:yaml.org,2002:python/object/apply:os.system> [id]",
]


@pytest.mark.parametrize("text", TAGS)
def test_s34_tags_of_python_are_errors(text: str) -> None:
    with pytest.raises(RenderError, match="not allowed"):
        render_yaml.load(text)


def test_s34_the_billion_laughs_are_few_and_short() -> None:
    bomb = (Path(__file__).parents[1] / "data" / "fuzz" / "yaml" / "bomb").read_text()
    used, before = time.process_time(), _memory()
    with pytest.raises(RenderError, match="expand to more than"):
        render_yaml.load(bomb)
    assert time.process_time() - used < 2.0
    assert _memory() - before < 50 * 2**20


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
