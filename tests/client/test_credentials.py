"""Credentials of clients: keyword arguments like Salt's, and the file of a token."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from ctl.client.credentials import load_token, of_keywords, save_token
from ctl.common.errors import AuthenticationError

SOCKET = Path("/run/ctl/master/ctl.sock")


def made(**changes: Any) -> dict[str, Any]:
    return {"token": "ab" * 32, "eauth": "pam", "user": "bob", "expires_ms": time.time() * 1000 + 60_000, **changes}


def test_keywords() -> None:
    account = {"eauth": "pam", "username": "bob", "password": "x"}
    assert of_keywords({}) is None
    assert of_keywords({"timeout": 3, "token": None}) is None
    assert of_keywords({**account, "subset": 1}) == account
    assert of_keywords({**account, "token": "t"}) == {"token": "t"}
    for missing in account:
        with pytest.raises(AuthenticationError, match=missing):
            of_keywords({key: value for key, value in account.items() if key != missing})


def test_a_token_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    path.chmod(0o644)
    save_token(path, SOCKET, made(name="x", other="y"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert set(json.loads(path.read_text())) == {"token", "eauth", "user", "expires_ms", "socket"}
    assert load_token(path, SOCKET, "", "") == {"token": "ab" * 32}
    assert load_token(path, SOCKET, "pam", "bob") == {"token": "ab" * 32}


@pytest.mark.parametrize(
    ("socket", "eauth", "username", "changes"),
    [
        (Path("/other"), "", "", {}),
        (SOCKET, "ldap", "", {}),
        (SOCKET, "pam", "alice", {}),
        (SOCKET, "", "", {"expires_ms": time.time() * 1000 - 1}),
    ],
)
def test_a_token_for_something_else_is_not_used(
    tmp_path: Path, socket: Path, eauth: str, username: str, changes: Any
) -> None:
    save_token(tmp_path / "token", SOCKET, made(**changes))
    assert load_token(tmp_path / "token", socket, eauth, username) is None


def test_a_token_that_others_can_reach_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "token"
    assert load_token(path, SOCKET, "", "") is None
    save_token(path, SOCKET, made())
    path.chmod(0o640)
    with pytest.raises(AuthenticationError, match="others can reach"):
        load_token(path, SOCKET, "", "")
    path.chmod(0o600)
    path.write_text("no json")
    assert load_token(path, SOCKET, "", "") is None
