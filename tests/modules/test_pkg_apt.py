"""`pkg` on Debian: what apt and dpkg print, which words reach them, and a real package coming and going."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctl.common.errors import CommandExecutionError
from ctl.modules import _apt_text, _dpkg_version, pkg_apt

Call = Callable[..., Any]

POLICY = """\
hello:
  Installed: (none)
  Candidate: 2.10-3
  Version table:
     2.10-3 500
        500 http://deb.example.org/debian bookworm/main amd64 Packages
bash:
  Installed: 5.2.15-2+b8
  Candidate: 5.2.15-2+b13
  Version table:
     5.2.15-2+b13 500
        500 http://deb.example.org/debian bookworm/main amd64 Packages
 *** 5.2.15-2+b8 100
        100 /var/lib/dpkg/status
N: Unable to locate package no-such-pkg
"""
SIMULATION = """\
Reading package lists...
Inst libc-bin [2.36-9] (2.36-9+deb12u1 Debian:12.1/stable [amd64]) []
Inst hello (2.10-3 Debian:12.15/oldstable [amd64])
Conf libc-bin (2.36-9+deb12u1 Debian:12.1/stable [amd64])
Remv cowsay [3.03+dfsg2-8]
"""
UPDATE = """\
Hit:1 http://deb.example.org/debian bookworm InRelease
Get:2 http://deb.example.org/debian bookworm-updates InRelease [55.4 kB]
Ign:3 http://mirror.example bookworm InRelease
Err:4 http://mirror.example bookworm Release
  404  Not Found
Fetched 55.4 kB in 1s (60.0 kB/s)
"""
PACKAGES = (
    "bash\t5.2-1\tamd64\tinstall\tinstalled\nlibc6\t2.36\ti386\thold\tinstalled\n"
    "old\t1.0\tall\tdeinstall\tconfig-files\nbroken line\n"
)


def test_dpkgs_list_is_read_with_foreign_architectures_named() -> None:
    assert _apt_text.parse_packages(PACKAGES, "amd64") == [
        ("bash", "5.2-1", "amd64", "install", "installed"),
        ("libc6:i386", "2.36", "i386", "hold", "installed"),
        ("old", "1.0", "all", "deinstall", "config-files"),
    ]


def test_apts_policy_is_read() -> None:
    assert _apt_text.parse_policy(POLICY) == {
        "hello": {"installed": "", "candidate": "2.10-3"},
        "bash": {"installed": "5.2.15-2+b8", "candidate": "5.2.15-2+b13"},
    }


def test_a_simulation_is_read() -> None:
    assert _apt_text.parse_simulation(SIMULATION) == {
        "libc-bin": ("2.36-9", "2.36-9+deb12u1"),
        "hello": ("", "2.10-3"),
        "cowsay": ("3.03+dfsg2-8", ""),
    }


def test_the_refresh_of_repositories_is_read() -> None:
    assert _apt_text.parse_refresh(UPDATE) == {
        "http://deb.example.org/debian bookworm InRelease": None,
        "http://deb.example.org/debian bookworm-updates InRelease": True,
        "http://mirror.example bookworm InRelease": None,
        "http://mirror.example bookworm Release": False,
    }


def test_versions_of_repositories_are_read() -> None:
    listed = (
        " bash | 5.2-1 | http://a bookworm/main amd64 Packages\n bash | 5.2-1 | http://b x/main amd64 Packages\n"
        " bash | 5.1-2 | http://a bullseye/main amd64 Packages\n bash | 5.0 | http://a bookworm/main Sources\n"
    )
    assert _apt_text.parse_madison(listed) == {"bash": ["5.2-1", "5.1-2"]}


def test_owners_of_files_are_read() -> None:
    listed = "diversion by dash from: /bin/sh\nlibc6:amd64, libc6:i386: /usr/share/doc/libc6\ncoreutils: /bin/ls: odd\n"
    assert _apt_text.parse_owners(listed) == {"/usr/share/doc/libc6": "libc6:amd64", "/bin/ls: odd": "coreutils"}


def test_paragraphs_are_read() -> None:
    listed = "Package: a\nVersion: 1\nDescription: short\n long\n .\n\nPackage: a\nVersion: 2\n"
    assert _apt_text.parse_stanzas(listed) == [
        {"Package": "a", "Version": "1", "Description": "short\nlong\n."},
        {"Package": "a", "Version": "2"},
    ]
    assert _apt_text.parse_stanzas("") == []


@pytest.mark.parametrize(
    ("name", "pkgs", "version", "wanted"),
    [
        ("nginx", None, None, {"nginx": ""}),
        ("nginx, bash", None, None, {"nginx": "", "bash": ""}),
        ("nginx", None, "1.2-1", {"nginx": "1.2-1"}),
        ("nginx=1.2-1", None, None, {"nginx": "1.2-1"}),
        (None, ["a1", {"b2": "1.0"}, {"c3": None}], None, {"a1": "", "b2": "1.0", "c3": ""}),
        (None, {"a1": "latest", "b2": 2.5}, None, {"a1": "", "b2": "2.5"}),
        ("ignored", ["g++", "libc6:i386"], None, {"g++": "", "libc6:i386": ""}),
    ],
)
def test_targets_are_understood(name: Any, pkgs: Any, version: Any, wanted: dict[str, str]) -> None:
    assert _apt_text.parse_targets(name, pkgs, version) == wanted


@pytest.mark.parametrize("name", ["-y", "nginx-", "a;touch x", "$(id)", "foo*", "a b", "../x.deb", "x/sid", "a\nb", ""])
def test_what_apt_would_take_for_something_else_is_refused(name: str) -> None:
    with pytest.raises(CommandExecutionError):
        _apt_text.parse_targets(None, [name])


@pytest.mark.parametrize("word", ["-x", "1;2", "$(id)", "", "1 2"])
def test_versions_and_releases_are_checked(word: str) -> None:
    with pytest.raises(CommandExecutionError, match="no version"):
        _apt_text.check_version(word)
    with pytest.raises(CommandExecutionError, match="no name of a release"):
        _apt_text.check_release(word)


VERSIONS = [
    "1.0", "1.0-1", "1:0.5", "1.0~rc1", "1.0~", "1.0+b1", "1.10", "1.9", "1.0a", "1.0-1~bpo12+1", "0:1.0", "2.10-3",
    "1.0.", "1.0~~a", "1.0~a", "9999999999999999999999", "1a2b", "1.2.3-4.5+deb12u1", "a", "1.0-01", "1.00",
]  # fmt: skip


def _dpkg_compare(first: str, second: str) -> int:
    for operator, result in (("lt", -1), ("gt", 1)):
        words = ["dpkg", "--compare-versions", "--", first, operator, second]
        if subprocess.run(words, check=False, capture_output=True).returncode == 0:
            return result
    return 0


@pytest.mark.parametrize("first", VERSIONS)
def test_versions_compare_as_dpkg_compares_them(first: str, apt_index: None) -> None:
    for second in VERSIONS:
        assert _dpkg_version.compare(first, second) == _dpkg_compare(first, second), (first, second)


@given(st.lists(st.text(alphabet="01239ab~+.-:", min_size=1, max_size=8), min_size=3, max_size=3))
@settings(max_examples=300)
def test_the_order_of_versions_is_total(words: list[str]) -> None:
    first, second, third = words
    assert _dpkg_version.compare(first, second) == -_dpkg_version.compare(second, first)
    if _dpkg_version.compare(first, second) <= 0 and _dpkg_version.compare(second, third) <= 0:
        assert _dpkg_version.compare(first, third) <= 0


def test_the_epoch_can_be_left_out(call: Call) -> None:
    assert call("pkg.version_cmp", "1:0.5", "1.0") == 1
    assert call("pkg.version_cmp", "1:0.5", "1.0", ignore_epoch=True) == -1
    assert call("pkg.version_cmp", 1.0, "1.0") == 0


@pytest.mark.parametrize(
    ("spec", "chosen"), [("1.2*", "1.2-5"), (">=1.2,<1.3", "1.2-5"), (">1.2", "2:1.3-1"), ("!=2:1.3-1", "1.2-5")]
)
def test_the_newest_version_that_fits_is_chosen(spec: str, chosen: str) -> None:
    assert pkg_apt._choose_version("x", spec, ["1.0-1", "1.2-5", "2:1.3-1", "1.2-4"]) == chosen


def test_a_version_that_nobody_has_names_those_there_are() -> None:
    assert pkg_apt._choose_version("x", "1.3-1", ["2:1.3-1"], ignore_epoch=True) == "2:1.3-1"
    with pytest.raises(CommandExecutionError, match=r"no version of x is as '>2' asks for \(there are: 1\.0\)"):
        pkg_apt._choose_version("x", ">2", ["1.0"])


def _words(record: Path) -> list[list[str]]:
    return [line.split("\0")[:-1] for line in record.read_text().splitlines()]


def test_apt_gets_the_words_that_were_asked_for(call: Call, fake_tool: Callable[..., Path]) -> None:
    record = fake_tool("apt-get")
    call("pkg.install", pkgs=["hello", {"sl": "5.02-1"}], fromrepo="bookworm", install_recommends=False)
    (words,) = _words(record)
    assert words[:2] == ["-q", "-y"]
    assert "DPkg::Options::=--force-confold" in words
    assert f"DPkg::Lock::Timeout={pkg_apt.LOCK_WAIT_S}" in words
    end = ["--allow-downgrades", "--no-install-recommends", "-t", "bookworm", "install", "--", "hello", "sl=5.02-1"]
    assert words[-len(end) :] == end


def test_a_failure_says_what_and_what_next(call: Call, fake_tool: Callable[..., Path], tmp_path: Path) -> None:
    fake_tool("apt-get", retcode=100)
    (tmp_path / "bin" / "apt-get").write_text("#!/bin/sh\necho 'E: Unable to locate package nope' >&2\nexit 100\n")
    with pytest.raises(CommandExecutionError, match=r"install nope failed: E: Unable to locate .*refresh=True"):
        call("pkg.install", "nope")


def test_a_package_file_must_be_there(call: Call) -> None:
    with pytest.raises(CommandExecutionError, match=r"no package file /no/such\.deb for x"):
        call("pkg.install", sources=[{"x": "/no/such.deb"}])


def test_upgrades_are_listed_from_a_simulation(call: Call, fake_tool: Callable[..., Path]) -> None:
    record = fake_tool("apt-get", SIMULATION)
    assert call("pkg.list_upgrades", refresh=False) == {"libc-bin": "2.36-9+deb12u1"}
    assert call("pkg.autoremove", list_only=True) == ["cowsay", "hello", "libc-bin"]
    assert _words(record) == [["--simulate", "dist-upgrade"], ["--simulate", "autoremove"]]


def test_a_refresh_that_fails_is_an_error(call: Call, fake_tool: Callable[..., Path]) -> None:
    fake_tool("apt-get", UPDATE)
    assert False in call("pkg.refresh_db").values()
    with pytest.raises(CommandExecutionError, match="could not be fetched"):
        call("pkg.refresh_db", failhard=True)
    assert call("pkg.refresh_db", cache_valid_time=10**10) == {}


def test_installed_packages_are_known(call: Call, apt_index: None) -> None:
    packages = call("pkg.list_pkgs")
    assert packages["bash"] == call("pkg.version", "bash")
    assert call("pkg.list_pkgs", versions_as_list=True)["bash"] == [packages["bash"]]
    assert call("pkg.version", "bash", "no-such-package") == {"bash": packages["bash"], "no-such-package": ""}
    assert call("pkg.version", "bas[h]") == {"bash": packages["bash"]}
    assert call("pkg.version", "no-such-package") == ""
    assert isinstance(call("pkg.list_pkgs", removed=True), dict)


def test_what_dpkg_knows_about_a_package(call: Call, apt_index: None) -> None:
    info = call("pkg.info_installed", "bash")["bash"]
    assert info["version"] == call("pkg.version", "bash")
    assert info["install_date"].endswith("Z")
    assert info["summary"]
    assert call("pkg.info_installed", "bash", attr="version") == {"bash": {"version": info["version"]}}
    with pytest.raises(CommandExecutionError, match="not installed: no-such-package"):
        call("pkg.info_installed", "no-such-package")


def test_files_and_their_owners(call: Call, apt_index: None) -> None:
    assert call("pkg.owner", "/bin/ls") == call("pkg.owner", "/usr/bin/ls") == "coreutils"
    assert call("pkg.owner", "/no/such", "/bin/ls") == {"/no/such": "", "/bin/ls": "coreutils"}
    files = call("pkg.file_list", "coreutils", "no-such-package")
    assert {"/bin/ls", "/usr/bin/ls"} & set(files["files"])
    assert "no-such-package" in files["errors"][0]


def test_what_the_repositories_have(call: Call, apt_index: None) -> None:
    newest = call("pkg.latest_version", "hello", refresh=False, show_installed=True)
    assert newest
    assert newest in call("pkg.list_repo_pkgs", "hello")["hello"]
    assert call("pkg.latest_version", "hello", "no-such-package", refresh=False)["no-such-package"] == ""
    assert call("pkg.show", "hello", filter="maintainer")["hello"][newest].keys() == {"Maintainer"}
    assert call("pkg.upgrade_available", "no-such-package") is False


@pytest.mark.root
def test_a_package_comes_is_held_and_goes(call: Call, apt_index: None) -> None:
    if call("pkg.version", "hello"):
        pytest.skip("the package hello is installed here")
    version = call("pkg.latest_version", "hello", refresh=False)
    try:
        assert call("pkg.install", "hello", version=f"{version[:3]}*") == {"hello": {"old": "", "new": version}}
        assert call("pkg.install", "hello") == {}
        assert call("pkg.hold", "hello")["hello"]["changes"] == {"hello": {"new": "hold", "old": "install"}}
        assert call("pkg.list_holds") == ["hello"]
        assert call("pkg.unhold", "hello")["hello"]["result"] is True
        assert call("pkg.hold", "no-such-package")["no-such-package"]["result"] is False
        assert call("pkg.remove", "hello") == {"hello": {"old": version, "new": ""}}
        assert call("pkg.remove", "hello") == {}
    finally:
        call("pkg.purge", "hello")
    assert call("pkg.version", "hello") == ""
