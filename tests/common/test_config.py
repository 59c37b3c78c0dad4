"""Configuration: defaults, relocation, and mistakes that name file, line, key and the nearest key."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ctl.common import config, config_sample
from ctl.common.errors import ConfigError

ROOT = Path(__file__).parents[2]


def _load(tmp_path: Path, text: str) -> config.MinionConfig:
    (tmp_path / "minion").write_text(text)
    return config.load_minion(tmp_path)


def test_paths_follow_root_dir(tmp_path: Path) -> None:
    loaded = _load(tmp_path, f"root_dir: {tmp_path}\nid: m1\n")
    assert loaded.pki_dir == tmp_path / "etc/ctl/pki"
    assert loaded.data_dir == tmp_path / "var/lib/ctl"
    assert loaded.raw["id"] == "m1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id: a\nmastr: x\n", ["minion:2", "mastr", "did you mean master?"]),
        ("id: a\nmaster_port: abc\n", ["minion:2", "master_port", "whole number"]),
        ("id: a\nmaster_port: 70000\n", ["minion:2", "70000"]),
        ("id: [\n", ["minion:2", "YAML"]),
        ("id: a\nid: b\n", ["minion:2", "twice"]),
        ("id: 'a/b'\n", ["minion:1", "a/b"]),
        ("id: a\nfile_client: lokal\n", ["minion:2", "lokal", "local"]),
        ("- a\n", ["minion:1", "mapping"]),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, text)
    for word in words:
        assert word in str(caught.value)


def test_unknown_keys_are_kept_for_plugins(tmp_path: Path) -> None:
    loaded = _load(tmp_path, "id: a\nmysql.host: db\n")
    assert loaded.raw["mysql.host"] == "db"
    assert config.unknown_keys(loaded) == ["mysql.host"]


def test_parts_are_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "minion.d").mkdir()
    (tmp_path / "minion.d" / "20.conf").write_text("master: two\n")
    (tmp_path / "minion.d" / "10.conf").write_text("master: one\ntest: true\n")
    loaded = _load(tmp_path, "id: a\nmaster: zero\n")
    assert loaded.master == ["two"]
    assert loaded.test is True


def test_a_file_that_everyone_can_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "minion").write_text("id: a\n")
    (tmp_path / "minion").chmod(0o666)
    with pytest.raises(ConfigError, match="everyone can write"):
        config.load_minion(tmp_path)


@pytest.mark.parametrize("kind", ["master", "minion"])
def test_the_samples_show_every_setting_at_its_default(kind: str) -> None:
    text = (ROOT / "etc" / kind).read_text()
    assert text == config_sample.sample(kind), f"python -m ctl.common.config_sample {kind} > etc/{kind}"
    settings = "".join(f"{line[1:]}\n" for line in text.splitlines() if line.startswith("#") and line[1:2].isalpha())
    cls = config_sample.KINDS[kind]
    given = {key: value for key, (value, _line) in config.parse(settings, kind).items()}
    assert set(given) == {config.key_of(f) for f in dataclasses.fields(cls)} - {"config_dir", "raw"}
    told, default = cls.from_mapping({**given, "id": "x"}), cls.from_mapping({"id": "x"})
    assert dataclasses.asdict(told) == dataclasses.asdict(default)


def test_every_setting_has_help() -> None:
    for cls in (config.MasterConfig, config.MinionConfig):
        assert [f.name for f in dataclasses.fields(cls) if not f.metadata.get("help") and f.name != "raw"] == []
