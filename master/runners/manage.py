"""Look at minions: which are connected, which are not, which versions they run.

What is asked here the master knows; no minion is asked.

CLI example: `ctl-run manage.up`
"""

from __future__ import annotations

from typing import Any

from ... import __version__
from ..port import master


def up() -> list[str]:
    """List the minions that are connected.

    CLI example: `ctl-run manage.up`
    """
    return list(_status()["up"])


def down() -> list[str]:
    """List the accepted minions that are not connected.

    CLI example: `ctl-run manage.down`
    """
    return list(_status()["down"])


def status() -> dict[str, list[str]]:
    """List the minions that are connected and those that are not.

    CLI example: `ctl-run manage.status`
    """
    found = _status()
    return {"up": list(found["up"]), "down": list(found["down"])}


def present() -> list[str]:
    """List the minions that are connected (as `up`).

    CLI example: `ctl-run manage.present`
    """
    return up()


def not_present() -> list[str]:
    """List the accepted minions that are not connected (as `down`).

    CLI example: `ctl-run manage.not_present`
    """
    return down()


def versions() -> dict[str, Any]:
    """Compare the connected minions' versions with the master's; say which libzmq the master stands on.

    CLI example: `ctl-run manage.versions`
    """
    from ...common.sockets import describe_library  # the other functions here need no ZeroMQ

    found: dict[str, Any] = {"Master": __version__, "Master's libzmq": describe_library()}
    for minion, version in sorted(_status()["versions"].items()):
        found.setdefault(_relation(str(version)), {})[minion] = str(version)
    return found


def _relation(version: str) -> str:
    ours, theirs = _numbers(__version__), _numbers(version)
    if ours == theirs:
        return "Up to date"
    return "Minion requires update" if theirs < ours else "Minion newer than master"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(word) for word in version.split(".") if word.isdigit())


def _status() -> dict[str, Any]:
    found: dict[str, Any] = master().call("minion.status")
    return found
