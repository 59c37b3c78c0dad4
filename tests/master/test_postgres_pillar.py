"""The external pillar `postgres`, against a real server with a cluster of its own on a Unix socket."""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctl.common.config import MasterConfig
from ctl.master.rendering import pillar_roots, render
from ctl.master.worker import NoDaemon

psycopg = pytest.importorskip("psycopg")

START_SECONDS = 60.0
TABLES = """
CREATE TABLE pillar (minion text, role text, key text, value text);
INSERT INTO pillar VALUES
  ('web1', 'nginx', 'port', '80'), ('web1', 'nginx', 'user', 'www'), ('web1', 'app', 'port', '8080'),
  ('db1', 'postgres', 'password', 'secret');
CREATE ROLE reader LOGIN PASSWORD 'of the reader';
GRANT SELECT ON pillar TO reader;
CREATE TABLE hidden (minion text, value text);
"""


def _program(name: str) -> str:
    places = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)
    found = shutil.which(name) or next(iter(places), None)
    if found is None:
        pytest.skip("PostgreSQL's server is not installed")
    return os.path.realpath(found)


def _owner() -> dict[str, Any]:
    """Who runs the server: it refuses to be root's."""
    if os.getuid() != 0:
        return {}
    try:
        account = pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("PostgreSQL will not run as root, and there is no user postgres")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Where the server's socket is."""
    initdb, postgres, owner = _program("initdb"), _program("postgres"), _owner()
    with tempfile.TemporaryDirectory(prefix="pg-") as home:  # a short path: the socket is in it
        if owner:
            os.chown(home, owner["user"], owner["group"])
        data = f"{home}/data"
        words = [initdb, "--pgdata", data, "--username", "postgres", "--auth", "trust", "--no-sync", "--no-locale"]
        subprocess.run([*words, "--encoding", "UTF8"], check=True, capture_output=True, cwd=home, **owner)
        settings = ["listen_addresses=", f"unix_socket_directories={home}", "fsync=off", "max_connections=10"]
        words = [postgres, "-D", data, *(word for setting in settings for word in ("-c", setting))]
        with open(f"{home}/log", "wb") as log:
            process = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=home, **owner)
        try:
            _fill(home, process)
            yield home
        finally:
            process.terminate()  # "smart": it waits for clients to leave, and there are none
            process.wait(30)


def _fill(home: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with psycopg.connect(host=home, user="postgres", dbname="postgres") as connection:
                connection.execute(TABLES)
            return
        except psycopg.OperationalError:
            assert process.poll() is None, Path(home, "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _pillar(server: str, root: Path, *sources: Any, minion: str = "web1", **login: Any) -> dict[str, Any]:
    settings = {
        "root_dir": str(root),
        "pillar_roots": {"base": []},
        "postgres": {"host": server, "user": "reader", "db": "postgres", **login},
        "ext_pillar": list(sources),
    }
    config = MasterConfig.from_mapping(settings)
    data, problems = render(config, pillar_roots(config), NoDaemon(), minion, {"id": minion})
    return {**data, "_problems": problems} if problems else data


QUERY = "SELECT role, key, value FROM pillar WHERE minion = %s ORDER BY role, key"


def test_rows_become_nested_keys(server: str, tmp_path: Path) -> None:
    found = _pillar(server, tmp_path, {"postgres": {"roles": {"query": QUERY}}})
    assert found == {"roles": {"app": {"port": "8080"}, "nginx": {"port": "80", "user": "www"}}}
    assert _pillar(server, tmp_path, {"postgres": [QUERY]}) == found["roles"]


def test_a_minion_gets_its_own_rows(server: str, tmp_path: Path) -> None:
    found = _pillar(server, tmp_path, {"postgres": [QUERY]}, minion="db1")
    assert found == {"postgres": {"password": "secret"}}
    assert _pillar(server, tmp_path, {"postgres": [QUERY]}, minion="nobody") == {}


def test_a_question_mark_is_an_operator(server: str, tmp_path: Path) -> None:
    query = """SELECT 'has', 'key', '{"a": 1}'::jsonb ? 'a' WHERE %s <> ''"""
    assert _pillar(server, tmp_path, {"postgres": [query]}) == {"has": {"key": True}}


def test_an_id_is_a_parameter_and_no_sql(server: str, tmp_path: Path) -> None:
    assert _pillar(server, tmp_path, {"postgres": [QUERY]}, minion="x' OR '1'='1") == {}


def test_several_queries_are_merged_in_order(server: str, tmp_path: Path) -> None:
    more = "SELECT 'nginx', 'port', '81' WHERE %s <> ''"
    found = _pillar(server, tmp_path, {"postgres": [QUERY, more]})
    assert found == {"app": {"port": "8080"}, "nginx": {"port": "81", "user": "www"}}


@pytest.mark.parametrize(
    ("query", "login", "reason"),
    [
        ("SELECT nothing FROM pillar WHERE minion = %s", {}, "a query failed: UndefinedColumn"),
        ("SELECT minion, value FROM hidden WHERE minion = %s", {}, "a query failed: InsufficientPrivilege"),
        (QUERY, {"db": "nowhere"}, "the database does not answer"),
        (QUERY, {"host": "/nonexistent"}, "the database does not answer"),
        (QUERY, {"user": "nobody", "pass": "canary"}, "the database does not answer"),
    ],
)
def test_what_goes_wrong_blocks_and_shows_no_password(
    server: str, tmp_path: Path, query: str, login: Any, reason: str
) -> None:
    found = _pillar(server, tmp_path, {"postgres": [query]}, **login)
    (error,) = found["_errors"]
    assert error.startswith(f"the external pillar 'postgres' does not work: {reason}")
    assert "canary" not in str(found)
