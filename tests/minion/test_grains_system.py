"""Init systems and the rest of the running system."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctl.minion import grains_system as system
from ctl.minion.grains_machine import Machine


@pytest.mark.parametrize(
    ("command", "has_systemd", "wanted"),
    [
        ("/sbin/init\0splash\0", True, "systemd"),
        ("/sbin/init\0", False, "unknown"),
        ("/usr/bin/tini\0--\0app\0", False, "tini"),
        ("runit\0", False, "runit"),
        ("/usr/bin/python3\0/sbin/my_init\0", False, "runit"),
        ("/bin/sh\0-c\0x\0", False, "unknown"),
        ("", False, "unknown"),
    ],
)
def test_init(command: str, has_systemd: bool, wanted: str) -> None:
    assert system.name_init(command, has_systemd) == wanted


def test_systemd() -> None:
    text = "systemd 252 (252.22-1~deb12u1)\n+PAM +AUDIT -GNUTLS\n"
    assert system.parse_systemctl(text) == {"version": "252", "features": "+PAM +AUDIT -GNUTLS"}
    assert system.parse_systemctl("bash: no") is None


def _load(key: str, root: Path) -> dict[str, object]:
    group = next(group for group in system.GROUPS if key in group.keys)
    return dict(group.load(Machine(root, tools=False)))


def test_the_zone_is_the_one_of_the_database(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/localtime").symlink_to("/usr/share/zoneinfo/Europe/Berlin")
    assert _load("timezone", tmp_path) == {"timezone": "Europe/Berlin"}
    (tmp_path / "etc/timezone").write_text("Asia/Tokyo\n")
    assert _load("timezone", tmp_path) == {"timezone": "Asia/Tokyo"}


def test_machine_id(tmp_path: Path) -> None:
    assert _load("machine_id", tmp_path) == {}
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/machine-id").write_text("abc\n")
    assert _load("machine_id", tmp_path) == {"machine_id": "abc"}


def test_secure_boot(tmp_path: Path) -> None:
    assert _load("efi", tmp_path) == {"efi": False, "efi-secure-boot": False}
    variables = tmp_path / "sys/firmware/efi/efivars"
    variables.mkdir(parents=True)
    (variables / "SecureBoot-8be4df61").write_bytes(b"\6\0\0\0\1")
    assert _load("efi", tmp_path) == {"efi": True, "efi-secure-boot": True}
