"""`user`, `group`, `shadow`: what is read, what is refused, and real accounts that come and go."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ctl.common.errors import CommandExecutionError
from ctl.modules import shadow, user_useradd

Call = Callable[..., Any]

SHADOW = """\
root:*:19000:0:99999:7:::
person:$6$salt$hash:19500:1:90:14:30:20000:
broken
"""


def test_the_shadow_file_is_read() -> None:
    found = shadow._parse_shadow(SHADOW)
    assert found["person"] == {
        "name": "person",
        "passwd": "$6$salt$hash",
        "lstchg": 19500,
        "min": 1,
        "max": 90,
        "warn": 14,
        "inact": 30,
        "expire": 20000,
    }
    assert found["root"]["expire"] == -1


def test_what_is_known_about_a_person_is_read_and_written() -> None:
    fields = user_useradd._parse_gecos("A Person,12,1,2,x,y")
    assert fields == {"fullname": "A Person", "roomnumber": "12", "workphone": "1", "homephone": "2", "other": "x,y"}
    assert user_useradd._build_gecos(fields) == "A Person,12,1,2,x,y"
    assert user_useradd._build_gecos({"fullname": "A"}) == "A"
    for wrong in ("a:b", "a,b", "a\nb"):
        with pytest.raises(CommandExecutionError):
            user_useradd._build_gecos({"fullname": wrong})


@pytest.mark.parametrize("name", ["-x", "a b", "a;b", "$(id)", "a:b", "", "../x", "a\nb", "a,b"])
def test_what_is_no_name_is_refused_everywhere(call: Call, name: str) -> None:
    for function, args in (
        ("user.add", ()),
        ("user.delete", ()),
        ("user.chshell", ("/bin/sh",)),
        ("group.add", ()),
        ("group.delete", ()),
        ("group.members", ("root",)),
        ("shadow.set_password", ("x",)),
    ):
        with pytest.raises(CommandExecutionError):
            call(function, name, *args)


def test_root_is_known(call: Call) -> None:
    info = call("user.info", "root")
    assert (info["uid"], info["gid"], info["name"]) == (0, 0, "root")
    assert "root" in info["groups"]
    assert call("user.info", "nobody-such") == {}
    assert call("user.list_groups", "nobody-such") == []
    assert call("user.primary_group", "root") == "root"
    assert {"root", "nobody"} <= set(call("user.list_users"))
    assert next(one for one in call("user.getent") if one["name"] == "root")["groups"] == info["groups"]
    assert call("group.info", "root")["gid"] == 0
    assert call("group.info", "nobody-such") == {}
    assert "root" in call("group.list_groups")
    assert any(one["name"] == "root" for one in call("group.getent"))
    with pytest.raises(CommandExecutionError, match="no user 'nobody-such'"):
        call("user.primary_group", "nobody-such")


def test_passwords_are_hashed_as_shadow_wants_them(call: Call) -> None:
    known = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"
    assert call("shadow.gen_password", "password", "saltsalt") == known
    assert call("shadow.gen_password", "password", algorithm="sha256").startswith("$5$")
    assert call("random.shadow_hash", "saltsalt", "password") == known
    for wrong in ({"algorithm": "rot13"}, {"crypt_salt": "-in"}):
        with pytest.raises(CommandExecutionError):
            call("shadow.gen_password", "password", **wrong)
    with pytest.raises(CommandExecutionError, match="newline"):
        call("shadow.gen_password", "pass\nword")
    with pytest.raises(CommandExecutionError, match="colon"):
        call("shadow.set_password", "root", "a:b")


def test_dates_of_ageing_are_days_or_dates() -> None:
    assert shadow._days("1970-01-11") == shadow._days("10") == 10
    with pytest.raises(CommandExecutionError, match="neither a date"):
        shadow._days("soon")


@pytest.fixture
def names(call: Call) -> Iterator[tuple[str, str]]:
    """Names of a user and a group that nobody has, and that nobody has afterwards."""
    user, group = f"ctltest{secrets.token_hex(4)}", f"ctltestg{secrets.token_hex(4)}"
    yield user, group
    for name in (user, f"{user}x"):
        if call("user.info", name):
            call("user.delete", name, remove=True, force=True)
    for name in (group, f"{group}x", user):
        if call("group.info", name):
            call("group.delete", name)


@pytest.mark.root
def test_a_group_comes_changes_and_goes(call: Call, names: tuple[str, str]) -> None:
    _, group = names
    assert call("group.add", group, gid="60321") is True
    assert call("group.info", group) == {"name": group, "passwd": "x", "gid": 60321, "members": []}
    with pytest.raises(CommandExecutionError, match="groupadd failed with exit code 9"):
        call("group.add", group)
    assert call("group.chgid", group, 60322) is True
    assert call("group.adduser", group, "nobody") is True
    assert call("group.info", group)["members"] == ["nobody"]
    assert call("group.members", group, "daemon,nobody") is True
    assert call("group.deluser", group, "daemon") is True
    assert call("group.deluser", group, "daemon") is True
    assert call("group.info", group)["members"] == ["nobody"]
    assert call("group.rename", group, f"{group}x") is True
    assert call("group.delete", f"{group}x") is True
    assert call("group.info", f"{group}x") == {}


@pytest.mark.root
def test_a_user_comes_changes_and_goes(call: Call, names: tuple[str, str], tmp_path: Path) -> None:
    user, group = names
    home = tmp_path / "home"
    call("group.add", group)
    assert call(
        "user.add", user, uid=60331, gid=group, groups=["daemon"], home=home, shell="/bin/sh", fullname="A Person"
    )
    info = call("user.info", user)
    assert (info["uid"], info["home"], info["shell"], info["fullname"]) == (60331, str(home), "/bin/sh", "A Person")
    assert info["groups"] == sorted(["daemon", group])
    assert call("user.primary_group", user) == group
    assert home.is_dir()
    with pytest.raises(CommandExecutionError, match="useradd failed with exit code 9"):
        call("user.add", user)
    assert call("user.chuid", user, 60332)
    assert home.stat().st_uid == 60332
    assert call("user.chgid", user, "nogroup")
    assert call("user.chshell", user, "/bin/false")
    assert call("user.chhome", user, tmp_path / "other", persist=True)
    assert call("user.chfullname", user, "Another Person")
    assert call("user.chroomnumber", user, 12)
    assert call("user.chworkphone", user, "1")
    assert call("user.chhomephone", user, "2")
    assert call("user.chother", user, "x")
    assert call("user.chgroups", user, "audio,daemon", append=True)
    assert call("user.chgroups", user, ["audio"])
    changed = call("user.info", user)
    assert changed["groups"] == ["audio", "nogroup"]
    assert (changed["uid"], changed["shell"], changed["home"]) == (60332, "/bin/false", str(tmp_path / "other"))
    assert (changed["fullname"], changed["roomnumber"], changed["other"]) == ("Another Person", "12", "x")
    assert os.path.isdir(tmp_path / "other")
    assert call("user.rename", user, f"{user}x")
    assert call("user.delete", f"{user}x", remove=True)
    assert call("user.info", f"{user}x") == {}
    assert not (tmp_path / "other").exists()


@pytest.mark.root
def test_a_password_is_set_locked_and_aged(call: Call, names: tuple[str, str]) -> None:
    user, _ = names
    call("user.add", user, createhome=False, system=True)
    hashed = call("shadow.gen_password", "secret")
    assert call("shadow.set_password", user, hashed) is True
    assert call("shadow.info", user)["passwd"] == hashed
    assert call("shadow.lock_password", user) is True
    assert call("shadow.info", user)["passwd"] == f"!{hashed}"
    assert call("shadow.unlock_password", user) is True
    assert call("shadow.set_mindays", user, 1)
    assert call("shadow.set_maxdays", user, 90)
    assert call("shadow.set_warndays", user, 14)
    assert call("shadow.set_inactdays", user, 30)
    assert call("shadow.set_expire", user, "2030-01-01")
    assert call("shadow.set_date", user, 0)
    info = call("shadow.info", user)
    assert [info[key] for key in ("lstchg", "min", "max", "warn", "inact", "expire")] == [0, 1, 90, 14, 30, 21915]
    assert call("shadow.del_password", user) is True
    assert user in call("shadow.list_users")
    with pytest.raises(CommandExecutionError, match="no user 'nobody-such'"):
        call("shadow.lock_password", "nobody-such")
    assert call("shadow.info", "nobody-such")["name"] == ""
