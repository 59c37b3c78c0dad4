"""Where a setting or pillar value comes from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from ctl.common.config import load_minion
from ctl.common.context import Context, DaemonPort, FileSource, use
from ctl.common.pillar_places import EXPLAIN
from ctl.modules import config as config_module
from ctl.modules import pillar as pillar_module


class Daemon:
    """A daemon that answers as the master would."""

    asked: dict[str, Any]

    def pillar(self, **options: Any) -> dict[str, Any]:
        self.asked = options
        return {EXPLAIN: {"value": 1, "from": "x.sls:1"}, "_errors": ["y.sls:2: broken"]}


@pytest.fixture(autouse=True)
def job(tmp_path: Path) -> Iterator[Context]:
    (tmp_path / "minion").write_text("id: m1\nfile_roots:\n  base: [/srv/a]\nmine:\n  colour: red\n")
    (tmp_path / "minion.d").mkdir()
    (tmp_path / "minion.d" / "a.conf").write_text("# a comment\nmine: {colour: blue}\n")
    config = load_minion(tmp_path, {"log_level": "info"})
    files, daemon = cast(FileSource, None), cast(DaemonPort, Daemon())
    context = Context("m1", config.raw, {"os": "Debian"}, {"role": "web"}, files, daemon)
    with use(context):
        yield context


def test_a_setting_names_its_file_and_line(tmp_path: Path) -> None:
    assert config_module.explain("file_roots:base") == {"value": ["/srv/a"], "from": f"{tmp_path}/minion:3"}


def test_a_setting_that_is_set_twice_names_both(tmp_path: Path) -> None:
    assert config_module.explain("mine:colour") == {
        "value": "blue",
        "from": f"{tmp_path}/minion.d/a.conf:2",
        "overridden": [{"value": "red", "from": f"{tmp_path}/minion:5"}],
    }


@pytest.mark.parametrize(
    ("key", "wanted"),
    [
        ("log_level", "a default, or the program that was started"),
        ("os", "the grain os"),
        ("role", "the pillar value role"),
        ("nothing", "nowhere: it is not set"),
    ],
)
def test_what_is_in_no_file(key: str, wanted: str) -> None:
    assert config_module.explain(key)["from"] == wanted


def test_pillar_is_explained_by_whoever_renders_it(job: Context) -> None:
    assert pillar_module.explain("a:b") == {"value": 1, "from": "x.sls:1", "_errors": ["y.sls:2: broken"]}
    assert cast(Any, job.daemon).asked == {
        "saltenv": None,
        "pillarenv": None,
        "override": {EXPLAIN: "a:b"},
        "fresh": True,
    }
