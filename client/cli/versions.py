"""The versions of ctl, of Python and of what they are built on."""

from __future__ import annotations

import importlib.metadata
import platform
import re

from ... import __version__
from ...common.sockets import describe_library


def report() -> str:
    """Return the versions as lines of text."""
    rows = [("ctl", __version__), ("Python", platform.python_version())]
    rows += [(name, _version(name)) for name in _dependencies()]
    rows += [("libzmq", describe_library()), ("system", platform.platform())]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:>{width}}: {version}" for name, version in rows)


def _dependencies() -> list[str]:
    try:
        wanted = importlib.metadata.requires("ctl") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    names = (re.match(r"[\w.-]+", line) for line in wanted if "extra ==" not in line)
    return sorted((name[0] for name in names if name), key=str.lower)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
