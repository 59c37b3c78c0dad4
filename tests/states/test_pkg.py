"""Package states over a package manager that only remembers."""

from __future__ import annotations

from typing import Any

import pytest

from ctl.common.errors import CommandExecutionError


class Packages:
    """What `pkg`'s functions do, on two dicts."""

    def __init__(self) -> None:
        self.installed = {"bash": "5.2", "vim": "9.0-1"}
        self.known = {"bash": "5.2", "vim": "9.0-2", "nginx": "1.22.1-9", "curl": "7.88"}
        self.left: dict[str, str] = {}
        self.held: list[str] = []
        self.calls: list[str] = []
        self.broken = False

    def list_pkgs(self, removed: bool = False, **_: Any) -> dict[str, str]:
        return dict(self.left if removed else self.installed)

    def install(self, pkgs: Any = None, sources: Any = None, **options: Any) -> dict[str, dict[str, str]]:
        self.calls.append("install")
        changes = {}
        for item in pkgs or sources:
            name, spec = next(iter(item.items())) if isinstance(item, dict) else (item, "")
            if self.broken or (name not in self.known and not sources):
                raise CommandExecutionError(f"Unable to locate package {name}")
            version = (
                "file" if sources else spec if spec and spec[0].isdigit() and "*" not in spec else self.known[name]
            )
            old = self.installed.get(name, "")
            self.installed[name] = version
            if old != version:
                changes[name] = {"old": old, "new": version}
        return changes

    def remove(self, pkgs: list[str]) -> dict[str, dict[str, str]]:
        self.calls.append("remove")
        return {name: {"old": self.installed.pop(name), "new": ""} for name in pkgs}

    def purge(self, pkgs: list[str]) -> dict[str, Any]:
        self.calls.append("purge")
        gone = {name: {"old": self.installed.pop(name), "new": ""} for name in pkgs if name in self.installed}
        left = {name: {"old": self.left.pop(name), "new": ""} for name in pkgs if name in self.left}
        return {"installed": gone, "removed": left}

    def refresh_db(self, **_: Any) -> dict[str, bool]:
        self.calls.append("refresh")
        return {}

    def latest_version(self, *names: str, show_installed: bool = False, **_: Any) -> str | dict[str, str]:
        found = {}
        for name in names:
            known = self.known.get(name, "")
            found[name] = known if show_installed or known != self.installed.get(name) else ""
        return found[names[0]] if len(names) == 1 else found

    def list_upgrades(self, **_: Any) -> dict[str, str]:
        return {name: new for name, new in self.known.items() if name in self.installed and self.installed[name] != new}

    def upgrade(self, **_: Any) -> dict[str, dict[str, str]]:
        return self.install(pkgs=list(self.list_upgrades()))

    def hold(self, pkgs: list[str]) -> dict[str, Any]:
        self.held += pkgs
        return {name: {"result": True, "changes": {"old": "install", "new": "hold"}} for name in pkgs}

    def unhold(self, pkgs: list[str]) -> dict[str, Any]:
        self.held = [name for name in self.held if name not in pkgs]
        return {name: {"result": True, "changes": {"old": "hold", "new": "install"}} for name in pkgs}

    def list_holds(self) -> list[str]:
        return self.held

    def version_cmp(self, one: str, two: str, ignore_epoch: bool = False) -> int:
        return (one > two) - (one < two)


@pytest.fixture
def packages(machine: Any) -> Packages:
    fake = Packages()
    words = ["list_pkgs", "install", "remove", "purge", "refresh_db", "latest_version", "list_upgrades", "upgrade"]
    words += ["hold", "unhold", "list_holds", "version_cmp"]
    machine.replace(**{f"pkg_{word}": getattr(fake, word) for word in words})
    return fake


def test_one_package_is_installed_once(machine: Any, packages: Packages) -> None:
    dry = machine.dry("pkg.installed", name="nginx")
    assert dict(dry.changes) == {"nginx": {"old": "", "new": "installed"}}
    outcome = machine.settle("pkg.installed", name="nginx")
    assert outcome.changes == {"nginx": {"old": "", "new": "1.22.1-9"}}
    assert "nginx" in outcome.comment
    assert machine.plan("pkg.installed", name="nginx").comment == "Package nginx is already installed"


def test_several_packages_and_versions_go_in_one_transaction(machine: Any, packages: Packages) -> None:
    outcome = machine.settle("pkg.installed", name="tools", pkgs=["bash", "curl", {"nginx": "1.22*"}])
    assert sorted(outcome.changes) == ["curl", "nginx"]
    assert packages.calls == ["refresh", "install"]


@pytest.mark.parametrize(
    ("version", "fits"),
    [("9.0-1", True), ("9.0*", True), (">=9.0", True), (">=9.0,<9.1", True), ("!=9.0-1", False), ("8.0", False)],
)
def test_versions_are_compared(machine: Any, packages: Packages, version: str, fits: bool) -> None:
    plan = machine.plan("pkg.installed", name="vim", version=version)
    assert (plan.result is True) is fits


def test_an_older_version_than_the_installed_one_may_do(machine: Any, packages: Packages) -> None:
    assert machine.plan("pkg.installed", name="vim", version="8.0", allow_updates=True).result is True


def test_lists_are_fetched_once_in_a_run_or_as_told(machine: Any, packages: Packages) -> None:
    machine.run("pkg.installed", name="nginx")
    machine.run("pkg.installed", name="curl")
    assert packages.calls == ["refresh", "install", "install"]
    machine.run("pkg.installed", name="curl", reinstall=True, refresh=True)
    machine.run("pkg.installed", name="curl", reinstall=True, refresh=False)
    assert packages.calls == ["refresh", "install", "install", "refresh", "install", "install"]


def test_an_unknown_package_fails_and_is_uncertain_in_a_dry_run(machine: Any, packages: Packages) -> None:
    dry = machine.dry("pkg.installed", name="ngnix")
    assert (dry.result, dry.certain) == (None, False)
    outcome = machine.run("pkg.installed", name="ngnix")
    assert outcome.result is False
    assert "ngnix" in outcome.comment


def test_packages_from_files(machine: Any, packages: Packages) -> None:
    given = {"name": "mine", "sources": [{"mine": "salt://mine.deb"}, {"bash": "salt://bash.deb"}]}
    outcome = machine.settle("pkg.installed", **given)
    assert outcome.changes == {"mine": {"old": "", "new": "file"}}


def test_holding_and_letting_go(machine: Any, packages: Packages) -> None:
    outcome = machine.settle("pkg.installed", name="vim", hold=True)
    assert outcome.changes == {"vim": {"old": "install", "new": "hold"}}
    machine.settle("pkg.installed", name="vim", hold=False)
    assert packages.held == []


def test_latest(machine: Any, packages: Packages) -> None:
    outcome = machine.settle("pkg.latest", name="vim")
    assert outcome.changes == {"vim": {"old": "9.0-1", "new": "9.0-2"}}
    machine.settle("pkg.latest", name="x", pkgs=["curl", "bash"])
    assert machine.run("pkg.latest", name="nothing").result is False
    assert machine.dry("pkg.latest", name="nothing").certain is False


def test_removed_and_purged(machine: Any, packages: Packages) -> None:
    outcome = machine.settle("pkg.removed", name="vim")
    assert outcome.changes == {"vim": {"old": "9.0-1", "new": ""}}
    packages.left["vim"] = "9.0-1"
    assert machine.plan("pkg.removed", name="vim").result is True
    outcome = machine.settle("pkg.purged", name="x", pkgs=["vim", "bash", "never"])
    assert outcome.changes["installed"] == {"bash": {"old": "5.2", "new": ""}}
    assert outcome.changes["removed"] == {"vim": {"old": "9.0-1", "new": ""}}


def test_removed_can_be_one_version_only(machine: Any, packages: Packages) -> None:
    assert machine.plan("pkg.removed", name="vim", version="8.0").result is True


def test_uptodate(machine: Any, packages: Packages) -> None:
    outcome = machine.settle("pkg.uptodate", name="all", refresh=True)
    assert outcome.changes == {"vim": {"old": "9.0-1", "new": "9.0-2"}}


def test_a_failed_installation_says_why(machine: Any, packages: Packages) -> None:
    packages.broken = True
    outcome = machine.run("pkg.installed", name="nginx")
    assert outcome.result is False
    assert "Unable to locate" in outcome.comment


def _apply(machine: Any, tree: str) -> dict[str, Any]:
    from ctl.common.state.run import StateRun

    run = StateRun(machine.context)
    compiled = run.compile(run.text(tree))
    assert not compiled.problems
    return {ret["__id__"]: ret for ret in run.execute(compiled.program).values()}


TREE = "nginx: pkg.installed\ncurl: pkg.installed\nvim: {pkg.installed: [{version: '>=9'}]}\n"


def test_neighbours_are_installed_in_one_transaction_and_keep_their_changes(machine: Any, packages: Packages) -> None:
    found = _apply(machine, TREE)
    assert packages.calls == ["refresh", "install"]
    assert found["nginx"]["changes"] == {"nginx": {"old": "", "new": "1.22.1-9"}}
    assert found["curl"]["changes"] == {"curl": {"old": "", "new": "7.88"}}
    assert found["curl"]["comment"] == "The following packages were installed or updated: curl"
    assert found["vim"]["changes"] == {}


def test_what_cannot_be_installed_together_is_installed_one_by_one(machine: Any, packages: Packages) -> None:
    found = _apply(machine, "nginx: pkg.installed\nnosuch: pkg.installed\ncurl: pkg.installed\n")
    assert {id_: ret["result"] for id_, ret in found.items()} == {"nginx": True, "nosuch": False, "curl": True}
    assert found["nginx"]["changes"] == {"nginx": {"old": "", "new": "1.22.1-9"}}
    assert found["curl"]["changes"] == {"curl": {"old": "", "new": "7.88"}}


def test_what_has_other_options_or_must_wait_is_on_its_own(machine: Any, packages: Packages) -> None:
    _apply(machine, "nginx: pkg.installed\ncurl: {pkg.installed: [{install_recommends: false}]}\n")
    assert packages.calls.count("install") == 2
    packages.installed = {}
    _apply(machine, "nginx: pkg.installed\ncurl: {pkg.installed: [{require: [{pkg: nginx}]}]}\n")
    assert packages.calls.count("install") == 4


def test_neighbours_are_upgraded_removed_and_purged_together(machine: Any, packages: Packages) -> None:
    packages.installed |= {"curl": "7.0", "nginx": "1.0"}
    packages.known["bash"] = "5.3"
    found = _apply(machine, "vim: pkg.latest\nbash: pkg.latest\nall: {pkg.latest: [{pkgs: [curl, vim]}]}\n")
    assert packages.calls == ["refresh", "install"]
    assert found["vim"]["changes"] == {"vim": {"old": "9.0-1", "new": "9.0-2"}}
    assert found["bash"]["changes"] == {"bash": {"old": "5.2", "new": "5.3"}}
    assert found["all"]["changes"] == {"curl": {"old": "7.0", "new": "7.88"}}
    packages.calls.clear()
    found = _apply(machine, "vim: pkg.removed\nbash: pkg.removed\nnosuch: pkg.removed\n")
    assert packages.calls == ["remove"]
    assert found["bash"]["changes"] == {"bash": {"old": "5.3", "new": ""}}
    assert found["nosuch"]["changes"] == {}
    packages.calls.clear()
    packages.left = {"vim": "9.0-2"}
    found = _apply(machine, "curl: pkg.purged\nvim: pkg.purged\nnginx: {pkg.purged: [{version: '1.0'}]}\n")
    assert packages.calls == ["purge"]
    assert found["curl"]["changes"] == {"installed": {"curl": {"old": "7.88", "new": ""}}, "removed": {}}
    assert found["vim"]["changes"] == {"installed": {}, "removed": {"vim": {"old": "9.0-2", "new": ""}}}
    assert found["nginx"]["changes"] == {"installed": {"nginx": {"old": "1.0", "new": ""}}, "removed": {}}


def test_no_state_is_drawn_before_one_of_another_function(machine: Any, packages: Packages) -> None:
    _apply(machine, "nginx: pkg.installed\nvim: pkg.removed\ncurl: pkg.installed\n")
    assert packages.calls == ["refresh", "install", "remove", "install"]


def test_held_packages_are_refused_before_anything_is_done(machine: Any, packages: Packages) -> None:
    packages.held = ["vim"]
    for function in ("pkg.latest", "pkg.removed", "pkg.purged"):
        assert "these packages are held: vim" in machine.plan(function, name="vim").comment
        assert machine.dry(function, name="vim").result is None
    assert machine.plan("pkg.installed", name="vim", version="9.0-2").result is False
    assert machine.run("pkg.installed", name="vim", version="9.0-2", update_holds=True).result is True
    assert packages.held == ["vim"]


def test_a_virtual_package_is_there_where_one_provides_it(machine: Any, packages: Packages) -> None:
    machine.replace(pkg_provided_by=lambda *names: {"awk": {"mawk": ""}, "nginx": {"nginx-light": "1.0"}})
    assert machine.plan("pkg.installed", name="awk").result is True
    assert machine.plan("pkg.installed", name="awk", version="2").result is None
    assert machine.plan("pkg.installed", name="nginx").result is None, "a real package is not what provides it"


def test_a_dry_run_says_it_for_each(machine: Any, packages: Packages) -> None:
    machine.context.test = True
    found = _apply(machine, TREE)
    assert [ret["result"] for ret in found.values()] == [None, None, True]
    assert packages.calls == []
