"""The client side: run jobs, runners and local functions from Python, and the programs that people type.

    from ctl.client import LocalClient

    with LocalClient() as client:
        print(client.cmd("web*", "test.ping"))

The names below are imported when they are first used, so that the programs start fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .caller import Caller
    from .local import LocalClient
    from .runner import RunnerClient

__all__ = ["Caller", "LocalClient", "RunnerClient"]

_HOMES = {"Caller": "caller", "LocalClient": "local", "RunnerClient": "runner"}


def __getattr__(name: str) -> Any:
    """Import the module of a client at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
