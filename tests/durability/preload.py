"""Build the library that is preloaded into daemons under test (`faults.c`)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("faults.c")


def missing() -> str:
    """Say why it cannot be built here; empty where it can."""
    return "" if shutil.which("gcc") else "there is no C compiler here"


def build(directory: Path) -> Path:
    """Build it below `directory`; return its path."""
    library = directory / "faults.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl", "-lpthread"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return library
