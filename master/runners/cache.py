"""Look at what the master remembers of its minions.

CLI example: `ctl-run cache.grains`
"""

from __future__ import annotations

from typing import Any

from ...common.wire import unpack_payload
from ..port import master


def grains(tgt: str = "*", tgt_type: str = "glob") -> dict[str, Any]:
    """Return the grains that minions sent last.

    CLI example: `ctl-run cache.grains 'web*'`
    """
    return _stream("cache.grains", tgt, tgt_type)


def pillar(tgt: str = "*", tgt_type: str = "glob") -> dict[str, Any]:
    """Return the pillar that was rendered last for minions; it is rendered now where it was not yet.

    CLI example: `ctl-run cache.pillar web1`
    """
    return _stream("cache.pillar", tgt, tgt_type)


def _stream(op: str, tgt: str, tgt_type: str) -> dict[str, Any]:
    items = master().request(op, tgt=tgt, tgt_type=tgt_type)
    return {data["id"]: unpack_payload(data["data"]) for kind, data in items if kind != "result"}
