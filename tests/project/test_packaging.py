"""The wheel holds what the tree holds; an editable install hides what is missing from it."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import ctl

ROOT = Path(__file__).parents[2]
ROOMS = ("common", "modules", "states", "minion", "master", "client")


def test_the_wheel_is_whole(tmp_path: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", *ROOMS, "__init__.py", "py.typed"], cwd=ROOT, capture_output=True, text=True
    )
    names = tracked.stdout.split() if tracked.returncode == 0 else []
    source = tmp_path / "source"
    for name in [*names, "pyproject.toml", "README.md", "LICENSE"]:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--disable-pip-version-check",
         "--wheel-dir", str(tmp_path), str(source)],
        capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    wheel = next(tmp_path.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert shipped == {f"ctl/{name}" for name in names if not name.endswith(".md")}


def test_every_package_is_listed() -> None:
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {"ctl"} | {
        ".".join(["ctl", *path.parent.relative_to(ROOT).parts])
        for room in ROOMS
        for path in (ROOT / room).rglob("__init__.py")
    }
    assert listed == found


def test_every_program_is_installed() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(scripts) == set(re.findall(r"`(ctl(?:-[a-z]+)?)`", (ROOT / "docs/architecture.md").read_text()))
    for name, target in scripts.items():
        module, function = target.split(":")
        assert callable(getattr(importlib.import_module(module), function)), name


def test_tests_run_against_this_tree() -> None:
    assert Path(str(ctl.__file__)).resolve() == (ROOT / "__init__.py").resolve()
