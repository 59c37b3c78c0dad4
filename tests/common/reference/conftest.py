"""The second implementation and the test vectors, for the tests beside this file."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "data"


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _bytes_again(value: Any) -> Any:
    """Undo what JSON cannot hold: {"hex": ...} is bytes."""
    if isinstance(value, dict):
        if set(value) == {"hex"}:
            return bytes.fromhex(value["hex"])
        return {key: _bytes_again(item) for key, item in value.items()}
    return [_bytes_again(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """The second implementation of the protocol."""
    return _load("protocol_reference", HERE / "implementation.py")


@pytest.fixture(scope="session")
def vectors() -> Any:
    """The content of protocol-vectors.json, its bytes as bytes."""
    return _bytes_again(json.loads((DATA / "protocol-vectors.json").read_text("ascii")))


@pytest.fixture(scope="session")
def make_vectors() -> ModuleType:
    """The script that writes the vectors."""
    return _load("make_vectors", DATA / "make_vectors.py")
