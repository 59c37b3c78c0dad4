"""The walk of a user who comes from Salt: two small files, keys, targets, a module of their own, a state tree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MODULE = """\
import salt


def hello():
    return "hello world"


def show_grains():
    return __grains__['pythonversion']
"""

TOP = "base:\n  '*':\n    - nginx\n"
NGINX = """\
nginx:
  pkg:
    - installed
  service:
    - running
    - enable: True
    - require:
      - pkg: nginx
    - watch:
      - file: /etc/nginx/nginx.conf

/etc/nginx/nginx.conf:
  file.managed:
    - source: salt://nginx/nginx.conf
"""
NGINX_CONF = """\
user www-data;
pid /run/nginx.pid;
events {{ worker_connections 64; }}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:{port};
    location / {{ return 200 "{text}"; }}
  }}
}}
"""

is_root = os.geteuid() == 0
needs_apt = pytest.mark.skipif(
    not (is_root and shutil.which("apt-get") and Path("/var/lib/dpkg").is_dir()),
    reason="installs Debian packages: needs root and apt",
)


def _fleet(make_fleet: Callable[..., Any], **options: Any) -> Any:
    """Start a master and one minion, and accept its key as a user would."""
    fleet = make_fleet(["myinstance"], **options)
    fleet.master.start()
    fleet.wait_for_master()
    fleet.minions["myinstance"].start()
    return fleet


def test_the_first_walk(make_fleet: Callable[..., Any], wait_until: Callable[..., None], tmp_path: Path) -> None:
    fleet = _fleet(make_fleet, srv={"_modules/pbrian.py": MODULE})
    wait_until(lambda: "myinstance" in fleet.run("ctl-key", "-L").stdout, 20, "the key to wait")
    listed = fleet.run("ctl-key", "-L").stdout
    assert listed.index("Unaccepted") < listed.index("myinstance")
    accepted = fleet.run("ctl-key", "-A", "-y")
    assert accepted.returncode == 0, accepted.stderr
    fleet.wait_connected(["myinstance"])

    def ctl(*words: str, code: int = 0) -> str:
        done = fleet.run("ctl", *words)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return str(done.stdout)

    def value(*words: str) -> Any:
        return json.loads(ctl(*words, "--out", "json", "--static"))["myinstance"]

    assert ctl("*", "test.ping").split() == ["myinstance:", "True"]
    assert value("myinstance", "test.ping") is True
    assert "ctl '*' test.ping" in ctl("myinstance", "sys.doc")
    assert value("myinstance", "timezone.get_zone")
    assert "passwd" in value("myinstance", "cmd.run", "ls -l /etc")
    if "Debian" in Path("/etc/os-release").read_text():
        assert value("-G", "os:Debian", "test.ping") is True
    grains = value("*", "grains.ls")
    assert {"os", "id", "pythonversion", "mem_total"} <= set(grains)
    synced = value("myinstance", "saltutil.sync_all")
    assert synced["modules"] == ["modules.pbrian"]
    assert value("myinstance", "pbrian.hello") == "hello world"
    lines = [
        "import ctl.client",
        "client = ctl.client.LocalClient()",
        "ret = client.cmd('myinstance', 'pbrian.show_grains', [])",
        "print(repr(ret))",
    ]
    printed = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
        env={**os.environ, "CTL_CONFIG_DIR": str(fleet.config_dir)},
    )  # fmt: skip
    version = sys.version_info
    wanted = {"myinstance": [version.major, version.minor, version.micro, version.releaselevel, version.serial]}
    assert printed.stdout.strip() == repr(wanted), printed.stderr
    assert "did you mean test.ping?" in ctl("*", "test.pnig", code=1)
    nobody = fleet.run("ctl", "nobody", "test.ping")
    assert nobody.returncode == 2
    assert "No minions matched" in nobody.stdout + nobody.stderr


@pytest.mark.root
@needs_apt
def test_a_package_is_installed(make_fleet: Callable[..., Any]) -> None:
    fleet = make_fleet(["myinstance"])
    fleet.start()
    try:
        done = fleet.run("ctl", "myinstance", "pkg.install", "hello", "--out", "json", "--static", timeout=120)
        assert done.returncode == 0, done.stderr
        assert Path("/usr/bin/hello").exists()
        assert json.loads(done.stdout)["myinstance"]["hello"]["new"]
    finally:
        subprocess.run(["apt-get", "-y", "-qq", "purge", "hello"], capture_output=True, check=False)


@pytest.mark.root
@needs_apt
@pytest.mark.skipif(shutil.which("nginx") is not None, reason="nginx is installed here already; it is left alone")
def test_a_highstate_sets_up_a_real_nginx(make_fleet: Callable[..., Any], bench_fleet: Any) -> None:
    port = bench_fleet.free_ports(1)[0]
    fleet = make_fleet(
        ["myinstance"],
        srv={"top.sls": TOP, "nginx/init.sls": NGINX, "nginx/nginx.conf": NGINX_CONF.format(port=port, text="one")},
    )
    fleet.start()

    def highstate() -> dict[str, Any]:
        done = fleet.run("ctl", "myinstance", "state.highstate", "--out", "json", "--static", timeout=110)
        assert done.returncode == 0, done.stdout + done.stderr
        returned: dict[str, Any] = json.loads(done.stdout)["myinstance"]
        return returned

    def answer() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as response:
            return str(response.read().decode())

    try:
        first = highstate()
        assert all(state["result"] is True for state in first.values()), first
        assert answer() == "one"
        again = highstate()
        assert [tag for tag, state in again.items() if state["changes"]] == []
        pid = Path("/run/nginx.pid").read_text()
        (fleet.directory / "srv/nginx/nginx.conf").write_text(NGINX_CONF.format(port=port, text="two"))
        third = highstate()
        changed = {tag.split("_|-")[0] for tag, state in third.items() if state["changes"]}
        assert changed == {"file", "service"}, third
        assert answer() == "two"
        assert Path("/run/nginx.pid").read_text() != pid
    finally:
        subprocess.run(["service", "nginx", "stop"], capture_output=True, check=False)
        subprocess.run(["apt-get", "-y", "-qq", "purge", "nginx", "nginx-common"], capture_output=True, check=False)
        shutil.rmtree("/etc/nginx", ignore_errors=True)


def test_a_mistake_in_the_configuration_is_one_line(make_fleet: Callable[..., Any]) -> None:
    fleet = make_fleet([])
    (fleet.config_dir / "master").write_text("interface: 127.0.0.1\nret_prt: 1\n")
    done = fleet.run("ctl-master", timeout=20)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    for word in ("master:2", "ret_prt", "did you mean ret_port?"):
        assert word in done.stderr


def test_a_second_master_is_refused(make_fleet: Callable[..., Any]) -> None:
    fleet = make_fleet([])
    fleet.master.start()
    fleet.wait_for_master()
    second = fleet.run("ctl-master", timeout=20)
    assert second.returncode != 0
    assert len(second.stderr.strip().splitlines()) == 1
    assert "another ctl-master" in second.stderr
    assert fleet.master.running()


def test_the_first_signal_closes_cleanly(make_fleet: Callable[..., Any]) -> None:
    fleet = make_fleet(["m1"])
    fleet.start()
    assert fleet.minions["m1"].stop() == 0
    assert fleet.master.stop() == 0


def test_keys_are_managed_while_the_master_is_down(make_fleet: Callable[..., Any]) -> None:
    fleet = make_fleet(["m1"])
    fleet.start()
    fleet.master.stop()
    listed = fleet.run("ctl-key", "-L", "--out", "json")
    assert json.loads(listed.stdout)["minions"] == ["m1"]
    assert fleet.run("ctl-key", "-d", "m1", "-y").returncode == 0
    assert json.loads(fleet.run("ctl-key", "-L", "--out", "json").stdout)["minions"] == []


def test_output_for_programs(make_fleet: Callable[..., Any]) -> None:
    fleet = make_fleet(["m1", "m2"])
    fleet.start()
    static = fleet.run("ctl", "*", "test.ping", "--out", "json", "--static")
    assert json.loads(static.stdout) == {"m1": True, "m2": True}
    live = fleet.run("ctl", "*", "test.ping", "--out", "json", "--out-indent=-1")
    documents = [json.loads(line) for line in live.stdout.splitlines()]
    assert sorted(next(iter(document)) for document in documents) == ["m1", "m2"]
    local = subprocess.run(
        [Path(sys.executable).parent / "ctl-call", "-c", fleet.minions["m1"].config_dir, "test.ping", "--out", "json"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert json.loads(local.stdout) == {"local": True}, local.stderr


def test_a_masterless_highstate(tmp_path: Path) -> None:
    srv = tmp_path / "srv"
    srv.mkdir()
    (srv / "top.sls").write_text("base:\n  '*':\n    - one\n")
    (srv / "one.sls").write_text(
        textwrap.dedent(f"""\
        {tmp_path}/made:
          file.managed:
            - contents: {{{{ pillar['word'] }}}}
        """)
    )
    pillar = tmp_path / "pillar"
    pillar.mkdir()
    (pillar / "top.sls").write_text("base:\n  '*':\n    - words\n")
    (pillar / "words.sls").write_text("word: hello\n")
    (tmp_path / "minion").write_text(f"root_dir: {tmp_path}/root\nid: alone\n")
    done = subprocess.run(
        [Path(sys.executable).parent / "ctl-call", "-c", tmp_path, "--local", "--file-root", srv,
         "--pillar-root", pillar, "state.highstate"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "made").read_text() == "hello\n"
    assert "Succeeded: 1 (changed=1)" in done.stdout
