"""External authentication by a file of accounts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ctl.common.errors import JobError
from ctl.master.auth_file import FileMethod, make_hash


@pytest.fixture(scope="module")
def hashed() -> str:
    return make_hash("correct horse", b"0123456789abcdef")


@pytest.fixture
def method(tmp_path: Path, hashed: str) -> FileMethod:
    path = tmp_path / "accounts"
    path.write_text(f"# accounts\nbob:{hashed}:ops, dev\nbad:$scrypt$ln=99$x\nplain:secret\nempty:\nalice:{hashed}\n")
    path.chmod(0o600)
    return FileMethod(path)


def test_the_right_password_and_no_other(method: FileMethod) -> None:
    account = method.check("bob", "correct horse")
    assert account is not None
    assert (account.user, tuple(account.groups)) == ("bob", ("ops", "dev"))
    for wrong in ("", "correct", "correct horse ", "x" * 500, "pässword"):
        assert method.check("bob", wrong) is None


@pytest.mark.parametrize("user", ["nobody", "", "bad", "plain", "empty", "# accounts", "bob:", "BOB"])
def test_whoever_has_no_hash_has_no_password(method: FileMethod, user: str) -> None:
    for password in ("", "secret", "correct horse"):
        assert method.check(user, password) is None
    assert method.find(user) is None


def test_a_new_password_makes_another_account_of_it(method: FileMethod, tmp_path: Path) -> None:
    before = method.find("bob")
    assert before is not None
    (tmp_path / "accounts").write_text(f"bob:{make_hash('other', b'x' * 16)}:ops\n")
    after = method.find("bob")
    assert after is not None
    assert before.stamp != after.stamp


def test_a_file_that_others_can_write_is_not_believed(method: FileMethod, tmp_path: Path) -> None:
    (tmp_path / "accounts").chmod(0o666)
    with pytest.raises(JobError, match="others can write"):
        method.check("bob", "correct horse")
    with pytest.raises(JobError, match="cannot be read"):
        FileMethod(tmp_path / "none").check("bob", "x")


def test_b18_an_unknown_name_costs_what_a_wrong_password_costs(method: FileMethod) -> None:
    def fastest(user: str) -> float:
        times = []
        for _ in range(5):
            began = time.thread_time()
            method.check(user, "wrong")
            times.append(time.thread_time() - began)
        return min(times)

    known, unknown = fastest("bob"), fastest("nobody")
    assert 0.5 < unknown / known < 2.0, (known, unknown)
