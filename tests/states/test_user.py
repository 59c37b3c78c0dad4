"""User and group states over accounts that only remember."""

from __future__ import annotations

from typing import Any

import pytest


class Accounts:
    """What `user`'s, `group`'s and `shadow`'s functions do, on dicts."""

    def __init__(self) -> None:
        self.groups: dict[str, dict[str, Any]] = {"sudo": {"gid": 27, "members": []}, "web": {"gid": 33, "members": []}}
        self.users: dict[str, dict[str, Any]] = {}
        self.hashes: dict[str, dict[str, Any]] = {}
        self.add("anne", uid=1000, gid=1000, shell="/bin/sh")

    def info(self, name: str) -> dict[str, Any]:
        user = self.users.get(name)
        if user is None:
            return {}
        return {**user, "groups": sorted(one for one, group in self.groups.items() if name in group["members"])}

    def add(self, name: str, groups: Any = (), **given: Any) -> bool:
        fields = {"uid": 1001, "gid": 1001, "home": f"/home/{name}", "shell": "/bin/bash", "fullname": ""}
        self.users[name] = {"name": name, **fields, **{key: given[key] for key in given if key in fields}}
        self.hashes[name] = {"passwd": "!", "max": 99999}
        self.chgroups(name, list(groups))
        return True

    def delete(self, name: str, remove: bool = False, force: bool = False) -> bool:
        del self.users[name]
        return True

    def chgroups(self, name: str, groups: Any, append: bool = False) -> bool:
        for one, group in self.groups.items():
            if one in groups and name not in group["members"]:
                group["members"].append(name)
            elif one not in groups and name in group["members"]:
                group["members"].remove(name)
        return True

    def set(self, key: str) -> Any:
        def change(name: str, value: Any, persist: bool = False) -> bool:
            self.users[name][key] = value
            return True

        return change

    def shadow(self, key: str) -> Any:
        def change(name: str, value: Any) -> bool:
            self.hashes[name][key] = value
            return True

        return change

    def group_info(self, name: str) -> dict[str, Any]:
        return {"name": name, **self.groups[name]} if name in self.groups else {}

    def group_add(self, name: str, gid: int = 2000, system: bool = False, **_: Any) -> bool:
        self.groups[name] = {"gid": gid, "members": []}
        return True


@pytest.fixture
def accounts(machine: Any) -> Accounts:
    fake = Accounts()
    machine.replace(
        user_info=fake.info,
        user_add=fake.add,
        user_delete=fake.delete,
        user_chgroups=fake.chgroups,
        user_chuid=fake.set("uid"),
        user_chshell=fake.set("shell"),
        user_chhome=fake.set("home"),
        user_chfullname=fake.set("fullname"),
        shadow_info=lambda name: fake.hashes.get(name, {}),
        shadow_set_password=fake.shadow("passwd"),
        shadow_set_maxdays=fake.shadow("max"),
        shadow_gen_password=lambda text, crypt_salt="s", algorithm="sha512": f"$6${crypt_salt}${text[::-1]}",
        shadow_lock_password=lambda name: fake.shadow("passwd")(name, "!" + fake.hashes[name]["passwd"].lstrip("!")),
        shadow_unlock_password=lambda name: fake.shadow("passwd")(name, fake.hashes[name]["passwd"].lstrip("!")),
        group_info=fake.group_info,
        group_add=fake.group_add,
        group_delete=lambda name: bool(fake.groups.pop(name)),
        group_chgid=lambda name, gid: fake.groups[name].update(gid=gid),
        group_adduser=lambda name, user: fake.groups[name]["members"].append(user),
        group_deluser=lambda name, user: fake.groups[name]["members"].remove(user),
        group_members=lambda name, users: fake.groups[name].update(members=users.split(",") if users else []),
    )
    return fake


def test_a_new_user(machine: Any, accounts: Accounts) -> None:
    given = {"name": "bert", "uid": 1500, "groups": ["sudo"], "password": "$6$x$y", "shell": "/bin/zsh"}
    assert machine.dry("user.present", **given).result is None
    outcome = machine.settle("user.present", **given)
    assert outcome.comment == "New user bert created"
    assert outcome.changes["uid"] == 1500
    assert "$6$" not in str(outcome.changes)
    assert accounts.hashes["bert"]["passwd"] == "$6$x$y"


def test_only_what_differs_is_changed(machine: Any, accounts: Accounts) -> None:
    outcome = machine.settle(
        "user.present", name="anne", shell="/bin/zsh", home="/home/anne", fullname="Anne", maxdays=9
    )
    assert outcome.changes == {"shell": "/bin/zsh", "fullname": "Anne", "max": 9}


def test_groups_are_exact_unless_told_otherwise(machine: Any, accounts: Accounts) -> None:
    accounts.groups["web"]["members"] = ["anne"]
    outcome = machine.settle("user.present", name="anne", groups=["sudo"], remove_groups=False)
    assert outcome.changes == {"groups": ["sudo", "web"]}
    outcome = machine.settle("user.present", name="anne", groups=["sudo"], optional_groups=["nowhere"])
    assert outcome.changes == {"groups": ["sudo"]}


def test_a_missing_group_is_refused_or_uncertain(machine: Any, accounts: Accounts) -> None:
    given = {"name": "anne", "groups": ["nowhere"]}
    assert machine.plan("user.present", **given).result is False
    assert machine.dry("user.present", **given).certain is False


def test_numbers_change_only_when_that_is_allowed(machine: Any, accounts: Accounts) -> None:
    outcome = machine.run("user.present", name="anne", uid=5000)
    assert outcome.result is False
    assert "allow_uid_change" in outcome.comment
    assert machine.settle("user.present", name="anne", uid=5000, allow_uid_change=True).changes == {"uid": 5000}


def test_passwords(machine: Any, accounts: Accounts) -> None:
    outcome = machine.settle("user.present", name="anne", password="secret", hash_password=True)
    assert outcome.changes == {"passwd": "XXX-REDACTED-XXX"}
    assert accounts.hashes["anne"]["passwd"] == "$6$s$terces"
    assert machine.plan("user.present", name="anne", password="$6$a$b", enforce_password=False).result is True
    machine.settle("user.present", name="anne", password_lock=True)
    assert accounts.hashes["anne"]["passwd"] == "!$6$s$terces"
    machine.settle("user.present", name="anne", password_lock=False)
    machine.settle("user.present", name="anne", empty_password=True)
    assert accounts.hashes["anne"]["passwd"] == ""


def test_absent(machine: Any, accounts: Accounts) -> None:
    assert machine.plan("user.absent", name="nobody-there").result is True
    outcome = machine.settle("user.absent", name="anne", purge=True)
    assert outcome.changes == {"anne": "removed"}


def test_a_new_group_and_its_members(machine: Any, accounts: Accounts) -> None:
    outcome = machine.settle("group.present", name="ops", gid=3000, members=["anne"])
    assert outcome.changes["gid"] == 3000
    assert accounts.groups["ops"] == {"gid": 3000, "members": ["anne"]}
    assert machine.settle("group.present", name="ops", gid=3001).changes == {"gid": 3001}
    assert machine.settle("group.present", name="ops", delusers=["anne"]).changes == {"delusers": ["anne"]}
    assert machine.settle("group.present", name="ops", addusers=["anne"]).changes == {"addusers": ["anne"]}
    machine.settle("group.present", name="ops", members=[])
    assert accounts.groups["ops"]["members"] == []


def test_mistakes_in_a_group(machine: Any, accounts: Accounts) -> None:
    for given in ({"members": ["anne"], "addusers": ["x"]}, {"addusers": ["anne"], "delusers": ["anne"]}):
        assert machine.plan("group.present", name="web", **given).result is False
    assert machine.plan("group.present", name="web", members=["nobody-there"]).result is False
    assert machine.dry("group.present", name="web", members=["nobody-there"]).certain is False


def test_a_group_goes(machine: Any, accounts: Accounts) -> None:
    assert machine.settle("group.absent", name="web").changes == {"web": ""}
