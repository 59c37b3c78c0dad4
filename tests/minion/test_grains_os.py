"""Names and releases of systems, read from captured os-release files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ctl.minion import grains_os
from ctl.minion.grains_machine import Machine

CASES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("os_releases.json").read_text())


@pytest.mark.parametrize("name", CASES)
def test_a_system_is_named_as_salt_names_it(name: str) -> None:
    release = grains_os.parse_os_release("\n".join(CASES[name]["os_release"]))
    assert grains_os.system_grains(release) == CASES[name]["grains"]


def test_an_unknown_system_is_of_the_family_it_says() -> None:
    grains = grains_os.system_grains({"NAME": "Foo Linux", "ID": "foo", "ID_LIKE": "bar debian", "VERSION_ID": "1.2"})
    assert (grains["os"], grains["os_family"], grains["osfinger"]) == ("Foo", "Debian", "Foo Linux-1")


def test_an_unknown_system_without_family_is_its_own() -> None:
    grains = grains_os.system_grains({"NAME": "Zork", "ID": "zork"})
    assert (grains["os"], grains["os_family"], grains["osfinger"]) == ("Zork", "Zork", "Zork")
    assert "osmajorrelease" not in grains


def test_a_debian_without_a_release_takes_it_from_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('NAME="Debian GNU/Linux"\nID=debian\n')
    (tmp_path / "etc/debian_version").write_text("12.5\n")
    table = {key: group for group in grains_os.GROUPS for key in group.keys}
    grains = table["os"].load(Machine(tmp_path))
    assert (grains["osrelease"], grains["osrelease_info"]) == ("12.5", [12, 5])


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ('NAME="A B"', {"NAME": "A B"}),
        ("NAME='A B'", {"NAME": "A B"}),
        (r'NAME="A \"B\""', {"NAME": 'A "B"'}),
        ('NAME="unclosed', {"NAME": "unclosed"}),
        ("# NAME=x", {}),
        ("name=x", {}),
        ("nonsense", {}),
        ("", {}),
    ],
)
def test_os_release_lines(line: str, wanted: dict[str, str]) -> None:
    assert grains_os.parse_os_release(line) == wanted


def test_kernel_parameters_are_pairs() -> None:
    text = 'root=UUID=ab-c ro quiet opt="a b"\n'
    wanted = [["root", "UUID=ab-c"], ["ro", None], ["quiet", None], ["opt", "a b"]]
    assert grains_os.parse_kernel_parameters(text) == wanted


def test_architecture_of_packages() -> None:
    assert grains_os.guess_architecture("x86_64", True) == "amd64"
    assert grains_os.guess_architecture("aarch64", True) == "arm64"
    assert grains_os.guess_architecture("x86_64", False) == "x86_64"
