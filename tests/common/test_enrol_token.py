"""The text of enrolment tokens, and the files that they are in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ctl.common import crypto
from ctl.common.enrol_token import EnrolToken, read_token
from ctl.common.errors import ConfigError

FINGERPRINT = crypto.fingerprint(crypto.MASTER, b"m" * 32)


@pytest.mark.parametrize("master", ["", FINGERPRINT])
def test_a_token_reads_back(master: str) -> None:
    token = EnrolToken.create(os.urandom, master)
    assert EnrolToken.parse(f" {token.text()}\n") == token
    assert token.text().isascii()
    assert " " not in token.text()


def test_keys_differ_by_secret_and_by_id() -> None:
    keys = {EnrolToken(bytes([a]) * 16, bytes([b]) * 32).key for a in range(2) for b in range(2)}
    assert len(keys) == 4


GOOD = EnrolToken.create(os.urandom, FINGERPRINT).text()


@pytest.mark.parametrize(
    "text", ["", "ctl1-", GOOD[5:], GOOD[:-4], GOOD + "AAAA", GOOD.replace("ctl1", "ctl2"), "ctl1-é"]
)
def test_what_is_no_token(text: str) -> None:
    with pytest.raises(ValueError, match="not an enrolment token"):
        EnrolToken.parse(text)


def test_a_file_must_be_its_owners_alone_and_hold_a_token(tmp_path: Path) -> None:
    path = tmp_path / "token"
    assert read_token(path) is None
    path.write_text(GOOD)
    path.chmod(0o600)
    found = read_token(path)
    assert found is not None
    assert found.text() == GOOD
    path.chmod(0o604)
    with pytest.raises(ConfigError, match="other users"):
        read_token(path)
    path.chmod(0o600)
    path.write_text("something else")
    with pytest.raises(ConfigError, match="no enrolment token") as caught:
        read_token(path)
    assert "something else" not in str(caught.value)
