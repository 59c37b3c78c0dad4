"""Events: tell the master something, under this minion's own name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..common.context import current
from ..common.data import MISSING, lookup


def send(
    tag: str,
    data: dict[str, Any] | None = None,
    with_env: bool | list[str] = False,
    with_grains: bool | list[str] = False,
    with_pillar: bool | list[str] = False,
    **kwargs: Any,
) -> bool:
    """Send an event to the master, where it arrives as `minion/<id>/<tag>`; False where no master listens.

    data
        What it says; further keyword arguments are added to it.
    with_env, with_grains, with_pillar
        Add the environment, grains or pillar: all (True), or those named.

    CLI Example:

        ctl-call event.send app/deployed version=1.2
    """
    context = current()
    content: dict[str, Any] = {}
    for key, wanted, source in (
        ("environ", with_env, os.environ),
        ("grains", with_grains, context.grains),
        ("pillar", with_pillar, context.pillar),
    ):
        if wanted:
            content[key] = _chosen(source, wanted)
    content |= data or {}
    content |= {key: value for key, value in kwargs.items() if not key.startswith("__")}
    return context.daemon.event(tag, content)


def fire_master(data: dict[str, Any], tag: str) -> bool:
    """Send an event to the master.

    CLI Example:

        ctl '*' event.fire_master '{"data": "my event data"}' app/deployed
    """
    return current().daemon.event(tag, data)


def fire(data: dict[str, Any], tag: str) -> bool:
    """Send an event; a minion has no bus of its own, so it goes to the master as well.

    CLI Example:

        ctl '*' event.fire '{"data": "my event data"}' app/deployed
    """
    return current().daemon.event(tag, data)


def _chosen(source: Mapping[str, Any], wanted: bool | list[str]) -> dict[str, Any]:
    if wanted is True:
        return dict(source)
    names = wanted if isinstance(wanted, list) else [str(wanted)]
    found = {name: lookup(source, name, MISSING) for name in names}
    return {name: value for name, value in found.items() if value is not MISSING}
